"""What the processes of one test run make once between them, such as a trained model.

pytest makes a session's fixture once a process, and pytest-xdist runs several.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Return a folder of this test run, which all its processes see."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Make a folder, once for all processes of this test run.

    Tests must not change what is in it.

    Args:
        factory: pytest's.
        name: Of the folder; two callers that give the same get the same.
        make: Fills the folder, which is empty. If it raises, the next caller tries again.

    Returns:
        The folder, whole.
    """
    folder = shared_folder(factory) / f"shared-{name}"
    with locked(folder):
        done = folder.with_name(f"{folder.name}.done")
        if not done.exists():
            folder.mkdir()
            try:
                make(folder)
            except BaseException:
                # what failed may hold a clue, and must not be in the next one's way
                folder.rename(folder.with_name(f"{folder.name}.failed-{os.getpid()}"))
                raise
            done.touch()
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock beside a path; another process waits for it."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
