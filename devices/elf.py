"""Reads the sizes of a program's sections from its ELF file.

Not a loader.
"""

import struct
from collections.abc import Iterator

_ALLOCATED = 2


def section_bytes(data: bytes) -> dict[str, int]:
    """Return the bytes of each section that takes memory on the device, by its name.

    Args:
        data: The file, little-endian, of 32 or 64 bits.

    Raises:
        ValueError: It is no such file.
    """
    return dict(_sections(data))


def _sections(data: bytes) -> Iterator[tuple[str, int]]:
    if data[:4] != b"\x7fELF" or len(data) < 64 or data[5] != 1:
        raise ValueError("it is no little-endian ELF file")
    wide = data[4] == 2
    try:
        start = struct.unpack_from("<Q" if wide else "<I", data, 40 if wide else 32)[0]
        size, count, names = struct.unpack_from("<HHH", data, 58 if wide else 46)
        head = "<IIQQQQ" if wide else "<IIIIII"
        headers = [struct.unpack_from(head, data, start + i * size) for i in range(count)]
        text = headers[names][4]
        for name, _, flags, _, _, length in headers:
            if flags & _ALLOCATED and length:
                end = data.index(b"\0", text + name)
                yield data[text + name : end].decode("ascii", "replace"), length
    except (struct.error, IndexError, ValueError) as error:
        raise ValueError(f"its sections cannot be read: {error}") from error
