"""The safetensors file format, read and written with the standard library alone.

Not a tensor library: the bytes are handed out as they lie, little-endian and row-major.

Source: the safetensors format, https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as show

from gatelet.errors import ModelError
from gatelet.runtime.records import dataclass
from gatelet.runtime.strict_json import parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DTYPE_BYTES = {"F32": 4, "F16": 2, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "I64": 8}
MAX_HEADER_BYTES = 16 * 2**20
MAX_RANK = 8
MAX_DIMENSION = 2**48
_ALIGNMENT_BYTES = 64


@dataclass(frozen=True)
class Tensor:
    """One tensor: its type, its shape and its bytes.

    Args:
        dtype: A key of `DTYPE_BYTES`.
        shape: The dimensions, outermost first; () is a scalar.
        data: The elements, little-endian, row-major.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes | memoryview

    def __post_init__(self) -> None:
        if not isinstance(self.dtype, str) or self.dtype not in DTYPE_BYTES:
            raise ModelError(
                f"tensor type {show(self.dtype)} is not known; known are {', '.join(DTYPE_BYTES)}"
            )
        if len(self.shape) > MAX_RANK or any(not 0 <= n <= MAX_DIMENSION for n in self.shape):
            raise ModelError(f"tensor shape {show(list(self.shape))} is not possible")
        expected = math.prod(self.shape) * DTYPE_BYTES[self.dtype]
        if expected != len(self.data):
            raise ModelError(
                f"a {self.dtype} tensor of shape {list(self.shape)} takes {expected:,} bytes, "
                f"but has {len(self.data):,}"
            )


def encode(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the bytes of a safetensors file; the same tensors give the same bytes.

    Args:
        tensors: Tensors by name; they are stored in this order.

    Returns:
        The file: header length (8 bytes, little-endian), header (JSON), data.
    """
    header: dict[str, object] = {}
    offset = 0
    for name, tensor in tensors.items():
        end = offset + len(tensor.data)
        header[name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % _ALIGNMENT_BYTES)
    return b"".join((struct.pack("<Q", len(text)), text, *(t.data for t in tensors.values())))


def read(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file; it is mapped, so its tensors are read when they are used.

    Raises:
        ModelError: The file cannot be read, or is no valid safetensors file.
    """
    try:
        with path.open("rb") as file:
            # an empty file cannot be mapped
            empty = file.seek(0, 2) == 0
            data = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ModelError(f"cannot read '{path}': {error.strerror or error}") from error
    return decode(data, name=str(path))


def decode(data: bytes | mmap.mmap, *, name: str) -> dict[str, Tensor]:
    """Take a safetensors file apart.

    Args:
        data: The whole file.
        name: What to call it in messages.

    Returns:
        The tensors by name, in file order; their data are views into `data`.

    Raises:
        ModelError: The header is damaged, or the tensors do not tile the data exactly.
    """
    if len(data) < 8:
        raise ModelError(f"'{name}' is too short for safetensors: {len(data)} bytes")
    (header_bytes,) = struct.unpack_from("<Q", data)
    if header_bytes > min(MAX_HEADER_BYTES, len(data) - 8):
        raise ModelError(
            f"'{name}' is damaged: its header claims {header_bytes:,} bytes, "
            f"the file has {len(data):,} and {MAX_HEADER_BYTES:,} is the most allowed"
        )
    header = _parse_header(data[8 : 8 + header_bytes], name=name)
    body = memoryview(data)[8 + header_bytes :]
    tensors: dict[str, Tensor] = {}
    expected_start = 0
    for key, entry in header.items():
        if key == "__metadata__":
            continue
        try:
            dtype, shape = entry["dtype"], tuple(_integer(n) for n in entry["shape"])
            start, end = (_integer(n) for n in entry["data_offsets"])
        except (TypeError, ValueError, KeyError) as error:
            raise ModelError(
                f"'{name}' is damaged: tensor {show(key)} has no valid entry"
            ) from error
        if start != expected_start or not start <= end <= len(body):
            raise ModelError(
                f"'{name}' is damaged: tensor {show(key)} lies at bytes {show(start)} to "
                f"{show(end)}, expected to start at {expected_start} and to end "
                f"within {len(body)}"
            )
        tensors[key] = _tensor(dtype, shape, body[start:end], where=f"'{name}', tensor {show(key)}")
        expected_start = end
    if expected_start != len(body):
        raise ModelError(
            f"'{name}' is damaged: {len(body) - expected_start:,} bytes belong to no tensor"
        )
    return tensors


def _parse_header(text: bytes, *, name: str) -> dict[str, dict[str, Any]]:
    if not text.startswith(b"{"):
        raise ModelError(f"'{name}' is damaged: its header does not start with '{{'")
    try:
        header = parse_json(text)
    except ValueError as error:
        raise ModelError(f"'{name}' is damaged: its header is no valid JSON: {error}") from error
    assert isinstance(header, dict)  # it starts with '{'
    return header


def _integer(value: object) -> int:
    if type(value) is not int:
        raise ValueError("not an integer")
    return value


def _tensor(dtype: str, shape: tuple[int, ...], data: memoryview, *, where: str) -> Tensor:
    try:
        return Tensor(dtype, shape, data)
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error
