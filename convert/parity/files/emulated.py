"""Runs c libraries of other processors under qemu-user, with Debian's C library of that system.

Not libraries of this machine, and not what is made of their scores.
"""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.c.build import ZIG_TARGETS, compilers, run_compiler
from gatelet.convert.exporters.c.source import KERNELS
from gatelet.convert.rows.rows import Rows
from gatelet.errors import BackendError
from gatelet.runtime.graph.graph import Graph

_PROGRAM = Path(__file__).with_name("emulated.c")
_MOST, _ALIGNMENT, _LARGEST_BYTES = 8, 64, 2**26
_TIMEOUT_S = 120
_ENDS = {
    2: "it cannot be opened",
    3: "it has another interface",
    4: "the weights do not belong to it",
    5: "the rows take too much memory",
    6: "it refuses the rows",
}

Array = NDArray[Any]


@dataclass(frozen=True)
class System:
    """An emulated system.

    Args:
        machine: The processor's kind.
        folder: Below /usr, where its C library is.
        loader: Its program that loads libraries.
        emulator: The command.
    """

    machine: str
    folder: str
    loader: str
    emulator: str


SYSTEMS = {
    "aarch64-linux": System(
        "aarch64", "aarch64-linux-gnu", "ld-linux-aarch64.so.1", "qemu-aarch64"
    ),
    "armv7-linux": System("armv7", "arm-linux-gnueabihf", "ld-linux-armhf.so.3", "qemu-arm"),
}
"""By the platform of a library."""


def refusal(platform: str) -> str:
    """Return why libraries of a platform cannot be run here; '' where they can."""
    system = SYSTEMS.get(platform)
    if system is None:
        return f"nothing here emulates {platform}"
    if shutil.which(system.emulator) is None or not _loader(system).exists():
        return (
            f"nothing here emulates {platform}: apt-get install qemu-user libc6-arm64-cross "
            "libc6-armhf-cross"
        )
    return "" if "zig" in compilers() else "its emulation needs ziglang: pip install ziglang"


def _loader(system: System) -> Path:
    return Path("/usr") / system.folder / "lib" / system.loader


def run_emulated(
    library: Path, weights: Path, platform: str, graph: Graph, rows: Rows, folder: Path
) -> dict[str, Array]:
    """Run whole sequences.

    Args:
        library: The library.
        weights: The artifact.
        platform: A key of `SYSTEMS`.
        graph: The model: its inputs and outputs.
        rows: The inputs [N, ...].
        folder: For temporary files.

    Returns:
        float32 [N, ...] by graph output; what has a size that only a run tells is flat.

    Raises:
        BackendError: It does not run there.
    """
    system = SYSTEMS[platform]
    program = folder / f"{platform}.program"
    if not program.exists():
        _compile(system, platform, program)
    for path, name in ((library, "library.so"), (weights, "weights.bin")):
        shutil.copyfile(path, folder / name)
    shapes = _output_shapes(graph, rows)
    (folder / "call.bin").write_bytes(_call(graph, rows, shapes))
    command = [system.emulator, "-L", f"/usr/{system.folder}", str(program)]
    try:
        done = subprocess.run(
            command, cwd=folder, check=False, capture_output=True, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"under {system.emulator} it did not end", target="c") from error
    if done.returncode:
        why = _ENDS.get(done.returncode, f"it ended with {done.returncode}")
        raise BackendError(f"under {system.emulator}: {why}", target="c")
    found, place = {}, 0
    for name, shape in shapes.items():
        count = int(np.prod(shape))
        found[name] = np.frombuffer(done.stdout, np.float32, count, place).reshape(shape)
        place += _rounded(4 * count)
    return found


def _compile(system: System, platform: str, program: Path) -> None:
    target = ZIG_TARGETS[platform].replace("musl", "gnu")
    flags = ("-target", target, "-nostdlib", "-O1", "-fno-sanitize=all", "-fno-builtin")
    libc = str(_loader(system).with_name("libc.so.6"))
    linked = (libc, f"-Wl,--dynamic-linker=/lib/{system.loader}")
    given = (f"-I{KERNELS}", "-o", str(program), str(_PROGRAM), *linked)
    run_compiler([*compilers()["zig"], *flags, *given])


def _output_shapes(graph: Graph, rows: Rows) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the outputs; a size that is open is the timesteps of the first input."""
    first = next(iter(rows.feed.values()))
    timesteps = first.shape[1] if first.ndim > 1 else 1
    return {
        name: (len(rows), *(timesteps if n is None else n for n in graph.shape_of(name)[1:]))
        for name in graph.outputs
    }


def _call(graph: Graph, rows: Rows, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """Return what the program reads: a head, and the inputs."""
    given, sizes = [], []
    for one in graph.inputs:
        array = rows.feed[one.name].astype(np.int32 if one.dtype == "int32" else np.float32)
        sizes += [n for n, d in zip(array.shape[1:], one.shape[1:], strict=True) if d is None]
        given.append(array.tobytes())
    made = [4 * int(np.prod(shape)) for shape in shapes.values()]
    room = max(sum(map(_rounded, map(len, given))), sum(map(_rounded, made)))
    if max(len(given), len(made), len(sizes)) > _MOST or room > _LARGEST_BYTES:
        raise BackendError("there are more values than its emulation takes", target="c")
    head = np.zeros(3 + 3 * _MOST, np.int32)
    head[:3] = len(rows), len(given), len(made)
    for place, values in enumerate((sizes, [len(one) for one in given], made)):
        head[3 + place * _MOST :][: len(values)] = values
    return head.tobytes() + b"".join(one.ljust(_rounded(len(one)), b"\0") for one in given)


def _rounded(count: int) -> int:
    return -(-count // _ALIGNMENT) * _ALIGNMENT
