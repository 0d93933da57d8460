"""Compares what a file held at each node, or each step, with what the oracle makes of the same.

Each is judged from the file's own values before it, so nothing is carried on, and the float32
limit holds. Not the looking into files, which is in `inside_onnx`, `inside_litert`, `inside_c`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gatelet.convert.parity.checks.scores import difference
from gatelet.convert.parity.computes.oracle import Noise, Seen, noises, run
from gatelet.convert.parity.computes.roundings import Array
from gatelet.convert.parity.computes.weights import Plan
from gatelet.convert.tolerances import FLOAT32_FACTOR, FLOAT32_FLOOR

NOISE = Noise(0)
NOISES, DISTURBED = 3, 2
SPREADS = 3.0
BLURRED = 0.99
"""The share of numbers behind a rounding nobody saw that must be within the limit."""
_OWN = 0.999
"""The quantile of the model's own float32 distance: a tie in it is no distance."""


@dataclass(frozen=True)
class Distance:
    """How far a file is from its oracle.

    Args:
        figure: The largest difference beyond what ties explain, as a share of its limit.
        limit: That limit.
        where: The node or output that has it.
    """

    figure: float
    limit: float
    where: str

    @property
    def share(self) -> float:
        """Of the limit."""
        return self.figure / self.limit


NONE = Distance(0.0, FLOAT32_FLOOR, "")


def worst(found: Sequence[Distance]) -> Distance:
    """Return the one that takes most of its limit."""
    return max(found, key=lambda one: one.share, default=NONE)


def compare(
    plan: Plan, feed: Mapping[str, Array], held: Mapping[str, Array], seen: Seen
) -> list[Distance]:
    """Compare values that a file held with what the oracle makes of those before them.

    Args:
        plan: Of the file.
        feed: By graph input.
        held: What is compared, by name.
        seen: What replaces the oracle's values.
    """
    double = run(plan, feed, seen=seen)
    # one run says little of how far another engine's may go
    plans = (plan, *(plan.disturbed(seed) for seed in range(DISTURBED)))
    singles = [run(one, feed, seen=seen, dtype=np.float32) for one in plans]
    spread = {name: np.zeros(1) for name in held}
    if double.blurred & set(held):
        for noise in noises(NOISES, NOISE):
            other = run(plan, feed, seen=seen, noise=noise)
            for name in double.blurred & set(held):
                moved = difference(other.made[name], double.made[name])
                spread[name] = np.maximum(spread[name], moved)
    found = []
    for name, value in held.items():
        right = double.made[name]
        if value.shape != right.shape:
            found.append(Distance(np.inf, FLOAT32_FLOOR, name))
            continue
        if not value.size or value.dtype.kind != "f":
            wrong = bool(value.size) and not np.array_equal(value, right)
            found.append(Distance(np.inf if wrong else 0.0, FLOAT32_FLOOR, name))
            continue
        # of numbers near zero beside large ones, few are as far off as a file's may be
        is_blurred = name in double.blurred
        measured = [
            difference(one.made[name], right) for one in singles[: 1 if is_blurred else None]
        ]
        own = max(np.quantile(one, _OWN if is_blurred else 1.0) for one in measured)
        limit = max(FLOAT32_FLOOR, FLOAT32_FACTOR * float(own))
        off = np.maximum(difference(value, right) - SPREADS * spread[name], 0.0)
        figure = np.quantile(off, BLURRED) if name in double.blurred else off.max()
        found.append(Distance(float(figure), limit, name))
    return found
