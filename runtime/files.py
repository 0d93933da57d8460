"""Writing files that people name: whole or not at all, through links, and into devices.

Not folders, which are made in stages: `gatelet.runtime.stages`.
"""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from gatelet.errors import OutputError

_NAME_CHARACTERS = 40  # of the target's name in that of a temporary file: names have a limit
_TRIES = 20
# where a file may be written, but not replaced: its folder is closed, or it is a mount of its own
_NOT_REPLACEABLE = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.EXDEV, errno.EROFS)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    A link is followed, and a file that was there keeps its mode and owner. What is no plain file,
    has other names, or cannot be replaced, is written where it is, as any program does it.

    Args:
        path: Where the file goes; its folder exists.
        data: The whole content.

    Raises:
        OutputError: The file cannot be written there.
    """
    try:
        _write(path, data)
    except OSError as error:
        raise OutputError(
            f"cannot write '{path}': {error.strerror or error}", path=str(path)
        ) from error


def check_output_file(path: Path) -> None:
    """Refuse a place that `write_atomically` could not write to, before the work is done.

    Raises:
        OutputError: The folder does not exist or is closed, the name is that of a folder, or the
            file is closed.
    """
    target = Path(os.path.realpath(path))
    if path.is_dir():
        raise OutputError(f"'{path}' is a folder: give the name of a file in it", path=str(path))
    if path.exists():
        problem = None if os.access(path, os.W_OK) else f"'{path}' cannot be written by this user"
    elif not target.parent.is_dir():
        problem = f"the folder '{target.parent}' does not exist: create it"
    else:
        is_open = os.access(target.parent, os.W_OK | os.X_OK)
        problem = (
            None if is_open else f"the folder '{target.parent}' cannot be written by this user"
        )
    if problem is not None:
        raise OutputError(f"{problem}, or choose another place", path=str(path))


def try_lock(handle: int) -> bool | None:
    """Lock an open file for as long as it is open, or its process lives.

    Args:
        handle: Its descriptor.

    Returns:
        Whether it is locked now; False where another one holds the lock, None where there are none.
    """
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # a network file system may have no locks, nor has Windows
        return None
    return True


def _write(path: Path, data: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
    except FileNotFoundError:
        _replace(Path(os.path.realpath(path)), data, None)
        return
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            _write_all(handle, data)
            return
    finally:
        os.close(handle)
    if found.st_nlink == 1 and not _is_descriptor(path):
        try:
            _replace(Path(os.path.realpath(path)), data, found)
            return
        except OSError as error:
            if error.errno not in _NOT_REPLACEABLE:
                raise
    _write_in_place(path, data)


def _replace(target: Path, data: bytes, found: os.stat_result | None) -> None:
    """Write beside a file and rename; `found` is what is there now."""
    with _temporary_beside(target, 0o666 if found is None else 0o600) as (file, temporary):
        handle = file.fileno()
        if found is not None and sys.platform != "win32":
            made = os.fstat(handle)
            if (made.st_uid, made.st_gid) != (found.st_uid, found.st_gid):
                os.fchown(handle, found.st_uid, found.st_gid)
            os.fchmod(handle, stat.S_IMODE(found.st_mode))
        _write_all(handle, data)
        os.fsync(handle)
        if sys.platform == "win32":
            file.close()  # Windows renames no open file
        temporary.replace(target)


@contextlib.contextmanager
def _temporary_beside(target: Path, mode: int) -> Iterator[tuple[FileIO, Path]]:
    """Yield a new file, open and locked, and its name; remove it, and those of ended processes."""
    prefix = f".{target.name[:_NAME_CHARACTERS]}-"
    _remove_left(target.parent, prefix)
    for _ in range(_TRIES):
        name = target.with_name(f"{prefix}{os.urandom(8).hex()}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        handle = os.open(name, flags, mode)
        # another process may have taken it for one that was left, before it was locked
        if try_lock(handle) is not False and os.fstat(handle).st_nlink:
            break
        os.close(handle)
    else:
        raise OSError(errno.EBUSY, "others remove temporary files here")
    file = FileIO(handle, "wb")
    try:
        yield file, name
    finally:
        if sys.platform == "win32":
            file.close()
        with contextlib.suppress(OSError):
            name.unlink()
        file.close()


def _remove_left(folder: Path, prefix: str) -> None:
    """Remove the temporary files of processes that were killed: nobody holds their locks."""
    length = len(prefix) + len("0123456789abcdef.tmp")
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            name = path.name
            if len(name) != length or not (name.startswith(prefix) and name.endswith(".tmp")):
                continue
            flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
            with contextlib.suppress(OSError):
                handle = os.open(path, flags)
                try:
                    if try_lock(handle):
                        path.unlink()
                finally:
                    os.close(handle)


def _write_in_place(path: Path, data: bytes) -> None:
    """Write over a plain file; what it held is put back where there is no room for the new."""
    can_read = os.access(path, os.R_OK)
    with path.open("r+b" if can_read else "wb", buffering=0) as file:
        held = file.read() if can_read else None
        try:
            _write_over(file.fileno(), data)
        except OSError:
            if held is not None:
                _write_over(file.fileno(), held)
            raise


def _write_over(handle: int, data: bytes) -> None:
    os.lseek(handle, 0, os.SEEK_SET)
    _write_all(handle, data)
    os.ftruncate(handle, len(data))


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


def _is_descriptor(path: Path) -> bool:
    """Return whether a path leads to an open file, as /dev/stdout does: that is no name of it."""
    for _ in range(_TRIES):
        if Path(os.path.realpath(path.parent)).match("/proc/*/fd"):
            return True
        if not path.is_symlink():
            return False
        path = path.parent / path.readlink()
    return False
