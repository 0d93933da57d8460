"""Intervals and tests for two programs that were run on the same rows.

Pure functions over counts and arrays; not the verdicts, which `quality.py` here
draws. Intervals are two-sided, 95 % unless told otherwise. NumPy and the standard library only.
"""

import math
from bisect import bisect_left
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from gatelet.runtime.data.intervals import (
    CONFIDENCE,
    Interval,
    beta_cdf,
    bisect,
    clopper_pearson,
    effective_rows,
    widening,
)

__all__ = [
    "CONFIDENCE",
    "Interval",
    "accuracy_difference",
    "auc_difference",
    "auc_difference_one_vs_rest",
    "clopper_pearson",
    "grouped_accuracy_difference",
    "mcnemar_exact",
    "mean_interval",
    "quantile_interval",
    "rows_to_decide",
    "worth",
]

Floats = NDArray[np.float64]
Groups = NDArray[np.int64] | None
"""The group of each row, numbered from 0; None where each row stands for itself."""


def grouped_accuracy_difference(change: NDArray[np.int64], groups: Groups) -> Interval:
    """Return the difference of two accuracies, of rows that may belong together in groups.

    Args:
        change: Of N rows: -1 where only the first has it right, 1 where only the second, else 0.
        groups: Rows of a group count as many as their variance says; see `effective_rows`.
    """
    lost, gained, rows = int((change < 0).sum()), int((change > 0).sum()), len(change)
    share = worth(change, groups) / rows
    return accuracy_difference(lost * share, gained * share, rows * share)


def worth(values: NDArray[np.int64], groups: Groups) -> float:
    """Return how many independent rows some rows are worth, whose mean is asked for."""
    return len(values) if groups is None else effective_rows(values.tolist(), groups.tolist())


def mcnemar_exact(lost: int, gained: int) -> float:
    """Return the two-sided p of two programs being right equally often.

    Args:
        lost: Rows that only the first has right.
        gained: Rows that only the second has right.

    Source: McNemar 1947, with the binomial distribution of the rows on which they differ.
    """
    fewer, both = min(lost, gained), lost + gained
    if 2 * fewer >= both:
        return 1.0
    return min(1.0, 2 * beta_cdf(0.5, both - fewer, fewer + 1))


def accuracy_difference(
    lost: float, gained: float, rows: float, *, confidence: float = CONFIDENCE
) -> Interval:
    """Return the difference of two accuracies on the same rows, second less first.

    The score interval: it holds where hardly any row differs, and where none does.

    Args:
        lost: Rows that only the first has right.
        gained: Rows that only the second has right.
        rows: N.
        confidence: Of the interval.

    Source: Tango 1998, Equivalence test and confidence interval for the difference in
    proportions for the paired-sample design.
    """
    if rows <= 0 or lost < 0 or gained < 0 or lost + gained > rows:
        raise ValueError(f"{lost} lost and {gained} gained of {rows} rows")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    estimate = (gained - lost) / rows

    def score(delta: float) -> float:
        b = 2 * rows
        c = -(gained + lost) + (2 * rows - gained + lost) * delta
        d = -lost * delta * (1 - delta)
        other = (math.sqrt(max(0.0, c * c - 4 * b * d)) - c) / (2 * b)
        spread = rows * (2 * other + delta * (1 - delta))
        distance = gained - lost - rows * delta
        if spread <= 0:
            return math.copysign(math.inf, distance) if distance else 0.0
        return distance / math.sqrt(spread)

    low = bisect(lambda delta: score(delta) > z, -1.0, estimate)
    high = bisect(lambda delta: score(delta) > -z, estimate, 1.0)
    return Interval(estimate, low, high)


def auc_difference(
    positive: NDArray[np.bool_],
    first: Floats,
    second: Floats,
    *,
    groups: Groups = None,
    confidence: float = CONFIDENCE,
) -> Interval | None:
    """Return the difference of two areas under the ROC curve on the same rows, second less first.

    Args:
        positive: Which rows are of the positive class, [N].
        first: Scores [N] of one program.
        second: Scores [N] of the other.
        groups: Rows of a group vary together.
        confidence: Of the interval.

    Returns:
        None where either class has fewer than two rows.

    Source: DeLong, DeLong & Clarke-Pearson 1988; ranks as in Sun & Xu 2014; of groups
    Obuchowski 1997, Nonparametric analysis of clustered ROC curve data.
    """
    if min(positive.sum(), (~positive).sum()) < 2:
        return None
    (area_1, pos_1, neg_1), (area_2, pos_2, neg_2) = (
        _placements(positive, scores) for scores in (first, second)
    )
    gain = area_2 - area_1
    if groups is not None:
        influence = np.zeros(len(positive))
        influence[positive] = (pos_2 - pos_1 - gain) / len(pos_1)
        influence[~positive] = (neg_2 - neg_1 - gain) / len(neg_1)
        return _normal(gain, _deviation(influence, groups, confidence), confidence)
    variance = np.var(pos_2 - pos_1, ddof=1) / len(pos_1) + np.var(neg_2 - neg_1, ddof=1) / len(
        neg_1
    )
    return _normal(gain, math.sqrt(variance), confidence)


