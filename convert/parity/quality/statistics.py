"""Intervals and tests for two programs that were run on the same rows.

Pure functions over counts and arrays; not the verdicts, which `quality.py` here
draws. Intervals are two-sided, 95 % unless told otherwise. NumPy and the standard library only.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
_BISECTIONS = 200
_ROUNDS = 1000
_ROWS_AT_ONCE = 256

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    Args:
        estimate: The figure of the rows at hand.
        low: The lower end.
        high: The upper end.
    """

    estimate: float
    low: float
    high: float


def clopper_pearson(hits: int, rows: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Return the exact interval of a share.

    Args:
        hits: How many rows have the property.
        rows: N, at least 1.
        confidence: That the interval covers the share, at least.

    Source: Clopper & Pearson 1934, by the quantiles of the beta distribution.
    """
    if not 0 <= hits <= rows or rows < 1:
        raise ValueError(f"{hits} of {rows} rows")
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _beta_quantile(tail, hits, rows - hits + 1)
    high = 1.0 if hits == rows else _beta_quantile(1 - tail, hits + 1, rows - hits)
    return Interval(hits / rows, low, high)


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
    return min(1.0, 2 * _beta_cdf(0.5, both - fewer, fewer + 1))


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

    low = _bisect(lambda delta: score(delta) > z, -1.0, estimate)
    high = _bisect(lambda delta: score(delta) > -z, estimate, 1.0)
    return Interval(estimate, low, high)


def auc_difference(
    positive: NDArray[np.bool_], first: Floats, second: Floats, *, confidence: float = CONFIDENCE
) -> Interval | None:
    """Return the difference of two areas under the ROC curve on the same rows, second less first.

    Args:
        positive: Which rows are of the positive class, [N].
        first: Scores [N] of one program.
        second: Scores [N] of the other.
        confidence: Of the interval.

    Returns:
        None where either class has fewer than two rows.

    Source: DeLong, DeLong & Clarke-Pearson 1988; ranks as in Sun & Xu 2014.
    """
    if min(positive.sum(), (~positive).sum()) < 2:
        return None
    (area_1, pos_1, neg_1), (area_2, pos_2, neg_2) = (
        _placements(positive, scores) for scores in (first, second)
    )
    variance = np.var(pos_2 - pos_1, ddof=1) / len(pos_1) + np.var(neg_2 - neg_1, ddof=1) / len(
        neg_1
    )
    return _normal(area_2 - area_1, math.sqrt(variance), confidence)


def auc_difference_one_vs_rest(
    truth: NDArray[np.int64], first: Floats, second: Floats, *, confidence: float = CONFIDENCE
) -> Interval | None:
    """Return the difference of the mean one-against-the-rest areas of several classes.

    Each row's influence on the mean is summed over the classes, then its variance taken.

    Args:
        truth: The class of each row, [N].
        first: Scores [N, C] of one program.
        second: Scores [N, C] of the other.
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
    return _normal(estimate, math.sqrt(float((influence**2).sum())), confidence)


def mean_interval(differences: Floats, *, confidence: float = CONFIDENCE) -> Interval:
    """Return the mean of paired differences, by the normal distribution.

    Args:
        differences: One a row, [N]; a single row tells nothing of the spread.
        confidence: Of the interval.
    """
    estimate = float(differences.mean())
    if len(differences) < 2:
        return Interval(estimate, -math.inf, math.inf)
    deviation = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return _normal(estimate, deviation, confidence)


def quantile_interval(values: Floats, share: float, *, confidence: float = CONFIDENCE) -> Interval:
    """Return the quantile of a figure over rows, by order statistics: whatever its distribution.

    Args:
        values: Of N rows, [N, ...], at least one; those of one row count as no more than it.
        share: Of the values that are below the quantile, within 0..1.
        confidence: Of the interval.

    Returns:
        The upper end is infinite where even the largest of so few rows may be below the quantile,
        the lower end minus infinity likewise.

    Source: David & Nagaraja 2003, Order Statistics, section 7.1.
    """
    rows, ordered = len(values), np.sort(values, axis=None)
    tail = (1 - confidence) / 2

    def at(rank: int) -> float:
        return float(ordered[math.ceil(rank * len(ordered) / rows) - 1])

    def below(rank: int) -> float:
        """Return how probable it is that so many rows or more are below the quantile."""
        return _beta_cdf(share, rank, rows - rank + 1)

    ranks = range(1, rows + 1)
    upper = bisect_left(ranks, True, key=lambda rank: below(rank) <= tail)
    lower = bisect_left(ranks, True, key=lambda rank: below(rank) < 1 - tail)
    return Interval(
        float(np.quantile(ordered, share)) if np.isfinite(ordered[-1]) else at(rows),
        at(lower) if lower else -math.inf,
        at(upper + 1) if upper < rows else math.inf,
    )


def bootstrap_sums(
    features: Callable[[slice], Floats],
    rows: int,
    *,
    seed: int,
    rounds: int = _ROUNDS,
    alike: NDArray[np.int64] | None = None,
) -> Floats:
    """Sum features over rows, and over resampled rows.

    Each row counts as often as a Poisson number of mean 1 says: that is drawing rows with
    replacement, without holding them all.

    Args:
        features: Gives those of a slice of rows, [n, K].
        rows: N.
        seed: Of the resampling.
        rounds: How often.
        alike: How many rows each of the N stands for, [N], where some have the same features: how
            often n of them are drawn together is a Poisson number of mean n.

    Returns:
        [1 + rounds, 1 + K]: the rows themselves first; the first column counts them.

    Source: Efron 1979; Poisson weights as in Chamandy et al. 2012.
    """
    rng = np.random.default_rng(seed)
    counts = _poisson_of_16_bits()
    total: Floats | None = None
    for start in range(0, rows, _ROWS_AT_ONCE):
        taken = slice(start, min(start + _ROWS_AT_ONCE, rows))
        part = features(taken)
        counted = np.column_stack([np.ones(len(part)), part])
        weights = np.ones((1 + rounds, len(part)))
        if alike is None:
            drawn = rng.integers(0, 2**16, (rounds, len(part)), dtype=np.uint16)
            weights[1:] = counts[drawn]
        else:
            weights[0] = alike[taken]
            weights[1:] = rng.poisson(alike[taken], (rounds, len(part)))
        summed = weights @ counted
        total = summed if total is None else total + summed
    if total is None:
        raise ValueError("no rows")
    return total


def _poisson_of_16_bits() -> Floats:
    """Return the Poisson number, of mean 1, for each number of 16 bits: drawn ten times as fast."""
    shares = [math.exp(-1) / math.factorial(count) for count in range(9)]
    ends = np.rint(np.cumsum(shares) * 2**16).astype(int)
    ends[-1] = 2**16
    return np.repeat(np.arange(9.0), np.diff(ends, prepend=0))


def percentile_interval(figures: Floats, *, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of a figure from its values over resampled rows.

    Args:
        figures: That of the rows themselves first, then those of the rounds; NaN is left out.
        confidence: Of the interval.
    """
    rounds = figures[1:][np.isfinite(figures[1:])]
    if not len(rounds) or not math.isfinite(figures[0]):
        return Interval(float(figures[0]), -math.inf, math.inf)
    tail = (1 - confidence) / 2
    low, high = np.quantile(rounds, [tail, 1 - tail])
    return Interval(float(figures[0]), float(low), float(high))


def rows_to_decide(lost: int, gained: int, rows: int, *, drop: float) -> int | None:
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
    return max(0, math.ceil(rows * high) - rows)


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


def _normal(estimate: float, deviation: float, confidence: float) -> Interval:
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * deviation
    return Interval(estimate, estimate - reach, estimate + reach)


def _bisect(is_left: Callable[[float], bool], low: float, high: float) -> float:
    """Find where a condition that holds on the left ends."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if is_left(middle) else (low, middle)
    return (low + high) / 2


def _beta_quantile(share: float, a: float, b: float) -> float:
    return _bisect(lambda x: _beta_cdf(x, a, b) < share, 0.0, 1.0)


def _beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b).

    Source: DLMF 8.17.22, the continued fraction, evaluated as Lentz 1976 does.
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_cdf(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    log_front += a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / a / _beta_fraction(x, a, b)


def _beta_fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    value = c = 1.0
    d = 0.0
    for step in range(1, 100_000):
        m = step // 2
        if step % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / ((1 + term * d) or tiny)
        c = (1 + term / c) or tiny
        value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value
