"""The second question: what does a scheme cost on these rows? Decisions, and differences of scores.

Not figures on labelled rows, which are in `gatelet.convert.parity.quality`.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.checks.scores import check_equal, check_max, show_max
from gatelet.convert.parity.checks.spread import Spread
from gatelet.convert.parity.limits import Bounds
from gatelet.convert.parity.quality.figures import alike, decided
from gatelet.convert.parity.quality.statistics import (
    Interval,
    quantile_interval,
)
from gatelet.convert.parity.report import Check
from gatelet.convert.rows.evidence import Evidence, all_rows
from gatelet.convert.tolerances import TYPICAL_DIFFERENCE
from gatelet.runtime.data.intervals import grouped_share

MOST = 0.99
"""The share of scores whose difference counts: the others are rows at a tipping point."""

Array = NDArray[Any]


def check_scores(
    found: Array,
    expected: Array,
    spread: Spread,
    bounds: Bounds,
    *,
    decides: bool,
    evidence: Evidence | None = None,
) -> list[Check]:
    """Compare scores with the Graph's.

    Args:
        found: An artifact's scores [N, ...].
        expected: The Graph's, of the same shape.
        spread: The unit of differences.
        bounds: The limits.
        decides: Something else than differences says what the scheme costs: they are shown then.
        evidence: Which rows count; None for all.
    """
    if bounds.is_exact:
        largest = check_max("scores_max", found, expected, bounds.exact, spread=spread)
        checks = [replace(largest, question="computes")]
    else:
        checks = [show_max("scores_max", found, expected, spread)]
        evidence = evidence or all_rows(len(found))
        apart = spread.difference(evidence.of(found), evidence.of(expected))
        most = _check_most(apart, bounds, units=evidence.units)
        checks.append(replace(most, limit=None, verdict="shown") if decides else most)
    mean = float(spread.difference(found, expected).mean()) if found.size else 0.0
    checks.append(Check("scores_mean", mean, None, "shown", "spread", question="costs"))
    if bounds.asked.atol is not None:
        atol = check_max("scores_atol", found, expected, bounds.asked.atol)
        checks.append(bounds.judged(atol))
    return checks


def _check_most(apart: Array, bounds: Bounds, *, units: int) -> Check:
    """Hold the difference that 99 % of the scores stay below to its limit."""
    zero = Interval(0.0, 0.0, 0.0)
    found_at = quantile_interval(apart, MOST, rows=units) if apart.size else zero
    ends = (found_at.low, found_at.high)
    return bounds.judged(
        Check("spread_p99", found_at.estimate, bounds.spread, "pass", "spread", ends)
    )


def check_alike(
    name: str,
    found: Array,
    expected: Array,
    spread: Spread,
    bounds: Bounds,
    *,
    typical: float = TYPICAL_DIFFERENCE,
) -> Check:
    """Compare two ways of calling an artifact: of an exact one every score, else the median.

    Of one that gives one answer, every bit.

    What is rounded may be rounded otherwise in a batch or a stream, and a few rows tip over. A row
    that is mixed up with another, or a state that is lost, moves most scores by a spread.

    Args:
        name: Of the check.
        found: Scores [N, ...] of one way.
        expected: Of the other.
        spread: The unit of differences.
        bounds: The limits.
        typical: The most that the median of a rounded artifact may be.
    """
    if bounds.one_answer:
        return check_equal(name, found, expected)
    if bounds.is_exact or found.shape != expected.shape:
        return check_max(name, found, expected, bounds.exact, spread=spread)
    apart = spread.difference(found, expected)
    figure = float(np.median(apart)) if np.isfinite(apart).all() and apart.size else math.inf
    note = f"the median; the largest is {float(apart.max(initial=0.0)):.3g}"
    check = Check(name, figure, typical, "pass", "spread", note=note)
    return replace(bounds.judged(check), question="")


def check_flips(
    scores: Sequence[Array],
    spread: Spread,
    bounds: Bounds,
    *,
    threshold: float | Array,
    labelled: bool = False,
    groups: Array | None = None,
) -> Check:
    """Count all rows that are decided otherwise than by the oracle.

    Args:
        scores: What was found, [N, C], or [N, T, C] where every timestep is decided; and the
            oracle's, of the same shape.
        spread: The unit of differences.
        bounds: The limits. Without the user's own, an exact scheme may change what rounding may.
        threshold: For a single output; of several labels a row one each.
        labelled: The rows have labels, which say what the changes cost: they are shown only.
        groups: The group of each decision; None where each stands for itself.
    """
    found, expected = scores
    unit, asked = "share of rows", bounds.asked.max_flips is not None
    if found.shape != expected.shape:
        return Check("flips", None, bounds.flips, "fail", unit, question="costs")
    units = spread.unit(expected)
    found, expected = (scores.reshape(-1, scores.shape[-1]) for scores in (found, expected))
    if not len(found):
        return Check("flips", 0.0, bounds.flips, "pass", unit, question="costs")
    flipped = ~alike(decided(found, threshold), decided(expected, threshold))
    gaps = _gaps(found, expected, threshold)
    if bounds.is_exact:
        reach = bounds.exact * units.max() + spread.rounding.max()
    else:
        with np.errstate(invalid="ignore"):
            reach = float(np.quantile(np.abs(found - expected), MOST, method="inverted_cdf"))
    with np.errstate(invalid="ignore"):  # of an infinity no gap is known: it is not near
        near = int((gaps[flipped] <= reach).sum())
    share = grouped_share(flipped.astype(int).tolist(), None if groups is None else groups.tolist())
    has_threshold = expected.shape[-1] == 1 or isinstance(threshold, np.ndarray)
    edge = "the threshold" if has_threshold else "a tie"
    check = Check(
        "flips",
        share.estimate,
        bounds.flips,
        "pass",
        unit,
        None if asked or bounds.is_exact else (share.low, share.high),
        _said(int(flipped.sum()), len(found), near, f"{reach:.2g} of {edge}"),
    )
    if labelled and not asked and not bounds.is_exact:
        return replace(check, limit=None, verdict="shown", question="costs")
    if bounds.is_exact and not asked:  # what rounding may change is within the limit
        check = replace(check, limit=near / len(found))
    # a limit of the user's is held against these rows as they are
    judged = bounds.judged(check)
    return replace(judged, interval=(share.low, share.high))


def _said(flips: int, rows: int, near: int, where: str) -> str:
    said = f"{flips:,} of {rows:,} labels changed"
    if near:
        had = "a score" if near == 1 else "scores"
        said += f"; {near:,} of them had {had} within {where}"
    return said


def _gaps(found: Array, scores: Array, threshold: float | Array) -> Array:
    """Return how far each row's scores [N, C] are from another decision, [N].

    Of several scores, each of the two largest may move towards the other. Of several labels that
    counts which is farthest among those that are decided otherwise by what was found.
    """
    if isinstance(threshold, np.ndarray):
        other = decided(found, threshold) != decided(scores, threshold)
        return np.asarray(np.where(other, np.abs(scores - threshold), 0.0).max(axis=-1))
    if scores.shape[-1] == 1:
        return np.asarray(np.abs(scores[:, 0] - threshold))
    ordered = np.sort(scores, axis=-1)
    return np.asarray((ordered[:, -1] - ordered[:, -2]) / 2)
