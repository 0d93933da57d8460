"""Compares whole sequences with the oracle, where nobody can look into a file, or besides.

A value that lies halfway between two numbers falls to one side in the file and to the other in the
oracle, and the recurrence carries that on. So the oracle runs several times more, disturbed by an
engine's own rounding: a row may be off by what those runs are, and some rows by anything.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gatelet.convert.parity.checks.scores import difference
from gatelet.convert.parity.computes.oracle import noises, outputs_of, run
from gatelet.convert.parity.computes.roundings import Array
from gatelet.convert.parity.computes.steps import NOISE, Distance
from gatelet.convert.parity.computes.weights import Plan
from gatelet.convert.rows.rows import side_by_side
from gatelet.convert.tolerances import FLOAT32_FACTOR, FLOAT32_FLOOR

RUNS = 6
SPREADS = 3.0
ROWS = 0.85
"""The share of rows that must be within the limit, where a tie can be carried on."""

Scores = Callable[[Mapping[str, Array]], Array]


def compare_whole(
    plan: Plan, groups: Sequence[Mapping[str, Array]], scores: Scores, *, limit: float
) -> Distance:
    """Compare the scores of rows.

    Args:
        plan: Of the file.
        groups: By graph input, rows that are run together: they share their padding in front.
        scores: Runs the file: [B, ...], several outputs side by side.
        limit: The float32 limit of the model.
    """
    off, own = [], [0.0]
    for group in groups:
        found = _flat(scores(group))
        right = _flat(side_by_side(outputs_of(plan, run(plan, group))))
        if found.shape != right.shape:
            return Distance(np.inf, limit, "the shape of its scores")
        spread = np.zeros(len(right))
        if plan.rounds:
            for noise in noises(RUNS, NOISE):
                other = _flat(side_by_side(outputs_of(plan, run(plan, group, noise=noise))))
                spread = np.maximum(spread, difference(other, right).max(axis=1, initial=0))
        else:
            single = run(plan, group, dtype=np.float32)
            other = _flat(side_by_side(outputs_of(plan, single)))
            own.append(float(difference(other, right).max(initial=0.0)))
        far = difference(found, right).max(axis=1, initial=0)
        off.append(np.maximum(far - SPREADS * spread, 0.0))
    limit = max(limit, FLOAT32_FLOOR, FLOAT32_FACTOR * max(own))
    rows = np.sort(np.concatenate(off))
    # of few rows the better half
    count = max(1, int(np.floor(ROWS * len(rows))) if len(rows) > 8 else (len(rows) + 1) // 2)
    figure = rows[count - 1] if plan.rounds else rows[-1]
    return Distance(float(figure), limit, "scores")


def _flat(scores: Array) -> Array:
    return scores.reshape(len(scores), -1)
