"""The files that a manifest lists: each in its place, of its length, with its digest.

Not what they mean: `gatelet.runtime.bundle.opening` and the engines read them.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from io import BufferedReader, FileIO
from pathlib import Path

from gatelet.errors import BundleDamaged, BundleUnsafe
from gatelet.runtime.bundle.manifest import BundleFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

_CHUNK_BYTES = 2**16
# OpenSSL's SHA-256 is five times as fast as Python's own, but takes 3 ms and 4 MB to load
_WORTH_OPENSSL_BYTES = 8 * 2**20
_OWN_SHA256 = ("_sha2", "_sha256")  # from Python 3.12, and before

Stamp = tuple[int, ...]
"""What tells a file from one that replaced it, or that was written over."""


class Contents:
    """The files of a bundle, each checked before it is used.

    Args:
        root: The bundle's folder.
        files: Those that the manifest lists.
    """

    def __init__(self, root: Path, files: Iterable[BundleFile]) -> None:
        self.root = root
        self._files = {file.path: file for file in files}
        self._stamps: dict[str, Stamp] = {}

    def look(self) -> None:
        """Check the place, kind and length of every file, without reading any.

        Raises:
            BundleUnsafe: One lies outside the bundle, once links are followed.
            BundleDamaged: One is missing, no regular file, or of another length.
        """
        for file in self._files.values():
            found = self._attempt(file, lambda file: _look_at(self.root, file))
            if found.st_size != file.bytes:
                raise self._of_another_length(file, found.st_size)

    def check(self, *names: str) -> None:
        """Check the digests of files that have not been checked: of all, unless named.

        Raises:
            BundleUnsafe: As for `look`.
            BundleDamaged: As for `look`, or one is not what the manifest says.
        """
        wanted = [self._files[name] for name in names or self._files]
        waiting = [file for file in wanted if file.path not in self._stamps]
        if waiting:
            new_sha256 = sha256_for(sum(file.bytes for file in waiting))
            buffer = bytearray(_CHUNK_BYTES)
            for file in waiting:
                self._stamps[file.path] = self._verify(file, new_sha256(), buffer)

    def check_unchanged(self, *names: str) -> None:
        """Refuse files that were replaced or written since their digests were checked.

        Call it after an engine has opened them: what was checked is then what was opened.

        Raises:
            BundleDamaged: One was.
        """
        for name in names:
            try:
                same = _stamp((self.root / name).stat()) == self._stamps.get(name)
            except OSError:
                same = False
            if not same:
                raise BundleDamaged(
                    f"bundle '{self.root}': '{name}' changed while it was opened: open it again",
                    path=name,
                )

    def _verify(self, file: BundleFile, digest: Any, buffer: bytearray) -> Stamp:
        """Read one file, no more of it than it should have, and give its stamp."""

        def read(file: BundleFile) -> tuple[Stamp, int]:
            _look_at(self.root, file)
            count, view = 0, memoryview(buffer)
            with open_regular(self.root / file.path) as opened:
                stamp = _stamp(os.fstat(opened.fileno()))
                while count <= file.bytes and (found := opened.readinto(buffer)):
                    count += found
                    digest.update(view[:found])
            return stamp, count

        stamp, count = self._attempt(file, read)
        if count != file.bytes:
            raise self._of_another_length(file, count)
        if digest.hexdigest() != file.sha256:
            raise BundleDamaged(
                f"bundle '{self.root}' is damaged: '{file.path}' has sha256 "
                f"{digest.hexdigest()[:12]}…, the manifest says {file.sha256[:12]}…: copy or "
                "convert it again",
                path=file.path,
            )
        return stamp

    def _attempt(self, file: BundleFile, look: Callable[[BundleFile], T]) -> T:
        """Look at a file, and name what the system says of it."""
        try:
            return look(file)
        except FileNotFoundError:
            raise BundleDamaged(
                f"bundle '{self.root}' is damaged: '{file.path}' is missing: copy or convert it "
                "again",
                path=file.path,
            ) from None
        except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself, on Python 3.11
            reason = getattr(error, "strerror", None) or error
            raise BundleDamaged(
                f"bundle '{self.root}' is damaged: '{file.path}' cannot be read: {reason}",
                path=file.path,
            ) from error

    def _of_another_length(self, file: BundleFile, count: int) -> BundleDamaged:
        found = "more" if count > file.bytes else f"{count:,}"
        return BundleDamaged(
            f"bundle '{self.root}' is damaged: '{file.path}' should have {file.bytes:,} bytes, "
            f"has {found}: copy or convert it again",
            path=file.path,
        )


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading, but no folder, pipe or device: those can block for ever."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file")
    return BufferedReader(FileIO(handle, "rb"))


def sha256_for(count: int) -> Callable[[], Any]:
    """Return the SHA-256 that is done sooner with this many bytes, its loading included."""
    if count < _WORTH_OPENSSL_BYTES and "_hashlib" not in sys.modules:
        for name in _OWN_SHA256:
            try:
                own: Callable[[], Any] = import_module(name).sha256
            except (ImportError, AttributeError):
                continue
            return own
    import hashlib

    return hashlib.sha256


def _look_at(root: Path, file: BundleFile) -> os.stat_result:
    """Return what a file is; it must lie inside once links, which few have, are followed."""
    path = root
    for part in file.path.split("/"):
        path = path / part
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            if not (root / file.path).resolve().is_relative_to(root.resolve()):
                raise BundleUnsafe(
                    f"bundle '{root}': '{file.path}' is a link out of the bundle: do not use this "
                    "bundle",
                    path=file.path,
                )
            found = (root / file.path).stat()
            break
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return found


def _stamp(found: os.stat_result) -> Stamp:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
