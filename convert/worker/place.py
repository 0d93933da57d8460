"""Where compilers and converters work: a folder whose path they all read as it is meant.

Not what they make there.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from gatelet.errors import OutputError
from gatelet.runtime.stages import temporary_folder

_PLAIN = re.compile(r"[\w ./+@=,~-]*")
"""Letters and digits of any script, and marks that mean nothing in a list of dependencies, a
pattern of file names, or a format."""
PLAIN_PATHS = "a folder whose path has only letters, digits, spaces and ./+@=,~_-"


def is_plain(folder: Path) -> bool:
    """Return whether every tool takes a path for what it is."""
    return _PLAIN.fullmatch(str(folder)) is not None


@contextlib.contextmanager
def place_for_tools(stage: Path) -> Iterator[Path]:
    """Yield a folder for the files of compilers and converters.

    Args:
        stage: Of the bundle, in the folder and with the name that its user chose.

    Yields:
        The stage, whose files go with it; or a temporary folder where its path means something
        else to a tool: `%` to a linker, `[` to TensorFlow.

    Raises:
        OutputError: The path of the system's temporary folder does so too.
    """
    if is_plain(stage):
        yield stage
        return
    with temporary_folder() as folder:
        if not is_plain(folder):
            raise OutputError(
                f"compilers and converters can work neither in '{stage.parent}' nor in "
                f"'{folder.parent.parent}': set TMPDIR to {PLAIN_PATHS}",
                path=str(folder.parent.parent),
            )
        yield folder
