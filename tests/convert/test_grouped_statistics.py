"""Rows of a group are one piece of evidence as far as they vary together, and copies are none."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from gatelet.convert.parity.quality.resampling import bootstrap_sums, percentile_interval
from gatelet.convert.parity.quality.statistics import (
    Interval,
    auc_difference,
    auc_difference_one_vs_rest,
    clopper_pearson,
    grouped_accuracy_difference,
    mean_interval,
    quantile_interval,
)
from gatelet.convert.rows.evidence import evidence_of
from gatelet.errors import DataError
from gatelet.runtime.data.intervals import (
    effective_rows,
    grouped_mean,
    grouped_share,
    widening,
)

Ints = NDArray[np.int64]
GROUPS, SIZE, DRAWS = 50, 12, 300
OF_ROWS = np.repeat(np.arange(GROUPS), SIZE)


@pytest.mark.parametrize("freedom", [1, 2, 9, 100])
def test_few_groups_widen_by_students_t(freedom: int) -> None:
    expected = stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975)
    assert widening(freedom) == pytest.approx(expected, rel=1e-9)


def test_copies_within_groups_are_worth_the_groups() -> None:
    rng = np.random.default_rng(1)
    of_groups = (rng.random(GROUPS) < 0.4).astype(int)
    copied = np.repeat(of_groups, SIZE).tolist()
    assert effective_rows(copied, OF_ROWS.tolist()) == pytest.approx(GROUPS, rel=0.1)


def test_groups_of_one_row_are_worth_the_rows() -> None:
    hits = (np.random.default_rng(2).random(400) < 0.3).astype(int).tolist()
    assert effective_rows(hits, list(range(400))) == pytest.approx(400, rel=0.02)
    alone = np.random.default_rng(3).normal(size=400)
    one, other = mean_interval(alone), mean_interval(alone, groups=np.arange(400))
    assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=0.01)


def test_independent_rows_lose_little_by_their_groups() -> None:
    hits = (np.random.default_rng(4).random(len(OF_ROWS)) < 0.3).astype(int).tolist()
    assert effective_rows(hits, OF_ROWS.tolist()) > 0.6 * len(OF_ROWS)


@pytest.mark.parametrize("events", [0, 1, 3])
def test_where_hardly_any_group_changes_each_counts_as_a_row(events: int) -> None:
    hits = np.zeros(len(OF_ROWS), int)
    hits[: events * SIZE : SIZE] = 1
    found = grouped_share(hits.tolist(), OF_ROWS.tolist())
    assert found.high >= clopper_pearson(0, GROUPS).high
    assert found.estimate == pytest.approx(events / len(hits))


def test_one_group_tells_nothing() -> None:
    one = np.zeros(30, np.int64)
    values = np.random.default_rng(5).normal(size=30)
    assert mean_interval(values, groups=one).high == math.inf
    assert grouped_mean(values.tolist(), one.tolist()).high == math.inf
    assert grouped_share([0] * 30, one.tolist()).high > 0.9
    assert grouped_accuracy_difference(one, one).low < -0.5
    positive = np.arange(30) % 2 == 0
    area = auc_difference(positive, values, values[::-1], groups=one)
    assert area is not None and area.high == math.inf
    assert quantile_interval(values, 0.99, rows=1).high == math.inf


# ---- Coverage ------------------------------------------------------------------------------


def rates(rng: np.random.Generator, mean: float) -> NDArray[np.float64]:
    """Draw the rate of each group, so that rows of one are alike: correlated by 0.3."""
    a = mean * (1 / 0.3 - 1)
    return rng.beta(a, a * (1 / mean - 1), GROUPS)


def share(rng: np.random.Generator) -> Interval:
    hits = rng.random(len(OF_ROWS)) < rates(rng, 0.2)[OF_ROWS]
    return grouped_share(hits.astype(int).tolist(), OF_ROWS.tolist())


def accuracy(rng: np.random.Generator) -> Interval:
    moved = rng.random(len(OF_ROWS)) < rates(rng, 0.2)[OF_ROWS]
    lost = rng.random(len(OF_ROWS)) < 0.75
    return grouped_accuracy_difference(np.where(moved, np.where(lost, -1, 1), 0), OF_ROWS)


def mean(rng: np.random.Generator) -> Interval:
    values = rng.normal(size=GROUPS)[OF_ROWS] + rng.normal(size=len(OF_ROWS))
    plain = grouped_mean(values.tolist(), OF_ROWS.tolist())
    found = mean_interval(values, groups=OF_ROWS)
    assert (plain.low, plain.high) == pytest.approx((found.low, found.high))
    return found


def resampled(rng: np.random.Generator) -> Interval:
    values = rng.normal(size=GROUPS)[OF_ROWS] + rng.normal(size=len(OF_ROWS))
    drawn = bootstrap_sums(
        lambda rows: values[rows, None], len(values), seed=1, rounds=300, groups=OF_ROWS
    )
    assert drawn[0].tolist() == pytest.approx([len(values), values.sum()])
    return percentile_interval(drawn[:, 1] / drawn[:, 0], resampled=GROUPS)


@pytest.mark.ci  # 300 draws: up to 3 s each
@pytest.mark.parametrize(
    ("draw", "truth"), [(share, 0.2), (accuracy, -0.1), (mean, 0.0), (resampled, 0.0)]
)
def test_intervals_of_groups_cover_the_truth(
    draw: Callable[[np.random.Generator], Interval], truth: float
) -> None:
    rng = np.random.default_rng(20240229)
    found = [draw(rng) for _ in range(DRAWS)]
    # 300 draws: three standard deviations below 0.95
    assert sum(one.low <= truth <= one.high for one in found) / DRAWS >= 0.91


def test_intervals_of_rows_would_not() -> None:
    rng, covered, draws = np.random.default_rng(20240229), 0, 60
    for _ in range(draws):
        hits = rng.random(len(OF_ROWS)) < rates(rng, 0.2)[OF_ROWS]
        found = clopper_pearson(int(hits.sum()), len(hits))
        covered += found.low <= 0.2 <= found.high
    assert covered / draws < 0.8


def test_areas_of_groups_are_as_wide_as_those_of_their_rows_alone() -> None:
    rng = np.random.default_rng(6)
    truth: Ints = rng.integers(0, 2, 200)
    first = rng.normal(size=200)
    second = first + rng.normal(size=200)
    alone = auc_difference(truth == 1, first, second)
    copied, groups = np.repeat(truth, 10), np.repeat(np.arange(200), 10)
    scores = [np.repeat(one, 10) for one in (first, second)]
    together = auc_difference(copied == 1, scores[0], scores[1], groups=groups)
    columns = [np.stack([-one, one], axis=1) for one in scores]
    several = auc_difference_one_vs_rest(copied, columns[0], columns[1], groups=groups)
    assert alone is not None and together is not None and several is not None
    for found in (together, several):
        assert (found.low, found.high) == pytest.approx((alone.low, alone.high), rel=0.05)


# ---- Which rows are copies -------------------------------------------------------------------


def test_rows_are_copies_where_all_that_a_model_is_given_is_equal() -> None:
    x, y = np.zeros((6, 2, 3), np.float32), np.zeros((6, 4), np.int32)
    x[1], x[2, 1, 2], y[4, 0] = -0.0, 1e-30, 7
    found = evidence_of({"x": x, "y": y})
    assert found.kept.tolist() == [0, 2, 4] and found.copies == 3
    assert found.of(np.arange(6)).tolist() == [0, 2, 4]


def test_a_group_that_has_copies_only_is_none() -> None:
    x = np.array([[1], [2], [1], [3]], np.int32)
    found = evidence_of({"x": x}, ["a", "b", "c", "b"])
    assert found.groups is not None and found.groups.tolist() == [0, 1, 1]
    assert found.units == 2
    with pytest.raises(DataError, match="3 groups for 4 rows"):
        evidence_of({"x": x}, ["a", "b", "c"])
