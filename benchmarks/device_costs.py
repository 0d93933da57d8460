"""What does a row cost on each core? `python benchmarks/device_costs.py measure|fit|check WORK`.

`measure` draws models by a seed, compiles each in three schemes for each core, runs a row on what
emulates it, and keeps the figures in WORK/costs.jsonl. `fit` finds what each kind of work costs:
convert/onboard/costs.toml, which `gatelet plan` uses. `check` draws 12 others, and exits 1 where
weights or scratch of the plan are not exact, or code, stack or instructions of its model are more
than 5 % off; what the table leaves out is counted as unknown. Not a test.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.c.macros import HeaderSizes
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.onboard.costs import TABLE, Work, family_of, prices, total, work_of
from gatelet.convert.passes import skip_padding
from gatelet.convert.passes.streaming import streaming_beside
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.devices import DeviceProfile, read_profile
from gatelet.devices.build import Case, build
from gatelet.devices.compilers import find_compiler
from gatelet.devices.emulators import converse, emulated
from gatelet.devices.protocol import Row
from gatelet.devices.toolchains import TOOLCHAINS
from gatelet.runtime.graph.graph import Graph, GraphInput, Node
from gatelet.runtime.graph.operations import GATES
from gatelet.runtime.graph.safetensors import Tensor
from gatelet.runtime.stages import temporary_folder

CORES = {
    "cortex-m4f": "nano-33-ble",
    "cortex-m0plus": "pico",
    "rv32imc": "esp32-c3",
    "cortex-m3": "bluepill",
    "cortex-m33": "stm32u585",
    "cortex-m7": "nucleo-h743",
    "rv32imac": "esp32-c6",
    "rv32imafc": "esp32-p4",
}
"""Each core by one of its devices."""
FITTED = ("float32", "dynamic-int8", "full-int8")
MODELS, CHECKED, MORE = range(20), range(20, 32), range(32, 52)
"""Seeds of models that prices are found with, and checked with; of MORE integers alone count."""
LARGEST_ERROR = 0.05
SUMMED = ("cortex-m4f", "cortex-m7", "cortex-m33", "cortex-m55")
"""Cores that take four columns of integers at once; to others all are alike."""
_ALIKE = {
    "integers odd column": "integers column",
    "integers odd weight": "integers weight",
    "integers odd column weight": "integers weight",
}
_ROOM = {"flash_bytes": 1 << 22, "ram_bytes": 1 << 20, "stack_bytes": 16 << 10}


def draw(seed: int) -> tuple[Graph, np.ndarray[Any, Any]]:
    """Draw a model, and rows for it: ids or features, one or two recurrences, a Dense."""
    rng = np.random.default_rng(seed)
    weights: dict[str, Tensor] = {}
    nodes: list[Node] = []

    def node(
        op: str,
        made: str,
        shape: tuple[int | None, ...],
        tensors: Mapping[str, tuple[int, ...]],
        **settings: Any,
    ) -> None:
        for role, size in tensors.items():
            spread = 1.5 / np.sqrt(size[0]) if role.endswith("kernel") else 0.5
            values = rng.normal(0, spread, size).astype("<f4")
            weights[f"{made}.{role}"] = Tensor("F32", size, values.tobytes())
        names = {role: f"{made}.{role}" for role in tensors}
        before = nodes[-1].outputs[0] if nodes else taken.name
        nodes.append(Node(made, op, (before,), (made,), (shape,), names, settings))

    timesteps, cell = int(rng.integers(8, 40)), ("LSTM", "GRU")[seed % 2]
    if seed % 3 == 0:
        vocabulary, width = int(rng.integers(60, 400)), int(rng.integers(4, 33))
        taken = GraphInput("ids", "int32", (None, None), vocabulary)
        rows: np.ndarray[Any, Any] = rng.integers(1, vocabulary, (8, timesteps)).astype(np.int32)
        sizes = {"embeddings": (vocabulary, width)}
        node("Embedding", "embedding", (None, None, width), sizes)
    else:
        width = int(rng.integers(2, 17))
        taken = GraphInput("features", "float32", (None, None, width))
        rows = rng.normal(0, 1, (8, timesteps, width)).astype(np.float32)
    layers = 1 + (seed % 4 == 1)
    for layer in range(layers):
        units, gates = int(rng.integers(6, 49)), GATES[cell]
        bias = (2, gates * units) if cell == "GRU" else (gates * units,)
        more = layer + 1 < layers
        node(
            cell,
            f"cell{layer}",
            (None, None, units) if more else (None, units),
            {
                "kernel": (width, gates * units),
                "recurrent_kernel": (units, gates * units),
                "bias": bias,
            },
            activation="tanh",
            recurrent_activation="sigmoid",
            return_sequences=more,
            return_state=False,
            go_backwards=False,
            zero_output_for_mask=False,
            **({"reset_after": True} if cell == "GRU" else {}),
        )
        width = units
    outputs = int(rng.choice([1, 3, 5]))
    node("Dense", "dense", (None, outputs), {"kernel": (width, outputs), "bias": (outputs,)})
    activation = "sigmoid" if outputs == 1 else "softmax"
    node("Activation", "scores", (None, outputs), {}, activation=activation)
    return Graph((taken,), tuple(nodes), ("scores",), weights), rows


def written(seed: int, scheme: str) -> tuple[Graph, Any, Any, dict[str, Any], Any]:
    """Write a drawn model as C: the Graph, rows, what was written, its entry, its files."""
    graph, rows = draw(seed)
    taken = graph.inputs[0].name
    model = Exportable(
        graph,
        skip_padding(graph, timesteps=None),
        calibration=Calibration({taken: rows}, "drawn") if scheme == "full-int8" else None,
        streaming=streaming_beside(graph, wanted=None),
    )
    made = write_model(model, SCHEMES[scheme])
    files = {one.role: one for one in render(made, model, SCHEMES[scheme])["companions"]}
    entry = {"ops": sorted(made.kernels), "sections": list(made.sections)}
    return graph, rows, made, entry, files


def measured(seed: int, scheme: str, profile: DeviceProfile) -> dict[str, Any]:
    """Compile a drawn model for a device, run a row, and return the figures."""
    graph, rows, made, _, files = written(seed, scheme)
    header, source = files["header"].data, files["source"].data
    sizes = (rows.shape[1],)
    case = Case(
        prefix=made.prefix,
        source=source,
        source_sha256=hashlib.sha256(source).hexdigest(),
        header_name=files["header"].stored_name,
        header=header,
        weights=made.weights,
        inputs=(rows[0].size,),
        outputs=(graph.shape_of("scores")[-1] or 1,),
        types=("int32_t" if rows.ndim == 2 else "float",),
        sizes=sizes,
    )
    with temporary_folder() as folder:
        built = build(case, profile, find_compiler(TOOLCHAINS[profile.cpu]), folder)
        program = folder / "run.elf"
        program.write_bytes(built.program)
        words = np.ascontiguousarray(rows[0]).view("<u4").ravel().tolist()
        with emulated(profile, program, answer_s=600) as link:
            outcome = converse(link, [Row((words,), sizes)], source_sha256=case.source_sha256)
    return {
        "seed": seed,
        "scheme": scheme,
        "cpu": profile.cpu,
        "instructions": outcome.answers[0].count,
        "code_bytes": built.code_bytes,
        "stack_bytes": outcome.stack_bytes,
        "weights_bytes": built.sections.get(".weights", 0),
        "scratch_bytes": built.scratch_bytes,
    }


def measure(path: Path, seeds: Iterable[int], cores: Sequence[str]) -> None:
    """Measure what is not there yet."""
    wanted = [(seed, scheme) for seed in seeds for scheme in FITTED[seed in MORE :]]
    done = {(r["seed"], r["scheme"], r["cpu"]) for r in read(path)}
    with path.open("a") as kept:
        for cpu in cores:
            profile = replace(read_profile(CORES[cpu]), **_ROOM)
            for seed, scheme in wanted:
                if (seed, scheme, cpu) not in done:
                    kept.write(json.dumps(measured(seed, scheme, profile)) + "\n")
                    kept.flush()


def read(path: Path) -> list[dict[str, Any]]:
    """Read what was measured, each once."""
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return list({(row["seed"], row["scheme"], row["cpu"]): row for row in rows}.values())


def fit(path: Path) -> None:
    """Find the prices that explain what was measured, and write the table."""
    rows = read(path)
    work = {(r["seed"], r["scheme"]): work_for(r["seed"], r["scheme"]) for r in rows}
    lines = [
        "# Made by: python benchmarks/device_costs.py fit WORK. What each kind of work costs on a",
        "# core (convert/onboard/costs.py says what the names count), as it was emulated.",
    ]
    groups = sorted({(r["cpu"], work[r["seed"], r["scheme"]][0]) for r in rows})
    for cpu, family in groups:
        own = [r for r in rows if r["cpu"] == cpu and work[r["seed"], r["scheme"]][0] == family]
        if not {*MODELS} <= {r["seed"] for r in own}:
            continue  # was interrupted
        for what, by, is_positive in (
            ("instructions", "terms", True),
            ("code_bytes", "parts", False),
            ("stack_bytes", "parts", False),
        ):
            counts = [getattr(work[r["seed"], r["scheme"]][1], by) for r in own]
            alike = {} if cpu in SUMMED else _ALIKE
            counts = [_together(one, alike) for one in counts]
            found, error = _explained(counts, [r[what] for r in own], is_positive=is_positive)
            found |= {name: found[other] for name, other in alike.items() if other in found}
            told = "" if error <= LARGEST_ERROR else ": left out"
            print(f"{cpu:14} {family:9} {what:13} {len(own)} rows, at most {error:.2%} off{told}")
            lines.append(f"\n[{cpu}.{family}.{what}]")
            lines += [] if told else [f'"{name}" = {value:.6g}' for name, value in found.items()]
    TABLE.write_text("\n".join(lines) + "\n")


def work_for(seed: int, scheme: str) -> tuple[str, Work]:
    """Return what a drawn model computes in, and its work."""
    graph, rows, _, entry, _ = written(seed, scheme)
    found = work_of(graph, entry, (rows.shape[1],))
    assert found is not None
    return family_of(entry), found


def _together(counts: Mapping[str, float], alike: Mapping[str, str]) -> dict[str, float]:
    """Return counts in which some names count as others."""
    found: dict[str, float] = {}
    for name, count in counts.items():
        name = alike.get(name, name)
        found[name] = found.get(name, 0) + count
    return found


def _explained(
    counts: Sequence[Mapping[str, float]], figures: Sequence[int], *, is_positive: bool
) -> tuple[dict[str, float], float]:
    """Return the price of each name, and the largest relative error: by least squares of those."""
    names = sorted({name for one in counts for name in one})
    table = np.array([[one.get(name, 0) for name in names] for one in counts], float)
    right = np.array(figures, float)
    relative = table / right[:, None]
    largest = relative.max(axis=0)
    ones = np.ones(len(right))
    if is_positive:
        found = nnls(relative / largest, ones)[0] / largest
    else:
        found = np.linalg.lstsq(relative / largest, ones, rcond=None)[0] / largest
    error = float(np.abs(table @ found / right - 1).max())
    return dict(zip(names, found.tolist(), strict=True)), error


def check(path: Path, cores: Sequence[str]) -> int:
    """Compare the table with other models; return how many figures are off."""
    wrong, unknown, worst = 0, 0, dict.fromkeys(("instructions", "code_bytes", "stack_bytes"), 0.0)
    rows = [row for row in read(path) if row["cpu"] in cores]
    for row in rows:
        graph, given, made, entry, files = written(row["seed"], row["scheme"])
        sizes = (given.shape[1],)
        upper = made.prefix.upper()
        header = HeaderSizes(files["header"].data.decode(), {f"{upper}_SMALL": 1})
        exact = {
            "weights_bytes": len(made.weights),
            "scratch_bytes": header.value(f"{upper}_SCRATCH_BYTES", (1, *sizes)),
        }
        found, each = work_of(graph, entry, sizes), prices(row["cpu"], family_of(entry))
        assert found is not None
        if each is None:
            continue
        told = {
            "instructions": total(found.terms, each.instructions),
            "code_bytes": total(found.parts, each.code_bytes),
            "stack_bytes": total(found.parts, each.stack_bytes),
        }
        for what, value in (exact | told).items():
            if value is None:
                unknown += 1
                continue
            error = abs(value / row[what] - 1)
            worst[what] = max(worst.get(what, 0.0), error)
            if error > (0 if what in exact else LARGEST_ERROR):
                wrong += 1
                print(
                    f"{row['cpu']} seed {row['seed']} {row['scheme']}: {what} is {row[what]:,}, "
                    f"planned {value:,} ({error:.1%} off)"
                )
    models = len({row["seed"] for row in rows})
    print(f"{len(rows)} artifacts of {models} models, {wrong} figures wrong, {unknown} unknown;")
    print("most off:")
    print(", ".join(f"{what} {error:.2%}" for what, error in worst.items()))
    return wrong


def main() -> int:
    """Do what the first word says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("measure", "fit", "check"))
    parser.add_argument("work", type=Path)
    parser.add_argument("--core", action="append", choices=CORES)
    arguments = parser.parse_args()
    arguments.work.mkdir(exist_ok=True)
    cores = arguments.core or list(CORES)
    if arguments.what == "fit":
        fit(arguments.work / "costs.jsonl")
    elif arguments.what == "measure":
        measure(arguments.work / "costs.jsonl", [*MODELS, *MORE], cores)
    else:
        path = arguments.work / "checked.jsonl"
        measure(path, CHECKED, cores)
        return 1 if check(path, cores) else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
