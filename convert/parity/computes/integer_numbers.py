"""The integers of c's full-int8 in NumPy: factors, shifts, roundings, and what they stand for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gatelet.convert.parity.computes.roundings import Array
from gatelet.runtime.graph.graph import Node

LARGEST = 32767
HEADROOM, MULTIPLIER_BITS = 2.0, 24


@dataclass(frozen=True)
class Scaled:
    """Integers, and what they are multiples of: a scale, or one for each feature.

    Of a state's word the value lies above some bits that are unused by others.
    """

    values: Array
    scale: float | Array = 0.0
    unused: int = 0


@dataclass(frozen=True)
class Given:
    """A node of the Graph, and what it is given."""

    node: Node
    inputs: list[Scaled]
    weights: Mapping[str, Array]
    mask: Array | None
    observed: Mapping[str, Array]
    feed: Mapping[str, Array]

    @property
    def x(self) -> Scaled:
        """The first input."""
        return self.inputs[0]


def integers_of(x: Array, unit: Array | float, limit: int) -> Array:
    """Return floats times a unit as integers within a limit."""
    found = x.astype(np.float32) * np.asarray(unit, np.float32)
    half = np.where(found < 0, np.float32(-0.5), np.float32(0.5))
    # float32 holds no limit of 30 bits
    whole = np.clip(np.trunc(found + half), -(2.0**31), 2.0**31).astype(np.int64)
    return np.clip(whole, -limit, limit)


def shifted(x: Array, shift: int) -> Array:
    """Return x >> shift; halves are rounded up."""
    return (x + (1 << (shift - 1))) >> shift if shift > 0 else x


def narrow(x: Array) -> Array:
    """Cut to 16 bits, alike on both sides."""
    return np.clip(x, -LARGEST, LARGEST)


def factors(exact: Array, rounded: Callable[[Array], Array] = np.rint) -> tuple[Array, int]:
    """Return factors as integers of at most 24 bits, and the shift that they share."""
    largest = float(np.max(exact, initial=0.0)) or 1.0
    shift = int(np.clip(MULTIPLIER_BITS - 1 - np.floor(np.log2(largest)) - 1, 0, 62))
    integers = rounded(np.asarray(exact, np.float64) * 2.0**shift)
    return np.clip(integers, 0, 2**MULTIPLIER_BITS - 1).astype(np.int64), shift


def scale_of(given: Given) -> float:
    """Return the scale of an output whose range was observed."""
    return (float(given.observed[given.node.output][0]) or 1.0) * HEADROOM / LARGEST
