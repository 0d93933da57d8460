"""Whether an engine failed for want of files or room here: that is no verdict on its artifact.

Not for want of memory: an artifact that asks for too much is a broken one.
"""

import errno
import os
from collections.abc import Iterator

from gatelet.errors import BackendError

_NEEDED_FILES = 8  # an engine that opens a file may open a library, a log or a pipe besides
_EXHAUSTED = {
    errno.EMFILE: "this process may open no more files: raise the limit, with ulimit -n",
    errno.ENFILE: "this machine may open no more files",
    errno.ENOSPC: "a file system has no room left",
    errno.EDQUOT: "a file system has no room left for this user",
}


def refuse_if_exhausted(error: Exception, artifact: str) -> None:
    """Refuse to judge an artifact that failed for want of something.

    Engines tell an error of the system in words of their own, or as another one, so what is left
    is looked at too.

    Args:
        error: What its engine raised.
        artifact: Its name, for the message.

    Raises:
        BackendError: It did.
    """
    found = next((e.errno for e in _causes(error) if isinstance(e, OSError) and e.errno), None)
    reason = _EXHAUSTED.get(found or 0) or _no_files_left()
    if reason is not None:
        raise BackendError(f"{artifact} cannot be judged: {reason}") from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _no_files_left() -> str | None:
    opened: list[int] = []
    try:
        for _ in range(_NEEDED_FILES):
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return _EXHAUSTED.get(error.errno or 0)
    finally:
        for handle in opened:
            os.close(handle)
    return None
