"""Finds the compilers for a processor, and runs them.

Not what is compiled: see `build.py`.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatelet.devices.toolchains import GCC, ZIG, Toolchain
from gatelet.errors import CompilerFailed

BUILD_TIMEOUT_S = 600
_SAID_CHARACTERS = 300

_TELLING = re.compile(
    r"\b(error: (?!ld returned)|undefined|overflow|ASSERT|truncated|will not fit)"
)

_FREESTANDING = ("-fno-unwind-tables", "-fno-exceptions", "-fno-sanitize=all", "-g0")


@dataclass(frozen=True)
class Compiler:
    """A compiler for one processor.

    Args:
        kind: GCC or ZIG.
        command: The program and its flags for the processor.
        version: As it tells it: 'zig 0.15.1'.
        archiver: What makes static libraries of its objects.
        cache: Where zig may keep what it builds; None for its own place.
    """

    kind: str
    command: tuple[str, ...]
    version: str
    archiver: tuple[str, ...]
    cache: Path | None = None

    def archive(self, name: str, objects: Sequence[str], *, folder: Path) -> bytes:
        """Make a static library in a folder, the same bytes of the same objects.

        Raises:
            CompilerFailed: The archiver cannot be run, or fails.
        """
        words = [*self.archiver, "rcsD", name, *objects]
        done = run_command(words, folder=folder, cache=self.cache)
        if done.returncode:
            raise CompilerFailed(f"{self.archiver[0]} fails: {done.stderr[:_SAID_CHARACTERS]}")
        return (folder / name).read_bytes()

    def run(self, words: Sequence[str], *, folder: Path) -> None:
        """Run it in a folder.

        Raises:
            CompilerFailed: It cannot be run, or refuses its input; the message holds what it says.
        """
        done = run_command([*self.command, *words], folder=folder, cache=self.cache)
        if done.returncode:
            lines = [one for one in done.stderr.splitlines() if one.strip()]
            said = [one for one in lines if _TELLING.search(one)] or lines or [""]
            text = " ".join(said[0].split())
            raise CompilerFailed(f"{self.version} refuses the self-test: {text[:_SAID_CHARACTERS]}")


def find_compiler(cpu: Toolchain, *, kind: str = "", cache: Path | None = None) -> Compiler:
    """Return the compiler for a processor: the one that it prefers, else the other.

    Args:
        cpu: A row of TOOLCHAINS.
        kind: GCC or ZIG: this one and no other.
        cache: See `Compiler`.

    Raises:
        CompilerFailed: None is installed here; the message says how to install one.
    """
    order = (kind,) if kind else tuple(dict.fromkeys((cpu.prefers, ZIG, GCC)))
    for one in order:
        program = zig_program() if one == ZIG and cpu.zig_flags else ""
        if one == GCC and cpu.gcc:
            program = shutil.which(cpu.gcc[0]) or ""
        if program:
            version = _version(one, program, cpu, cache)
            words = (program, *(("cc", *cpu.zig_flags) if one == ZIG else cpu.gcc_flags))
            if one == ZIG:
                words = (*words, *_FREESTANDING)
            gcc = program.removesuffix("gcc")
            archiver = (program, "ar") if one == ZIG else (f"{gcc}ar",)
            return Compiler(one, words, version, archiver, cache)
    ways = [*(["pip install ziglang"] if cpu.zig_flags and kind != GCC else [])]
    ways += [f"apt-get install {cpu.gcc[1]}"] if cpu.gcc and kind != ZIG else []
    raise CompilerFailed(
        f"no compiler for {cpu.title} is installed here: {' or '.join(ways) or cpu.without}"
    )


def zig_program() -> str:
    """Return the path of zig's program, or '' where ziglang is not installed."""
    package = importlib.util.find_spec("ziglang")
    if package is None or package.origin is None:
        return ""
    # the program itself: `python -m ziglang` takes a Python to start it
    name = "zig.exe" if sys.platform == "win32" else "zig"
    return str(Path(package.origin).parent / name)


def _version(kind: str, program: str, cpu: Toolchain, cache: Path | None) -> str:
    words = ["version"] if kind == ZIG else ["-dumpfullversion", "-dumpversion"]
    done = run_command([program, *words], cache=cache)
    if done.returncode:
        raise CompilerFailed(f"the compiler {program} does not tell its version")
    name = "zig" if kind == ZIG else cpu.gcc[0]
    return f"{name} {done.stdout.strip()}"


def run_command(
    command: Sequence[str], *, folder: Path | None = None, cache: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a compiler, a linker or an archiver, and return what it says.

    Args:
        command: The program and its words.
        folder: Where it runs; None for the current one.
        cache: See `Compiler`.

    Raises:
        CompilerFailed: It cannot be run, or does not end.
    """
    places: Mapping[str, str] = {}
    if cache is not None:
        places = {f"ZIG_{one}_CACHE_DIR": str(cache) for one in ("GLOBAL", "LOCAL")}
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env={**places, **os.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompilerFailed(f"the C compiler {command[0]} cannot be run: {error}") from error
