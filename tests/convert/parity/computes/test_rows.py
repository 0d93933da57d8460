"""The rows that are looked at are few, short, and share what a file skips."""

import numpy as np

from gatelet.convert.parity.computes.rows import (
    MOST_ROWS,
    MOST_TIMESTEPS,
    by_padding,
    few_rows,
    without_shared_padding,
)
from gatelet.convert.rows.rows import Rows
from tests.convert.parity.computes.models import FEATURES, model


def _padded(*pads: int, timesteps: int = 10) -> Rows:
    steps = np.arange(timesteps)
    return Rows({"ids": np.where(steps < np.array(pads)[:, None], 0, 1 + steps)})


def test_rows_and_timesteps_are_bounded() -> None:
    rows = Rows({"features": np.zeros((500, 300, FEATURES), np.float32)})
    found = few_rows(model(features=True), rows)
    assert found.feed["features"].shape == (MOST_ROWS, MOST_TIMESTEPS, FEATURES)


def test_rows_of_many_lengths_become_rows_of_four() -> None:
    rows = _padded(*range(10))
    groups = list(by_padding(rows, "ids"))
    assert 1 < len(groups) <= 4
    assert sum(len(group["ids"]) for group in groups) == 10
    for group in groups:
        assert len(set((group["ids"] != 0).argmax(axis=1))) == 1
    assert list(by_padding(rows, None)) == [rows.feed]


def test_padding_that_all_rows_share_is_no_timestep_of_theirs() -> None:
    found = without_shared_padding(_padded(3, 5, 10), "ids").feed["ids"]
    assert found.shape == (3, 7)
    assert found[0, 0] != 0
    assert without_shared_padding(_padded(10, 10), "ids").feed["ids"].shape == (2, 10)
