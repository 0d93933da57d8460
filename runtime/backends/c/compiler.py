"""Compiles a bundle's C source where it has no library for this machine.

Not the builds at conversion: those are gatelet.convert's.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from gatelet.errors import BackendError, BackendMissing, OutputError
from gatelet.runtime.backends.c.cache import fetch, own_folder
from gatelet.runtime.backends.host import described_processor, host_platform
from gatelet.runtime.stages import temporary_folder

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
    text = source.read_bytes()
    told = "\0".join((*compiler, *_FLAGS, host_platform(), described_processor()))
    stem = f"c-{hashlib.sha256(text + told.encode()).hexdigest()[:24]}"
    try:
        return fetch(own_folder(), stem, ".so", lambda: _compile(compiler, text, source.name))
    except (OSError, OutputError) as error:
        raise BackendError(f"'{source.name}' cannot be compiled: {error}", target="c") from error


def _compile(compiler: Sequence[str], text: bytes, name: str) -> bytes:
    """Compile what was read: the file may be replaced by now."""
    called = " ".join(compiler)
    with temporary_folder() as folder:
        source, out = folder / "model.c", folder / "library.so"
        source.write_bytes(text)
        native = ["-march=native"] if os.uname().machine != "armv7l" else []
        command = [*compiler, *_FLAGS, *native, "-o", str(out), str(source)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise BackendError(
                f"the C compiler '{called}' did not end within {_TIMEOUT_S} s", target="c"
            ) from error
        if done.returncode:
            said = next(iter(done.stderr.strip().splitlines()), "it said nothing")
            raise BackendError(
                f"the C compiler '{called}' refuses '{name}': {said[:200]}", target="c"
            )
        return out.read_bytes()
