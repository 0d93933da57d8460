"""Compiles a model's C source to shared libraries, with ziglang or the system's compiler.

Not the source: see `files`.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatelet.convert.exporters.c.source import all_kernels_text, kernel_names
from gatelet.convert.worker.place import PLAIN_PATHS, is_plain
from gatelet.devices.compilers import run_command, zig_program
from gatelet.errors import BackendError, CompilerFailed, OutputError
from gatelet.runtime.backends.c.cache import fetch, own_folder
from gatelet.runtime.backends.host import host_platform
from gatelet.runtime.stages import temporary_folder

FLAGS = (
    "-std=c11",
    "-O3",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fPIC",
    "-ffunction-sections",
    "-Werror=shift-count-overflow",
)
_LIBRARY_FLAGS = ("-fvisibility=hidden", "-DGATELET_LIBRARY")

# what each x86-64 level is compiled for; the plain path is what the others are tested against
_V2 = ("-msse4.2", "-mpopcnt")
_V3 = (*_V2, "-mavx2", "-mfma", "-mbmi", "-mbmi2", "-mlzcnt")
_V4 = (*_V3, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni")
LEVELS = {
    "plain": ("-DGATELET_PLAIN", "-DGATELET_SUFFIX=_plain"),
    "v2": (*_V2, "-DGATELET_SUFFIX=_v2"),
    "v3": (*_V3, "-DGATELET_SUFFIX=_v3"),
    "v4": (*_V4, "-DGATELET_SUFFIX=_v4"),
}

_DOT_PRODUCT = {"zig": "-mcpu=generic+v8_2a+dotprod", "cc": "-march=armv8.2-a+dotprod"}

ZIG_TARGETS = {
    "x86_64-linux": "x86_64-linux-musl",
    "aarch64-linux": "aarch64-linux-musl",
    "armv7-linux": "arm-linux-musleabihf",
    "armv6-linux": "arm-linux-musleabihf",
    "riscv64-linux": "riscv64-linux-musl",
}
"""By platform. The C library named is of no account: libraries are linked with none."""

# NEON, and nothing that came after it; no tables for unwinding, which need functions of a libc
_NO_TABLES = ("-fno-unwind-tables", "-fno-asynchronous-unwind-tables")
_PLATFORM_FLAGS = {
    "armv7-linux": ("-mcpu=cortex_a8", *_NO_TABLES),
    "armv6-linux": ("-mcpu=arm1176jzf_s", *_NO_TABLES),
}
# these processors divide by functions of the compiler's own library
_LINK_FLAGS = {"armv7-linux": ("-lcompiler_rt",), "armv6-linux": ("-lcompiler_rt",)}


@dataclass(frozen=True)
class Library:
    """A shared library.

    Args:
        platform: Such as 'x86_64-linux'.
        suffix: Of its file.
        data: Its bytes.
    """

    platform: str
    suffix: str
    data: bytes


def compilers() -> dict[str, list[str]]:
    """Return the compilers that are installed, by name."""
    found = {}
    program = zig_program()
    if program:
        found["zig"] = [program, "cc"]
    for name in ("cc", "gcc", "clang"):
        path = shutil.which(name)
        if path is not None:
            found[name] = [path]
    return found


def build_libraries(
    linked: str, levels: str, platforms: Sequence[str] = (), *, scratch: Path | None = None
) -> list[Library]:
    """Build a shared library for this machine, and for further platforms.

    Args:
        linked: The model's calls, to be linked with the kernels.
        levels: The file that chooses among x86-64 levels.
        platforms: Keys of ZIG_TARGETS beside this machine's.
        scratch: Where temporary files go; None for the system's place.

    Returns:
        What could be built. Of this machine's there is none where only the runtime can make one.

    Raises:
        CompilerFailed: There is no compiler, or it refuses the source.
    """
    found, here = compilers(), host_platform()
    if "cc" not in found and not ("zig" in found and here in ZIG_TARGETS):
        raise CompilerFailed(
            "there is no C compiler here: pip install ziglang, or install one that is called cc"
        )
    libraries = []
    for one in dict.fromkeys([here, *platforms]):
        link: tuple[str, ...] = ("-lgcc",)
        if "zig" in found and one in ZIG_TARGETS:
            flags = _PLATFORM_FLAGS.get(one, ())
            command = [*found["zig"], "-target", ZIG_TARGETS[one], *flags]
            link = _LINK_FLAGS.get(one, ())
        elif "cc" in found and one == here and here.endswith("-linux"):
            command = found["cc"]
        elif one == here:
            continue
        else:
            raise CompilerFailed(f"libraries for {one} need ziglang: pip install ziglang")
        with tempfile.TemporaryDirectory(dir=scratch, prefix="gatelet-c-") as folder:
            libraries.append(
                Library(one, ".so", _build(command, one, linked, levels, Path(folder), link))
            )
    return libraries


def _levels_of(platform: str, command: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return what a platform's library is compiled for, more than once; {} of all others."""
    if platform == "aarch64-linux":
        flag = _DOT_PRODUCT["zig" if len(command) > 1 else "cc"]
        suffixes = {"plain": (), "dotprod": (flag,)}
        return {name: (*own, f"-DGATELET_SUFFIX=_{name}") for name, own in suffixes.items()}
    return LEVELS if platform.startswith("x86_64") else {}


