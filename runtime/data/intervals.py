"""Exact intervals of shares, also of rows that belong together in groups. Standard library only.

Not the statistics of two programs on the same rows, which parity has.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
FEW_GROUPS = 10
"""Where fewer groups differ from the others, how far groups spread is not known."""
_BISECTIONS = 200


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


def clopper_pearson(hits: float, rows: float, *, confidence: float = CONFIDENCE) -> Interval:
    """Return the exact interval of a share.

    Args:
        hits: How many rows have the property; of rows in groups no whole number.
        rows: N, at least 1.
        confidence: That the interval covers the share, at least.

    Source: Clopper & Pearson 1934, by the quantiles of the beta distribution.
    """
    if not 0 <= hits <= rows or rows < 1:
        raise ValueError(f"{hits} of {rows} rows")
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else beta_quantile(tail, hits, rows - hits + 1)
    high = 1.0 if hits >= rows else beta_quantile(1 - tail, hits + 1, rows - hits)
    return Interval(hits / rows, low, high)


def effective_rows(
    values: Sequence[float], groups: Sequence[int], *, confidence: float = CONFIDENCE
) -> float:
    """Return how many independent rows say as much of a mean as rows in groups do.

    The variance between groups, by that of as many independent rows, is the design effect; few
    groups widen it by Student's t. Where hardly any group differs from the others their spread is
    not known, and a group counts as one row at most.

    Args:
        values: Of N rows, each -1, 0 or 1.
        groups: The group of each row, [N].
        confidence: Of the interval that is made with it.

    Returns:
        Within 1..N.

    Source: Korn & Graubard 1998, Confidence intervals for proportions with small expected number
    of positive counts estimated from survey data; Kish 1965 for the design effect.
    """
    rows, mean = len(values), math.fsum(values) / len(values)
    sums: dict[int, float] = defaultdict(float)
    kinds: dict[int, set[float]] = defaultdict(set)
    for value, group in zip(values, groups, strict=True):
        sums[group] += (value - mean) / rows
        kinds[group].add(value)
    count = len(sums)
    if count < 2:
        return 1.0
    alone = (math.fsum(value * value for value in values) / rows - mean * mean) / rows
    between = count / (count - 1) * math.fsum(one * one for one in sums.values())
    effect = between / alone if alone > 0 else 1.0
    effect *= widening(count - 1, confidence=confidence) ** 2
    found = rows / max(1.0, effect)
    differing = min(sum(found != {usual} for found in kinds.values()) for usual in (0, 1))
    return max(1.0, found if differing >= FEW_GROUPS else min(found, count))


def grouped_share(hits: Sequence[float], groups: Sequence[int] | None) -> Interval:
    """Return the interval of a share of rows, which may belong together in groups.

    Args:
        hits: Whether each of N rows has the property, 0 or 1; at least one row.
        groups: The group of each row, [N]; None where each stands for itself.
    """
    rows, found = len(hits), math.fsum(hits)
    if groups is None:
        return clopper_pearson(found, rows)
    worth = effective_rows(hits, groups)
    return clopper_pearson(found / rows * worth, worth)


def grouped_mean(values: Sequence[float], groups: Sequence[int] | None) -> Interval:
    """Return the interval of a mean over rows, which may belong together in groups.

    Args:
        values: Of N rows, at least one.
        groups: The group of each row, [N]; None where each stands for itself. Of a single group, or
            row, the interval is infinite.
    """
    rows, mean = len(values), math.fsum(values) / len(values)
    sums: dict[int, float] = defaultdict(float)
    for value, group in zip(values, range(rows) if groups is None else groups, strict=True):
        sums[group] += (value - mean) / rows
    count = len(sums)
    if count < 2:
        return Interval(mean, -math.inf, math.inf)
    deviation = math.sqrt(count / (count - 1) * math.fsum(one * one for one in sums.values()))
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * widening(count - 1) * deviation
    return Interval(mean, mean - reach, mean + reach)


def widening(freedom: int, *, confidence: float = CONFIDENCE) -> float:
    """Return the quantile of Student's t by that of the normal distribution.

    Args:
        freedom: Degrees of freedom, from 1.
        confidence: Two-sided.
    """
    outside = 1 - confidence
    ratio = beta_quantile(outside, freedom / 2, 0.5)  # freedom / (freedom + t ** 2)
    t = math.sqrt(freedom * (1 - ratio) / ratio)
    return t / NormalDist().inv_cdf((1 + confidence) / 2)


def bisect(is_left: Callable[[float], bool], low: float, high: float) -> float:
    """Find where a condition that holds on the left ends."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if is_left(middle) else (low, middle)
    return (low + high) / 2


def beta_quantile(share: float, a: float, b: float) -> float:
    """Return where the incomplete beta function has a value."""
    return bisect(lambda x: beta_cdf(x, a, b) < share, 0.0, 1.0)


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b).

    Source: DLMF 8.17.22, the continued fraction, evaluated as Lentz 1976 does.
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(1 - x, b, a)
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
