"""A file that stays open, and what tells it from one that replaced it.

Not the check of its digest: that is `gatelet.runtime.bundle.contents`.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap

Stamp = tuple[int, ...]
"""What tells a file from one that replaced it, or that was written over."""

_PART_BYTES = 2**16


class HeldFile:
    """A regular file, opened once: another file may take its name, and it may be deleted.

    Engines use it as they use a `Path`: by its name in messages, and for what is in it.

    Args:
        path: Of the file.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._handle = open_descriptor(path)
        self._stamp = stamp_of(os.fstat(self._handle))

    def __del__(
        self,
        fstat: Callable[[int], os.stat_result] = os.fstat,  # modules may be gone by then
        close: Callable[[int], None] = os.close,
    ) -> None:
        """Close it."""
        try:
            found = fstat(self._handle)
        except (OSError, AttributeError):
            return
        # a process may have closed all that it inherited, and opened others since
        if (found.st_dev, found.st_ino) == self._stamp[:2]:
            close(self._handle)

    @property
    def place(self) -> str | None:
        """A path by which an engine opens this very file; None where the system has none."""
        if not sys.platform.startswith("linux"):
            return None  # elsewhere such a path shares the place that is read at
        place = f"/proc/self/fd/{self._opened()}"
        return place if Path(place).exists() else None

    def part(self, start: int, count: int) -> bytes:
        """Read at most so many bytes; b"" at the end."""
        if hasattr(os, "pread"):
            return os.pread(self._opened(), count, start)
        os.lseek(self._opened(), start, os.SEEK_SET)
        return os.read(self._opened(), count)

    def read_bytes(self) -> bytes:
        """Read all of it."""
        # in one piece, as a rule: parts would be held twice when they are joined
        parts, count = [self.part(0, self.status().st_size)], 0
        while parts[-1]:
            count += len(parts[-1])
            parts.append(self.part(count, _PART_BYTES))
        return parts[0] if len(parts) <= 2 else b"".join(parts)

    def mapped(self, *, private: bool = False) -> mmap.mmap | bytes:
        """Map it to be read, or to be written by this process alone; an empty one cannot be."""
        import mmap

        if not self.status().st_size:
            return b""
        access = mmap.ACCESS_COPY if private else mmap.ACCESS_READ
        return mmap.mmap(self._opened(), 0, access=access)

    def status(self) -> os.stat_result:
        """Return what the system says of it."""
        return os.fstat(self._opened())

    def stamp(self) -> Stamp:
        """Return its stamp."""
        return stamp_of(self.status())

    def _is_open(self) -> bool:
        """Return whether the descriptor is still that of this file."""
        try:
            return stamp_of(os.fstat(self._handle))[:2] == self._stamp[:2]
        except OSError:
            return False

    def _opened(self) -> int:
        """Return a descriptor, opened again where a process closed all that it inherited.

        Raises:
            OSError: The file has been replaced since.
        """
        if not self._is_open():
            handle = open_descriptor(self.path)
            if stamp_of(os.fstat(handle)) != self._stamp:
                os.close(handle)
                raise OSError(errno.ESTALE, "this process closed it, and it was replaced since")
            self._handle = handle
        return self._handle


def open_descriptor(path: Path) -> int:
    """Open a file for reading, but no folder, pipe or device: those can block for ever."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file")
    return handle


def stamp_of(found: os.stat_result) -> Stamp:
    """Return the stamp of a file.

    The time of its last change of state is no part: a rename sets that, and so does the removal of
    the name of a file that is held.
    """
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
