"""Plants one-line faults in what three conversions execute, and counts those that parity finds.

    python benchmarks/executed_faults.py draw WORK          the faults
    python benchmarks/executed_faults.py run WORK           hours; goes on after a stop
    python benchmarks/executed_faults.py table WORK         the table of docs/parity.md

The conversions are those of `executed_models.py`. Faults are drawn by a seed among the lines of
functions that they execute, as many from each room; each is planted in a copy of the tree, which
converts the model, with the artifacts that the fault can change, and judges nothing. `gatelet
parity` of the tree without the fault then judges the bundle, with the model and its rows. A fault
of the runtime, which judges too, stays for that. Found is what parity fails or refuses to judge.
Where nothing is converted, or the bundle is the same to the byte, there is nothing wrong to judge:
another fault is drawn. So is one where a fault of the runtime changes nothing that anybody could
see (harmless_faults.json says why) or no use of these models meets it (inert_faults.json). Exit
code 1 if more than one in twenty is missed.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from executed_lines import Lines, lines_of
from executed_models import CONVERSIONS, SENSOR, TAGGER, TEXTS, write_models
from fault_candidates import Fault, candidates, in_turn, key_of, rooms
from fault_trees import (
    add_to_journal,
    copy_of_tree,
    environment_of,
    harmless,
    plant,
    read_journal,
)

ROOMS = {
    "exporters": ("convert/exporters/", "convert/passes/"),
    "vectorizers": ("runtime/vectorizer/",),
    "backends": ("runtime/backends/",),
    "C sources": (),
}
"""Where the files of each room lie; C sources are all .c and .h of what a conversion makes."""
_C_FILES = "convert/exporters/c/"
JUDGES = ("runtime/",)
"""What judges too: there, parity is that of the tree with the fault."""
ONLY = (
    ("convert/exporters/c/", ("c",)),
    ("convert/exporters/litert/", ("litert",)),
    ("convert/exporters/onnx/", ("onnx", "onnx-text")),
    ("convert/exporters/tflm/", ("tflm",)),
    ("runtime/backends/c/", ("c",)),
    ("runtime/backends/litert.py", ("litert",)),
    ("runtime/backends/onnx", ("onnx", "onnx-text")),
    ("runtime/backends/tflm", ("tflm",)),
)
"""Code of some targets alone: artifacts of others are the same with its faults."""
QUICK = ("c", "onnx", "onnx-text", "tflm")
"""Targets without TensorFlow, which are tried first with faults of other code."""
CONVERT = """
import sys
from gatelet.cli.main import main
from gatelet.convert import conversion
from gatelet.convert.gates.gates import check_predictions
from gatelet.convert.parity import ParityReport

def gate_only(writer, oracle, settings, worker):
    check_predictions(writer.draft(), oracle.inputs, oracle.scores)
    worker.close()
    return ParityReport(rows=0, oracles=(), artifacts=())

