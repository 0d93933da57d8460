"""Compares what operators read with what the Graph has, in steps of the type that is stored.

Not the finding of what is read, which is `readings`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatelet.convert.parity.stored.file import Array, Stored
from gatelet.convert.parity.stored.readings import Reading

_BYTE = 1.1 / 255
"""How far a scale may be off that is told by a byte, relative to the largest."""


@dataclass(frozen=True)
class Compared:
    """A weight as it is read.

    Args:
        values: In the Graph's layout.
        steps_off: The largest difference, in steps of the type that it is stored in.
        distance: The root of the mean squared difference, relative to that of the weight.
    """

    values: Array
    steps_off: float
    distance: float


def compare(parts: Sequence[Reading], weight: Array, *, rounding: Array | None = None) -> Compared:
    """Compare the parts of a weight, each with all operators that read it.

    Args:
        parts: What is read; what no operator reads is zero.
        weight: What should be, float64.
        rounding: Of each element of the weight, where it was computed before it was stored.
    """
    flat = np.append(weight.reshape(-1), 0.0)
    slack = np.zeros_like(flat) if rounding is None else np.append(rounding.reshape(-1), 0.0)
    values, unread, worst = np.zeros_like(flat), np.ones(flat.shape, bool), 0.0
    for part in parts:
        places = part.places.reshape(-1)
        off = [steps_off(one, flat[places], slack[places]) for one in part.stored]
        if not off:
            continue
        worst = max(worst, *off)
        values[places] = part.stored[int(np.argmax(off))].values.reshape(-1)
        unread[places] = False
    if (np.abs(flat[unread]) > slack[unread]).any():
        worst = np.inf
    found = values[:-1].reshape(weight.shape)
    return Compared(found, worst, distance(found, weight))


def distance(values: Array, wanted: Array) -> float:
    """Return the root of the mean squared difference, relative to that of what is wanted."""
    scale = float(np.sqrt((wanted**2).mean())) or 1.0
    return float(np.sqrt(((values - wanted) ** 2).mean())) / scale


def steps_off(stored: Stored, wanted: Array, rounding: Array | float = 0.0) -> float:
    """Return the largest difference in steps.

    Floats that are not the very same are a step off. Steps that are wider than every weight would
    pass for any weight, so they are wrong.

    Args:
        stored: What is read.
        wanted: What should be, in the order of its elements.
        rounding: How far each may be off besides.
    """
    values = stored.values.reshape(-1).astype(np.float64)
    apart, largest = wanted - values, float(np.abs(wanted).max(initial=0.0))
    if stored.is_of_signs and _scale_is_off(stored.values, wanted.reshape(stored.values.shape)):
        return float(np.finfo(np.float64).max)
    if stored.steps is not None:
        steps = stored.steps.reshape(-1)
        # a scale of 0 holds zeros only
        off = np.where(apart == 0, 0.0, np.copysign(np.inf, apart))
        near = np.sign(apart) * np.maximum(np.abs(apart) - rounding, 0.0)
        np.divide(near, steps, out=off, where=steps != 0)
        if not stored.is_of_signs:  # whose scales were looked at
            off = np.where((steps > largest) & (wanted != 0), np.inf, off)
        if stored.cut_off is not None:
            off = np.where(off * stored.cut_off.reshape(-1) > 0, 0.0, off)
        return float(np.nan_to_num(np.abs(off), nan=np.inf).max(initial=0.0))
    exact = wanted.astype(stored.values.dtype).astype(np.float64)
    step = float(np.finfo(stored.values.dtype).eps)
    is_same = (values == exact) | (np.abs(apart) <= rounding * (1 + step) + step * np.abs(wanted))
    if np.all(values == exact) or (np.any(rounding) and is_same.all()):
        return 0.0
    return max(1.0, float(np.abs(values - exact).max() / ((largest or 1.0) * step)))


def _scale_is_off(values: Array, wanted: Array) -> bool:
    """Return whether a row of signs has a magnitude that is not the mean one of its row.

    Args:
        values: As stored, [V, F].
        wanted: The same numbers before they were rounded.
    """
    stored = np.abs(values.astype(np.float64)).max(axis=1)
    off = np.abs(stored - np.abs(wanted).mean(axis=1))
    return bool((off > _BYTE * stored.max(initial=0.0)).any())
