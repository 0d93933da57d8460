"""What engines round activations to, and how exporters round weights: the values stay floats.

An integer product with scales is a product of rounded values, to 1e-15 in float64: so nothing here
multiplies integers. Scales and quotients are float32, in each engine's own order, since it is these
that decide which way a value halfway between two steps goes.

Not which weight has which: that is `table`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.layouts import INT4_MIDDLE

Array = NDArray[Any]
Rounding = Callable[[Array], Array]

_SINGLE = np.float32
_SMALLEST = np.float32(1e-38)
_LARGEST_FLOAT16 = 65504.0
_CODES = 256
_INT4_CLIPPINGS = np.linspace(0.4, 1.0, 19)


def uint8_of_a_call(x: Array) -> Array:
    """Round as ONNX' DynamicQuantizeLinear: 8 bits from the least to the most of a whole call."""
    x = x.astype(_SINGLE)
    low = np.minimum(x.min(initial=0), _SINGLE(0))
    high = np.maximum(x.max(initial=0), _SINGLE(0))
    scale = _SINGLE(1) if high == low else _SINGLE((high - low) / _SINGLE(255))
    zero = np.rint(np.clip(-low / scale, _SINGLE(0), _SINGLE(255)))
    levels = np.clip(np.rint(x / scale), -zero, 255 - zero)
    return np.asarray(levels.astype(np.float64) * scale)


def int8_of_a_row_xnnpack(x: Array) -> Array:
    """Round as XNNPACK's qd8: a scale a row, in float32; x * inverse goes half to even."""
    x = x.astype(_SINGLE)
    low = np.minimum(x.min(axis=-1, keepdims=True, initial=0), _SINGLE(0))
    high = np.maximum(x.max(axis=-1, keepdims=True, initial=0), _SINGLE(0))
    flat = low == high
    inverse = np.where(flat, _SINGLE(1), _SINGLE(255) / np.where(flat, 1, high - low))
    inverse = inverse.astype(_SINGLE)
    low, high = low * inverse, high * inverse
    is_low = (_SINGLE(-128) + low) + (_SINGLE(127) + high) > 0
    zero = np.where(is_low, _SINGLE(-128) - low, _SINGLE(127) - high)
    zero = np.rint(np.clip(zero, -128, 127))
    levels = np.clip(np.rint(x * inverse) + zero, -128, 127)
    return np.asarray((levels - zero).astype(np.float64) * (_SINGLE(1) / inverse))


def int8_of_a_row_builtin(x: Array) -> Array:
    """Round as TFLite's AsymmetricQuantizeFloats: a scale a row, in float64; half away from 0."""
    x = x.astype(_SINGLE)
    low = np.minimum(x.min(axis=-1, keepdims=True, initial=0), _SINGLE(0))
    high = np.maximum(x.max(axis=-1, keepdims=True, initial=0), _SINGLE(0))
    flat = low == high
    wide = np.where(flat, 1.0, (high - low).astype(np.float64) / 255)
    is_low = 128 + np.abs(low / wide) < 127 + np.abs(high / wide)
    zero = _half_away(np.where(is_low, -128 - low / wide, 127 - high / wide))
    zero = np.clip(zero, -128, 127).astype(_SINGLE)
    scale = wide.astype(_SINGLE)
    levels = np.clip(_half_away(x * (_SINGLE(1) / scale)) + zero, -128, 127)
    return np.where(flat, 0.0, (levels - zero).astype(np.float64) * scale)


def _half_away(x: Array) -> Array:
    # x + 0.5 is not exact where x is the float32 just below a half
    whole = np.trunc(x)
    return np.asarray(whole + np.where(np.abs(x - whole) >= 0.5, np.sign(x), 0).astype(x.dtype))


def int14_of_a_row(x: Array, *, limit: int = 16383) -> Array:
    """Round as gatelet's C: a scale a row, symmetric; the float32 product goes half to even.

    Args:
        x: [..., K].
        limit: What the largest magnitude of a row becomes.
    """
    x = x.astype(_SINGLE)
    most = np.abs(x).max(axis=-1, keepdims=True, initial=0)
    scale = most * (_SINGLE(1) / _SINGLE(limit))
    nothing = scale <= _SMALLEST  # such a scale has no inverse
    inverse = np.where(nothing, 0, _SINGLE(limit) / np.where(nothing, 1, most)).astype(_SINGLE)
    return np.asarray(np.rint(x * inverse).astype(np.float64) * scale)


