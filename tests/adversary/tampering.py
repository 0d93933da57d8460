"""A small model's bundle, its files altered in five ways, and what parity then says of each.

Digests are repaired, those of verdicts too. `benchmarks/tampering.py` makes the whole table.
"""

import hashlib
import importlib
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gatelet.convert import convert
from gatelet.convert.parity import ArtifactReport
from gatelet.convert.parity.case import Case
from gatelet.convert.parity.files.judge_files import c_files, companions_of
from gatelet.convert.parity.files.verdict import Finding
from gatelet.convert.parity.judge import judge_artifact, prepare
from gatelet.convert.parity.limits import Settings
from gatelet.convert.parity.oracles.ask import Question, ask_oracles
from gatelet.convert.parity.oracles.oracle import nothing_to_tell
from gatelet.convert.proving import prove
from gatelet.errors import GateletError
from gatelet.runtime.backends.host import host_platform
from gatelet.runtime.bundle.opening import Artifact, Bundle, open_bundle
from tests.small_vectorizer import vectorizer_of

WAYS = ("flipped", "swapped", "altered weights", "truncated", "another model")
"""Bytes flipped, those of another bundle of the same kind of model, written again from other
weights, cut off, and those of a valid model of another kind."""
WORDS, UNITS, FEATURES, MAXLEN = 150, 24, 12, 10
_USED = ("vocabulary", f"library:{host_platform()}")
"""Companions of c that its artifact runs with here."""
_GATES = {"LSTM": 4, "GRU": 3}


def write_model(
    path: Path, *, cell: str = "LSTM", seed: int = 1, scale: float = 3.0, small: bool = False
) -> Path:
    """Write a Keras file of a text model, without Keras.

    Args:
        path: Where it goes.
        cell: The recurrent layer.
        seed: Of the weights.
        scale: Of the weights.
        small: A regression whose scores are 3e-4 to 5e-4; else a classifier.
    """
    rng, gates = np.random.default_rng(seed), _GATES[cell]

    def drawn(*shape: int) -> Any:
        return (scale * rng.normal(0, 0.3, shape)).astype(np.float32)

    lower = cell.lower()
    bias = (2, gates * UNITS) if cell == "GRU" else (gates * UNITS,)
    kernels = (drawn(FEATURES, gates * UNITS), drawn(UNITS, gates * UNITS), drawn(*bias))
    weights = {
        "embedding/vars": (drawn(WORDS + 1, FEATURES),),
        f"{lower}/cell/vars": kernels,
        "dense/vars": (drawn(UNITS, 1), drawn(1)),
    }
    if small:
        kernel = weights["dense/vars"][0] * np.float32(2e-5)
        weights["dense/vars"] = (kernel, np.array([4e-4], np.float32))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, arrays in weights.items():
            for number, array in enumerate(arrays):
                file[f"layers/{name}/{number}"] = array
    table = {"name": "embedding", "input_dim": WORDS + 1, "output_dim": FEATURES}
    layers = [
        ("InputLayer", {"name": "ids", "batch_shape": [None, None], "dtype": "int32"}),
        ("Embedding", {**table, "mask_zero": False}),
        (cell, {"name": lower, "units": UNITS, "reset_after": True, "return_sequences": False}),
        ("Dense", {"name": "dense", "units": 1, "activation": "linear" if small else "sigmoid"}),
    ]
    listed = [{"class_name": kind, "config": config} for kind, config in layers]
    config = {"class_name": "Sequential", "config": {"name": "model", "layers": listed}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.8.0"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", buffer.getvalue())
    return path


def make_bundles(folder: Path, **settings: Any) -> dict[str, Path]:
    """Convert the model that is attacked ('own'), and those that its files are replaced from.

    Args:
        folder: Where they go.
        **settings: Of the conversion.
    """
    words = [f"w{number}" for number in range(WORDS)]
    models = {
        "own": {},
        "swapped": {"seed": 2},
        "altered weights": {"scale": 3.1},
        "another model": {"cell": "GRU", "seed": 3},
    }
    found = {}
    for name, told in models.items():
        model = write_model(folder / f"{name}.keras", **told)  # type: ignore[arg-type]
        listed = words if name in ("own", "altered weights") else words[::-1]
        vectorizer = vectorizer_of(listed, maxlen=MAXLEN)
        found[name] = folder / name.replace(" ", "-") / "model"
        found[name].parent.mkdir()
        given = {"labels": ("no", "yes"), "with_keras": False, **settings}
        judging = importlib.import_module("gatelet.convert.parity.judge")
        with pytest.MonkeyPatch.context() as patched:
            if name != "own":  # whose bytes alone are needed
                patched.setattr(judging, "judge_files", lambda case, ran: (tuple(ran), []))
            convert(model, found[name], vectorizer=vectorizer, **given)
    return found


@dataclass(frozen=True)
class Altered:
    """A file of a bundle, changed.

    Args:
        what: Which file: 'weights', 'c float32 source'.
        path: In the bundle.
        way: One of `WAYS`.
        data: What it holds now.
    """

    what: str
    path: str
    way: str
    data: bytes


def files_of(bundle: Bundle) -> dict[str, str]:
    """Return what each file of a bundle is, by its path."""
    found: dict[str, str] = {}
    for key in ("graph", "weights", "vectorizer", "golden", "source"):
        found[str(bundle.manifest[key])] = key
    for artifact in bundle.artifacts:
        name = f"{artifact.target} {artifact.scheme}"
        found[artifact.path] = name
        for role, path in artifact.companions.items():
            found.setdefault(path, f"{name} {role}")
    return found


