"""Over the test part of a run, its model stands beside what was trained on the same rows."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gatelet.convert.parity.quality.baseline import Standing
from gatelet.convert.parity.texts.converted import trained_beside
from gatelet.runtime.data.dataset import Dataset, sha256_of

ROWS = Dataset(("fine", "poor", "dire"), ("good", "bad", "bad"), "rows")
STANDING = Standing({"accuracy": 0.8, "ece": 0.1}, {"accuracy": 0.6}, "always 'bad'", ("doubt",))
TRAINED = {"name": "another", "C": 4, "rows": 3, "accuracy": 0.75, "roc_auc": None}


def bundle(baseline: object = TRAINED, **provenance: object) -> Any:
    training = {"training": {"baseline": baseline}, "test_data_sha256": sha256_of(ROWS)}
    return SimpleNamespace(labels=("bad", "good"), manifest={"provenance": training | provenance})


def oracle(texts: tuple[str, ...] = ROWS.texts, truth: tuple[int, ...] = (1, 0, 0)) -> Any:
    return SimpleNamespace(texts=texts, truth=np.array(truth))


def test_over_the_test_part_it_takes_the_place_of_the_majority() -> None:
    found = trained_beside(STANDING, bundle(), oracle())
    assert (found.name, found.baseline) == ("another", {"accuracy": 0.75})
    assert (found.quality, found.warnings) == (STANDING.quality, STANDING.warnings)


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        (bundle(), oracle(("fine", "poor", "grim"))),
        (bundle(), oracle(truth=(1, 0, 1))),
        (bundle(), oracle(())),
        (bundle(None), oracle()),
        (bundle({}), oracle()),
        (bundle(training=[]), oracle()),
        (bundle(test_data_sha256=None), oracle()),
    ],
)
def test_elsewhere_the_majority_stays(given: Any, rows: Any) -> None:
    assert trained_beside(STANDING, given, rows) == STANDING
