"""Quantization of weights: symmetric to int8 and int16, and of rows to 4 bits.

Not calibration of activations: the schemes that use this compute activations in float.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.layouts import INT4_MIDDLE

_INT4_CLIPPINGS = np.linspace(0.4, 1.0, 19)


def quantize(
    weights: NDArray[Any], *, axis: int, limit: int
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Quantize so that `weights` is about `values * scales`.

    Args:
        weights: Float array.
        axis: The axis whose every index gets a scale of its own.
        limit: The largest magnitude used: 127, or 64 where sums of products must fit 16 bits.

    Returns:
        values, whole numbers as floats of the same shape, and scales float32 with size 1 in every
        other axis.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis % weights.ndim)
    largest = np.abs(weights).max(axis=others, keepdims=True)
    scales = np.where(largest > 0, largest / limit, 1).astype(np.float32)
    return np.clip(np.rint(weights / scales), -limit, limit), scales


def quantize_int8(
    weights: NDArray[Any], *, axis: int, limit: int = 127
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantize as `quantize` does; the values are int8."""
    values, scales = quantize(weights, axis=axis, limit=limit)
    return values.astype(np.int8), scales


def to_integers(
    values: NDArray[Any],
    dtype: type[np.integer[Any]],
    *,
    rounded: Callable[[NDArray[Any]], NDArray[Any]] = np.ceil,
) -> tuple[NDArray[Any], np.float32]:
    """Return integers and a unit whose products are the values.

    Args:
        values: Float array.
        dtype: int16, for half of the bytes at 15 bits of precision, or uint8 for a quarter.
        rounded: Upwards, as scales want it, which must cut nothing off; np.rint for the nearest.
    """
    limit = np.iinfo(dtype).max
    largest = float(np.abs(values).max(initial=0))
    unit = np.float32((largest or 1.0) / limit)
    lowest = max(-limit, np.iinfo(dtype).min)
    return np.clip(rounded(values / unit), lowest, limit).astype(dtype), unit


def quantize_int4(
    table: NDArray[Any],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], np.float32]:
    """Quantize rows so that `table` is about `(levels - INT4_MIDDLE) * multiples * unit`.

    A row's scale is the one of 19 that makes the smallest squared error: it may cut off the
    largest values of a row, for finer steps among the others.

    Args:
        table: float [V, F].

    Returns:
        levels [V, F] of 0..15, multiples [V, 1] from 1, and their unit.
    """
    table = np.asarray(table, np.float64)
    largest = np.abs(table).max(axis=1, keepdims=True) / INT4_MIDDLE
    # 8 bits do: a scale that is off by a hundredth is nothing beside steps this wide
    _, unit = to_integers(largest, np.uint8)
    best = np.full(len(table), np.inf)
    levels = np.zeros(table.shape, np.uint8)
    multiples = np.ones((len(table), 1), np.uint8)
    for clipping in _INT4_CLIPPINGS:
        candidate = np.clip(np.ceil(largest * clipping / unit), 1, 255).astype(np.uint8)
        scales = candidate * unit
        found = np.clip(np.rint(table / scales + INT4_MIDDLE), 0, 15)
        error = np.square((found - INT4_MIDDLE) * scales - table).sum(axis=1)
        better = error < best
        best[better] = error[better]
        levels[better] = found[better].astype(np.uint8)
        multiples[better] = candidate[better]
    return levels, multiples, unit