conversion.prove_draft = gate_only
sys.exit(main())
"""
"""Converts without parity, which judges afterwards: alone, and without what it said before."""
PARITY, NOTHING, SAME, REFUSED = "parity", "nothing", "same bundle", "no bundle"
"""What finds a fault; the last two give parity nothing wrong to judge, or nothing at all."""
INERT = Path(__file__).with_name("inert_faults.json")
"""Of the runtime: faults that no use of these three models meets, each with the reason."""
JOURNAL, MISSED, TIMEOUT_S = "executed.jsonl", 1 / 20, 600
MOST_NAMED = 4
DIFFERS = ("code_sha256", "processor_s", "created")
"""Of the provenance."""


@dataclass(frozen=True)
class Work:
    """The folder of a sweep: the tree as it was, the models, the bundles of a trial.

    Args:
        folder: The folder.
    """

    folder: Path

    @property
    def honest(self) -> Path:
        """The tree without a fault, as it was when the sweep began."""
        return self.folder / "honest"

    @property
    def models(self) -> Path:
        """The models, each in a folder of its name."""
        return self.folder / "models"

    def executed(self) -> dict[str, Lines]:
        """Return the lines that each conversion executes, by path; measured once."""
        path = self.folder / "executed.json"
        if not path.exists():
            write_models(self.models)
            copy_of_tree(self.honest)
            compile_quickly(self.honest)
            found = {}
            for name, one in CONVERSIONS.items():
                print(f"what the conversion of {name} executes", file=sys.stderr)
                traced = self.folder / "traced"
                made = lines_of(one, self.models / name, traced, source=self.honest)
                found[name] = {key: sorted(lines) for key, lines in made.items()}
            path.write_text(json.dumps(found), "utf-8")
        told = json.loads(path.read_text("utf-8"))
        return {one: {k: set(v) for k, v in lines.items()} for one, lines in told.items()}


def compile_quickly(tree: Path) -> None:
    """Have the libraries of a copy compiled with -O1, which makes the same code of faults."""
    path = tree / "convert/exporters/c/build.py"
    path.write_text(path.read_text("utf-8").replace('"-O3"', '"-O1"'), "utf-8")


def room_of(path: str) -> str:
    """Return the room of a file; '' for one that has none."""
    if path.endswith((".c", ".h")):
        return "C sources" if path.startswith(_C_FILES) else ""
    return next((room for room, folders in ROOMS.items() if path.startswith(folders)), "")


def faults_of(executed: Mapping[str, Lines], seed: int) -> dict[str, Iterator[Fault]]:
    """Return the faults of executed lines by room, each in the order of a draw."""
    ran: Lines = {}
    for lines in executed.values():
        for path, numbers in lines.items():
            ran.setdefault(path, set()).update(numbers)
    found: dict[str, list[Fault]] = {room: [] for room in ROOMS}
    for path in (name for names in rooms().values() for name in names):
        room = room_of(path)
        if room and path in ran:
            found[room] += [one for one in candidates(room, path) if one.line in ran[path]]
    known = {*harmless(), *json.loads(INERT.read_text("utf-8"))}
    return {room: in_turn(ones, seed=seed, passed_over=known) for room, ones in found.items()}


def drawn(
    executed: Mapping[str, Lines],
    seed: int,
    count: int,
    result_of: Callable[[Fault], Mapping[str, Any]],
) -> list[tuple[Fault, Mapping[str, Any]]]:
    """Draw faults, as many of each room, until so many of them made a bundle that is another.

    Args:
        executed: The lines that each conversion executes.
        seed: Of the draw.
        count: Of faults that make another bundle.
        result_of: What becomes of a fault.

    Returns:
        All that were drawn, with the results.
    """
    found: list[tuple[Fault, Mapping[str, Any]]] = []
    left = faults_of(executed, seed)
    for place in range(count):
        room = list(ROOMS)[place % len(ROOMS)]
        for fault in left[room]:
            result = result_of(fault)
            found.append((fault, result))
            if result["found"] in (PARITY, NOTHING):
                break
    return found


def judge(fault: Fault, executed: Mapping[str, Lines], work: Work) -> dict[str, Any]:
    """Plant a fault, convert with it, and judge the bundles until one is found wrong."""
    tree = copy_of_tree(work.folder / "faulty", source=work.honest)
    plant(fault, tree)
    begun = time.monotonic()
    of_path = [targets for folder, targets in ONLY if fault.path.startswith(folder)]
    results: list[dict[str, Any]] = []
    for only in of_path or (QUICK, ()):
        if any(one["found"] == PARITY for one in results) or _is_refused(results):
            break
        results = []
        for name in (TAGGER, SENSOR, TEXTS):  # the quickest first
            if fault.line in executed[name].get(fault.path, ()):
                results.append(_judge_one(fault, Trial(name, only), tree, work))
                if results[-1]["found"] == PARITY:
                    break
    order = (PARITY, NOTHING, SAME, REFUSED)
    worst = min(results, key=lambda one: order.index(one["found"]))
    return {**worst, "seconds": round(time.monotonic() - begun)}


def _is_refused(results: Sequence[Mapping[str, Any]]) -> bool:
    return bool(results) and all(one["found"] == REFUSED for one in results)


@dataclass(frozen=True)
class Trial:
    """What is converted.

    Args:
        name: Of the conversion.
        only: Its targets that are made; () for all.
    """

    name: str
    only: tuple[str, ...] = ()


def _judge_one(fault: Fault, trial: Trial, tree: Path, work: Work) -> dict[str, Any]:
    """Convert a model with a faulty tree, and judge what that made."""
    name = trial.name
    bundle, data = work.folder / "bundle" / name, ("--data", CONVERSIONS[name].data)
    shutil.rmtree(bundle, ignore_errors=True)
    made = _convert(tree, bundle, trial, work)
    if not (bundle / "manifest.json").exists():
        return {"found": REFUSED, "by": _said(made), "of": name}
    is_judge = fault.path.startswith(JUDGES)
    if not is_judge and contents(bundle) == contents(honest_bundle(trial, work)):
        return {"found": SAME, "by": "", "of": name}
    judging = tree if is_judge else work.honest
    for more in (("--no-keras",), ()):
        words = ("-m", "gatelet", "parity", str(bundle), *data, *more, "--json")
        told = _run(judging, words, name, work)
        if told.returncode:
            return {"found": PARITY, "by": _said(told), "of": name}
    return {"found": NOTHING, "by": "", "of": name}


def _convert(
    tree: Path, bundle: Path, trial: Trial, work: Work
) -> subprocess.CompletedProcess[str]:
    """Convert a model with a tree, to a bundle of its name: files hold that."""
    bundle.parent.mkdir(parents=True, exist_ok=True)
    one = CONVERSIONS[trial.name]
    given = ("--out", str(bundle), *one.arguments(trial.only), "--data", one.data)
    told = ("-c", CONVERT, "convert", "model.keras", *given, "--no-keras", "--json")
    return _run(tree, told, trial.name, work)


def honest_bundle(trial: Trial, work: Work) -> Path:
    """Return what the tree without a fault makes, made once."""
    bundle = work.folder / "honest-bundles" / ("-".join(trial.only) or "all") / trial.name
    if not (bundle / "manifest.json").exists():
        _convert(work.honest, bundle, trial, work)
    return bundle


def contents(bundle: Path) -> tuple[Any, ...]:
    """Return what a bundle holds, but for what differs from one conversion to the next."""
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    made = manifest.pop("provenance")
    told = {key: made[key] for key in sorted(made) if key not in DIFFERS}
    files = {one.name: one.read_bytes() for one in bundle.iterdir() if one.is_file()}
    del files["manifest.json"]
    return json.dumps([manifest, told], sort_keys=True), files


def _run(
    tree: Path, words: tuple[str, ...], name: str, work: Work
) -> subprocess.CompletedProcess[str]:
    """Run gatelet of a tree in the folder of a model; what does not end is a failure."""
    environment = environment_of(tree) | {
        # a faulty cache must not reach other trials; compilers' own files are not gatelet's
        "GATELET_CACHE": str(work.folder / ("cache" if tree == work.honest else "faulty-cache")),
        "ZIG_GLOBAL_CACHE_DIR": str(work.folder / "zig"),
        "ZIG_LOCAL_CACHE_DIR": str(work.folder / "zig"),
    }
    if tree != work.honest:
        shutil.rmtree(environment["GATELET_CACHE"], ignore_errors=True)
        if (work.folder / "cache").exists():
            shutil.copytree(work.folder / "cache", environment["GATELET_CACHE"])
    command = [sys.executable, *words]
    try:
        return subprocess.run(
            command,
            cwd=work.models / name,
            env=environment,
            text=True,
            capture_output=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no end in {TIMEOUT_S} s")


def _said(done: subprocess.CompletedProcess[str]) -> str:
    """Return the checks and files that failed, or the error."""
    try:
        report = json.loads(done.stdout[done.stdout.index("{") :])
    except ValueError:
        return next(iter(done.stderr.strip().splitlines()[-1:]), f"exit {done.returncode}")[:160]
    report = report.get("parity", report)
    return ", ".join(dict.fromkeys(_red(report))) or str(report.get("verdict"))


def _red(report: Mapping[str, Any]) -> Iterator[str]:
    for one in report["artifacts"]:
        yield from (check["name"] for check in one["checks"] if check["verdict"] == "fail")
        if one["verdict"] == "fail" and one.get("note"):
            yield str(one["note"])[:100]
    for one in report.get("files", ()):
        if one["verdict"] == "fail":
            yield f"file {one.get('what') or one['path']}"


def run(work: Work, *, seed: int, count: int) -> int:
    """Judge what has no result yet; report 1 where too many are missed."""
    executed, journal = work.executed(), work.folder / JOURNAL
    known = {str(one["key"]): one for one in read_journal(journal)}

    def result_of(fault: Fault) -> Mapping[str, Any]:
        if key_of(fault) not in known:
            result = {"key": key_of(fault), **asdict(fault), **judge(fault, executed, work)}
            add_to_journal(journal, result)
            known[key_of(fault)] = result
            told = f"{fault.path}:{fault.line}: {result['found']} {result['of']}"
            print(f"{told} {result['seconds']} s {result['by'][:150]}", flush=True)
        return known[key_of(fault)]

    judged = [one["found"] for _, one in drawn(executed, seed, count, result_of)]
    missed, same, refused = map(judged.count, (NOTHING, SAME, REFUSED))
    print(f"{count} faults, parity finds {count - missed}; ", end="")
    print(f"{same} more change nothing, {refused} make no bundle")
    return int(missed > MISSED * count)


def table(work: Work, *, seed: int, count: int) -> str:
    """Return the results as a table of docs/parity.md."""
    known = {str(one["key"]): one for one in read_journal(work.folder / JOURNAL)}
    judged = drawn(work.executed(), seed, count, lambda fault: known[key_of(fault)])
    counts = Counter((fault.room, one["found"]) for fault, one in judged)
    said = ["| room | faults | parity finds | same bundle | no bundle |", "|---|---|---|---|---|"]
    for room in ROOMS:
        seen, missed, *others = (counts[room, how] for how in (PARITY, NOTHING, SAME, REFUSED))
        said.append(f"| {room} | {' | '.join(map(str, (seen + missed, seen, *others)))} |")
    said += ["", "| line | fault | conversion | what fails |", "|---|---|---|---|"]
    for fault, one in sorted(
        judged, key=lambda pair: (list(ROOMS).index(pair[0].room), pair[0].path)
    ):
        if one["found"] in (PARITY, NOTHING):
            said.append(_row(fault, one))
    return "\n".join(said)


def _row(fault: Fault, result: Mapping[str, Any]) -> str:
    after, by = (text.replace("|", "\\|") for text in (fault.after, str(result["by"])))
    names = by.split(", ")
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    where = "/".join(Path(fault.path).parts[-2:])
    told = ", ".join(names[:MOST_NAMED]) + more or "nothing"
    return f"| {where}:{fault.line} | `{after}` | {result['of']} | {told} |"


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("step", choices=("draw", "run", "table"))
    parser.add_argument("work", type=Path, help="a folder outside this tree")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=60)
    asked = parser.parse_args()
    work = Work(asked.work.resolve())
    work.folder.mkdir(parents=True, exist_ok=True)
    if asked.step == "run":
        return run(work, seed=asked.seed, count=asked.count)
    if asked.step == "table":
        print(table(work, seed=asked.seed, count=asked.count))
        return 0
    for room, faults in faults_of(work.executed(), asked.seed).items():
        for fault in islice(faults, -(-asked.count // len(ROOMS))):
            print(f"{key_of(fault)} {room}: {fault.path}:{fault.line}")
            print(f"  - {fault.before}\n  + {fault.after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
