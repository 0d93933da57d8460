"""Virtual environments of the engines, made once and kept in a folder, each with a size.

Not the engines: see candidates.py.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INSTALL_TIMEOUT_S = 3600


class NotInstalled(Exception):
    """An environment cannot be made; the message says why."""


def python_of(folder: Path, requirements: Sequence[str]) -> Path:
    """Return the Python of the environment with some requirements, made now or found.

    Raises:
        NotInstalled: pip cannot install them.
    """
    text = "\0".join((sys.version, *requirements, _checkout() if "gatelet" in requirements else ""))
    where = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
    python = where / "bin" / "python"
    if (where / "complete").exists():
        return python
    shutil.rmtree(where, ignore_errors=True)
    _run([sys.executable, "-m", "venv", "--without-pip", str(where)])
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    ours = [one for one in requirements if one != "gatelet"]
    if ours:
        _run([*pip, *ours])
    if "gatelet" in requirements:
        with tempfile.TemporaryDirectory() as copy:
            _copy_tracked(Path(copy))
            _run([*pip, "--no-deps", copy])
    (where / "complete").touch()
    return python


def installed_bytes(python: Path) -> int:
    """Return what the packages take, byte code left out: the environment has no pip of its own."""
    folder = python.parents[1] / "lib"
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files if path.suffix != ".pyc")


def _checkout() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _copy_tracked(folder: Path) -> None:
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "ERROR" in line] or ["it said nothing"]
        raise NotInstalled(said[-1].strip()[:160])
