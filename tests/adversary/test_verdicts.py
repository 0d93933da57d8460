"""A verdict is about bytes: those that were judged, and no others."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from gatelet.cli import main
from gatelet.convert import convert
from gatelet.convert.parity.report import ParityReport
from gatelet.convert.proving import prove
from gatelet.errors import BackendError, BundleError
from gatelet.runtime import load
from gatelet.runtime.bundle.opening import open_bundle
from tests.adversary.tampering import MAXLEN, WORDS, write_model
from tests.shared import made_once
from tests.small_vectorizer import vectorizer_of

GOLDEN = Path(__file__).parent.parent / "golden" / "text" / "bundle"
WORD = "w3 w5 w3"


def make(folder: Path, *, target: str = "onnx", **model: Any) -> Path:
    """Convert a small model."""
    file = write_model(folder / "m.keras", **model)
    vectorizer = vectorizer_of([f"w{number}" for number in range(WORDS)], maxlen=MAXLEN)
    out = folder / "bundle"
    labels = () if model.get("small") else ("no", "yes")
    given = {"targets": (target,), "schemes": ("float32",), "with_keras": False}
    convert(file, out, vectorizer=vectorizer, labels=labels, **given)  # type: ignore[arg-type]
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "verdicts", make) / "bundle"


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bundle"))


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest))


def replace_artifact(bundle: Path, data: bytes) -> None:
    """Replace the artifact's file, and repair its digest but not that of its verdict."""

    def repaired(manifest: dict[str, Any]) -> None:
        (one,) = manifest["artifacts"]
        (bundle / one["path"]).write_bytes(data)
        one |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    edit(bundle, repaired)


def artifact_of(bundle: Path) -> Path:
    opened = open_bundle(bundle)
    return bundle / opened.artifacts[0].path


# ---- What a conversion writes -------------------------------------------------------------------


def test_every_file_has_a_verdict_for_its_bytes(made: Path) -> None:
    manifest = json.loads((made / "manifest.json").read_bytes())
    entries = [(one, one["judged"]) for one in manifest["files"]]
    entries += [(one, one["parity"]["judged"]) for one in manifest["artifacts"]]
    assert len(entries) == 6
    for one, judged in entries:
        assert judged["sha256"] == one["sha256"]
        assert (judged["verdict"], judged["by"]) in {("pass", "run"), ("pass", "compared")}
    (run,) = entries[-1][1]["runs"]
    assert (run["engine"], run["level"]) == ("onnx", None)
    assert run["version"] and run["machine"]
    assert open_bundle(made).unjudged == ()


def test_each_level_of_the_processor_runs(tmp_path: Path) -> None:
    file = write_model(tmp_path / "m.keras")
    convert(file, tmp_path / "b", targets=("c",), schemes=("float32",), with_keras=False)
    (artifact,) = open_bundle(tmp_path / "b").artifacts
    runs = artifact.parity["judged"]["runs"]
    if runs[0]["machine"] != "x86_64":
        pytest.skip("levels are of x86-64")
    levels = [one["level"] for one in runs]
    assert levels == ["plain", "v2", "v3", "v4"][: len(levels)] and len(levels) >= 2


# ---- Bytes that were not judged -----------------------------------------------------------------


def test_a_wrong_file_has_no_pass_left(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    replace_artifact(bundle, artifact_of(make(tmp_path / "other", seed=2)).read_bytes())
    opened = open_bundle(bundle)
    assert opened.artifacts[0].verdict == opened.verdict == "not run"
    assert opened.artifacts[0].path in opened.doubt
    assert prove(opened, with_keras=False).verdict == "fail"


@pytest.mark.parametrize("part", ["graph", "weights", "vectorizer"])
def test_neither_has_an_artifact_of_other_parts(bundle: Path, part: str) -> None:
    def unbound(manifest: dict[str, Any]) -> None:
        (one,) = (one for one in manifest["files"] if one["path"] == manifest[part])
        one["judged"]["sha256"] = "0" * 64

    edit(bundle, unbound)
    assert open_bundle(bundle).artifacts[0].verdict == "not run"


def test_what_other_files_hold_is_doubted_alone(bundle: Path) -> None:
    def unbound(manifest: dict[str, Any]) -> None:
        (one,) = (one for one in manifest["files"] if one["path"] == manifest["source"])
        del one["judged"]

    edit(bundle, unbound)
    opened = open_bundle(bundle)
    assert opened.artifacts[0].verdict == "pass"
    assert opened.unjudged == (opened.manifest["source"],)


def test_a_fail_stays_a_fail(bundle: Path) -> None:
    def failed(manifest: dict[str, Any]) -> None:
        (one,) = manifest["artifacts"]
        one["parity"]["verdict"] = "fail"
        one["parity"]["judged"]["sha256"] = "0" * 64

    edit(bundle, failed)
    assert open_bundle(bundle).artifacts[0].verdict == "fail"


def test_predict_and_inspect_say_so(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(bundle), WORD]) == 0
    assert "no verdict" not in capsys.readouterr().err
    model = onnx.load(str(artifact_of(bundle)))
    model.doc_string = "another"
    replace_artifact(bundle, model.SerializeToString())
    assert main(["predict", str(bundle), WORD]) == 0
    assert "holds bytes that no verdict is about: onnx-float32-" in capsys.readouterr().err
    assert main(["inspect", str(bundle)]) == 0
    out = capsys.readouterr().out
    (line,) = (line for line in out.splitlines() if line.startswith("onnx    float32"))
    assert "not run" in line and "pass" not in line
    assert "1 not run: onnx-float32-" in out


