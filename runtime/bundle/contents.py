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
from gatelet.runtime.bundle.held_file import HeldFile, Stamp, open_descriptor, stamp_of
from gatelet.runtime.bundle.manifest import BundleFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from typing import Any, TypeVar

    T = TypeVar("T")

_CHUNK_BYTES = 2**16
# OpenSSL's SHA-256 is five times as fast as Python's own, but takes 3 ms and 4 MB to load
_WORTH_OPENSSL_BYTES = 8 * 2**20
_OWN_SHA256 = ("_sha2", "_sha256")  # from Python 3.12, and before


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
        self._held: dict[str, HeldFile] = {}

    def hold(self, *names: str) -> None:
        """Open files for as long as this lives: what replaces the bundle leaves them as they are.

        Raises:
            BundleUnsafe: As for `look`.
            BundleDamaged: One is missing, or no regular file.
        """
        if os.name != "posix":  # elsewhere an open file cannot be replaced at all
            return
        for name in names:
            if name not in self._held:
                opened = self._attempt(self._files[name], self._opened)
                if self._stamps.get(name) != opened.stamp():  # of what had the name before
                    self._stamps.pop(name, None)
                self._held[name] = opened

    def file(self, name: str) -> Path | HeldFile:
        """Return a file for an engine to open: what is held, else the path."""
        return self._held.get(name) or self.root / name

    def read(self, name: str) -> bytes:
        """Read a file whose digest is right.

        Raises:
            BundleUnsafe: As for `look`.
            BundleDamaged: As for `check`.
        """
        return self._used(name, lambda opened: opened.read_bytes())

    def map(self, name: str) -> mmap.mmap | bytes:
        """Map a file whose digest is right: it is read where it is used."""
        return self._used(name, lambda opened: opened.mapped())

    def _used(self, name: str, use: Callable[[HeldFile], T]) -> T:
        self.check(name)
        file = self._files[name]
        opened = self._held.get(name) or self._attempt(file, self._opened)
        used = self._attempt(file, lambda _: use(opened))
        if opened.stamp() != self._stamps[name]:
            raise self._changed(name)
        return used

    def _opened(self, file: BundleFile) -> HeldFile:
        _look_at(self.root, file)
        return HeldFile(self.root / file.path)

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
            for file in waiting:
                self._stamps[file.path] = self._verify(file, new_sha256())

    def check_unchanged(self, *names: str) -> None:
        """Refuse files that were replaced or written since their digests were checked.

        Call it after an engine has opened them: what was checked is then what was opened.

        Raises:
            BundleDamaged: One was.
        """
        for name in names:
            held = self._held.get(name)
            try:
                found = (self.root / name).stat() if held is None else held.status()
                same = stamp_of(found) == self._stamps.get(name)
            except OSError:
                same = False
            if not same:
                raise self._changed(name)

    def _verify(self, file: BundleFile, digest: Any) -> Stamp:
        """Read one file, no more of it than it should have, and give its stamp."""

        def read(file: BundleFile) -> tuple[Stamp, int]:
            opened, count = self._held.get(file.path) or self._opened(file), 0
            stamp = opened.stamp()
            while count <= file.bytes and (part := opened.part(count, _CHUNK_BYTES)):
                count += len(part)
                digest.update(part)
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

    def _changed(self, name: str) -> BundleDamaged:
        return BundleDamaged(
            f"bundle '{self.root}': '{name}' changed while it was opened: open it again", path=name
        )

    def _of_another_length(self, file: BundleFile, count: int) -> BundleDamaged:
        found = "more" if count > file.bytes else f"{count:,}"
        return BundleDamaged(
            f"bundle '{self.root}' is damaged: '{file.path}' should have {file.bytes:,} bytes, "
            f"has {found}: copy or convert it again",
            path=file.path,
        )


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading, but no folder, pipe or device: those can block for ever."""
    return BufferedReader(FileIO(open_descriptor(path), "rb"))


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
