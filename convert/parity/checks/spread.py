"""The unit of differences between scores: how far each output of the oracle spreads over rows.

Not the checks that compare such differences with limits.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.lowering.endings import ends_in
from gatelet.runtime.graph.graph import Graph

LEAST_SHARE = 0.01
"""An output spreads by at least this share of its largest magnitude."""

ROUNDING = 2.0**-23
"""What sigmoid, softmax and tanh may differ by besides: their own rounding near 1."""

_BOUNDED = ("sigmoid", "softmax", "tanh")

Array = NDArray[Any]


@dataclass(frozen=True)
class Spread:
    """How far each of the C outputs spreads, over the judged rows.

    Args:
        deviation: The standard deviation, float64 [C].
        largest: The largest magnitude, float64 [C].
        rounding: What scores may differ by besides, [C].
    """

    deviation: Array
    largest: Array
    rounding: Array

    @classmethod
    def of(cls, expected: Array, rounding: Array | float = 0.0) -> "Spread":
        """Measure the oracle's scores.

        Args:
            expected: [N, ..., C]; what is not finite does not count.
            rounding: [C], or the same for all.
        """
        rows = _columns(expected)
        finite = np.isfinite(rows)
        count = np.maximum(1, finite.sum(axis=0))
        known = np.where(finite, rows, 0.0)
        away = np.where(finite, rows - known.sum(axis=0) / count, 0.0)
        return cls(
            np.sqrt((away**2).sum(axis=0) / count),
            np.abs(known).max(axis=0, initial=0.0),
            np.broadcast_to(np.asarray(rounding, np.float64), rows.shape[-1:]),
        )

    def unit(self, expected: Array) -> Array:
        """Return the unit of each output, [C]: its spread, or of other rows a share of theirs.

        Args:
            expected: [N, ..., C] of the rows that are compared; they may reach farther than those
                that were measured.
        """
        magnitudes = np.where(np.isfinite(expected), np.abs(expected), 0.0)
        largest = np.maximum(self.largest, _columns(magnitudes).max(axis=0, initial=0.0))
        unit = np.maximum(self.deviation, LEAST_SHARE * largest)
        # an output that is zero in all rows has no spread: that of the others must do
        return np.where(unit > 0, unit, unit.max(initial=0.0) or 1.0)

    def difference(self, found: Array, expected: Array) -> Array:
        """Return |found - expected| in units of each output's spread.

        Args:
            found: What an artifact gave, [N, ..., C].
            expected: What the oracle gave, of the same shape.

        Returns:
            float64 of the same shape. NaN equals NaN only, an infinity only itself: else the
            difference is infinite.
        """
        known = self if expected.shape[-1:] == self.deviation.shape else Spread.of(expected)
        found, expected = found.astype(np.float64), expected.astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinities: the two lines below decide
            apart = np.abs(found - expected)
            relative = np.maximum(0.0, apart - known.rounding) / known.unit(expected)
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        return np.where(same, 0.0, np.where(np.isnan(relative), np.inf, relative))


def spread_of(graph: Graph, expected: Array) -> Spread:
    """Measure what a Graph gives for the judged rows.

    Args:
        graph: Its last operations tell which outputs may differ by their own rounding.
        expected: Its scores [N, ..., C]; several outputs side by side, [N, K].
    """
    bounded = [ends_in(graph, name) in _BOUNDED for name in graph.outputs]
    if len(bounded) == 1 or len(set(bounded)) == 1:
        return Spread.of(expected, ROUNDING * bounded[0])
    widths = [math.prod(size or 1 for size in graph.shape_of(o)[1:]) for o in graph.outputs]
    if sum(widths) != expected.shape[-1]:  # of open length: which number is whose is not known
        return Spread.of(expected)
    return Spread.of(expected, np.repeat(np.multiply(bounded, ROUNDING), widths))


def _columns(scores: Array) -> Array:
    width = scores.shape[-1] if scores.ndim > 1 else 1
    return scores.reshape(-1, width).astype(np.float64)