def int8_codes_of_a_row(x: Array) -> Array:
    """Round as gatelet's C rounds rows of an 8-bit embedding."""
    return int14_of_a_row(x, limit=127)


def level_codes_of_a_row(x: Array) -> Array:
    """Round as gatelet's C rounds rows of levels of 4 bits or fewer, which are odd halves."""
    return int14_of_a_row(x, limit=120)


def as_stored(w: Array) -> Array:
    """Leave weights as they are."""
    return w


def int8_by_column(w: Array, *, limit: int = 127) -> Array:
    """Round weights [..., N] symmetrically, with a scale for each index of the last axis."""
    largest = np.abs(w).max(axis=tuple(range(w.ndim - 1)), keepdims=True, initial=0)
    scale = np.where(largest > 0, largest / _SINGLE(limit), 1).astype(_SINGLE)
    levels = np.clip(np.rint(w.astype(_SINGLE) / scale), -limit, limit)
    return np.asarray(levels.astype(np.float64) * scale)


def int7_by_column(w: Array) -> Array:
    """Round weights to 129 levels: products of two then fit 16 bits."""
    return int8_by_column(w, limit=64)


def int4_by_column(w: Array) -> Array:
    """Round weights to 4 bits, -7 to 7."""
    return int8_by_column(w, limit=7)


def int16_by_column(w: Array) -> Array:
    """Round weights to 16 bits."""
    return int8_by_column(w, limit=32767)


def int8_by_tensor(w: Array) -> Array:
    """Round weights symmetrically, with one scale."""
    return int8_by_column(w.reshape(-1, 1)).reshape(w.shape)


def float16(w: Array) -> Array:
    """Round weights to float16, where all of them fit."""
    if np.abs(w).max(initial=0) >= _LARGEST_FLOAT16:
        return w
    return w.astype(np.float16).astype(np.float64)


def int8_by_row(table: Array) -> Array:
    """Round a table [V, F], a scale a row that is itself an integer of 15 bits times a unit."""
    largest = np.abs(table).max(axis=1, keepdims=True) / 127
    unit = _SINGLE((float(largest.max(initial=0)) or 1.0) / 32767)
    multiples = np.maximum(np.clip(np.ceil(largest / unit), -32767, 32767), 1)
    scale = (multiples * unit).astype(_SINGLE)
    levels = np.clip(np.rint(table / scale), -127, 127)
    return np.asarray((levels * scale).astype(_SINGLE).astype(np.float64))


def int8_by_code(table: Array) -> Array:
    """Round a table [V, F], a scale a row of at most 256: the smallest that cuts nothing off."""
    largest = np.abs(table).max(axis=1).astype(np.float64)
    scales = np.unique((largest / 127).astype(_SINGLE))
    scales = scales[scales > 0] if scales.any() else np.ones(1, _SINGLE)
    book = scales if len(scales) <= _CODES else _fewer(scales)
    wanted = (largest / 127 * (1 - 1e-6)).astype(_SINGLE)
    codes = np.minimum(np.searchsorted(book, wanted), len(book) - 1)
    steps = book[codes][:, None]
    return np.asarray((np.clip(np.rint(table / steps), -127, 127) * steps).astype(np.float64))


def _fewer(scales: Array) -> Array:
    """Keep at most 256 of sorted scales, in about equal ratios, the largest always."""
    too_near, far = 1.0, float(scales[-1]) / float(scales[0])
    while far / too_near > 1.0001:
        ratio = float(np.sqrt(too_near * far))
        too_near, far = (too_near, ratio) if len(_cover(scales, ratio)) <= _CODES else (ratio, far)
    return _cover(scales, far)


def _cover(scales: Array, ratio: float) -> Array:
    kept, left = [], len(scales)
    while left > 0:
        kept.append(scales[left - 1])
        left = min(left - 1, int(np.searchsorted(scales, _SINGLE(kept[-1] / ratio))))
    return np.array(kept[::-1])


