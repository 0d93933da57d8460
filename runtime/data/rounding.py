"""How weights are rounded to few bits: what exporters store, and what training prepares for it.

Not how files lay the integers out (`gatelet.convert.layouts`), nor parity's own account of the same
(`gatelet.convert.parity.computes.roundings`), which is kept apart on purpose. A function that is
called `settled` returns weights that the rounding of their scheme gives back to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]

LARGEST_CODEBOOK = 256
"""The scales of an embedding's rows of 8 bits are told by a byte each."""
_SAME_RATIO = 1.0001

_SCALE_BITS = 16
"""Of the scale of a column or row of 8 bits or fewer: times an integer it is a float32."""
_UNIT_BITS = 11
"""Of a unit: times a byte and an odd number of halves it is a float32."""


@dataclass(frozen=True)
class Bits:
    """What a scheme stores large weights in.

    Args:
        embeddings: The bits of a number of an embedding.
        kernels: The bits of a number of a kernel.
    """

    embeddings: int
    kernels: int


ROUNDED = {
    "dynamic-int8": Bits(8, 8),
    "dynamic-int8-emb4": Bits(4, 8),
    "dynamic-int4-emb2": Bits(2, 4),
    "dynamic-int4-emb1": Bits(1, 4),
}
"""The schemes whose weights training can round, by name."""


def largest_of(bits: int) -> int:
    """Return the largest integer of a symmetric rounding that has a zero."""
    return int(2 ** (bits - 1)) - 1


def middle_of(bits: int) -> float:
    """Return what levels count from: level q stands for (q - middle) x scale, and none is zero."""
    return (float(2**bits) - 1) / 2


def to_integers(
    values: Array,
    dtype: type[np.integer[Any]],
    *,
    rounded: Callable[[Array], Array] | None = None,
) -> tuple[Array, np.float32]:
    """Return integers and a unit whose products are the values.

    Args:
        values: Float array.
        dtype: int16, for half of the bytes at 15 bits of precision, or uint8 for a quarter.
        rounded: Upwards where None, as scales want it, which must cut nothing off; np.rint for the
            nearest.
    """
    import numpy as np

    limit = np.iinfo(dtype).max
    largest = float(np.abs(values).max(initial=0))
    unit = np.float32((largest or 1.0) / limit)
    lowest = max(-limit, np.iinfo(dtype).min)
    whole = (rounded or np.ceil)(values / unit)
    return np.clip(whole, lowest, limit).astype(dtype), unit


def quantize(weights: Array, *, axis: int, limit: int) -> tuple[Array, NDArray[np.float32]]:
    """Quantize so that `weights` is about `values * scales`.

    Args:
        weights: Float array.
        axis: The axis whose every index gets a scale of its own.
        limit: The largest magnitude used: 127, or 64 where sums of products must fit 16 bits.

    Returns:
        values, whole numbers as floats of the same shape, and scales float32 with size 1 in every
        other axis.
    """
    import numpy as np

    others = tuple(i for i in range(weights.ndim) if i != axis % weights.ndim)
    largest = np.abs(weights).max(axis=others, keepdims=True)
    scales = np.where(largest > 0, largest / limit, 1).astype(np.float32)
    return np.clip(np.rint(weights / scales), -limit, limit), scales


def rounded_kernel(kernel: Array, bits: int) -> NDArray[np.float32]:
    """Return what a scheme makes of a kernel [..., N], with a scale for each column."""
    import numpy as np

    values, scales = quantize(kernel, axis=-1, limit=largest_of(bits))
    return np.asarray(values * scales, np.float32)


def settled_kernel(kernel: Array, bits: int) -> NDArray[np.float32]:
    """Return a kernel [..., N] near another one, which `quantize` gives back to the bit.

    Its scales have few binary digits, so their products with integers are exact, and the largest
    number of each column is the largest integer, so it tells the scale.
    """
    import numpy as np

    limit, kernel = largest_of(bits), np.asarray(kernel, np.float32)
    _, scales = quantize(kernel, axis=-1, limit=limit)
    return _of_steps(kernel, _short(scales, _SCALE_BITS), tuple(range(kernel.ndim - 1)), limit)


