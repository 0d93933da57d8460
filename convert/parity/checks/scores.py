"""The checks: pure functions from figures to rows of the report.

Not the running of artifacts, which `gatelet.convert.parity.judge` does.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.quality.figures import decided
from gatelet.convert.parity.quality.statistics import clopper_pearson
from gatelet.convert.parity.report import Check
from gatelet.convert.tolerances import MIN_DECIDING_ROWS

Array = NDArray[Any]


def difference(found: Array, expected: Array) -> Array:
    """Return |found - expected| relative to max(1, |expected|).

    Args:
        found: What an artifact gave, [N, ...].
        expected: What the oracle gave, of the same shape.

    Returns:
        float64 of the same shape. NaN equals NaN only, an infinity only itself: else the
        difference is infinite.
    """
    return np.abs(_signed(found, expected))


def _signed(found: Array, expected: Array) -> Array:
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinities: the two lines below decide
        distance = (found - expected) / np.maximum(1, np.abs(expected))
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    return np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))


def check_max(name: str, found: Array, expected: Array, limit: float) -> Check:
    """Compare the largest difference with a limit."""
    if found.shape != expected.shape:
        return Check(name, None, limit, "fail")
    return _check(name, float(difference(found, expected).max(initial=0.0)), limit)


def check_mean(
    name: str, found: Array, expected: Array, limit: float, *, min_rows: int = 0
) -> Check:
    """Compare the mean difference with a limit; above it, fewer rows than `min_rows` decide not."""
    if found.shape != expected.shape:
        return Check(name, None, limit, "fail")
    figure = float(difference(found, expected).mean()) if found.size else 0.0
    return _undecided(_check(name, figure, limit), len(found), min_rows)


def check_shift(
    name: str, found: Array, expected: Array, limit: float, *, min_rows: int = 0
) -> Check:
    """Compare the mean difference with its sign, of the output where it is largest, with a limit.

    Rounding errors cancel out over many rows, those of a changed weight do not: a fault shows
    here that is hidden in the largest and in the mean difference.

    Args:
        name: Of the check.
        found: Scores [N, ...].
        expected: The oracle's, of the same shape.
        limit: The most that passes.
        min_rows: With fewer rows, a figure above the limit decides nothing.
    """
    if found.shape != expected.shape:
        return Check(name, None, limit, "fail")
    signed = _signed(found, expected)
    with np.errstate(invalid="ignore"):  # infinities of both signs give NaN, which fails
        figure = float(np.abs(signed.mean(axis=0)).max()) if signed.size else 0.0
    return _undecided(_check(name, figure, limit), len(found), min_rows)


def check_equal(name: str, found: Array, expected: Array) -> Check:
    """Ask for the very same numbers."""
    return check_max(name, found, expected, 0.0)


def check_p99(found: Array, expected: Array, limit: float, *, min_rows: int = 0) -> Check:
    """Compare the difference that 99 % of the scores stay below with a limit."""
    if found.shape != expected.shape:
        return Check("scores_p99", None, limit, "fail")
    apart = difference(found, expected)
    if not np.isfinite(apart).all():
        return Check("scores_p99", math.inf, limit, "fail")
    figure = float(np.quantile(apart, 0.99)) if apart.size else 0.0
    return _undecided(_check("scores_p99", figure, limit), len(found), min_rows)


def check_flips(
    found: Array,
    expected: Array,
    *,
    threshold: float,
    limit: float,
    tie: float,
    far: float = math.inf,
) -> Check:
    """Count rows that are decided otherwise than by the oracle.

    Args:
        found: Scores [N, C], or [N, T, C] where every timestep is decided.
        expected: The oracle's scores, of the same shape.
        threshold: For a single output.
        limit: The largest share of rows.
        tie: A flip counts only where an error beyond this, relative to max(1, |y|), is needed
            to decide otherwise than the oracle: nearer, both decisions are as good. Minus
            infinity counts every flip. The note tells of all of them.
        far: A flip that needs an error beyond this is told apart in the note.
    """
    unit = "share of rows"
    if found.shape != expected.shape:
        return Check("flips", None, limit, "fail", unit=unit)
    found, expected = (scores.reshape(-1, scores.shape[-1]) for scores in (found, expected))
    if not len(found):
        return Check("flips", 0.0, limit, "pass", unit=unit)
    with np.errstate(invalid="ignore"):  # of an infinity no margin is known: it is not near
        margins = np.asarray(_margins(expected, threshold))
    flipped = decided(found, threshold) != decided(expected, threshold)
    share = clopper_pearson(int((flipped & ~(margins <= tie)).sum()), len(found))
    check = replace(
        _check("flips", share.estimate, limit, unit=unit),
        interval=(share.low, share.high),
        note=_said_of_flips(
            margins[flipped],
            len(found),
            tie=tie,
            far=far,
            edge="the threshold" if expected.shape[-1] == 1 else "a tie",
        ),
    )
    return _undecided(check, len(found), MIN_DECIDING_ROWS if limit > 0 else 0)


def _said_of_flips(margins: Array, rows: int, *, tie: float, far: float, edge: str) -> str:
    """Describe all flips by their margins: a row that is not judged has flipped all the same."""
    share = clopper_pearson(len(margins), rows)
    said = f"{len(margins):,} of {rows:,} labels changed"
    interval = f"95 % interval of all changes: {share.low:.2%} to {share.high:.2%}"
    every = tie == -math.inf
    near = int((margins <= (far if every else tie)).sum())
    if near:
        had = "a score" if near == 1 else "scores"
        said += f"; {near:,} of them had {had} within {far if every else tie:.2g} of {edge}"
        said += " (counted too)" if every else " (not counted)"
    distant = int((~(margins <= far)).sum())
    if distant and not every:
        had = "a score" if distant == 1 else "scores"
        said += f"; {distant:,} of them had {had} more than {far:.2g} from {edge}"
    return f"{said}; {interval}"


def _margins(scores: Array, threshold: float) -> list[float]:
    """Return the error, relative to max(1, |y|), that each row needs to be decided otherwise."""
    if scores.shape[-1] == 1:
        only = scores[:, 0]
        return list(np.abs(only - threshold) / np.maximum(1, np.abs(only)))
    ordered = np.sort(scores, axis=-1)
    second, first = ordered[:, -2], ordered[:, -1]
    # each of the two may move towards the other
    return list((first - second) / (np.maximum(1, np.abs(first)) + np.maximum(1, np.abs(second))))


def _undecided(check: Check, rows: int, min_rows: int) -> Check:
    if check.verdict == "fail" and rows < min_rows and math.isfinite(check.figure or 0.0):
        return replace(check, verdict="undecided")
    return check


def _check(name: str, figure: float, limit: float, *, unit: str = "score") -> Check:
    # not (figure > limit): NaN must fail
    return Check(name, figure, limit, "pass" if figure <= limit else "fail", unit)
