"""A model that has learnt nothing is told, with the flag that mends it; one that has is not."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from gatelet.convert.parity.quality.baseline import Standing, standing_of
from gatelet.convert.rows.rows import Rows

ROWS = 400
NAMES = ("bad", "good")
NOTHING = Rows({"ids": np.zeros((ROWS, 3), np.int32)})


def standing(
    scores: NDArray[np.float64], truth: NDArray[np.int64], *, labels: tuple[str, ...] = NAMES
) -> Standing:
    return standing_of(scores, truth, NOTHING, labels=labels, threshold=0.5)


def drawn(*, share: float = 0.5) -> NDArray[np.int64]:
    return (np.random.default_rng(1).random(ROWS) < share).astype(np.int64)


def known(truth: NDArray[np.int64], *, noise: float = 0.2) -> NDArray[np.float64]:
    """Return scores that tell the truth, more or less."""
    moved = np.random.default_rng(2).normal(0, noise, ROWS)
    return np.clip(0.2 + 0.6 * truth + moved, 0, 1)[:, None]


@pytest.mark.parametrize("share", [0.5, 0.2, 0.9])
def test_the_majority_stands_beside_a_model_that_has_learnt(share: float) -> None:
    truth = drawn(share=share)
    found = standing(known(truth), truth)
    assert found.warnings == ()
    assert found.baseline["accuracy"] == max(truth.mean(), 1 - truth.mean())
    assert found.name == f"always '{NAMES[int(share >= 0.5)]}'" or share == 0.5
    assert found.baseline["roc_auc"] == pytest.approx(0.5)
    p = truth.mean()
    assert found.baseline["brier"] == pytest.approx(p * (1 - p))
    assert found.quality["accuracy"] > found.baseline["accuracy"]


def test_labels_in_the_wrong_order_are_told_with_the_right_one() -> None:
    truth = drawn()
    (said,) = standing(1 - known(truth), truth).warnings
    assert "convert with --labels good,bad" in said


def test_the_right_order_of_three_labels_is_found_where_some_are_right_by_chance() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, ROWS)
    chosen = np.where(rng.random(ROWS) < 0.19, truth, (truth + 1) % 3)
    found = standing(np.eye(3)[chosen] + 0.1 * rng.random((ROWS, 3)), truth, labels=("a", "b", "c"))
    assert found.quality["accuracy"] == pytest.approx(0.19, abs=0.02)
    (said,) = found.warnings
    assert said.endswith("convert with --labels c,a,b")


def test_the_right_order_of_four_labels_is_found() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 4, ROWS)
    scores = np.eye(4)[(truth + 1) % 4] + rng.random((ROWS, 4))
    (said,) = standing(scores, truth, labels=("a", "b", "c", "d")).warnings
    assert said.endswith("convert with --labels d,a,b,c")


@pytest.mark.parametrize(
    "scores",
    [
        np.random.default_rng(4).random((ROWS, 1)),  # guesses
        np.full((ROWS, 1), 0.3),  # the same score for all rows
        np.random.default_rng(4).uniform(0, 0.4, (ROWS, 1)),  # one label only
    ],
)
def test_a_model_that_guesses_is_told(scores: NDArray[np.float64]) -> None:
    (said,) = standing(scores, drawn(share=0.3)).warnings
    assert "it has learnt nothing" in said and "--epochs" in said and "--vectorizer" in said


@pytest.mark.parametrize(
    "scores",
    [
        np.random.default_rng(4).dirichlet(np.ones(3), ROWS),  # guesses
        np.tile([0.2, 0.5, 0.3], (ROWS, 1)),  # the same scores for all rows
        np.random.default_rng(4).dirichlet(np.ones(3), ROWS) + np.eye(3)[1],  # one label only
    ],
)
def test_a_softmax_that_guesses_is_told(scores: NDArray[np.float64]) -> None:
    truth = np.random.default_rng(8).integers(0, 3, ROWS)
    (said,) = standing(scores, truth, labels=("a", "b", "c")).warnings
    assert "it has learnt nothing" in said and "--epochs" in said


def test_a_model_that_ranks_rare_rows_is_not_doubted_for_the_majoritys_share() -> None:
    truth = drawn(share=0.05)
    scores = np.clip(0.2 + 0.4 * truth + np.random.default_rng(5).normal(0, 0.2, ROWS), 0, 1)
    found = standing(scores[:, None], truth)
    assert found.quality["accuracy"] <= found.baseline["accuracy"] + 0.02
    assert found.warnings == ()


def test_one_label_for_every_row_is_doubted_though_the_scores_rank_them() -> None:
    truth = drawn()
    (said,) = standing(0.4 * known(truth), truth).warnings
    assert "it says 'bad' of every row" in said


def test_few_rows_say_nothing() -> None:
    truth = drawn()[:20]
    found = standing_of(1 - known(drawn())[:20], truth, NOTHING, labels=NAMES, threshold=0.5)
    assert found.warnings == () and found.baseline


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("features", [1, 3])
def test_a_forecast_is_held_to_the_last_value(unit: float, features: int) -> None:
    walk = unit * np.cumsum(np.random.default_rng(6).normal(size=(ROWS, 11)), axis=1)
    x = np.repeat(walk[:, :10, None], features, axis=2)
    x[:, :, 1:] = 0
    truth = walk[:, 10:]
    rows = Rows({"features": x.astype(np.float32)})
    good, bad = (
        standing_of(scores, truth, rows, labels=(), threshold=0.5)
        for scores in (truth + 0.3 * unit, truth + 2 * unit)
    )
    assert good.warnings == ()
    assert good.name == "the last value of feature 1"
    assert good.baseline["mae"] == pytest.approx(np.abs(walk[:, 10] - walk[:, 9]).mean(), rel=1e-5)
    assert "that of the last value of feature 1" in bad.warnings[0]
    assert bad.quality["r2"] > 0.5  # better than the mean, and worse than no change


def test_a_regression_of_what_is_no_series_is_held_to_the_mean() -> None:
    truth = np.random.default_rng(7).normal(50, 9, (ROWS, 2))
    found = standing_of(truth + 20, truth, NOTHING, labels=(), threshold=0.5)
    assert found.name == "their mean" and found.baseline["r2_2"] == pytest.approx(0)
    assert "--data" in found.warnings[0]


def test_scores_that_are_no_numbers_have_no_standing() -> None:
    truth = drawn()
    assert standing(np.full((ROWS, 1), math.nan), truth) == Standing()