@pytest.mark.parametrize(
    "judged", [None, [], {}, {"verdict": "good", "sha256": ""}, {"verdict": "pass", "sha256": 3}]
)
def test_an_entry_that_says_nothing_is_damage(bundle: Path, judged: Any) -> None:
    edit(bundle, lambda manifest: manifest["files"][0].update(judged=judged))
    with pytest.raises(BundleError, match=r"manifest\.json is damaged: '"):
        open_bundle(bundle)


def test_a_manifest_without_verdicts_of_files_is_as_before() -> None:
    opened = open_bundle(GOLDEN)
    assert {one.verdict for one in opened.artifacts} == {"pass"}
    assert opened.unjudged == () and opened.doubt == ""


# ---- Files that the manifest does not list ------------------------------------------------------


@pytest.mark.parametrize("threshold", [0, 64])
def test_weights_in_a_file_that_is_not_listed_are_refused(bundle: Path, threshold: int) -> None:
    path = artifact_of(bundle)
    model = onnx.load(str(path))
    onnx.save_model(
        model,
        str(path),
        save_as_external_data=True,
        size_threshold=threshold,
        location="beside.bin",
    )
    replace_artifact(bundle, path.read_bytes())
    with pytest.raises(BackendError, match="takes weights from another file"):
        load(bundle, target="onnx", scheme="float32")
    (report,) = prove(open_bundle(bundle), with_keras=False).artifacts
    assert report.verdict == "fail" and "takes weights from another file" in report.note


@pytest.mark.parametrize("data", [b"", b"\x0f", b"\x3a\xff\x7f", b"\x80" * 12])
def test_what_is_no_onnx_is_refused(bundle: Path, data: bytes) -> None:
    replace_artifact(bundle, data)
    with pytest.raises(BackendError, match="cannot open"):
        load(bundle, target="onnx", scheme="float32")


def test_a_field_that_hides_others_is_refused(bundle: Path) -> None:
    group = b"\xa3\x06\xa4\x06"  # of field 100, empty: protocol buffers skip it
    replace_artifact(bundle, artifact_of(bundle).read_bytes() + group)
    with pytest.raises(BackendError, match="cannot be checked"):
        load(bundle, target="onnx", scheme="float32")


def test_weights_inside_a_loop_may_not_lie_elsewhere(bundle: Path) -> None:
    path = artifact_of(bundle)
    model = onnx.load(str(path))
    tensor = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(model.graph.initializer[0]))
    tensor.data_location = onnx.TensorProto.EXTERNAL
    body = onnx.helper.make_graph([], "body", [], [], [tensor])
    model.graph.node.append(onnx.helper.make_node("Loop", [], [], body=body))
    replace_artifact(bundle, model.SerializeToString())
    with pytest.raises(BackendError, match="takes weights from another file"):
        load(bundle, target="onnx", scheme="float32")


# ---- What parity says of files ------------------------------------------------------------------


def test_files_that_were_not_run_are_named_and_strict_fails(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ["parity", str(bundle), "--no-keras"]
    assert main([*run, "--strict"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(": pass")

    def unknown(manifest: dict[str, Any]) -> None:
        data = b"notes"
        (bundle / "notes.txt").write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        judged = {"verdict": "pass", "by": "run", "sha256": sha256}
        one = {"path": "notes.txt", "bytes": len(data), "sha256": sha256, "judged": judged}
        manifest["files"].append(one)
        manifest["artifacts"][0]["companions"] = {"notes": "notes.txt"}

    edit(bundle, unknown)
    assert main(run) == 0
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .endswith(": pass; 1 file was not run here: notes.txt")
    )
    assert main([*run, "--strict", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    (found,) = (one for one in report["files"] if one["verdict"] == "not run")
    assert (found["path"], found["what"]) == ("notes.txt", "onnx float32 notes")


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("onnx", {"scores_max", "golden", "weights"}),
        pytest.param("c", {"opens"}, marks=pytest.mark.ci),  # it compiles
        pytest.param("litert", {"scores_max", "golden", "weights"}, marks=pytest.mark.ci),
    ],
)
def test_small_scores_hide_nothing(tmp_path: Path, target: str, told: set[str]) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    own, other = (
        make(folder, target=target, seed=seed, small=True)
        for seed, folder in enumerate(folders, start=1)
    )
    scores = load(own).scores([WORD, "w1", "w9 w8 w7", "w30 w31"])
    assert all(2e-4 < float(row[0]) < 6e-4 for row in scores)
    assert prove(open_bundle(own), with_keras=False).verdict == "pass"
    replace_artifact(own, artifact_of(other).read_bytes())
    report: ParityReport = prove(open_bundle(own), with_keras=False)
    verdicts = {check.name: check.verdict for check in report.artifacts[0].checks}
    assert {name for name in told if verdicts[name] == "fail"} == told