def int4_by_row(table: Array) -> Array:
    """Round a table [V, F] to 16 levels, with the scale of each row that errs least of 19."""
    table = table.astype(np.float64)
    largest = np.abs(table).max(axis=1, keepdims=True) / INT4_MIDDLE
    unit = _SINGLE((float(np.abs(largest).max(initial=0)) or 1.0) / 255)
    best, found = np.full(len(table), np.inf), np.zeros(table.shape)
    for clipping in _INT4_CLIPPINGS:
        scale = np.clip(np.ceil(largest * clipping / unit), 1, 255).astype(np.uint8) * unit
        rounded = (np.clip(np.rint(table / scale + INT4_MIDDLE), 0, 15) - INT4_MIDDLE) * scale
        error = np.square(rounded - table).sum(axis=1)
        better = error < best
        best[better], found[better] = error[better], rounded[better]
    return found


def int2_by_row(table: Array) -> Array:
    """Round a table [V, F] to 4 levels, with the scale of each row that errs least of 25."""
    table = table.astype(np.float64)
    largest = np.abs(table).max(axis=1, keepdims=True) / 1.5
    best, found = np.full((len(table), 1), np.inf), largest
    for clipping in np.linspace(0.2, 1.0, 25):
        scale = np.where(largest > 0, largest * clipping, 1.0)
        error = np.square(_levels_of(table, scale, 1.5) - table).sum(axis=1, keepdims=True)
        found, best = np.where(error < best, scale, found), np.minimum(error, best)
    return _levels_by_row(table, np.where(largest > 0, found, 0.0), 1.5)


def int1_by_row(table: Array) -> Array:
    """Round a table [V, F] to the mean magnitude of each row, and a sign."""
    table = table.astype(np.float64)
    return _levels_by_row(table, 2 * np.abs(table).mean(axis=1, keepdims=True), 0.5)


def _levels_of(table: Array, scale: Array, middle: float) -> Array:
    levels = np.clip(np.rint(table / scale + middle), 0, 2 * middle)
    return np.asarray((levels - middle) * scale)


def _levels_by_row(table: Array, wanted: Array, middle: float) -> Array:
    """Round rows whose scale is a byte times a unit of 11 binary digits.

    No scale is so large that the largest number of its row would not be the highest level.
    """
    fraction, exponent = np.frexp((float(wanted.max(initial=0)) or 1.0) / 255)
    unit = np.floor(fraction * 2.0**11) * 2.0 ** (int(exponent) - 11)
    if not wanted.any() or _SINGLE(unit) == 0:
        unit = 2.0**-100
    reached = np.floor(np.abs(table).max(axis=1, keepdims=True) / middle / unit * (1 + 1e-12))
    scale = np.clip(np.minimum(np.clip(np.rint(wanted / unit), 1, 255), reached), 1, 255) * unit
    return _levels_of(table, scale, middle)


def int16_by_unit(table: Array) -> Array:
    """Round states to 15 bits and their sign, all of one unit."""
    unit = _SINGLE((float(np.abs(table).max(initial=0)) or 1.0) / 32767)
    return np.asarray(np.clip(np.rint(table / unit), -32767, 32767) * np.float64(unit))


def lines(table: Array) -> Array:
    """Store states [T, U] as straight lines between some rows of 8 bits."""
    unit = np.float64(_SINGLE((float(np.abs(table).max(initial=0)) or 1.0) / 127))
    rows, wanted = np.rint(table / unit), table / unit

    def line(first: int, last: int) -> Array:
        share = np.linspace(0, 1, last - first + 1)[:, None]
        return np.asarray(rows[first] * (1 - share) + rows[last] * share)

    def computed(first: int, last: int) -> Array:
        done = np.arange(last - first + 1)[:, None]  # integers, and one product of float32
        whole = rows[first] * (last - first - done) + rows[last] * done
        return np.asarray(whole.astype(_SINGLE) * (_SINGLE(unit) / _SINGLE(last - first)))

    def is_near(first: int, last: int) -> bool:
        return bool(np.abs(line(first, last) - wanted[first : last + 1]).max() <= 1.5)

    found, first = rows * unit, 0
    while first < len(table) - 1:
        near, far = first + 1, len(table) - 1
        while near < far:
            middle = (near + far + 1) // 2
            near, far = (middle, far) if is_near(first, middle) else (near, middle - 1)
        found[first : near + 1] = computed(first, near)
        first = near
    return found