def _of_steps(
    weights: Array, steps: Array, axes: int | tuple[int, ...], limit: int
) -> NDArray[np.float32]:
    """Return multiples of steps, the largest along axes the limit."""
    import numpy as np

    magnitudes = np.abs(weights)
    values = np.clip(np.rint(weights / steps), -limit, limit)
    is_largest = (magnitudes == magnitudes.max(axis=axes, keepdims=True)) & (magnitudes > 0)
    values = np.where(is_largest, np.sign(weights) * limit, values)
    return np.asarray(values * steps, np.float32)


def _short(numbers: Array | float, bits: int) -> NDArray[np.float32]:
    """Return positive numbers with so many binary digits, rounded downwards."""
    import numpy as np

    fractions, exponents = np.frexp(np.asarray(numbers, np.float64))
    short: NDArray[np.float32] = np.ldexp(np.floor(fractions * 2**bits), exponents - bits).astype(
        np.float32
    )
    return short


_CLIPPINGS = {2: (0.2, 25), 4: (0.4, 19)}
"""By the bits of a level, the least share of a row's largest number that its levels may reach up
to, and how many shares are tried, up to 1."""


def level_scales(table: Array, bits: int) -> NDArray[np.float64]:
    """Return for each row of a table the scale [V, 1] whose levels err least, squared.

    It may cut off the largest numbers of a row, for finer steps among the others; a row of levels
    that reaches up to the highest has its own scale.
    """
    import numpy as np

    table = np.asarray(table, np.float64)
    if bits == 1:  # both levels are the mean magnitude (Rastegari et al. 2016, XNOR-Net)
        return np.asarray(2 * np.abs(table).mean(axis=1, keepdims=True), np.float64)
    middle, (least, count) = middle_of(bits), _CLIPPINGS[bits]
    largest = np.abs(table).max(axis=1, keepdims=True) / middle
    best, found = np.full((len(table), 1), np.inf), largest.copy()
    for clipping in np.linspace(least, 1.0, count):
        scales = np.where(largest > 0, largest * clipping, 1.0)
        rounded = (np.clip(np.rint(table / scales + middle), 0, 2 * middle) - middle) * scales
        error = np.square(rounded - table).sum(axis=1, keepdims=True)
        found = np.where(error < best, scales, found)
        best = np.minimum(best, error)
    return np.where(largest > 0, found, 0.0)


def rounded_rows(rows: Array, bits: int) -> NDArray[np.float32]:
    """Return what a scheme makes of some rows of an embedding, but for the rounding of scales.

    Args:
        rows: float [N, F].
        bits: 8 of symmetric integers; 1, 2 or 4 of levels.
    """
    import numpy as np

    if bits == 8:
        values, scales = quantize(rows, axis=0, limit=largest_of(bits))
        return np.asarray(values * scales, np.float32)
    found, middle = level_scales(rows, bits), middle_of(bits)
    steps = np.where(found > 0, found, 1.0)
    levels = np.clip(np.rint(rows / steps + middle), 0, 2 * middle)
    return np.asarray((levels - middle) * steps, np.float32)


def quantize_levels(
    table: Array, bits: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], np.float32]:
    """Quantize rows so that `table` is about `(levels - middle_of(bits)) * multiples * unit`.

    The unit has few binary digits, so that all products are float32 exactly: of such a table the
    same levels, multiples and unit are made again.

    Args:
        table: float [V, F].
        bits: Of a level: 1, 2 or 4.

    Returns:
        levels [V, F], multiples [V, 1] from 1, and their unit.
    """
    import numpy as np

    table = np.asarray(table, np.float64)
    scales, middle = level_scales(table, bits), middle_of(bits)
    unit = np.float32(_short(scales.max(initial=0) / 255, _UNIT_BITS))
    unit = unit if unit > 0 else np.float32(2.0**-100)
    # 8 bits do: a scale that is off by a hundredth is nothing beside steps this wide
    multiples = np.clip(np.rint(scales / unit), 1, 255)
    # a row's largest number stays the highest level, or its scale would be another next time
    reaching = np.floor(np.abs(table).max(axis=1, keepdims=True) / middle / unit * (1 + 1e-12))
    multiples = np.clip(np.minimum(multiples, reaching), 1, 255).astype(np.uint8)
    levels = np.clip(np.rint(table / (multiples * unit) + middle), 0, 2 * middle)
    return levels.astype(np.uint8), multiples, unit


_INT4 = 4
_INT4_CLIPPINGS = (0.4, 1.0, 19)


