"""Holds what was measured of an artifact to limits: one rule a function.

Not the measuring, which is `gatelet.convert.diff.compare`.
"""

import math
from dataclasses import replace

from gatelet.convert.diff.found import UNLABELLED_FLIPS, ArtifactDiff, Finding, Limits
from gatelet.convert.parity.quality.statistics import Interval


def findings_of(one: ArtifactDiff, *, verdicts: tuple[str, str], limits: Limits) -> ArtifactDiff:
    """Add what the artifact is held to.

    Args:
        one: What was measured.
        verdicts: Of parity, in the old and the new bundle; '' for the model itself.
        limits: How much worse it may be.
    """
    found = (
        _parity(verdicts),
        _size(one, limits),
        _score(one, limits),
        _flips(one, limits),
        _accuracy(one, limits) if _is_accuracy(one) else _error(one, limits),
    )
    return replace(one, findings=tuple(finding for finding in found if finding is not None))


def _is_accuracy(one: ArtifactDiff) -> bool:
    return one.flips is not None


def _parity(verdicts: tuple[str, str]) -> Finding | None:
    old, new = verdicts
    if not new:
        return None
    is_worse = new == "fail" and old != "fail"
    return Finding("parity", "fail" if is_worse else "pass", f"parity was {old}, is {new}")


def _size(one: ArtifactDiff, limits: Limits) -> Finding | None:
    old, new = one.bytes
    if old is None or new is None or not old:
        return None
    growth = new / old - 1
    return Finding(
        "size",
        "fail" if new > old * (1 + limits.max_size_growth) else "pass",
        f"{new:,} bytes, {growth:+.1%} of {old:,}; the limit is {limits.max_size_growth:+.1%}",
    )


def _score(one: ArtifactDiff, limits: Limits) -> Finding | None:
    if limits.atol is None or one.difference_max is None:
        return None
    passes = one.difference_max <= limits.atol
    return Finding(
        "score",
        "pass" if passes else "fail",
        f"scores differ by up to {one.difference_max:.3g}, the limit is {limits.atol:g}",
    )


def _flips(one: ArtifactDiff, limits: Limits) -> Finding | None:
    if one.flips is None or (limits.max_flips is None and one.quality is not None):
        return None
    limit = UNLABELLED_FLIPS if limits.max_flips is None else limits.max_flips
    flips = one.flips
    is_over = flips.estimate > limit
    verdict = "pass" if not is_over else "fail" if flips.low > limit else "undecided"
    return Finding(
        "flips",
        verdict,
        f"{flips.estimate:.2%} of the labels changed (95 %: {flips.low:.2%} to "
        f"{flips.high:.2%}), the limit is {limit:.2%}",
    )


def _accuracy(one: ArtifactDiff, limits: Limits) -> Finding | None:
    if one.change is None or one.quality is None:
        return None
    drop, (old, new) = limits.max_accuracy_drop, one.quality
    # the same scores are no worse, however few rows there are to tell
    is_same = one.difference_max == 0
    return Finding(
        "accuracy",
        "pass" if is_same else _no_worse(one.change, drop),
        f"accuracy {old:.4f} became {new:.4f}, by {_points(one.change)}; a drop of "
        f"{100 * drop:g} points passes",
    )


def _error(one: ArtifactDiff, limits: Limits) -> Finding | None:
    if one.change is None or one.quality is None:
        return None
    old, new = one.quality
    change, limit = one.change, limits.max_error_growth * old
    less = Interval(-change.estimate, -change.high, -change.low)
    return Finding(
        "error",
        _no_worse(less, limit),
        f"mean absolute error {old:.4g} became {new:.4g}, by {change.estimate:+.3g} (95 %: "
        f"{change.low:+.3g} to {change.high:+.3g}); growth of {limit:.3g} passes",
    )


def _no_worse(change: Interval, drop: float) -> str:
    """Judge a change of which more is better: non-inferiority with the interval's confidence."""
    if not math.isfinite(change.estimate):
        return "fail"
    if change.low >= -drop:
        return "pass"
    return "fail" if change.high < -drop else "undecided"


def _points(change: Interval) -> str:
    low, middle, high = (100 * value for value in (change.low, change.estimate, change.high))
    return f"{middle:+.2f} points (95 %: {low:+.2f} to {high:+.2f})"
