"""What a run writes: JSON that everybody reads, or nothing."""

import math
from pathlib import Path

import pytest

from gatelet.train.writing import _write_json


@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf])
def test_a_figure_that_json_does_not_have_is_not_written(figure: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        _write_json(tmp_path / "metrics.json", {"loss": figure})
    assert not list(tmp_path.iterdir())
