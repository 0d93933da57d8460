"""Compiles a bundle's C source where it has no library for this machine.

Not the builds at conversion: those are gatelet.convert's.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from gatelet.errors import BackendError, BackendMissing

__all__ = ["compile_library", "find_compiler", "host_platform"]

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


def host_platform() -> str:
    """Name this machine as the companions of a bundle do: 'x86_64-linux'."""
    machine = platform.machine().lower()
    names = {"amd64": "x86_64", "arm64": "aarch64", "armv7l": "armv7", "armv8l": "armv7"}
    return f"{names.get(machine, machine)}-{sys.platform}"


def find_compiler() -> str | None:
    """Give the path of the C compiler, `$CC` or cc; None where there is none."""
    return shutil.which(os.environ.get("CC", "cc"))


def compile_library(source: Path) -> Path:
    """Give the library made from a source, compiled now or found in the user's cache folder.

    Raises:
        BackendMissing: There is no C compiler.
        BackendError: It refuses the source, or the cache folder cannot be written.
    """
    compiler = find_compiler()
    if compiler is None:
        raise BackendMissing(
            "the c backend has no library for this machine, and no C compiler to make one: "
            "install one (such as gcc), or use another --target",
            target="c",
        )
    key = hashlib.sha256(source.read_bytes() + "\0".join((compiler, *_FLAGS)).encode())
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gatelet"
    made = folder / f"c-{key.hexdigest()[:24]}.so"
    if not made.exists():
        _compile(compiler, source, made)
    return made


def _compile(compiler: str, source: Path, made: Path) -> None:
    """Compile to a temporary name, and rename: another process may do the same."""
    try:
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent, prefix="c-") as folder:
            out = Path(folder) / made.name
            native = ["-march=native"] if os.uname().machine != "armv7l" else []
            command = [compiler, *_FLAGS, *native, "-o", str(out), str(source)]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
            if done.returncode:
                said = next(iter(done.stderr.strip().splitlines()), "it said nothing")
                raise BackendError(
                    f"the C compiler '{compiler}' refuses '{source.name}': {said[:200]}", target="c"
                )
            out.replace(made)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(
            f"'{source.name}' cannot be compiled into '{made.parent}': {error}", target="c"
        ) from error