def _build(
    command: Sequence[str],
    platform: str,
    linked: str,
    levels: str,
    folder: Path,
    link: Sequence[str],
) -> bytes:
    """Compile and link in an empty folder."""
    model, chooser, made = (folder / n for n in ("model.c", "levels.c", "library.so"))
    model.write_text(linked, "utf-8")
    objects = []
    by_level = _levels_of(platform, command)
    if by_level:
        chooser.write_text(levels, "utf-8")
        objects.append(_object(command, chooser, (), folder / "levels.o"))
        for level, flags in by_level.items():
            objects.append(kernel_object(command, flags))
            objects.append(_object(command, model, flags, folder / f"{level}.o"))
    else:
        flags = ("-DGATELET_ONE_LEVEL",)
        objects.append(kernel_object(command, flags))
        objects.append(_object(command, model, flags, folder / "model.o"))
    given = ["-shared", "-nostdlib", "-s", "-Wl,--gc-sections", "-o", str(made)]
    run_compiler([*command, *given, *map(str, objects), *link])
    return made.read_bytes()


def kernel_object(command: Sequence[str], flags: Sequence[str]) -> Path:
    """Return the kernels compiled with some flags, from the user's cache folder where they are."""
    text = all_kernels_text()
    key = "\0".join((text, *command, *FLAGS, *flags))

    def compiled() -> bytes:
        with temporary_folder() as temporary:
            source = temporary / "kernels.c"
            source.write_text(text, "utf-8")
            return _object(command, source, flags, temporary / "kernels.o").read_bytes()

    stem = hashlib.sha256(key.encode()).hexdigest()[:24]
    try:
        return fetch(_cache() / "kernels", stem, ".o", compiled)
    except (OSError, OutputError) as error:
        raise CompilerFailed(f"the kernels cannot be compiled: {error}") from error


def _object(command: Sequence[str], source: Path, flags: Sequence[str], made: Path) -> Path:
    level = next((f for f in flags if f.startswith("-DGATELET_SUFFIX=")), "")
    suffix = level.removeprefix("-DGATELET_SUFFIX=")
    # the levels of one library are linked together, so each has names of its own
    renamed = [f"-D{name}={name}{suffix}" for name in kernel_names()] if suffix else []
    run_compiler(
        [*command, *FLAGS, *_LIBRARY_FLAGS, *flags, *renamed, "-c", str(source), "-o", str(made)]
    )
    return made


def _cache() -> Path:
    try:
        folder = own_folder()
    except BackendError as error:
        raise CompilerFailed(str(error)) from error
    if not is_plain(folder):
        raise CompilerFailed(
            f"compilers cannot work in '{folder}', where gatelet keeps what they make: set "
            f"GATELET_CACHE to {PLAIN_PATHS}"
        )
    return folder


def run_compiler(command: Sequence[str]) -> None:
    """Run a compiler, or a linker.

    Raises:
        CompilerFailed: It cannot be run, or refuses its input.
    """
    done = run_command(command, cache=_cache() / "zig")
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr)
        raise CompilerFailed(f"the C compiler refuses the model's source: {said.strip()[:300]}")
