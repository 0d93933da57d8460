"""The weights of a C model as one blob: packed, quantized where the scheme says so, aligned.

Not the code that reads it: offsets are constants there.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.quantize import quantize_int8

__all__ = ["ALIGNMENT_BYTES", "Blob", "pack_columns", "pack_gates", "tile_of"]

ALIGNMENT_BYTES = 64
LANES = 16
LARGEST_TILE = 64
INT8_CHUNK = 256
MAGIC = b"gatelet1"

Array = NDArray[Any]


@dataclass
class Blob:
    """Collects sections; equal ones are stored once.

    Its first 64 bytes are a magic, and a digest of the rest that the code knows too.
    """

    _data: bytearray = field(default_factory=lambda: bytearray(ALIGNMENT_BYTES))
    _offsets: dict[bytes, int] = field(default_factory=dict)

    def add(self, array: Array) -> int:
        """Store an array little-endian and give its offset in bytes."""
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        key = hashlib.sha256(str(array.dtype).encode() + data).digest()
        if key not in self._offsets:
            self._data += bytes(-len(self._data) % ALIGNMENT_BYTES)
            self._offsets[key] = len(self._data)
            self._data += data
        return self._offsets[key]

    def finish(self) -> bytes:
        """Give the blob."""
        self._data += bytes(-len(self._data) % ALIGNMENT_BYTES)
        digest = hashlib.sha256(self._data[ALIGNMENT_BYTES:]).digest()[:16]
        self._data[: len(MAGIC) + len(digest)] = MAGIC + digest
        return bytes(self._data)


def tile_of(columns: int) -> int:
    """Give the columns of a tile: whole vectors of every processor, at most four of the widest."""
    return min(LARGEST_TILE, -(-columns // LANES) * LANES)


def pack_columns(matrix: Array) -> Array:
    """Pad the last axis to whole tiles: [..., N] to [..., tiles * tile]."""
    tile = tile_of(matrix.shape[-1])
    return _padded(matrix, -(-matrix.shape[-1] // tile) * tile)


def pack_gates(matrix: Array, gates: int) -> Array:
    """Let the gates of 16 units lie together: [..., gates * U] to [..., tiles * gates * 16]."""
    units = matrix.shape[-1] // gates
    apart = matrix.reshape(*matrix.shape[:-1], gates, units)
    padded = _padded(apart, -(-units // LANES) * LANES)
    tiles = padded.reshape(*matrix.shape[:-1], gates, -1, LANES)
    return np.moveaxis(tiles, -3, -2).reshape(*matrix.shape[:-1], -1)


def _padded(array: Array, columns: int) -> Array:
    widths = [(0, 0)] * (array.ndim - 1) + [(0, columns - array.shape[-1])]
    return np.pad(array, widths)


def tiled(matrix: Array, tile: int) -> Array:
    """Give a packed matrix [K, N] as [tiles, K, tile]."""
    return matrix.reshape(len(matrix), -1, tile).transpose(1, 0, 2)


def untiled(values: Array) -> Array:
    """Give the packed matrix [K, N] of [tiles, K, tile]."""
    return values.transpose(1, 0, 2).reshape(values.shape[1], -1)


def tiled_int8(matrix: Array, tile: int) -> tuple[Array, Array, Array]:
    """Quantize a packed matrix [K, N] by column.

    Returns:
        values int8 [tiles, K / 4 rounded up, tile, 4], scales float32 [N], and the sums of the
        values int32 [K / 256 rounded up, N].
    """
    values, scales = quantize_int8(matrix, axis=1)
    rows, columns = matrix.shape
    padded = np.pad(values, ((0, -rows % 4), (0, 0)))
    fours = padded.reshape(-1, 4, columns // tile, tile)
    starts = range(0, rows, INT8_CHUNK)
    chunks = [values[k : k + INT8_CHUNK].sum(axis=0, dtype=np.int32) for k in starts]
    return fours.transpose(2, 0, 3, 1), scales[0], np.stack(chunks)


def untiled_int8(values: Array, rows: int) -> Array:
    """Give the packed integers [K, N] of [tiles, K / 4 rounded up, tile, 4]."""
    fours = values.transpose(1, 3, 0, 2)
    return fours.reshape(4 * values.shape[1], -1)[:rows]


def halves(table: Array) -> tuple[Array, Array]:
    """Quantize an embedding to 4 bits by row.

    Returns:
        bytes [V, F / 2 rounded up], two values in each, and scales float32 [V].
    """
    values, scales = quantize_int8(table, axis=0, limit=7)
    shifted = np.pad((values + 8).astype(np.uint8), ((0, 0), (0, table.shape[1] % 2)))
    return shifted[:, 0::2] | (shifted[:, 1::2] << 4), scales[:, 0]


def from_halves(values: Array) -> Array:
    """Give the integers, [V, F], of bytes with two in each; of an odd F there is one more, -8."""
    pairs = np.stack([values & 15, values >> 4], axis=-1).astype(np.int8) - 8
    return pairs.reshape(len(values), -1)
