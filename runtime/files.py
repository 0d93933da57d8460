"""Writing that a crash cannot leave half done: a temporary name first, then a rename.

Not the bundle format: that is `gatelet.runtime.bundle.opening`.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from gatelet.errors import OutputError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Args:
        path: Where the file goes; its folder exists.
        data: The whole content.

    Raises:
        OutputError: The file cannot be written there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise OutputError(
            f"cannot write '{path}': {error.strerror or error}", path=str(path)
        ) from error


def check_output_directory(out: Path, *, marker: str, kind: str) -> None:
    """Refuse an output place that is some other folder or file.

    Args:
        out: The folder that will be written.
        marker: The file whose presence says that the folder is ours.
        kind: What we write, for the message: 'bundle', 'run'.

    Raises:
        OutputError: `out` is a file, or a folder that is neither empty nor ours, it lies in a
            bundle, or its parent does not exist or cannot be written.
    """
    around = _bundle_around(out)
    if around is not None:
        raise OutputError(
            f"'{out}' is inside the bundle '{around}', which is copied and replaced as one: "
            "choose an --out beside it",
            path=str(out),
        )
    if out.is_dir():
        if (out / marker).is_file() or not any(out.iterdir()):
            return
        raise OutputError(
            f"'{out}' is a folder that is no {kind} (it has no {marker}): "
            "nothing was written; choose another --out, or empty it first",
            path=str(out),
        )
    if out.exists() or out.is_symlink():
        raise OutputError(f"'{out}' is not a folder: choose another --out", path=str(out))
    if not out.absolute().parent.is_dir():
        raise OutputError(
            f"the folder '{out.absolute().parent}' does not exist: create it, "
            "or choose another --out",
            path=str(out),
        )
    if not os.access(out.absolute().parent, os.W_OK):
        raise OutputError(
            f"the folder '{out.absolute().parent}' cannot be written by this user: "
            "choose another --out",
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
def stage_beside(out: Path) -> Iterator[Path]:
    """Yield an empty folder next to `out`, on the same file system, and remove it afterwards.

    Folders that a killed process left behind are removed first.

    Args:
        out: The folder that the staged content is meant for.

    Yields:
        The staging folder. Rename it or its files into place; what is left is deleted.
    """
    import shutil  # not at the start of every process

    out = out.absolute()
    prefix = f".{out.name}.stage-"
    for left in out.parent.glob(f"{prefix}*"):
        owner = left.name.removeprefix(prefix)
        if owner.isdigit() and not _is_running(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    stage = out.parent / f"{prefix}{os.getpid()}"
    try:
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
    except OSError as error:
        raise OutputError(
            f"cannot write beside '{out}': {error.strerror or error}", path=str(out)
        ) from error
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def replace_directory(stage: Path, out: Path) -> None:
    """Put a complete staged folder in the place of `out`.

    Args:
        stage: A folder on the same file system.
        out: Missing, empty, or a folder of the same kind, which is deleted.

    Raises:
        OutputError: The rename failed; `out` is as it was.
    """
    import shutil  # not at the start of every process

    old = stage.with_name(f"{stage.name}.old")
    had_old = out.is_dir()
    try:
        if had_old:
            out.rename(old)
        try:
            stage.rename(out)
        except OSError:
            if had_old:
                old.rename(out)
            raise
    except OSError as error:
        raise OutputError(
            f"cannot replace '{out}': {error.strerror or error}", path=str(out)
        ) from error
    shutil.rmtree(old, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
