"""Plants one-line faults in exporters and kernels, and counts those that `computes` sees.

    python benchmarks/parity_faults.py run WORK [--count 60] [--seed 1] [--target c]
    python benchmarks/parity_faults.py table WORK       the table of docs/parity.md

The faults are in parity_faults.tsv: small ones, in kernels, in how parts are put together, and in
constants. They are drawn by a seed. One counts if `gatelet parity` of an earlier commit, run on the
artifact that a copy of this tree with that fault made, passes as a whole, and if the artifact gives
other scores than an honest one: of C's levels a processor runs one. Exit code 1 if more than one in
twenty is missed, or if an artifact of the tree without faults fails.
"""

import argparse
import csv
import dataclasses
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from fault_trees import add_to_journal, read_journal, run_in

ROOT = Path(__file__).resolve().parent.parent
LIST = Path(__file__).with_suffix(".tsv")
COPIED, LINKED = ("convert", "gatelet"), ("runtime", "devices", "train")
JOURNAL = "faults.jsonl"
MISSED = 1 / 20

VOCABULARY, FEATURES, UNITS, T = 60, 34, 34, 16
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


@dataclass(frozen=True)
class Shape:
    """A model: its recurrences, what they are told, and what stands behind the hidden layer."""

    cells: tuple[str, ...]
    features: bool = False
    activation: str = "tanh"
    gate: str = "sigmoid"
    hidden: str = "gelu"


MODELS = {
    "texts": Shape(("LSTM", "LSTM")),
    "sensor": Shape(("GRU", "LSTM"), features=True, hidden="normalized"),
    "rnn": Shape(("SimpleRNN", "SimpleRNN"), hidden="silu"),
    "hard": Shape(("LSTM",), gate="hard_sigmoid"),
    "scan": Shape(("GRU",), features=True, activation="elu"),
}


@dataclass(frozen=True)
class Fault:
    """A line that is changed in one file, and the artifact that is made with it."""

    target: str
    kind: str
    scheme: str
    model: str
    file: str
    old: str
    new: str


NO_FAULT = dict.fromkeys(("kind", "file", "old", "new"), "")


def faults() -> list[Fault]:
    """Read the list."""
    with LIST.open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [Fault(**{k: v.replace("\\n", "\n") for k, v in row.items()}) for row in rows]


def graph_of(shape: Shape) -> Any:
    """Make a model's Graph, with seeded weights."""
    import numpy as np

    from gatelet.runtime.graph.graph import Graph, GraphInput, Node
    from gatelet.runtime.graph.safetensors import Tensor

    rng, weights, nodes = np.random.default_rng(5), {}, []

    def add(op: str, name: str, source: str, size: Any, shapes: Any = None, **told: Any) -> str:
        for role, one in (shapes or {}).items():
            spread = 0.25 if "kernel" in role or role == "embeddings" else 0.1
            values = rng.normal(1.0 if role == "gamma" else 0.0, spread, one).astype("<f4")
            weights[f"{name}.{role}"] = Tensor("F32", tuple(one), values.tobytes())
        roles = {role: f"{name}.{role}" for role in shapes or {}}
        nodes.append(Node(name, op, (source,), (name,), (size,), roles, told, source=name))
        return name

    before, width = "features" if shape.features else "ids", FEATURES
    if not shape.features:
        table = {"embeddings": (VOCABULARY, FEATURES)}
        before = add("Embedding", "embedding", before, (None, None, FEATURES), table)
    for index, cell in enumerate(shape.cells):
        columns, is_last = GATES[cell] * UNITS, index == len(shape.cells) - 1
        sizes = {"kernel": (width, columns), "recurrent_kernel": (UNITS, columns)}
        sizes["bias"] = (2, columns) if cell == "GRU" else (columns,)
        told: dict[str, Any] = {"activation": shape.activation, "return_sequences": not is_last}
        if cell != "SimpleRNN":
            told["recurrent_activation"] = shape.gate
        if cell == "GRU":
            told["reset_after"] = True
        made = (None, UNITS) if is_last else (None, None, UNITS)
        before, width = add(cell, f"cell_{index}", before, made, sizes, **told), UNITS
    before = add("Dense", "hidden", before, (None, 48), {"kernel": (width, 48), "bias": (48,)})
    if shape.hidden == "normalized":
        sizes = {"gamma": (48,), "beta": (48,)}
        told = {"axes": [-1], "epsilon": 1e-3}
        before = add("LayerNormalization", "normalized", before, (None, 48), sizes, **told)
    else:
        before = add("Activation", "active", before, (None, 48), activation=shape.hidden)
    before = add("Dense", "last", before, (None, 1), {"kernel": (48, 1), "bias": (1,)})
    add("Activation", "scores", before, (None, 1), activation="sigmoid")
    taken = GraphInput("ids", "int32", (None, None), VOCABULARY)
    if shape.features:
        taken = GraphInput("features", "float32", (None, None, FEATURES))
    return Graph((taken,), tuple(nodes), ("scores",), weights)


