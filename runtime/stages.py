"""Folders in the making: each has a name of its own and a lock, and takes its place in one step.

A stage is a folder `.NAME.stage-RANDOM` that holds `lock`, `content` and, where a file system
cannot exchange two folders, `old` for a moment. What is in `content` is what is made.

Not single files, which are `gatelet.runtime.files`.
"""

import contextlib
import errno
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from gatelet.errors import OutputError
from gatelet.runtime.files import try_lock

_LOCK, _CONTENT, _OLD = "lock", "content", "old"
_TRIES = 20
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100  # of Linux


def check_output_directory(out: Path, *, marker: str, kind: str, flag: str = "--out") -> None:
    """Refuse an output place that is some other folder or file.

    Args:
        out: The folder that will be written.
        marker: The file whose presence says that the folder is ours.
        kind: What we write, for the message: 'bundle', 'run'.
        flag: What the user names the folder by.

    Raises:
        OutputError: `out` is a file, or a folder that is neither empty nor ours, it lies in a
            bundle, or its parent does not exist or cannot be written.
    """
    around = _bundle_around(out)
    if around is not None:
        raise OutputError(
            f"'{out}' is inside the bundle '{around}', which is copied and replaced as one: "
            f"choose another {flag} beside it",
            path=str(out),
        )
    if out.is_dir():
        if (out / marker).is_file() or not any(out.iterdir()):
            return
        raise OutputError(
            f"'{out}' is a folder that is no {kind} (it has no {marker}): "
            f"nothing was written; choose another {flag}, or empty it first",
            path=str(out),
        )
    if out.exists() or out.is_symlink():
        raise OutputError(f"'{out}' is not a folder: choose another {flag}", path=str(out))
    if not out.absolute().parent.is_dir():
        raise OutputError(
            f"the folder '{out.absolute().parent}' does not exist: create it, "
            f"or choose another {flag}",
            path=str(out),
        )
    if not os.access(out.absolute().parent, os.W_OK):
        raise OutputError(
            f"the folder '{out.absolute().parent}' cannot be written by this user: "
            f"choose another {flag}",
            path=str(out),
        )


