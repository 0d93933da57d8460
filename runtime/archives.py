"""Compressed files of unknown origin: what they may unpack to, and that they have one reading.

Not what is in them. A few kilobytes can unpack to more than a machine's memory holds.
"""

from __future__ import annotations

import io

TYPE_CHECKING = False
if TYPE_CHECKING:
    import zipfile
    from typing import BinaryIO

    Buffer = bytearray | memoryview


class TooLarge(ValueError):
    """It unpacks to more than its reader allows."""


class Unpacked(io.RawIOBase):
    """A stream that is unpacked while it is read, up to a limit.

    Args:
        stream: Unpacks.
        limit_bytes: The most that it may give.
    """

    def __init__(self, stream: BinaryIO, limit_bytes: int) -> None:
        super().__init__()
        self._stream, self._limit_bytes, self._read_bytes = stream, limit_bytes, 0

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Buffer) -> int:  # type: ignore[override]  # typeshed's is wider
        """Read the next bytes.

        Raises:
            TooLarge: There are more than the limit.
        """
        data = self._stream.read(len(buffer))
        self._read_bytes += len(data)
        if self._read_bytes > self._limit_bytes:
            raise TooLarge(f"it unpacks to more than {self._limit_bytes:,} bytes")
        buffer[: len(data)] = data
        return len(data)


def twice_in(archive: zipfile.ZipFile) -> str:
    """Return the name of a member that an archive has twice, of which readers take either; or ''.

    Args:
        archive: Names that differ only in the slash of Windows are the same.
    """
    seen: set[str] = set()
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")
        if name in seen:
            return name
        seen.add(name)
    return ""


def read_member(archive: zipfile.ZipFile, name: str, limit_bytes: int) -> bytes:
    """Unpack a member that is known to be small.

    Raises:
        KeyError: There is none.
        TooLarge: It has more bytes than the limit.
    """
    if archive.getinfo(name).file_size > limit_bytes:
        raise TooLarge(f"'{name}' unpacks to more than {limit_bytes:,} bytes")
    return archive.read(name)
