"""Finds ONNX files whose weights lie in another file, which no manifest lists.

Not a reader of ONNX: it looks at the places of tensors, and skips what they hold.
Source: onnx/onnx.proto, and the wire format of protocol buffers.
"""

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

from gatelet.runtime.bundle.held_file import HeldFile

_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""By message: the fields that hold messages in which a tensor may be."""


def takes_other_files(file: Path | HeldFile) -> bool | None:
    """Return whether a tensor of a file lies in another one; None if that cannot be told."""
    data = (HeldFile(file) if isinstance(file, Path) else file).mapped()
    try:
        return _is_external(data, 0, len(data), "model")
    except (ValueError, IndexError, RecursionError):
        return None


def _is_external(data: mmap.mmap | bytes, start: int, end: int, message: str) -> bool:
    for field, value, length in _fields(data, start, end):
        if message == "tensor" and field == _EXTERNAL_DATA:
            return True
        if message == "tensor" and field == _DATA_LOCATION and not length and value:
            return True
        inner = _INSIDE[message].get(field)
        if inner and length and _is_external(data, value, value + length, inner):
            return True
    return False


def _fields(data: mmap.mmap | bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number of each field, with its value and 0, or the place and length of bytes."""
    place = start
    while place < end:
        key, place = _varint(data, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield key >> 3, value, 0
        elif kind == _BYTES:
            length, place = _varint(data, place)
            if place + length > end:
                raise ValueError("a field ends behind its message")
            yield key >> 3, place, length
            place += length
        elif kind in (_FIXED64, _FIXED32):
            place += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field has the type {kind}")


def _varint(data: mmap.mmap | bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
        if shift > 63:
            raise ValueError("a number has no end")