def altered_files(bundles: dict[str, Path]) -> Iterator[Altered]:
    """Yield each file of the bundle in each way that changes it."""
    own = open_bundle(bundles["own"])
    others = {way: open_bundle(bundles[way]) for way in WAYS if way in bundles}
    named = {way: {what: p for p, what in files_of(one).items()} for way, one in others.items()}
    for path, what in files_of(own).items():
        data = (own.path / path).read_bytes()
        made = {"flipped": flipped(path, data), "truncated": data[: len(data) * 2 // 3]}
        for way, other in others.items():
            if what in named[way]:
                made[way] = (other.path / named[way][what]).read_bytes()
        for way in WAYS:
            if made.get(way, data) != data:
                yield Altered(what, path, way, made[way])


def flipped(path: str, data: bytes) -> bytes:
    """Change bytes that mean something: of a text the digits and words, else a part of the middle.

    The middle of a library is code, that of other files weights, but of a Keras file, whose
    weights are in the middle of what is at its end.
    """
    if path.endswith((".json", ".c", ".h", ".txt", ".cc")):
        lines = data.split(b"\n")
        at = max(range(len(lines)), key=lambda i: sum(one in b"0123456789" for one in lines[i]))
        lines[at] = lines[at].translate(bytes.maketrans(b"123456789", b"234567891"))
        return b"\n".join(lines)
    start, end = len(data) // 2, len(data) // 2 + max(16, len(data) // 20)
    return data[:start] + bytes(one ^ 0x55 for one in data[start:end]) + data[end:]


def alter(bundle: Path, out: Path, change: Altered, *, verdicts: bool) -> Path:
    """Copy a bundle with one file changed, and repair its digest.

    Args:
        bundle: As it was converted.
        out: The copy.
        change: The file.
        verdicts: Repair the digest of the bytes that were judged too.
    """
    shutil.copytree(bundle, out)
    (out / change.path).write_bytes(change.data)
    manifest = json.loads((out / "manifest.json").read_bytes())
    sha256 = hashlib.sha256(change.data).hexdigest()
    for one in (*manifest["files"], *manifest["artifacts"]):
        if one["path"] == change.path:
            one |= {"sha256": sha256, "bytes": len(change.data)}
            if verdicts:
                one.get("parity", one)["judged"]["sha256"] = sha256
    (out / "manifest.json").write_text(json.dumps(manifest))
    return out


class Judge:
    """Judges altered files, each without the others.

    Args:
        bundle: As it was converted.
    """

    def __init__(self, bundle: Path) -> None:
        self.bundle = bundle
        opened = open_bundle(bundle)
        oracle = ask_oracles(opened, Question(), None, progress=lambda text: None)
        self.case = prepare(opened, oracle, Settings(), nothing_to_tell)
        self._reports: dict[str, ArtifactReport] = {}

    def finding(self, change: Altered) -> Finding:
        """Return what parity says of the file; an error of the tree is a fail."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                out = alter(self.bundle, Path(folder) / "model", change, verdicts=True)
                return self._judged(out, change)
            except GateletError as error:
                return Finding("fail", "opening", str(error))

    def _judged(self, out: Path, change: Altered) -> Finding:
        bundle = open_bundle(out)
        for artifact in bundle.artifacts:
            name = f"{artifact.target} {artifact.scheme}"
            case = replace(self.case, bundle=bundle, seen={})
            if change.path == artifact.path:
                return _of_report(judge_artifact(case, artifact, None))
            role = change.what.removeprefix(f"{name} ")
            if role == change.what:
                continue
            if artifact.target == "c":
                with tempfile.TemporaryDirectory() as folder:
                    report = self._report(case, artifact, again=role in _USED)
                    return c_files(case, artifact, [report], Path(folder)).finding(role)
            used = role.startswith(("stream", "embedding"))
            report = self._report(case, artifact, again=used)
            return companions_of(case, artifact, [report])[role]
        return self._of_part(out, change)

    def _report(self, case: Case, artifact: Artifact, *, again: bool) -> ArtifactReport:
        if again:
            return judge_artifact(case, artifact, None)
        if artifact.path not in self._reports:
            self._reports[artifact.path] = judge_artifact(case, artifact, None)
        return self._reports[artifact.path]

    def _of_part(self, out: Path, change: Altered) -> Finding:
        """Judge a part: beside one artifact each of c and onnx, which are enough."""
        manifest = json.loads((out / "manifest.json").read_bytes())
        kept = [
            one
            for one in manifest["artifacts"]
            if one["scheme"] == "float32" and one["target"] in ("c", "onnx")
        ]
        for one in kept:
            roles = ("vocabulary", "library:x86_64-linux")
            companions = one.get("companions", {})
            one["companions"] = {role: companions[role] for role in roles if role in companions}
            one.pop("stream", None)
        (out / "manifest.json").write_text(json.dumps({**manifest, "artifacts": kept}))
        report = prove(open_bundle(out), with_keras=False)
        (found,) = (one.finding for one in report.files if one.path == change.path)
        return found


def _of_report(report: ArtifactReport) -> Finding:
    wrong = [check.name for check in report.checks if check.verdict == "fail"]
    verdict = "fail" if wrong else ("not run" if report.verdict == "not run" else "pass")
    return Finding(verdict, "run", ", ".join(wrong) or report.note)


def sample(changes: Sequence[Altered], count: int, *, seed: int = 0) -> list[Altered]:
    """Draw some of the changed files."""
    chosen = np.random.default_rng(seed).permutation(len(changes))[:count]
    return [changes[index] for index in sorted(chosen.tolist())]
