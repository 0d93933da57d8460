"""What becomes of a fault in executed lines: a copy of the tree converts with it, parity judges.

Not which faults there are, nor the counting of results, which is `executed_faults.py`.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executed_lines import Lines, lines_of
from executed_models import CONVERSIONS, SENSOR, TAGGER, TEXTS, write_models
from fault_candidates import Fault
from fault_trees import copy_of_tree, environment_of, plant

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
TIMEOUT_S = 600
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
    """Have the libraries of a copy compiled with -O1."""
    path = tree / "convert/exporters/c/build.py"
    path.write_text(path.read_text("utf-8").replace('"-O3"', '"-O1"'), "utf-8")


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
    if done.returncode < 0:
        return f"it ended by signal {-done.returncode}"
    try:
        report = json.loads(done.stdout[done.stdout.index("{") :])
    except ValueError:
        return next(iter(done.stderr.strip().splitlines()[-1:]), f"exit {done.returncode}")[:160]
    report = report.get("parity", report)
    return ", ".join(dict.fromkeys(_red(report))) or str(report.get("verdict"))


def _red(report: Mapping[str, Any]) -> Iterator[str]:
    for one in report["artifacts"]:
        yield from (check["name"] for check in one["checks"] if check["verdict"] == "fail")
    for one in report.get("files", ()):
        if one["verdict"] == "fail":
            yield f"file {one.get('what') or one['path']}"