def auc_difference_one_vs_rest(
    truth: NDArray[np.int64],
    first: Floats,
    second: Floats,
    *,
    groups: Groups = None,
    confidence: float = CONFIDENCE,
) -> Interval | None:
    """Return the difference of the mean one-against-the-rest areas of several classes.

    Each row's influence on the mean is summed over the classes, then its variance taken.

    Args:
        truth: The class of each row, [N].
        first: Scores [N, C] of one program.
        second: Scores [N, C] of the other.
        groups: Rows of a group vary together.
        confidence: Of the interval.

    Returns:
        None where a class has fewer than two rows.
    """
    rows, classes = first.shape
    influence, estimate = np.zeros(rows), 0.0
    for column in range(classes):
        positive = truth == column
        if min(positive.sum(), (~positive).sum()) < 2:
            return None
        (area_1, pos_1, neg_1), (area_2, pos_2, neg_2) = (
            _placements(positive, scores[:, column]) for scores in (first, second)
        )
        gain = area_2 - area_1
        estimate += gain / classes
        influence[positive] += (pos_2 - pos_1 - gain) / (positive.sum() * classes)
        influence[~positive] += (neg_2 - neg_1 - gain) / ((~positive).sum() * classes)
    return _normal(estimate, _deviation(influence, groups, confidence), confidence)


def mean_interval(
    differences: Floats, *, groups: Groups = None, confidence: float = CONFIDENCE
) -> Interval:
    """Return the mean of paired differences, by the normal distribution.

    Args:
        differences: One a row, [N]; a single row, or group, tells nothing of the spread.
        groups: Rows of a group vary together.
        confidence: Of the interval.
    """
    estimate = float(differences.mean())
    if groups is not None:
        influence = (differences - estimate) / len(differences)
        return _normal(estimate, _deviation(influence, groups, confidence), confidence)
    if len(differences) < 2:
        return Interval(estimate, -math.inf, math.inf)
    deviation = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return _normal(estimate, deviation, confidence)


def quantile_interval(
    values: Floats, share: float, *, rows: int = 0, confidence: float = CONFIDENCE
) -> Interval:
    """Return the quantile of a figure over rows, by order statistics: whatever its distribution.

    Args:
        values: Of N rows, [N, ...], at least one; those of one row count as no more than it.
        share: Of the values that are below the quantile, within 0..1.
        rows: As how many rows they count, where they belong together in groups; 0 for N.
        confidence: Of the interval.

    Returns:
        The upper end is infinite where even the largest of so few rows may be below the quantile,
        the lower end minus infinity likewise.

    Source: David & Nagaraja 2003, Order Statistics, section 7.1.
    """
    rows, ordered = rows or len(values), np.sort(values, axis=None)
    tail = (1 - confidence) / 2

    def at(rank: int) -> float:
        return float(ordered[math.ceil(rank * len(ordered) / rows) - 1])

    def below(rank: int) -> float:
        """Return how probable it is that so many rows or more are below the quantile."""
        return beta_cdf(share, rank, rows - rank + 1)

    ranks = range(1, rows + 1)
    upper = bisect_left(ranks, True, key=lambda rank: below(rank) <= tail)
    lower = bisect_left(ranks, True, key=lambda rank: below(rank) < 1 - tail)
    return Interval(
        float(np.quantile(ordered, share)) if np.isfinite(ordered[-1]) else at(rows),
        at(lower) if lower else -math.inf,
        at(upper + 1) if upper < rows else math.inf,
    )


def rows_to_decide(lost: float, gained: float, rows: float, *, drop: float) -> int | None:
    """Estimate how many more rows like these would decide whether accuracy dropped too far.

    Args:
        lost: Rows that only the oracle has right.
        gained: Rows that only the artifact has right.
        rows: N so far.
        drop: The largest drop that passes, a share.

    Returns:
        None where no number of such rows would.
    """

    def decides(factor: float) -> bool:
        found = accuracy_difference(lost * factor, gained * factor, rows * factor)
        return found.low >= -drop or found.high < -drop

    factor = 1.0
    while not decides(factor):
        factor *= 2
        if factor > 2**20:
            return None
    low, high = factor / 2, factor
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return max(0, math.ceil(rows * high - rows))


def _placements(positive: NDArray[np.bool_], scores: Floats) -> tuple[float, Floats, Floats]:
    """Return the area, and the shares of negatives below, and of positives above, each other row.

    A tie counts half.
    """
    above, below = np.sort(scores[positive]), np.sort(scores[~positive])
    pos, neg = scores[positive], scores[~positive]
    shares = np.searchsorted(below, pos, "left") + np.searchsorted(below, pos, "right")
    others = np.searchsorted(above, neg, "left") + np.searchsorted(above, neg, "right")
    pos_shares = shares / (2 * len(neg))
    return float(pos_shares.mean()), pos_shares, 1 - others / (2 * len(pos))


def _deviation(influence: Floats, groups: Groups, confidence: float) -> float:
    """Return the standard error of a mean, by what each row moves it; more where groups are few."""
    if groups is None:
        return math.sqrt(float((influence**2).sum()))
    sums = np.bincount(groups, weights=influence)
    count = len(sums)
    if count < 2:
        return math.inf
    wider = widening(count - 1, confidence=confidence)
    return wider * math.sqrt(count / (count - 1) * float((sums**2).sum()))


def _normal(estimate: float, deviation: float, confidence: float) -> Interval:
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * deviation
    return Interval(estimate, estimate - reach, estimate + reach)
