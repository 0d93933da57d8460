"""Resampling of rows, or of groups of them, for figures that no formula has an interval of.

Not the figures, which are in `gatelet.convert.parity.quality.figures`.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.quality.statistics import CONFIDENCE, Floats, Groups, Interval

_ROUNDS = 1000
_ROWS_AT_ONCE = 256


def bootstrap_sums(
    features: Callable[[slice], Floats],
    rows: int,
    *,
    seed: int,
    rounds: int = _ROUNDS,
    alike: NDArray[np.int64] | None = None,
    groups: Groups = None,
) -> Floats:
    """Sum features over rows, and over resampled rows, or groups of rows.

    Each row, or group as a whole, counts as often as a Poisson number of mean 1 says: that is
    drawing rows with replacement, without holding them all.

    Args:
        features: Gives those of a slice of rows, [n, K].
        rows: N.
        seed: Of the resampling.
        rounds: How often.
        alike: How many rows each of the N stands for, [N], where some have the same features: how
            often n of them are drawn together is a Poisson number of mean n.
        groups: The group of each row.

    Returns:
        [1 + rounds, 1 + K]: the rows themselves first; the first column counts them.

    Source: Efron 1979; Poisson weights as in Chamandy et al. 2012; groups as in Field & Welsh 2007.
    """
    if groups is not None:
        summed = _sums_of_groups(features, groups)
        made = bootstrap_sums(lambda part: summed[part], len(summed), seed=seed, rounds=rounds)
        return made[:, 1:]  # the first column counts groups
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


def _sums_of_groups(features: Callable[[slice], Floats], groups: NDArray[np.int64]) -> Floats:
    """Sum features over the rows of each group, [G, 1 + K]: the first column counts rows."""
    sums: Floats | None = None
    for start in range(0, len(groups), _ROWS_AT_ONCE):
        taken = slice(start, start + _ROWS_AT_ONCE)
        part = features(taken)
        counted = np.column_stack([np.ones(len(part)), part])
        if sums is None:
            sums = np.zeros((int(groups.max()) + 1, counted.shape[1]))
        np.add.at(sums, groups[taken], counted)
    assert sums is not None, "there are rows"
    return sums


def _poisson_of_16_bits() -> Floats:
    """Return the Poisson number, of mean 1, for each number of 16 bits: drawn ten times as fast."""
    shares = [math.exp(-1) / math.factorial(count) for count in range(9)]
    ends = np.rint(np.cumsum(shares) * 2**16).astype(int)
    ends[-1] = 2**16
    return np.repeat(np.arange(9.0), np.diff(ends, prepend=0))


def percentile_interval(
    figures: Floats, *, resampled: int = 2, confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval of a figure from its values over resampled rows.

    Args:
        figures: That of the rows themselves first, then those of the rounds; NaN is left out.
        resampled: How many rows or groups were drawn from: one shows nothing of the others.
        confidence: Of the interval.
    """
    rounds = figures[1:][np.isfinite(figures[1:])]
    if not len(rounds) or not math.isfinite(figures[0]) or resampled < 2:
        return Interval(float(figures[0]), -math.inf, math.inf)
    tail = (1 - confidence) / 2
    low, high = np.quantile(rounds, [tail, 1 - tail])
    return Interval(float(figures[0]), float(low), float(high))
