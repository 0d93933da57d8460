"""The bytes of a pickle or joblib file: what it may take, and no more at once than there is.

Not the opcodes: those are in `pickles.py`.
"""

import io
import zlib
from typing import BinaryIO

MAX_FILE_BYTES = 256 * 2**20
MAX_INFLATED_BYTES = 64 * 2**20
MAX_HELD_BYTES = 144 * 2**20  # of everything made; some 700,000 words
MAX_LINE_BYTES = 2**24

_CHUNK_BYTES = 2**20
_GZIP_OR_ZLIB = 47  # zlib's number for "either, told by the header"
_COMPRESSED = {b"BZh": "bz2", b"\xfd7zXZ": "xz", b"]\x00\x00": "lzma", b"\x04\x22\x4d\x18": "lz4"}


class Source:
    """The bytes of a file, never more of them at once than there are."""

    def __init__(self, file: BinaryIO, total_bytes: int) -> None:
        self._file = file
        self._total_bytes = total_bytes
        self.held_bytes = 0

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._file.tell()

    def hold(self, count: int) -> None:
        """Count bytes of memory that what is read will take.

        Raises:
            ValueError: They are more than a file may take.
        """
        self.held_bytes += count
        if self.held_bytes > MAX_HELD_BYTES:
            raise ValueError(f"it holds more than {MAX_HELD_BYTES:,} bytes, the most allowed")

    def read(self, count: int) -> bytes:
        """Read so many bytes.

        Raises:
            ValueError: There are fewer.
        """
        left = self._total_bytes - self._file.tell()
        if count > left == 0:
            raise ValueError("it is damaged: it ends too early")
        if count > left:
            raise ValueError(f"it announces {count:,} bytes where {left:,} are left")
        if count > 8:  # not the lengths and numbers of opcodes
            self.hold(count)
        return self._file.read(count)

    def readline(self) -> bytes:
        """Read up to the end of the line, or as much as a line may have."""
        line = self._file.readline(MAX_LINE_BYTES)
        self.hold(len(line))
        return line


def is_pickle(head: bytes) -> bool:
    """Recognise a pickle of protocol 2 and later, or a compressed file, by its first bytes."""
    return head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def is_compressed(head: bytes) -> bool:
    """Recognise zlib and gzip, as joblib compresses, and what it can besides."""
    zlib_head = head[:1] == b"x" and len(head) > 1 and int.from_bytes(head[:2], "big") % 31 == 0
    return zlib_head or head[:2] == b"\x1f\x8b" or any(map(head.startswith, _COMPRESSED))


def source_of(file: BinaryIO) -> Source:
    """Return the bytes of a file, inflated where it is compressed.

    Raises:
        ValueError: It is too large, or compressed by another method than zlib's.
    """
    total = file.seek(0, io.SEEK_END)
    if total > MAX_FILE_BYTES:
        raise ValueError(f"it has {total:,} bytes: at most {MAX_FILE_BYTES:,} are allowed")
    file.seek(0)
    head = file.read(8)
    file.seek(0)
    if not is_compressed(head):
        return Source(file, total)
    for magic, name in _COMPRESSED.items():
        if head.startswith(magic):
            raise ValueError(f"it is compressed by {name}: expected zlib, gzip or nothing")
    inflated = _inflate(file)
    total = inflated.seek(0, io.SEEK_END)
    inflated.seek(0)
    return Source(inflated, total)


def _inflate(file: BinaryIO) -> io.BytesIO:
    decompressor, made = zlib.decompressobj(_GZIP_OR_ZLIB), io.BytesIO()
    data = file.read(_CHUNK_BYTES)
    while data and not decompressor.eof:
        made.write(decompressor.decompress(data, _CHUNK_BYTES))
        if made.tell() > MAX_INFLATED_BYTES:
            raise ValueError(f"it inflates to more than {MAX_INFLATED_BYTES:,} bytes")
        data = decompressor.unconsumed_tail or file.read(_CHUNK_BYTES)
    return made
