"""What models in C take of small processors: instructions, code, RAM, stack; and their bits.

    python benchmarks/device_kernels.py [CORE]...

Two models of seeded weights: the quickstart's shape, Embedding(10000, 64) LSTM(64) Dense(1) over
100 tokens, and a sensor's, LSTM(32) over [128, 9]. They are compiled by Debian's gcc -O2 and run
under QEMU. Code is .text and .rodata of the model with what it calls (memcpy, the compiler's own
library), without weights. RAM is scratch, state and stack. The exit status is 1 where a limit is
exceeded, or scores differ from this machine's: at all of full-int8, by 1e-6 of float32, by 1e-5 of
dynamic-int8.

Needs gcc-arm-none-eabi, gcc-riscv64-unknown-elf, picolibc-riscv64-unknown-elf, qemu-system-arm and
qemu-system-misc.
"""

import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.c.build import kernel_object, run_compiler
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.passes import skip_padding
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.streaming import to_stream
from tests.convert.exporters.onnx_graphs import GraphMaker

FIRMWARE = Path(__file__).with_name("device_firmware")
LOOP_INSTRUCTIONS = 300_000
NAMES = ("float32", "dynamic-int8", "full-int8")
APART = {"float32": 1e-6, "dynamic-int8": 1e-5, "full-int8": 0.0}
KIB = 1024
ARM, RISCV = "arm-none-eabi-gcc", "riscv64-unknown-elf-gcc"
FLAGS = (
    *("-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
    *(
        "-ffunction-sections",
        "-fdata-sections",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wno-unused-parameter",
    ),
)


@dataclass(frozen=True)
class Core:
    """A processor, and the emulated board that has it or one that runs its code."""

    machine: str
    flags: tuple[str, ...]
    flash: int = 0
    ram: int = 0x20000000
    big: int = 0

    @property
    def is_arm(self) -> bool:
        """Whether it is a Cortex-M."""
        return self.machine != "virt"


def _arm(cpu: str, machine: str, *more: str, **places: int) -> Core:
    return Core(machine, (f"-mcpu=cortex-{cpu}", "-mthumb", *more), **places)


def _riscv(march: str, abi: str) -> Core:
    flags = (f"-march={march}_zicsr", f"-mabi={abi}", "-mcmodel=medany")
    return Core("virt", flags, flash=0x80000000, ram=0x84000000)


_HARD = "-mfloat-abi=hard"
CORES = {
    "m0plus": _arm("m0plus", "mps2-an385"),
    "m3": _arm("m3", "mps2-an385"),
    "m4f": _arm("m4", "mps2-an386", _HARD, "-mfpu=fpv4-sp-d16"),
    "m7": _arm("m7", "mps2-an500", _HARD, "-mfpu=fpv5-d16"),
    "m33": _arm("m33", "mps2-an505", _HARD, "-mfpu=fpv5-sp-d16", flash=0x10000000, ram=0x38000000),
    "m55": _arm("m55", "mps3-an547", _HARD, big=0x21000000),
    "rv32imc": _riscv("rv32imc", "ilp32"),
    "rv32imafc": _riscv("rv32imafc", "ilp32f"),
}

LIMITS = {
    ("quickstart", "m4f", "float32"): {"instructions": 9.7e6, "code": 10 * KIB},
    ("quickstart", "m4f", "dynamic-int8"): {
        "instructions": 6.5e6,
        "code": 7 * KIB,
        "ram": 4 * KIB,
    },
    ("quickstart", "m4f", "full-int8"): {"instructions": 7.5e6, "code": 7 * KIB, "ram": 4 * KIB},
    ("quickstart", "m55", "dynamic-int8"): {"instructions": 2.6e6},
    ("quickstart", "m55", "full-int8"): {"instructions": 3.0e6},
    ("quickstart", "rv32imafc", "float32"): {"instructions": 10.0e6},
    ("quickstart", "m0plus", "full-int8"): {"instructions": 46.95e6},
    ("sensor", "m4f", "float32"): {"instructions": 2.8e6, "code": 10 * KIB},
    ("sensor", "m4f", "full-int8"): {"instructions": 2.85e6, "code": 7 * KIB},
    ("sensor", "m4f", "dynamic-int8"): {"code": 7 * KIB},
    ("sensor by steps", "m4f", "dynamic-int8"): {"ram": 2 * KIB},
    ("sensor by steps", "m4f", "full-int8"): {"ram": 2 * KIB},
}
"""What a model may take of a core in a scheme."""


@dataclass(frozen=True)
class Case:
    """A model, the row that it is run over, and what its C is called with."""

    graph: Graph
    row: NDArray[Any]
    calibration: NDArray[Any]
    by_steps: bool = False

    @property
    def input(self) -> str:
        """The name of its only input."""
        return self.graph.inputs[0].name


def quickstart() -> Case:
    """Return the quickstart's shape, and a row of 100 real tokens."""
    maker = GraphMaker(seed=1, scale=0.15)
    ids = maker.input("ids", None, None, vocabulary=10_000)
    table = {"embeddings": maker.weight(10_000, 64)}
    x = maker.one("Embedding", [ids], (None, None, 64), weights=table)
    (h,) = maker.recurrence("LSTM", [x], features=64, units=64)
    weights = {"kernel": maker.weight(64, 1), "bias": maker.weight(1)}
    y = maker.one("Dense", [h], (None, 1), weights=weights)
    graph = maker.finish(maker.one("Activation", [y], (None, 1), activation="sigmoid"))
    rows = np.random.default_rng(2).integers(1, 10_000, (32, 100)).astype(np.int32)
    return Case(graph, rows[:1], rows)


def sensor(*, by_steps: bool = False) -> Case:
    """Return an LSTM over nine features with six classes, and a row of 128 timesteps."""
    maker = GraphMaker(seed=3, scale=0.25)
    features = maker.input("features", None, 128 if not by_steps else None, 9)
    (h,) = maker.recurrence("LSTM", [features], features=9, units=32)
    y = maker.one("Dense", [h], (None, 6), weights={"kernel": maker.weight(32, 6)})
    graph = maker.finish(maker.one("Activation", [y], (None, 6), activation="softmax"))
    rows = np.random.default_rng(4).normal(size=(32, 128, 9)).astype(np.float32)
    return Case(graph, rows[:1], rows, by_steps)


CASES = {
    "quickstart": quickstart,
    "sensor": sensor,
    "sensor by steps": lambda: sensor(by_steps=True),
}


def write(case: Case, scheme: str, folder: Path) -> NDArray[Any]:
    """Write a model's files and its row; return the scores that this machine gives."""
    graph = case.graph
    model = Exportable(
        graph,
        skip_padding(graph, timesteps=case.row.shape[1]),
        name="model",
        calibration=Calibration({case.input: case.calibration}, "seeded"),
        streaming=to_stream(graph) if case.by_steps else None,
    )
    written = write_model(model, SCHEMES[scheme])
    files = render(written, model, SCHEMES[scheme])
    (folder / "weights.bin").write_bytes(written.weights)
    for one in files["companions"]:
        if one.role in ("source", "header"):
            (folder / f"model{one.suffix}").write_bytes(one.data)
    (folder / "weights.c").write_text(
        f'__asm__(".section .rodata.weights,\\"a\\"\\n.globl {written.prefix}_weights\\n'
        f'.balign 64\\n{written.prefix}_weights:\\n.incbin \\"weights.bin\\"\\n");\n'
    )
    c_type = {"i": "int32_t", "f": "float"}[case.row.dtype.kind]
    numbers = ", ".join(f"{float(x):.9g}" for x in case.row.flat)
    sizes = "1" if graph.inputs[0].shape[1] else f"1, {case.row.shape[1]}"
    (folder / "row.h").write_text(
        f"#define LOWER {written.prefix}\n#define UPPER {written.prefix.upper()}\n"
        f"#define TIMESTEPS {case.row.shape[1]}\n#define SIZES {sizes}\n"
        f"#define FEATURES {case.row[0, 0].size}\n"
        f"#define SCORES {graph.shape_of(graph.outputs[0])[-1]}\n"
        f"static const {c_type} row[] = {{{numbers}}};\n"
    )
    linked, library = folder / "linked.c", folder / "library.so"
    linked.write_text(files["linked"])
    shared = ("-O2", "-std=c11", "-fPIC", "-DGATELET_LIBRARY", "-DGATELET_ONE_LEVEL")
    kernels = kernel_object(["gcc"], shared)
    run_compiler(["gcc", *shared, "-shared", "-o", str(library), str(linked), str(kernels)])
    backend = CBackend(open_library(library), folder / "weights.bin", engine="c")
    found: NDArray[Any] = backend.run({case.input: case.row})[graph.outputs[0]]
    return found.ravel()


def firmware(folder: Path, core: Core, *flags: str) -> dict[str, int]:
    """Compile and link; return the bytes of each section."""
    compiler = ARM if core.is_arm else RISCV
    include = () if core.is_arm else ("-isystem", "/usr/lib/picolibc/riscv64-unknown-elf/include")
    start = FIRMWARE / ("arm.c" if core.is_arm else "riscv.c")
    names = {"model": folder / "model.c", "weights": folder / "weights.c", "start": start}
    names |= {name: FIRMWARE / f"{name}.c" for name in ("main", "memory")}
    for name, source in names.items():
        # memcpy is not to become a call of itself
        own = ("-fno-tree-loop-distribute-patterns",) if name == "memory" else ()
        _run(
            [
                *(compiler, *core.flags, *FLAGS, *include, *own, *flags, "-O2", "-I."),
                *("-c", str(source), "-o", f"{name}.o"),
            ],
            folder,
        )
    places = {
        "flash": hex(core.flash),
        "ram": hex(core.ram),
        "big": hex(core.big or core.flash + 0x2000000),
        "weights": "BIG" if core.big else "FLASH",
    }
    script = Template((FIRMWARE / "link.ld").read_text()).safe_substitute(places)
    (folder / "link.ld").write_text(script)
    objects = [f"{name}.o" for name in names]
    linked = [one.replace("_zicsr", "") for one in core.flags]
    _run(
        [
            *(compiler, *linked, "-nostdlib", "-Wl,--gc-sections", "-Tlink.ld"),
            *("-o", "firmware.elf", *objects, "-lgcc"),
        ],
        folder,
    )
    sizes = _run(["arm-none-eabi-size", "-A", "firmware.elf"], folder)
    found = (line.split() for line in sizes.splitlines())
    return {one[0]: int(one[1]) for one in found if len(one) == 3 and one[0].startswith(".")}


def emulate(folder: Path, core: Core) -> list[tuple[str, int]]:
    """Run a firmware; return what it says."""
    machine = ["-M", core.machine, "-nographic", "-monitor", "none", "-icount", "shift=0"]
    if core.is_arm:
        quiet = ["-serial", "none", "-semihosting-config", "enable=on,target=native"]
        command = ["qemu-system-arm", *machine, *quiet]
    else:
        command = ["qemu-system-riscv32", *machine, "-bios", "none", "-serial", "stdio"]
    given = [*command, "-kernel", "firmware.elf"]
    done = subprocess.run(
        given, cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )
    said = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    return [(name, int(number, 16)) for name, number in (one for one in said if len(one) == 2)]


def measure(folder: Path, core: Core, *flags: str) -> tuple[dict[str, float], NDArray[Any]]:
    """Return what a firmware takes, and its scores."""
    sections = firmware(folder, core, *flags)
    said = emulate(folder, core)
    one = dict(said)
    if "score" not in one or one["check"] or one["error"]:
        raise SystemExit(f"the firmware stops: {said}")
    found = {name: one[name] for name in ("stack", "scratch", "state")}
    bits = [number for name, number in said if name == "score"]
    scores = np.array([struct.unpack("<f", struct.pack("<I", bit))[0] for bit in bits], np.float32)
    return {
        "instructions": one["ticks"] * LOOP_INSTRUCTIONS / one["ticks_of_loop"],
        "code": sections[".model"],
        "ram": sum(found.values()),
        **found,
    }, scores


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def faults(
    key: tuple[str, str, str], found: dict[str, float], scores: NDArray[Any], exact: NDArray[Any]
) -> Iterator[str]:
    """Say what is beyond a limit."""
    for name, limit in LIMITS.get(key, {}).items():
        if found[name] > limit:
            yield f"{name} {found[name]:,.0f} > {limit:,.0f}"
    apart = float(np.abs(scores.astype(np.float64) - exact).max())
    if apart > APART[key[2]]:
        yield f"scores are {apart:.1e} apart"


def main(cores: list[str]) -> int:
    """Print the table; 1 where something is beyond a limit."""
    bad = 0
    columns = ["instructions", "code", "ram", "scratch", "state", "stack"]
    print(f"{'model':16}{'scheme':14}{'core':10}", *(f"{one:>12}" for one in columns))
    for name, make in CASES.items():
        for scheme in NAMES:
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                case = make()
                exact = write(case, scheme, folder)
                for core in cores:
                    flags = ("-DBY_STEPS",) if case.by_steps else ()
                    found, scores = measure(folder, CORES[core], *flags)
                    wrong = list(faults((name, core, scheme), found, scores, exact))
                    bad += len(wrong)
                    numbers = (f"{found[one]:12,.0f}" for one in columns)
                    print(f"{name:16}{scheme:14}{core:10}", *numbers, *wrong, flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(CORES)))
