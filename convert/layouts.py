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
    "halves": lambda matrix, tile: matrix,
}
"""By name, what a section makes of a packed matrix [K, N] and the columns of a tile.

'tiles' is [tiles, K, tile]; 'fours' is [tiles, K / 4 rounded up, tile, 4], filled up with zeros,
and 'pairs' [tiles, K / 2 rounded up, tile, 2]; 'halves' has the levels of two columns in a byte,
as `pack_int4` puts them.
"""


def pack_int4(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put two levels in a byte: column j in the low half, column j + F/2 in the high one.

    Args:
        levels: [V, F] of 0..15; an odd F gets a column of zeros.

    Returns:
        [V, ceil(F / 2)].
    """
    if levels.shape[1] % 2:
        levels = np.pad(levels, [(0, 0), (0, 1)])
    low, high = np.split(levels, 2, axis=1)
    return np.asarray(low | (high << 4), np.uint8)


def unpack_int4(packed: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Take apart what `pack_int4` put together.

    Args:
        packed: [V, ceil(F / 2)].
        columns: F.

    Returns:
        levels [V, F] of 0..15.
    """
    return np.concatenate([packed & 15, packed >> 4], axis=1)[:, :columns]
