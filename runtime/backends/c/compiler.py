"""Compiles a bundle's C source where it has no library for this machine.

Not the builds at conversion: those are gatelet.convert's.
"""

import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gatelet.errors import BackendError, BackendMissing
from gatelet.runtime.backends.host import described_processor, host_platform

_TIMEOUT_S = 300
_FLAGS = (
    "-std=c11",
    "-O3",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-DGATELET_LIBRARY",
    "-DGATELET_ONE_LEVEL",
)


def own_folder() -> Path:
    """Return a folder for what compilers make, which nobody else can write to.

    Returns:
        $GATELET_CACHE, or `gatelet` in $XDG_CACHE_HOME or ~/.cache; where that cannot be written, a
        folder of this user's in the temporary one.

    Raises:
        BackendError: Neither can be.
    """
    try:
        named = os.environ.get("GATELET_CACHE")
        base = Path(os.environ.get("XDG_CACHE_HOME", ""))
        folder = Path(named) if named else (base if base.is_absolute() else _home()) / "gatelet"
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        pass
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"gatelet-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise BackendError(
            f"'{folder}' cannot be made: {error.strerror}: set GATELET_CACHE to a folder of yours"
        ) from error
    is_ours = found.st_uid == user and stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o022
    if hasattr(os, "getuid") and not is_ours:
        raise BackendError(f"'{folder}' is not yours alone: set GATELET_CACHE to a folder that is")
    return folder


def _home() -> Path:
    return Path.home() / ".cache"


def find_compiler() -> list[str] | None:
    """Return the command of the C compiler, `$CC` (such as 'ccache gcc') or cc; None if missing."""
    try:
        words = shlex.split(os.environ.get("CC", "")) or ["cc"]
    except ValueError:  # a quotation without an end
        return None
    program = shutil.which(words[0])
    return None if program is None else [program, *words[1:]]


def compile_library(source: Path) -> Path:
    """Return the library made from a source, compiled now or found in the user's cache folder.

    Raises:
        BackendMissing: There is no C compiler.
        BackendError: It refuses the source, or there is no folder to write to.
    """
    compiler = find_compiler()
    if compiler is None:
        named = os.environ.get("CC")
        called = f" that is called '{named}', as CC says," if named else ""
        raise BackendMissing(
            f"the c backend has no library for this machine, and no C compiler{called} to make "
            "one: install one (such as gcc), or use another --target",
            target="c",
        )
    told = "\0".join((*compiler, *_FLAGS, host_platform(), described_processor()))
    key = hashlib.sha256(source.read_bytes() + told.encode())
    made = own_folder() / f"c-{key.hexdigest()[:24]}.so"
    if not made.exists():
        _compile(compiler, source, made)
    return made


def _compile(compiler: Sequence[str], source: Path, made: Path) -> None:
    """Compile to a temporary name, and rename: another process may do the same."""
    called = " ".join(compiler)
    try:
        with tempfile.TemporaryDirectory(dir=made.parent, prefix="c-") as folder:
            out = Path(folder) / made.name
            native = ["-march=native"] if os.uname().machine != "armv7l" else []
            command = [*compiler, *_FLAGS, *native, "-o", str(out), str(source)]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
            if done.returncode:
                said = next(iter(done.stderr.strip().splitlines()), "it said nothing")
                raise BackendError(
                    f"the C compiler '{called}' refuses '{source.name}': {said[:200]}", target="c"
                )
            with out.open("rb") as file:
                os.fsync(file.fileno())  # half a file, after a power cut, would stay there for good
            out.replace(made)
    except subprocess.TimeoutExpired as error:
        raise BackendError(
            f"the C compiler '{called}' did not end within {_TIMEOUT_S} s", target="c"
        ) from error
    except OSError as error:
        raise BackendError(
            f"'{source.name}' cannot be compiled into '{made.parent}': {error}", target="c"
        ) from error
