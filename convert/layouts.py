"""How files store weights: gate orders, packings, and the orders of a C model's sections.

Exporters write by these facts and parity's readers read by them, so neither asks the other.
docs/bundle.md describes the sections.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

GATES = "ifco"
"""An LSTM's gates as Keras and the Graph have them."""
ONNX_GATES = "iofc"
"""As ONNX' operator LSTM wants them."""
ONNX_LOOP_GATES = "ifoc"
"""As the steps of an LSTM that is written as a Scan have them: one activation serves three."""

LANES = 16
LARGEST_TILE = 64
INT4_MIDDLE = 7.5
"""Level q of 0..15 stands for (q - 7.5) x scale: all 16 are used, and none is zero."""

DTYPES = {
    "float32": "<f4",
    "int8": "i1",
    "int16": "<i2",
    "int32": "<i4",
    "uint8": "u1",
    "uint16": "<u2",
}
"""What the numbers of a section may be, in NumPy's words."""


def reorder_gates(matrix: Array, order: str) -> Array:
    """Return an LSTM's weight with its gates in another order along the last axis."""
    gates = dict(zip(GATES, np.split(matrix, len(GATES), axis=-1), strict=True))
    return np.concatenate([gates[gate] for gate in order], axis=-1)


def tile_of(columns: int) -> int:
    """Return the columns of a tile: whole vectors of every processor, at most four of the widest.

    Args:
        columns: Of the matrix, before it is padded.
    """
    return min(LARGEST_TILE, -(-columns // LANES) * LANES)


def padded_columns(columns: int, gates: int = 1) -> int:
    """Return the columns that `pack` makes of so many."""
    whole = tile_of(columns) if gates == 1 else LANES
    return gates * -(-(columns // gates) // whole) * whole


def pack(matrix: Array, gates: int) -> Array:
    """Pad the last axis with zeros, to whole tiles or to whole vectors of each gate.

    Args:
        matrix: [..., N].
        gates: 0 leaves it as it is, 1 fills up the last tile; from 2, N is that many gates, and
            16 units of each lie together.
    """
    if gates == 0:
        return matrix
    apart = matrix.reshape(*matrix.shape[:-1], gates, -1)
    columns = padded_columns(matrix.shape[-1], gates) // gates - apart.shape[-1]
    padded = np.pad(apart, [(0, 0)] * (apart.ndim - 1) + [(0, columns)])
    if gates > 1:
        padded = padded.reshape(*matrix.shape[:-1], gates, -1, LANES).swapaxes(-3, -2)
    return padded.reshape(*matrix.shape[:-1], -1)


def _together(count: int) -> Callable[[Array, int], Array]:
    """Return what lets so many rows lie together in a tile."""

    def arranged(matrix: Array, tile: int) -> Array:
        padded = np.pad(matrix, ((0, -len(matrix) % count), (0, 0)))
        return padded.reshape(-1, count, matrix.shape[1] // tile, tile).transpose(2, 0, 3, 1)

    return arranged


ORDERS: dict[str, Callable[[Array, int], Array]] = {
    "rows": lambda matrix, tile: matrix,
    "columns": lambda matrix, tile: matrix.T,
    "tiles": lambda matrix, tile: matrix.reshape(len(matrix), -1, tile).transpose(1, 0, 2),
    "fours": _together(4),
    "pairs": _together(2),
    "nibbles": _together(4),
    "halves": lambda matrix, tile: matrix,
    "quarters": lambda matrix, tile: matrix,
    "eighths": lambda matrix, tile: matrix,
}
"""By name, what a section makes of a packed matrix [K, N] and the columns of a tile.

'tiles' is [tiles, K, tile]; 'fours' is [tiles, K / 4 rounded up, tile, 4], filled up with zeros,
and 'pairs' [tiles, K / 2 rounded up, tile, 2]; 'nibbles' is 'fours' in 4 bits, as `pack_nibbles`
puts them; 'halves', 'quarters' and 'eighths' have the levels of 2, 4 and 8 columns in a byte, as
`pack_levels` puts them.
"""

BITS_OF = {"halves": 4, "quarters": 2, "eighths": 1}
"""The bits of a level, by the order of a section."""

NIBBLES = 64
"""Numbers of a kernel of 4 bits that lie together in 32 bytes: one of each half in a byte."""
NIBBLE_ZERO = 8
"""What is added to a number of a kernel, -7 to 7, so that it is not negative."""


def pack_int4(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put two levels in a byte: column j in the low half, column j + F/2 in the high one.

    Args:
        levels: [V, F] of 0..15; an odd F gets a column of zeros.

    Returns:
        [V, ceil(F / 2)].
    """
    return pack_levels(levels, 4)


def unpack_int4(packed: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Take apart what `pack_int4` put together.

    Args:
        packed: [V, ceil(F / 2)].
        columns: F.

    Returns:
        levels [V, F] of 0..15.
    """
    return unpack_levels(packed, columns, 4)


def pack_levels(levels: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Put n = 8 / bits levels in a byte: column j + i F/n in its bits from i x bits on.

    Args:
        levels: [V, F] below 2 ** bits; columns of zeros are added up to a multiple of n.
        bits: Of a level: 1, 2 or 4.

    Returns:
        [V, ceil(F / n)].
    """
    count = 8 // bits
    padded = np.pad(levels, [(0, 0), (0, -levels.shape[1] % count)])
    packed = np.zeros((len(levels), padded.shape[1] // count), np.uint8)
    for place, part in enumerate(np.split(padded, count, axis=1)):
        packed |= part << np.uint8(place * bits)
    return packed


def unpack_levels(packed: NDArray[np.uint8], columns: int, bits: int) -> NDArray[np.uint8]:
    """Take apart what `pack_levels` put together.

    Args:
        packed: [V, ceil(F / n)].
        columns: F.
        bits: Of a level.
    """
    parts = [packed >> np.uint8(shift) & np.uint8(2**bits - 1) for shift in range(0, 8, bits)]
    return np.concatenate(parts, axis=1)[:, :columns]


def pack_nibbles(fours: Array) -> NDArray[np.uint8]:
    """Put the numbers of a kernel, in the order 'fours', two in a byte.

    Args:
        fours: Whole numbers of -7 to 7, [tiles, K / 4, tile, 4].

    Returns:
        [tiles, K / 4, 2 tile]: of each 64 numbers, number j in the low half of byte j and number
        j + 32 in the high one, 8 added.
    """
    tiles, count, tile, _ = fours.shape
    levels = (fours.reshape(-1, NIBBLES) + NIBBLE_ZERO).astype(np.uint8)
    return pack_levels(levels, 4).reshape(tiles, count, 2 * tile)


def unpack_nibbles(packed: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Take apart what `pack_nibbles` put together."""
    levels = unpack_levels(packed.reshape(-1, NIBBLES // 2), NIBBLES, 4)
    tiles, count, twice = packed.shape
    return (levels.astype(np.int8) - NIBBLE_ZERO).reshape(tiles, count, twice // 2, 4)
