"""What models in C take of small processors: instructions, code, RAM, stack; and their bits.

    python benchmarks/device_kernels.py [--compiler gcc|zig]... [--core CORE]...

Two models of seeded weights: the quickstart's shape, Embedding(10000, 64) LSTM(64) Dense(1) over
100 tokens, and a sensor's, LSTM(32) over [128, 9]. They are built and run as `gatelet verify` does,
on the emulated core that a device has. Code is .text and .rodata of the model with what it calls
(memcpy, the compiler's own library), without weights. RAM is scratch, state and stack. The exit
status is 1 where a limit is exceeded (gcc's), zig takes more than 1.3 times gcc's instructions, or
scores differ from this machine's: at all of full-int8, by 1e-6 of float32, by 1e-5 of dynamic-int8.
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
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
from gatelet.devices import DeviceProfile, build, read_profile
from gatelet.devices.compilers import find_compiler
from gatelet.devices.emulators import converse, emulated
from gatelet.devices.protocol import Row
from gatelet.devices.toolchains import GCC, TOOLCHAINS, ZIG
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.cache import own_folder
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.streaming import to_stream
from tests.convert.exporters.onnx_graphs import GraphMaker

NAMES = ("float32", "dynamic-int8", "full-int8")
APART = {"float32": 1e-6, "dynamic-int8": 1e-5, "full-int8": 0.0}
KIB, MIB = 1024, 1 << 20
STRICT = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter")
ANSWER_S = 900.0
ZIG_TIMES = 1.3
"""Instructions of zig's code, at most so many times gcc's, of models and cores with a limit."""

CORES = {
    "m0plus": "pico",
    "m3": "bluepill",
    "m4f": "stm32f405",
    "m7": "nucleo-h743",
    "m33": "stm32u585",
    "m55": "corstone-300",
    "rv32imc": "esp32-c3",
    "rv32imac": "gd32vf103",
    "rv32imafc": "esp32-p4",
}
"""A device that has the core."""

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


@dataclass(frozen=True)
class Written:
    """A model as the self-test takes it, its row, and the scores that this machine gives."""

    case: build.Case
    row: Row
    exact: NDArray[Any]


def write(case: Case, scheme: str, folder: Path) -> Written:
    """Export a model, and run its row here."""
    graph, row = case.graph, case.row
    model = Exportable(
        graph,
        skip_padding(graph, timesteps=row.shape[1]),
        name="model",
        calibration=Calibration({case.input: case.calibration}, "seeded"),
        streaming=to_stream(graph) if case.by_steps else None,
    )
    written = write_model(model, SCHEMES[scheme])
    files = render(written, model, SCHEMES[scheme])
    source, header = (
        next(one.data for one in files["companions"] if one.role == role)
        for role in ("source", "header")
    )
    is_open = not case.by_steps and graph.inputs[0].shape[1] is None
    words = row.view(np.uint32).reshape(row.shape[1], -1)
    posed = build.Case(
        prefix=written.prefix,
        source=source,
        source_sha256=hashlib.sha256(source).hexdigest(),
        header_name="model.h",
        header=header,
        weights=written.weights,
        inputs=(words.shape[1] if case.by_steps else words.size,),
        outputs=(int(graph.shape_of(graph.outputs[0])[-1] or 0),),
        types=({"i": "int32_t", "f": "float"}[row.dtype.kind],),
        sizes=(1,) if case.by_steps else (row.shape[1],) if is_open else (),
        steps=case.by_steps,
    )
    pieces = words.tolist() if case.by_steps else [words.ravel().tolist()]
    (folder / "weights.bin").write_bytes(written.weights)
    linked, library = folder / "linked.c", folder / "library.so"
    linked.write_text(files["linked"])
    shared = ("-O2", "-std=c11", "-fPIC", "-DGATELET_LIBRARY", "-DGATELET_ONE_LEVEL")
    kernels = kernel_object(["gcc"], shared)
    run_compiler(["gcc", *shared, "-shared", "-o", str(library), str(linked), str(kernels)])
    backend = CBackend(open_library(library), folder / "weights.bin", engine="c")
    found: NDArray[Any] = backend.run({case.input: row})[graph.outputs[0]]
    sizes = posed.sizes if is_open else ()
    return Written(posed, Row(tuple(pieces), sizes), found.ravel())


def device_of(core: str) -> DeviceProfile:
    """Return a device of the core that has room for all of these models."""
    profile = read_profile(CORES[core])
    return replace(
        profile,
        flash_bytes=8 * MIB,
        ram_bytes=256 * KIB,
        stack_bytes=16 * KIB,
        emulator=TOOLCHAINS[profile.cpu].machine,
        flags=STRICT,
    )


def measure(written: Written, core: str, kind: str) -> tuple[dict[str, float], NDArray[Any]]:
    """Return what a model takes on a core, and its scores there."""
    profile = device_of(core)
    compiler = find_compiler(TOOLCHAINS[profile.cpu], kind=kind, cache=own_folder() / "zig")
    with tempfile.TemporaryDirectory() as temporary:
        made = build.build(written.case, profile, compiler, Path(temporary))
        program = Path(temporary) / "program.elf"
        program.write_bytes(made.program)
        sha256 = written.case.source_sha256
        with emulated(profile, program, answer_s=ANSWER_S) as link:
            outcome = converse(link, [written.row], source_sha256=sha256)
    (answer,) = outcome.answers
    found = {"scratch": made.scratch_bytes, "state": made.state_bytes, "stack": outcome.stack_bytes}
    scores = np.array(answer.bits[-1], np.uint32).view(np.float32)
    return {
        "instructions": answer.count,
        "code": made.code_bytes,
        "ram": sum(found.values()),
        **found,
    }, scores


def faults(
    key: tuple[str, str, str], found: Mapping[str, Mapping[str, float]], kind: str
) -> Iterator[str]:
    """Say what is beyond a limit."""
    limits = LIMITS.get(key, {})
    for name, limit in limits.items() if kind == GCC else ():
        if found[kind][name] > limit:
            yield f"{name} {found[kind][name]:,.0f} > {limit:,.0f}"
    if kind == ZIG and GCC in found and "instructions" in limits:
        times = found[ZIG]["instructions"] / found[GCC]["instructions"]
        if times > ZIG_TIMES:
            yield f"{times:.2f} times gcc's instructions > {ZIG_TIMES}"


def main(cores: Sequence[str], kinds: Sequence[str]) -> int:
    """Print the table; 1 where something is beyond a limit."""
    bad = 0
    columns = ["instructions", "code", "ram", "scratch", "state", "stack"]
    print(f"{'model':16}{'scheme':14}{'core':10}", *(f"{one:>12}" for one in columns))
    for name, make in CASES.items():
        for scheme in NAMES:
            with tempfile.TemporaryDirectory() as temporary:
                written = write(make(), scheme, Path(temporary))
            for core in cores:
                found: dict[str, dict[str, float]] = {}
                for kind in kinds:
                    found[kind], scores = measure(written, core, kind)
                    wrong = list(faults((name, core, scheme), found, kind))
                    apart = float(np.abs(scores.astype(np.float64) - written.exact).max())
                    if apart > APART[scheme]:
                        wrong.append(f"scores are {apart:.1e} apart")
                    bad += len(wrong)
                    numbers = (f"{found[kind][one]:12,.0f}" for one in columns)
                    row = f"{name:16}{scheme:14}{core:10}"
                    print(row, *numbers, f" {kind}", *wrong, flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", action="append", choices=(GCC, ZIG))
    parser.add_argument("--core", action="append", choices=CORES)
    given = parser.parse_args()
    sys.exit(main(given.core or list(CORES), given.compiler or (GCC, ZIG)))
