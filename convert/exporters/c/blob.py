"""The weights of a C model as one blob: packed, quantized where the scheme says so, aligned.

Not the code that reads it: offsets are constants there.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT_BYTES = 64
INT8_CHUNK = 256
MAGIC = b"gatelet2"
"""Its digit is raised when what follows is packed in another way."""
DIGEST_BYTES = 16
HEAD_BYTES = len(MAGIC) + DIGEST_BYTES
"""What a blob begins with, and the code knows too."""
_STATE_LIMIT = 127
_STATE_OFF_UNITS = 1.5

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
        """Return the blob."""
        self._data += bytes(-len(self._data) % ALIGNMENT_BYTES)
        digest = hashlib.sha256(self._data[ALIGNMENT_BYTES:]).digest()[:DIGEST_BYTES]
        self._data[:HEAD_BYTES] = MAGIC + digest
        return bytes(self._data)


def sums_of(values: Array) -> Array:
    """Return the sums of each column, 256 rows at a time, which hold 256 times 127.

    Args:
        values: int8 [K, N].

    Returns:
        int16 [K / 256 rounded up, N].
    """
    starts = range(0, len(values), INT8_CHUNK)
    return np.stack([values[k : k + INT8_CHUNK].sum(axis=0, dtype=np.int16) for k in starts])


@dataclass(frozen=True)
class Lines:
    """A table [T, U] as straight lines between some of its rows, of 8 bits.

    Args:
        knots: The rows, from 0 to T - 1.
        values: int8 [knots, U].
        unit: What they are multiples of.
    """

    knots: list[int]
    values: Array
    unit: np.float32


def lines_of(table: Array) -> Lines:
    """Return lines that are nowhere farther from a table than 1.5 / 127 of its largest value.

    Args:
        table: States after 0..T - 1 pads, float [T, U]: soon they hardly change any more.
    """
    largest = float(np.abs(table).max(initial=0.0))
    unit = np.float32((largest or 1.0) / _STATE_LIMIT)
    values = np.rint(table / np.float64(unit))

    def is_near(first: int, last: int) -> bool:
        share = np.linspace(0, 1, last - first + 1)[:, None]
        line = values[first] * (1 - share) + values[last] * share
        off = np.abs(line - table[first : last + 1] / np.float64(unit))
        return bool(off.max() <= _STATE_OFF_UNITS)

    knots = [0]
    while knots[-1] < len(table) - 1:
        near, far = knots[-1] + 1, len(table) - 1
        while near < far:
            middle = (near + far + 1) // 2
            near, far = (middle, far) if is_near(knots[-1], middle) else (near, middle - 1)
        knots.append(near)
    return Lines(knots, values[knots].astype(np.int8), unit)
