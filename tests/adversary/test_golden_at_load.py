"""Where no verdict covers this machine, an artifact shows its golden rows before it answers."""

import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gatelet.errors import BackendError, BundleDamaged
from gatelet.runtime import load, open_bundle
from gatelet.runtime.bundle.manifest import Artifact
from gatelet.runtime.predictor import coverage, golden_rows
from gatelet.runtime.predictor.coverage import covered, machine_here
from tests.fixture_types import EditManifest, PutPart

pytestmark = pytest.mark.ci

TARGETS = ("c", "litert", "onnx", "onnx-text", "tflm")
MISS = r"{target} float32 of bundle .* on this machine .*: golden row \d+ gives .*, expected "


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a cache folder that nothing was remembered in, in a process that remembers nothing."""
    monkeypatch.setenv("GATELET_CACHE", str(tmp_path / "cache"))
    coverage._passed_here.cache_clear()
    return tmp_path / "cache" / "golden"


@pytest.fixture
def copy(pair: Path, tmp_path: Path) -> Path:
    """Return a copy of a bundle of every target."""
    return Path(shutil.copytree(pair / "one", tmp_path / "one"))


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the targets whose golden rows were run."""
    run: list[str] = []
    check = golden_rows._check

    def counted(predictor: Any, *given: Any, **named: Any) -> None:
        run.append(predictor.target)
        check(predictor, *given, **named)

    monkeypatch.setattr(golden_rows, "_check", counted)
    return run


def forge(bundle: Path, target: str, put_part: PutPart) -> None:
    """Give an artifact the last layer of another model, with its digest repaired."""
    opened = open_bundle(bundle)
    kernel = bytes(opened.graph().weights["dense.kernel"].data)
    (path,) = (bundle / one.path for one in opened.artifacts if one.target == target)
    data = path.read_bytes()
    for (value,) in struct.iter_unpack("<f", kernel):
        right, wrong = struct.pack("<f", value), struct.pack("<f", -value)
        assert data.count(right) == 1
        data = data.replace(right, wrong)
    put_part(bundle, target, data)


def judge(bundle: Path, edit_manifest: EditManifest, **changed: object) -> None:
    """Say that the artifacts ran on this very machine, but for what is changed."""
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    for entry in manifest["artifacts"]:
        backend: Any = load(bundle, target=entry["target"])._backend
        run = {
            "engine": entry["target"],
            "version": backend.engine.partition(" ")[2],
            "machine": machine_here(),
            "level": getattr(backend, "level", None),
        }
        judged = {"verdict": "pass", "by": "run", "sha256": entry["sha256"], "runs": [run]}
        for name, value in changed.items():
            (judged if name == "sha256" else run)[name] = value
        entry["parity"]["judged"] = judged
    for one in manifest["files"]:
        one["judged"] = {"verdict": "pass", "by": "compared", "sha256": one["sha256"]}
    edit_manifest(bundle, artifacts=manifest["artifacts"], files=manifest["files"])
    shutil.rmtree(coverage._folder(), ignore_errors=True)


@pytest.mark.parametrize("target", TARGETS)
def test_an_artifact_that_computes_something_else_is_refused(
    copy: Path, put_part: PutPart, cache: Path, target: str
) -> None:
    forge(copy, target, put_part)
    for _ in range(2):
        with pytest.raises(BackendError, match=MISS.format(target=target)) as raised:
            load(copy, target=target)
    facts = raised.value.facts
    assert facts["got"] != facts["expected"]
    assert not cache.exists(), "what missed is not remembered"
    other = "onnx" if target == "c" else "c"
    assert load(copy, target=other).predict(["w1 w2"])