def _bundle_around(out: Path) -> Path | None:
    """Return the bundle that a place lies in. A web page's manifest.json is none of ours."""
    for folder in Path(os.path.realpath(out)).parents:
        try:
            found = json.loads((folder / "manifest.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(found, dict) and {"format_version", "artifacts"} <= found.keys():
            return folder
    return None


@contextlib.contextmanager
def stage_beside(out: Path, *, marker: str | None = None) -> Iterator[Path]:
    """Yield an empty folder next to `out`, on the same file system, and remove it afterwards.

    Stages whose processes were killed are removed first; but one that is complete, and was to take
    the place of `out`, takes it now.

    Args:
        out: The folder that the staged content is meant for; a link is followed.
        marker: The file that is written last, where what is made is not to be lost.

    Yields:
        The staging folder. Rename it or its files into place; what is left is deleted, unless an
        OutputError says that it is kept.

    Raises:
        OutputError: Nothing can be written beside `out`, or it could not be replaced.
    """
    out = Path(os.path.realpath(out))
    prefix = f".{out.name}.stage-"
    _remove_left(out.parent, prefix, lambda left: _finish(left, out, marker))
    with _locked_folder(out.parent, prefix, what=f"beside '{out}'") as stage:
        _check_replaceable(out, stage)
        yield stage


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield an empty private folder in the system's temporary one, and remove it afterwards.

    Those of this user's that killed processes left are removed too: they may hold private texts.

    Raises:
        OutputError: It cannot be made.
    """
    import tempfile  # not at the start of every process

    parent, prefix = Path(tempfile.gettempdir()), "gatelet-stage-"
    _remove_left(parent, prefix, lambda left: True)
    with _locked_folder(parent, prefix, what=f"temporary files in '{parent}'") as folder:
        yield folder


def replace_directory(stage: Path, out: Path) -> None:
    """Put a complete staged folder in the place of `out`, in one step where the system has such.

    Args:
        stage: As `stage_beside` yielded it.
        out: Missing, empty, or a folder of the same kind, which goes with the stage. Its mode is
            kept.

    Raises:
        OutputError: The rename failed; `out` is as it was.
    """
    out = Path(os.path.realpath(out))
    try:
        _put(stage, out)
    except OSError as error:
        raise OutputError(
            f"cannot replace '{out}': {error.strerror or error}", path=str(out)
        ) from error


@contextlib.contextmanager
def kept_on_failure(stage: Path, out: Path) -> Iterator[None]:
    """Keep what is whole in the stage where it cannot take its place, and say where it is.

    Raises:
        OutputError: What was raised within, with the place, which is its attribute `kept` too.
    """
    try:
        yield
    except OutputError as error:
        out = Path(os.path.realpath(out))
        kept = out.with_name(f"{out.name}.finished-{os.urandom(4).hex()}")
        try:
            stage.rename(kept)
        except OSError:
            kept = stage
        raise OutputError(
            f"{error}; what was made is whole, and kept in '{kept}': use it there, or move it to "
            f"'{out}' when nothing is in the way",
            path=str(out),
            kept=str(kept),
        ) from error


def check_space(out: Path, needed_bytes: int) -> None:
    """Refuse a file system that has no room for what will be written.

    Args:
        out: The folder that will be written; its parent exists.
        needed_bytes: The least that is needed.

    Raises:
        OutputError: There is less.
    """
    import shutil  # not at the start of every process

    out = Path(os.path.realpath(out))
    try:
        found = shutil.disk_usage(out.parent)
    except OSError:
        return
    if found.total and found.free < needed_bytes:  # some network file systems tell nothing
        raise OutputError(
            f"'{out}' needs {needed_bytes:,} bytes or more, and its file system has "
            f"{found.free:,} left: nothing was written; make room, or choose another --out",
            path=str(out),
            needed_bytes=needed_bytes,
            free_bytes=found.free,
        )


@contextlib.contextmanager
def _locked_folder(parent: Path, prefix: str, *, what: str) -> Iterator[Path]:
    """Yield the content of a new locked folder; it stays where an error says that it is kept."""
    try:
        outer, handle = _make_locked(parent, prefix)
    except OSError as error:
        raise OutputError(f"cannot write {what}: {error.strerror or error}") from error
    content = outer / _CONTENT
    is_kept = False
    try:
        yield content
    except OutputError as error:
        is_kept = error.facts.get("kept") == str(content)
        raise
    finally:
        if sys.platform == "win32":
            os.close(handle)  # Windows removes no open file
        if not is_kept:
            _remove(outer)
        if sys.platform != "win32":
            os.close(handle)


def _make_locked(parent: Path, prefix: str) -> tuple[Path, int]:
    for _ in range(_TRIES):
        outer = parent / f"{prefix}{os.urandom(8).hex()}"
        outer.mkdir(0o700)
        try:
            handle = os.open(outer / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except FileNotFoundError:  # taken for one that was left, before it was locked
            continue
        except OSError:
            _remove(outer)
            raise
        try:
            if try_lock(handle) is not False and os.fstat(handle).st_nlink:
                # not before: others would remove it
                (outer / _CONTENT).mkdir()
                # a stage whose content is another folder than this has been exchanged
                os.write(handle, b"%d" % (outer / _CONTENT).stat().st_ino)
                return outer, handle
        except OSError:
            _remove(outer)
            os.close(handle)
            raise
        os.close(handle)
    raise OSError(errno.EBUSY, "others remove temporary folders here")


def _remove_left(parent: Path, prefix: str, finish: Callable[[Path], bool]) -> None:
    """Remove what killed processes of this user left: nobody holds the lock of it.

    Args:
        parent: Where it lies.
        prefix: How its name begins.
        finish: Called with each, while its lock is held; False keeps it.
    """
    with contextlib.suppress(OSError):
        for left in parent.iterdir():
            if not left.name.startswith(prefix) or not _is_own_folder(left):
                continue
            with contextlib.suppress(OSError):
                try:
                    handle = os.open(left / _LOCK, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
                except FileNotFoundError:
                    left.rmdir()  # empty; its maker, if that is about to lock it, makes another
                    continue
                try:
                    if try_lock(handle) and finish(left):
                        _remove_folder(left / _OLD)
                        _remove(left)
                finally:
                    os.close(handle)


def _is_own_folder(path: Path) -> bool:
    found = path.lstat()
    is_own = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return stat.S_ISDIR(found.st_mode) and is_own


def _remove(outer: Path) -> None:
    """Remove a stage, its lock last: one that has none and is not empty would stay for ever.

    What it was to replace stays in it where that could not be put back: the next one does.
    """
    _remove_folder(outer / _CONTENT)
    with contextlib.suppress(OSError):
        if not any((outer / name).exists() for name in (_CONTENT, _OLD)):
            (outer / _LOCK).unlink(missing_ok=True)
            outer.rmdir()


def _remove_folder(folder: Path) -> None:
    import shutil  # not at the start of every process

    shutil.rmtree(folder, ignore_errors=True)


def _finish(left: Path, out: Path, marker: str | None) -> bool:
    """Do what a killed process was about to do: put its complete content in place.

    Returns:
        Whether the rest can go.
    """
    content, old = left / _CONTENT, left / _OLD
    if marker is None:
        return True
    is_whole = (content / marker).is_file()
    # another number: it is what was replaced, and the new one is in its place already
    if is_whole and (left / _LOCK).read_bytes() == b"%d" % content.stat().st_ino:
        if out.exists() and any(out.iterdir()) and not (out / marker).is_file():
            return False
        _put(content, out)
    elif old.is_dir() and not out.exists():
        old.rename(out)
    return True


def _put(stage: Path, out: Path) -> None:
    """Rename a stage's content to `out`; what was there comes into the stage."""
    if out.is_dir():
        stage.chmod(stat.S_IMODE(out.stat().st_mode))
        if any(out.iterdir()):
            if not _exchange(stage, out):
                _swap(stage, out)
            return
        if sys.platform == "win32":
            out.rmdir()
    try:
        stage.rename(out)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _put(stage, out)  # another was first, in the meantime


def _swap(stage: Path, out: Path) -> None:
    """Exchange in two steps. Killed between them, `_finish` does the other one."""
    old = stage.with_name(_OLD)
    out.rename(old)
    try:
        stage.rename(out)
    except OSError:
        old.rename(out)
        raise
    _remove_folder(old)


def _exchange(stage: Path, out: Path) -> bool:
    """Exchange two folders in one step; False where the system or the file system cannot."""
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # a C library from before 2018
        return False
    paths = (_AT_FDCWD, os.fsencode(stage), _AT_FDCWD, os.fsencode(out))
    if renameat2(*paths, _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL):
        return False
    raise OSError(number, os.strerror(number))


def _check_replaceable(out: Path, stage: Path) -> None:
    """Refuse a folder that could not be renamed or written to, once the work is done."""
    if not out.is_dir():
        return
    found, parent = out.stat(), out.parent.stat()
    user = os.geteuid() if hasattr(os, "geteuid") else 0
    problem = None
    if _is_mount(out) or found.st_dev != stage.stat().st_dev:
        problem = f"is a mount of its own, which cannot be replaced: choose '{out / 'NAME'}'"
    elif not os.access(out, os.W_OK | os.X_OK):
        problem = "cannot be written by this user: choose another --out"
    elif parent.st_mode & stat.S_ISVTX and user not in (0, found.st_uid, parent.st_uid):
        problem = "is another user's, in a folder where only they replace it: choose another --out"
    if problem is not None:
        raise OutputError(f"'{out}' {problem}", path=str(out))


def _is_mount(folder: Path) -> bool:
    """Return whether something is mounted there; another folder of the same disk, too."""
    if os.path.ismount(folder):
        return True
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return False
    places = (line.split()[4].decode("unicode_escape").encode("latin-1") for line in lines)
    return os.fsencode(folder) in places