def make(out: Path, target: str, scheme: str, model: str) -> None:
    """Write a bundle of one artifact, and print which checks of `computes` fail."""
    import numpy as np

    from gatelet.convert.bundle.writer import BundleWriter, commit
    from gatelet.convert.exporters.artifacts import export_all, with_stream
    from gatelet.convert.exporters.c import build
    from gatelet.convert.exporters.exported import Exportable
    from gatelet.convert.parity.computes import check_computes
    from gatelet.convert.parity.oracles.oracle import Oracle
    from gatelet.convert.passes import skip_padding
    from gatelet.convert.rows.calibration import choose_rows
    from gatelet.convert.rows.drawn import random_rows
    from gatelet.convert.schemes import SCHEMES
    from gatelet.convert.worker.worker import Worker
    from gatelet.runtime.backends.reference import ReferenceBackend
    from gatelet.runtime.bundle.opening import open_bundle
    from gatelet.runtime.graph.safetensors import encode
    from gatelet.runtime.graph.streaming import to_stream
    from gatelet.runtime.predictor.loading import open_artifact
    from gatelet.runtime.vectorizer.tokenizer import Vectorizer

    build.FLAGS = ("-O1", *build.FLAGS[2:])  # quick
    graph = graph_of(MODELS[model])
    words = [" ".join(f"w{i}" for i in range(1, VOCABULARY - 1))]
    vectorizer = Vectorizer.fit(words, num_words=VOCABULARY, maxlen=T)
    if graph.inputs[0].dtype != "int32":
        vectorizer = None
    rows = random_rows(graph, vectorizer, {graph.inputs[0].name: T})
    stage = out.with_name(f"{out.name}-stage")
    stage.mkdir(parents=True)
    writer = BundleWriter(stage, {"name": out.name, "labels": ["0", "1"], "threshold": 0.5})
    writer.add_part("graph", "graph", ".json", graph.to_json().encode())
    writer.add_part("weights", "weights", ".safetensors", encode(graph.weights))
    if vectorizer is not None:
        writer.add_part("vectorizer", "vectorizer", ".json", vectorizer.to_json().encode())
    some = rows[:8].feed
    scores = ReferenceBackend(graph, dtype=np.float64).run(some)["scores"]
    golden = {
        "texts": None,
        "inputs": {name: one.tolist() for name, one in some.items()},
        "outputs": {"scores": scores.tolist()},
    }
    writer.add_part("golden", "golden", ".json", json.dumps(golden).encode())
    model_of = Exportable(
        graph,
        skip_padding(graph, timesteps=T),
        vectorizer,
        streaming=to_stream(graph),
        calibration=choose_rows(rows.feed, source="drawn by a seed"),
    )
    with Worker() as worker:
        chosen = [(target, SCHEMES[scheme])]
        (made,) = export_all(model_of, chosen, worker, optional=False, progress=lambda text: None)
    writer.add_exported(target, scheme, made.suffix, with_stream(made))
    writer.write_manifest({(target, scheme): {"verdict": "pass"}})
    commit(stage, out)
    bundle = open_bundle(out)
    from gatelet.convert.parity.case import Case
    from gatelet.convert.parity.limits import Settings

    case = Case(
        bundle=bundle,
        graph=graph,
        oracle=Oracle.of(graph, rows[:64]),
        golden=bundle.golden(),
        settings=Settings(),
        odd=(),
        odd_limit=0.0,
        shared=(),
        advance=lambda what, done, rows: None,
    )
    (artifact,) = bundle.artifacts
    predictor = open_artifact(bundle, artifact)
    found = check_computes(case, artifact, predictor)
    scores = np.asarray(predictor.scores(rows[:64].given))
    digest = hashlib.sha256(scores.tobytes()).hexdigest()
    print(json.dumps({"checks": [one.to_dict() for one in found], "scores": digest}))


def tree_with(fault: Fault | None, folder: Path) -> Path:
    """Copy this tree, with a fault in it."""
    folder.mkdir(parents=True)
    for name in COPIED:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    if fault is not None:
        path = folder / fault.file
        text = path.read_text("utf-8")
        if text.count(fault.old) != 1:
            raise SystemExit(f"'{fault.file}' has {text.count(fault.old)} times: {fault.old}")
        path.write_text(text.replace(fault.old, fault.new), "utf-8")
    return folder


def earlier_tree(commit: str, work: Path) -> Path:
    """Unpack a commit, once."""
    folder = work / f"tree-{commit}"
    if not folder.exists():
        data = subprocess.run(
            ["git", "archive", commit], cwd=ROOT, check=True, capture_output=True
        ).stdout
        with tarfile.open(fileobj=BytesIO(data)) as archive:
            archive.extractall(folder, filter="data")
    return folder