def test_words_that_c_reads_as_others_are_refused(
    copy: Path, put_part: PutPart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own reader is asked with texts; ids would not show it."""
    from gatelet.runtime.backends.c.backend import CBackend

    read = CBackend._with_texts

    def shifted(self: CBackend, texts: list[Any]) -> Any:
        return read(self, [text.replace("w", "w1") for text in texts])

    monkeypatch.setattr(CBackend, "_with_texts", shifted)
    with pytest.raises(BackendError, match=MISS.format(target="c")):
        load(copy, target="c")


@pytest.mark.parametrize("target", ["c", "onnx"])
def test_what_a_verdict_covers_starts_without_golden_rows(
    copy: Path, edit_manifest: EditManifest, checks: list[str], target: str
) -> None:
    judge(copy, edit_manifest)
    checks.clear()
    load(copy, target=target)
    assert not checks
    for changed in (
        {"sha256": "0" * 64},
        {"machine": "riscv64"},
        {"version": "0.1"},
        {"level": "v9"},
        {"engine": "another"},
    ):
        judge(copy, edit_manifest, **changed)
        checks.clear()
        load(copy, target=target)
        assert checks == [target], changed


def test_a_verdict_covers_no_other_bytes_engines_machines_or_levels() -> None:
    run = {"engine": "c", "version": "x86_64-linux", "machine": "x86_64", "level": "v4"}
    parity = {"verdict": "pass", "judged": {"sha256": "ab", "runs": [run]}}
    artifact = Artifact("f", 1, "ab", "c", "float32", parity=parity)
    here = ("c x86_64-linux", "x86_64", "v4")
    assert covered(artifact, *here)
    for other in (
        ("c aarch64-linux", "x86_64", "v4"),
        ("c x86_64-linux", "aarch64", "v4"),
        ("c x86_64-linux", "x86_64", "v3"),
        ("c x86_64-linux", "x86_64", None),
    ):
        assert not covered(artifact, *other), other
    wrong: tuple[Any, ...] = (
        None,
        [],
        {"sha256": "ab"},
        {"sha256": "ab", "runs": {}},
        {"runs": [run]},
    )
    for damaged in wrong:
        assert not covered(replace(artifact, parity={"judged": damaged}), *here), damaged
    assert not covered(replace(artifact, parity={}), *here)
    assert not covered(replace(artifact, sha256="cd"), *here)


def test_it_is_done_once_for_a_machine(
    copy: Path, checks: list[str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others could have left in a cache is not believed."""
    for _ in range(3):
        load(copy, target="onnx")
    assert checks == ["onnx"]
    (made,) = cache.iterdir()
    assert (cache.stat().st_mode & 0o777, made.stat().st_mode & 0o777) == (0o700, 0o600)
    cache.chmod(0o777)
    load(copy, target="onnx")
    load(copy, target="onnx")
    assert checks == ["onnx"] * 2, "then the process remembers"
    coverage._passed_here.cache_clear()
    cache.chmod(0o700)
    monkeypatch.setattr("os.getuid", lambda: 12345)
    load(copy, target="onnx")
    assert len(checks) == 3
    monkeypatch.undo()


def test_a_cache_that_cannot_be_written_costs_one_run_a_process(
    copy: Path, checks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("GATELET_CACHE", str(tmp_path / "file"))
    for _ in range(3):
        load(copy, target="onnx")
    assert checks == ["onnx"]


def _with_scores(
    copy: Path, edit_manifest: EditManifest, change: Callable[[list[list[float]]], object]
) -> None:
    """Let the onnx artifact be a rounded one, with such scores of its own at conversion."""
    manifest = json.loads((copy / "manifest.json").read_bytes())
    golden = json.loads((copy / manifest["golden"]).read_bytes())
    scores = golden["outputs"]["scores"]
    change(scores)
    for entry in manifest["artifacts"]:
        if entry["target"] == "onnx":
            entry["parity"]["golden_scores"] = scores
            entry["stores"] = {"weights": "int8", "embeddings": "int8", "activations": "float32"}
    edit_manifest(copy, artifacts=manifest["artifacts"])


def test_what_is_rounded_may_differ_in_its_ties_but_not_in_all_rows(
    copy: Path, edit_manifest: EditManifest, cache: Path
) -> None:
    def tip_over(scores: list[list[float]]) -> None:
        scores[3][0] += 0.05
        for row in scores:
            row[0] += 0.001

    def reverse(scores: list[list[float]]) -> None:
        scores.reverse()

    _with_scores(copy, edit_manifest, tip_over)
    assert load(copy, target="onnx").predict(["w1"])
    shutil.rmtree(cache)
    _with_scores(copy, edit_manifest, reverse)
    with pytest.raises(BackendError, match=MISS.format(target="onnx")):
        load(copy, target="onnx")


def test_golden_vectors_of_another_model_are_damage(copy: Path, put_part: PutPart) -> None:
    golden = {"texts": None, "inputs": {"ids": [[1, 2]]}, "outputs": {"scores": [[0.5, 0.5]]}}
    for change in (
        {},
        {"inputs": {"ids": [[1.5, 2]]}},
        {"inputs": {"ids": [["w"]]}},
        {"outputs": {"scores": ["w"]}},
        {"inputs": {"ids": [[10**30, 2]]}},
    ):
        put_part(copy, "golden", json.dumps(golden | change).encode())
        with pytest.raises(BundleDamaged, match="are not those of the model"):
            load(copy, target="onnx")


def test_rows_are_run_as_long_as_there_is_time(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Any] = []
    differences = golden_rows._differences

    def counted(*given: Any) -> list[float]:
        rows.append(given)
        return differences(*given)

    monkeypatch.setattr(golden_rows, "_differences", counted)
    monkeypatch.setattr(golden_rows, "BUDGET_S", 60.0)
    load(copy, target="onnx")
    assert len(rows) == 8
    monkeypatch.setattr(golden_rows, "BUDGET_S", 0.0)
    load(copy, target="c")
    assert len(rows) == 9
