"""A Predictor as an object: what it shows, and what else than texts it takes or refuses."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.errors import InputError
from gatelet.runtime import load


def test_a_predictor_tells_what_is_open_and_is_not_pickled(bundle: Path) -> None:
    predictor = load(bundle, target="pure")
    assert repr(predictor).startswith("<Predictor 'small', pure float32 (python 3.")
    with pytest.raises(TypeError, match="a Predictor is not pickled: hand over the bundle's path"):
        pickle.dumps(predictor)


@pytest.mark.parametrize("bad", [None, b"w1", ["w1"]])
def test_only_a_text_is_explained(bundle: Path, bad: Any) -> None:
    with pytest.raises(InputError, match=f"the text to explain is a {type(bad).__name__}"):
        load(bundle, target="pure").explain(bad)


@pytest.mark.parametrize("target", ["onnx", "pure"])
def test_rows_may_be_arrays_in_a_list(bundle: Path, target: str) -> None:
    predictor = load(bundle, target=target)
    rows = [[0, 0, 3, 9], [0, 4, 1, 2]]
    given: list[Any] = [np.array(rows[0]), rows[1]]
    assert np.array_equal(predictor.scores(given), predictor.scores(rows))