def try_one(fault: Fault, plant: bool, work: Path, before: Path) -> dict[str, Any]:
    """Make an artifact with or without a fault, and let both judge it."""
    folder = work / "trial"
    shutil.rmtree(folder, ignore_errors=True)
    tree = tree_with(fault if plant else None, folder / "tree")
    bundle, of = folder / "bundle", (fault.target, fault.scheme, fault.model)
    made = run_in(tree, str(Path(__file__).resolve()), "make", str(bundle), *of)
    if made.returncode:
        error = (made.stderr.strip().splitlines() or ["?"])[-1][:200]
        return {**asdict(fault), "planted": plant, "earlier": "not made", "seen": [], "note": error}
    gave = json.loads(made.stdout.strip().splitlines()[-1])
    checks = gave["checks"]
    told = run_in(before, "-m", "gatelet", "parity", str(bundle), "--no-keras", "--json")
    if told.returncode == 2:
        told = run_in(before, "-m", "gatelet", "parity", str(bundle), "--json")
    try:
        report = json.loads(told.stdout[told.stdout.index("{") :])
        red = [
            c["name"] for a in report["artifacts"] for c in a["checks"] if c["verdict"] == "fail"
        ]
        earlier = report["verdict"] if report["verdict"] != "undecided" else "pass"
    except ValueError:
        earlier, red = f"error: {told.stderr.strip()[-200:]}", []
    return {
        **asdict(fault),
        "planted": plant,
        "earlier": earlier,
        "red": red,
        "seen": [c["name"] for c in checks if c["verdict"] == "fail"],
        "figures": {c["name"]: c["figure"] for c in checks},
        "scores": gave["scores"],
    }


def run(work: Path, *, count: int, seed: int, before: str, targets: list[str]) -> int:
    """Draw faults until so many pass the earlier commit's parity; go on after a stop."""
    work.mkdir(parents=True, exist_ok=True)
    tree, journal = earlier_tree(before, work), work / JOURNAL
    done = read_journal(journal)
    known = {_key(one) for one in done}
    for fault in _in_turn(seed):
        if targets and fault.target not in targets:
            continue
        honest = dataclasses.replace(fault, **NO_FAULT)
        for one, plant in ((honest, False), (fault, True)):
            if _key({**asdict(one), "planted": plant}) in known:
                continue
            found = try_one(one, plant, work, tree)
            known.add(_key(found))
            done.append(found)
            add_to_journal(journal, found)
            words = (one.target, one.model, one.new.strip()[:60] or "honest")
            print(*words, "|", found["earlier"], found["seen"], flush=True)
        if len(_counted(done)) >= count:
            break
    alarms = [one for one in done if not one["planted"] and one["seen"]]
    missed = [one for one in _counted(done) if not one["seen"]]
    print(f"{len(_counted(done))} faults that {before} passes, {len(missed)} missed, ", end="")
    print(f"{len(alarms)} false alarms")
    return int(bool(alarms) or len(missed) > MISSED * max(len(_counted(done)), 1))


def _in_turn(seed: int) -> Iterator[Fault]:
    """Return the faults in an order by the seed, in which no target runs ahead of the others."""
    drawn = faults()
    random.Random(seed).shuffle(drawn)
    by_target: dict[str, list[Fault]] = {}
    for one in drawn:
        by_target.setdefault(one.target, []).append(one)
    while any(by_target.values()):
        for left in by_target.values():
            if left:
                yield left.pop()


def _key(one: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(one[k] for k in ("target", "scheme", "model", "file", "old", "new", "planted"))


def _counted(done: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the faults that count: passed before, and run on this processor at all."""
    honest = {_artifact(one): one.get("scores") for one in done if not one["planted"]}
    return [
        one
        for one in done
        if one["planted"]
        and one["earlier"] == "pass"
        and (one.get("scores") is None or one["scores"] != honest.get(_artifact(one)))
    ]


def _artifact(one: dict[str, Any]) -> tuple[str, ...]:
    return one["target"], one["scheme"], one["model"]


def table(work: Path) -> None:
    """Print the table of docs/parity.md."""
    counted = _counted(read_journal(work / JOURNAL))
    drawn = Counter((one["target"], one["kind"]) for one in counted)
    seen = Counter((one["target"], one["kind"]) for one in counted if one["seen"])
    print("| artifact | in | faults that parity passed before | `computes` sees |")
    print("|---|---|---|---|")
    for target, kind in sorted(drawn):
        print(f"| {target} | {kind} | {drawn[target, kind]} | {seen[target, kind]} |")
    print(f"| all | | {sum(drawn.values())} | {sum(seen.values())} |")


def main() -> int:
    """Run a command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "table"):
        command = commands.add_parser(name)
        command.add_argument("work", type=Path)
        if name == "run":
            command.add_argument("--count", type=int, default=60)
            command.add_argument("--seed", type=int, default=1)
            command.add_argument("--before", default="b4d232d")
            command.add_argument("--target", action="append", default=[], help="of the faults")
    made = commands.add_parser("make")
    made.add_argument("out", type=Path)
    for name in ("target", "scheme", "model"):
        made.add_argument(name)
    asked = parser.parse_args()
    if asked.command == "make":
        make(asked.out, asked.target, asked.scheme, asked.model)
    elif asked.command == "table":
        table(asked.work)
    else:
        return run(
            asked.work.resolve(),
            count=asked.count,
            seed=asked.seed,
            before=asked.before,
            targets=asked.target,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