def quantize_int4(table: Array) -> tuple[NDArray[np.uint8], NDArray[np.uint8], np.float32]:
    """Quantize rows so that `table` is about `(levels - 7.5) * multiples * unit`.

    A row's scale is the one of 19 that makes the smallest squared error: it may cut off the
    largest values of a row, for finer steps among the others. The unit is the largest row's own,
    with all of its digits, as files of 4 bits have always had it.

    Args:
        table: float [V, F].

    Returns:
        levels [V, F] of 0..15, multiples [V, 1] from 1, and their unit.
    """
    import numpy as np

    table, middle = np.asarray(table, np.float64), middle_of(_INT4)
    largest = np.abs(table).max(axis=1, keepdims=True) / middle
    _, unit = to_integers(largest, np.uint8)
    best = np.full(len(table), np.inf)
    levels = np.zeros(table.shape, np.uint8)
    multiples = np.ones((len(table), 1), np.uint8)
    for clipping in np.linspace(*_INT4_CLIPPINGS):
        candidate = np.clip(np.ceil(largest * clipping / unit), 1, 255).astype(np.uint8)
        scales = candidate * unit
        found = np.clip(np.rint(table / scales + middle), 0, 15)
        error = np.square((found - middle) * scales - table).sum(axis=1)
        better = error < best
        best[better] = error[better]
        levels[better] = found[better].astype(np.uint8)
        multiples[better] = candidate[better]
    return levels, multiples, unit


def of_levels(levels: Array, multiples: Array, unit: np.float32, bits: int) -> NDArray[np.float32]:
    """Return the table that levels stand for, float32 [V, F]."""
    import numpy as np

    return np.asarray((levels - middle_of(bits)) * (multiples * unit), np.float32)


def coded_rows(table: Array) -> tuple[Array, Array, Array]:
    """Quantize an embedding to 8 bits by row, with a byte for the scale of each.

    A row's scale is the smallest of the codebook that cuts nothing off: cutting off makes large
    weights smaller, all of them, which costs more than a step that is wider by a hundredth.

    Args:
        table: float [V, F].

    Returns:
        values int8 [V, F], codes uint8 [V], and the codebook, float32 [at most 256].
    """
    import numpy as np

    largest = np.abs(table).max(axis=1).astype(np.float64)
    codebook, codes = _coded(largest)
    values = np.clip(np.rint(table / codebook[codes][:, None]), -127, 127)
    return values.astype(np.int8), codes.astype(np.uint8), codebook


def _coded(largest: Array) -> tuple[Array, Array]:
    """Return a codebook of scales, and for each row's largest magnitude its place there."""
    import numpy as np

    scales = np.unique((largest / 127).astype(np.float32))
    codebook = _thinned(scales[scales > 0]) if scales.any() else np.ones(1, np.float32)
    # one that is stored may be smaller than the real one by its own rounding
    wanted = (largest / 127 * (1 - 1e-6)).astype(np.float32)
    return codebook, np.minimum(np.searchsorted(codebook, wanted), len(codebook) - 1)


def _thinned(scales: Array) -> Array:
    """Keep at most 256 of sorted scales, such that the next one above any is as near as can be."""
    if len(scales) <= LARGEST_CODEBOOK:
        return scales
    too_near, far = 1.0, float(scales[-1]) / float(scales[0])
    while far / too_near > _SAME_RATIO:
        ratio = math.sqrt(too_near * far)
        if len(_covering(scales, ratio)) > LARGEST_CODEBOOK:
            too_near = ratio
        else:
            far = ratio
    return _covering(scales, far)


def _covering(scales: Array, ratio: float) -> Array:
    """Keep the largest of sorted scales, and each largest that is smaller by more than a ratio."""
    import numpy as np

    kept, left = [], len(scales)
    while left > 0:
        kept.append(scales[left - 1])
        left = min(left - 1, int(np.searchsorted(scales, np.float32(kept[-1] / ratio))))
    return np.array(kept[::-1])


def settled_table(table: Array, bits: int) -> NDArray[np.float32]:
    """Return an embedding [V, F] near another one, which its rounding gives back to the bit.

    Of 8 bits the rounding is `coded_rows`, of 4 `quantize_int4`, of fewer `quantize_levels`.
    """
    import numpy as np

    table = np.asarray(table, np.float32)
    if bits < 8:
        return of_levels(*quantize_levels(table, bits), bits)
    codebook, codes = _coded(np.abs(table).max(axis=1).astype(np.float64))
    steps = _short(codebook, _SCALE_BITS)[codes][:, None]
    return _of_steps(table, steps, 1, largest_of(bits))
