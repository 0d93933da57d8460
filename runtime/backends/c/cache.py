"""What compilers made, kept for the next time: nothing in it was made, or changed, by another user.

A file's name ends in the digest of its content, and it is read whole before it is used: one that
was cut off or altered is made anew.

Not how it is made, which is the callers'.
"""

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from gatelet.errors import BackendError
from gatelet.runtime.files import write_atomically

# no link, no waiting for a pipe, no translation of line ends
_PLAIN = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def own_folder() -> Path:
    """Return a folder for what compilers make, which nobody else can write to.

    Returns:
        $GATELET_CACHE, or `gatelet` in $XDG_CACHE_HOME or ~/.cache; where others can write there
        too, a private folder in it; else one of this user's in the system's temporary one.

    Raises:
        BackendError: There is none.
    """
    named = os.environ.get("GATELET_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    temporary = Path(tempfile.gettempdir())
    user = os.geteuid() if sys.platform != "win32" else 0
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: there is no home
        folder = Path(named) if named else (base if base.is_absolute() else _home()) / "gatelet"
        folder.parent.mkdir(parents=True, exist_ok=True)
        for place in (folder, folder / f"own-{user}"):
            if (made := _make_private(place)) is not None:
                return made
    with contextlib.suppress(OSError):
        prefix = f"gatelet-{user}"
        # the second and later ones are there where another user was first to take a name
        for place in (temporary / prefix, *sorted(temporary.glob(f"{prefix}-*"))):
            if (made := _make_private(place)) is not None:
                return made
        made = _make_private(Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=temporary)))
        if made is not None:
            return made
    raise BackendError(
        f"neither the user's cache folder nor '{temporary}' is a place where this user alone "
        "writes: set GATELET_CACHE to one"
    )


def _home() -> Path:
    return Path.home() / ".cache"


def _make_private(folder: Path) -> Path | None:
    """Make a folder unless it is there; None where others can write to it, or exchange it."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _is_own(folder.lstat()):  # another user's link
            return None
        place = folder.resolve()
        is_private = _is_private(place.stat()) and os.access(place, os.W_OK | os.X_OK)
        return place if is_private and all(map(_keeps_names, place.parents)) else None
    return None


def _is_own(found: os.stat_result) -> bool:
    return sys.platform == "win32" or found.st_uid == os.geteuid()


def _is_private(found: os.stat_result) -> bool:
    """Return whether a file or folder is this user's, and nobody else may write to it."""
    # on Windows, modes say nothing: a profile's folders are its user's by their access lists
    return sys.platform == "win32" or (_is_own(found) and not found.st_mode & _OTHERS_WRITE)


def _keeps_names(folder: Path) -> bool:
    """Return whether no other user but root can rename what this user has in a folder."""
    if sys.platform == "win32":
        return True
    found = folder.stat()
    if found.st_uid not in (0, os.geteuid()):
        return False
    # the user's own group is often that of a single user, with the umask 002
    others = stat.S_IWOTH if found.st_gid == os.getegid() else _OTHERS_WRITE
    return bool(found.st_mode & stat.S_ISVTX) or not found.st_mode & others


def fetch(folder: Path, stem: str, suffix: str, make: Callable[[], bytes]) -> Path:
    """Return a file of a cache, made now unless it is there and whole.

    Args:
        folder: `own_folder()`, or a folder in it, which is made if missing.
        stem: What its name begins with: a digest of all that it is made of.
        suffix: What its name ends with.
        make: Gives its content.

    Raises:
        OSError: It cannot be written.
        OutputError: Likewise.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    for path in sorted(folder.glob(f"{stem}-*{suffix}")):
        data = _read(path)
        if data is not None and path.name == _name(stem, suffix, data):
            return path
        with contextlib.suppress(OSError):
            path.unlink()
    data = make()
    path = folder / _name(stem, suffix, data)
    write_atomically(path, data)
    path.chmod(0o600)  # whatever the umask lets others do
    return path


def _read(path: Path) -> bytes | None:
    """Return a file's content; None of a link, or of what this user did not make."""
    try:
        handle = os.open(path, os.O_RDONLY | _PLAIN)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        return file.read() if stat.S_ISREG(found.st_mode) and _is_private(found) else None


def _name(stem: str, suffix: str, data: bytes) -> str:
    return f"{stem}-{hashlib.sha256(data).hexdigest()}{suffix}"
