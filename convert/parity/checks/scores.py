"""The checks: pure functions from figures to rows of the report.

Not the running of artifacts, which `gatelet.convert.parity.judge` does, and not what a scheme
costs, which is in `costs` beside this.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.checks.spread import Spread
from gatelet.convert.parity.report import Check

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
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinities: the two lines below decide
        distance = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    return np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))


def check_max(
    name: str, found: Array, expected: Array, limit: float, *, spread: Spread | None = None
) -> Check:
    """Compare the largest difference with a limit.

    Args:
        name: Of the check.
        found: Scores [N, ...].
        expected: What is right, of the same shape.
        limit: The most that passes.
        spread: The unit of differences; None for max(1, |y|).
    """
    unit = "score" if spread is None else "spread"
    if found.shape != expected.shape:
        return Check(name, None, limit, "fail", unit)
    apart = difference(found, expected) if spread is None else spread.difference(found, expected)
    figure = float(apart.max(initial=0.0))
    # not (figure > limit): NaN must fail
    return Check(name, figure, limit, "pass" if figure <= limit else "fail", unit)


def check_equal(name: str, found: Array, expected: Array) -> Check:
    """Ask for the very same numbers."""
    return check_max(name, found, expected, 0.0)


def show_max(
    name: str, found: Array, expected: Array, spread: Spread, *, question: str = "costs"
) -> Check:
    """Show the largest difference and its row: it grows with the rows, and decides nothing.

    A score that is no number where the right one is fails all the same.

    Args:
        name: Of the check.
        found: Scores [N, ...].
        expected: What is right, of the same shape.
        spread: The unit of differences.
        question: That the figure is of.
    """
    if found.shape != expected.shape:
        return Check(name, None, None, "fail", "spread", question=question)
    apart = spread.difference(found, expected)
    if not apart.size:
        return Check(name, 0.0, None, "shown", "spread", question=question)
    place = np.unravel_index(int(apart.argmax()), apart.shape)
    figure = float(apart[place])
    note = (
        f"in row {int(place[0]) + 1:,}: {float(found[place]):.4g}, the Graph's "
        f"{float(expected[place]):.4g}"
    )
    verdict = "shown" if np.isfinite(figure) else "fail"
    return Check(name, figure, None, verdict, "spread", note=note, question=question)
