"""The whole conversion: what goes in and what comes out. Not bad input: test_convert_bad_input."""

import dataclasses
import io
import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.cli.main import main
from gatelet.convert import convert, convert_with_report
from gatelet.errors import (
    ConfigError,
    ConversionError,
    GateletError,
    ParityRefused,
)
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.run import Run
from gatelet.runtime.predictor.choice import choose_artifact
from gatelet.runtime.predictor.loading import load
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

Digests = Callable[[Path], dict[str, str]]
TEXTS = ["a good film", "dull and slow", ""]


# ---- What goes in ------------------------------------------------------------------------


@pytest.mark.usefixtures("no_tensorflow")
@pytest.mark.parametrize("kind", ["path", "text", "run"])
def test_a_run_converts_however_it_is_named(small_run: Path, work: Path, kind: str) -> None:
    named = {"path": small_run, "text": str(small_run), "run": Run.open(small_run)}[kind]
    out = str(work / "demo") if kind == "text" else work / "demo"
    bundle = convert(named, out)
    assert [path.name for path in work.iterdir()] == ["demo"]
    # 40 rows are too few to say that int8 loses less than a point
    assert [a.verdict for a in bundle.artifacts] == ["pass", "undecided"] * 2
    assert [(a.target, a.scheme) for a in bundle.artifacts] == [
        ("c", "float32"),
        ("c", "dynamic-int8"),
        ("onnx", "float32"),
        ("onnx", "dynamic-int8"),
    ]
    expected = np.asarray(load(out, target="reference").scores(TEXTS))
    found = np.asarray(load(out, target="onnx", scheme="float32").scores(TEXTS))
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.usefixtures("no_tensorflow")
def test_a_bundle_says_where_it_comes_from_and_what_was_checked(
    small_run: Path, work: Path
) -> None:
    bundle, report = convert_with_report(small_run, work / "demo")
    manifest = bundle.manifest
    assert (manifest["format_version"], manifest["name"]) == (1, "demo")
    assert (bundle.labels, bundle.threshold) == (("0", "1"), 0.5)
    assert manifest["provenance"]["training"]["seed"] == 1
    assert len(manifest["provenance"]["test_data_sha256"]) == 64
    assert set(manifest["provenance"]["packages"]) >= {"onnx", "onnxruntime"}
    assert (report.rows, report.oracles, report.verdict) == (40, ("graph",), "undecided")
    assert (report.over, report.made_up) == ("test texts", False)
    for artifact, one in zip(bundle.artifacts, report.artifacts, strict=True):
        engine = {"c": "c ", "onnx": "onnxruntime "}[artifact.target]
        assert artifact.parity["engine"].startswith(engine)
        assert artifact.parity["checks"] == [check.to_dict() for check in one.checks]
        assert len(artifact.parity["golden_scores"]) == len(bundle.golden().texts)  # type: ignore


@pytest.mark.usefixtures("no_tensorflow")
def test_golden_texts_tell_of_every_setting_of_the_vectorizer(small_run: Path, work: Path) -> None:
    bundle = convert(small_run, work / "demo", schemes=["float32"])
    golden, vectorizer = bundle.golden(), bundle.vectorizer()
    assert golden is not None and golden.texts is not None and isinstance(vectorizer, Vectorizer)
    assert "" in golden.texts
    assert max(map(len, map(vectorizer.tokens, golden.texts))) > vectorizer.maxlen
    assert any(text != text.lower() for text in golden.texts)
    assert any("!" in text for text in golden.texts)


@pytest.mark.usefixtures("no_tensorflow")
def test_private_texts_and_the_keras_file_can_stay_out(small_run: Path, work: Path) -> None:
    bundle = convert(small_run, work / "demo", golden_texts=False, strip=True)
    golden = bundle.golden()
    assert golden is not None and golden.texts is None
    assert bundle.part("source") is None
    private = Run.open(small_run).test().texts[0].encode()
    for path in bundle.path.iterdir():
        assert private not in path.read_bytes()
    assert bundle.artifacts[0].verdict == "undecided"  # no other vectorizer was there to ask


@pytest.mark.usefixtures("no_tensorflow")
def test_a_bare_keras_file_is_checked_on_random_inputs(small_run: Path, work: Path) -> None:
    bundle, report = convert_with_report(small_run / "model.keras", work / "demo")
    assert (report.rows, report.verdict) == (256, "pass")
    assert bundle.part("vectorizer") is None
    assert bundle.labels == ("0", "1")
    assert len(load(bundle.path).predict([[0, 0, 5, 7]])) == 1


@pytest.mark.usefixtures("no_tensorflow")
def test_a_bare_keras_file_takes_vectorizer_data_and_labels(small_run: Path, work: Path) -> None:
    bundle, report = convert_with_report(
        str(small_run / "model.keras"),
        work / "demo",
        schemes=["float32"],
        vectorizer=Vectorizer.load(small_run / "vectorizer.json"),
        data=Dataset(texts=("a good film", "a bad one"), labels=None, name="two"),
        labels=("bad", "good"),
    )
    assert report.rows == 2
    assert bundle.labels == ("bad", "good")
    assert load(bundle.path).predict(["a good film"])[0].label in bundle.labels


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own
def test_a_live_keras_model_is_judged_by_keras_too(work: Path) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(20, 4),
            keras.layers.LSTM(5),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    bundle, report = convert_with_report(model, work / "demo", targets=["onnx"])
    assert report.oracles == ("graph", f"keras {keras.__version__}")
    assert report.verdict == "pass"
    assert bundle.labels == ("0", "1", "2")
    rows = np.array([[0, 3, 19], [1, 2, 3]], np.int32)
    found = np.asarray(load(bundle.path).scores(rows))
    assert np.abs(found - model.predict(rows, verbose=0)).max() < 1e-5
    again = convert(model, work / "demo", targets=["onnx"], labels=("a", "b", "c"))
    assert again.labels == ("a", "b", "c")
    with pytest.raises(ConfigError, match="3 scores a row, so name 3 different labels"):
        convert(model, work / "demo", labels=("a", "b"))
    assert open_bundle(work / "demo").labels == ("a", "b", "c")


# ---- What parity finds -------------------------------------------------------------------


@pytest.fixture
def swapped_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the onnx exporter write two gates of a float32 kernel in the wrong order."""
    import onnx

    module = sys.modules["gatelet.convert.exporters.targets"]
    real = module.export_onnx

    def export(graph: Any, scheme: Any, **settings: Any) -> Any:
        exported = real(graph, scheme, **settings)
        if scheme.name != "float32":
            return exported
        model = onnx.load_from_string(exported.data)
        (node,) = (one for one in model.graph.node if one.op_type == "LSTM")
        (tensor,) = (one for one in model.graph.initializer if one.name == node.input[1])
        i, o, f, c = np.split(onnx.numpy_helper.to_array(tensor), 4, axis=1)
        changed = np.concatenate([o, i, f, c], axis=1)
        tensor.CopyFrom(onnx.numpy_helper.from_array(changed, tensor.name))
        return dataclasses.replace(exported, data=model.SerializeToString())

    monkeypatch.setattr(module, "export_onnx", export)


@pytest.mark.usefixtures("no_tensorflow", "swapped_gates")
def test_a_failed_artifact_is_marked_and_the_bundle_is_kept(small_run: Path, work: Path) -> None:
    bundle, report = convert_with_report(small_run, work / "demo")
    assert bundle.verdict == report.verdict == "fail"
    found = {(one.target, one.scheme): one for one in bundle.artifacts}
    failed = found.pop(("onnx", "float32"))
    assert failed.verdict == "fail"
    assert {one.verdict for one in found.values()} == {"pass", "undecided"}
    checks = {check["name"]: check["verdict"] for check in failed.parity["checks"]}
    assert checks["scores_max"] == checks["golden"] == "fail"
    assert checks["ids"] == checks["graph_golden"] == checks["state_leak"] == "pass"
    assert load(bundle.path, scheme="float32").target == "c"
    assert load(bundle.path, target="onnx").scheme == "dynamic-int8"
    only = dataclasses.replace(bundle, artifacts=(failed,))
    with pytest.raises(ParityRefused, match="name both --target and --scheme"):
        choose_artifact(only, target=None, scheme="float32")
    assert load(bundle.path, target="onnx", scheme="float32").predict(TEXTS)


@pytest.mark.usefixtures("no_tensorflow", "swapped_gates")
def test_the_command_exits_1_when_an_artifact_fails(
    small_run: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(small_run), "--out", str(work / "demo"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "fail"
    assert open_bundle(work / "demo").verdict == "fail"
    assert (
        main(["convert", str(small_run), "--out", str(work / "demo"), "--scheme", "float32"]) == 1
    )
    assert "onnx float32: scores_max is" in capsys.readouterr().out


@pytest.mark.usefixtures("no_tensorflow")
def test_the_command_exits_0_when_all_pass(
    small_run: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(small_run), "--out", str(work / "demo")]) == 0
    assert "parity over 40 test texts against graph: " in capsys.readouterr().out


@pytest.mark.usefixtures("no_tensorflow")
def test_a_model_that_gives_no_finite_score_is_refused(small_run: Path, work: Path) -> None:
    import h5py

    run = Path(shutil.copytree(small_run, work / "run"))
    with zipfile.ZipFile(run / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        file["layers/dense/vars/1"][...] = np.nan
    with zipfile.ZipFile(run / "model.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, weights.getvalue() if name.endswith(".h5") else content)
    with pytest.raises(GateletError, match=r"finite|NaN"):
        convert(run, work / "demo")
    assert [path.name for path in work.iterdir()] == ["run"]


@pytest.mark.usefixtures("no_tensorflow")
def test_rows_without_finite_scores_are_no_golden_vectors(
    small_run: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model may give NaN for a row of padding only, which JSON cannot hold."""
    real = ReferenceBackend.run

    def run(self: ReferenceBackend, inputs: Any) -> Any:
        found = real(self, inputs)
        empty = ~next(iter(inputs.values())).any(axis=1)
        return {k: np.where(empty[:, None], np.nan, v) for k, v in found.items()}

    monkeypatch.setattr(ReferenceBackend, "run", run)
    bundle, report = convert_with_report(small_run, work / "demo", schemes=["float32"])
    golden = bundle.golden()
    assert golden is not None and golden.texts is not None and golden.texts
    assert "" not in golden.texts
    assert "a good film" in " ".join(golden.texts).lower()
    monkeypatch.setattr(
        ReferenceBackend,
        "run",
        lambda self, inputs: {k: v * np.nan for k, v in real(self, inputs).items()},
    )
    with pytest.raises(ConversionError, match="the model gives no finite scores"):
        convert(small_run, work / "none")
    assert report.rows == 40
    assert [path.name for path in work.iterdir()] == ["demo"]


# ---- What is there already --------------------------------------------------------------


@pytest.mark.usefixtures("no_tensorflow")
def test_a_bundle_replaces_a_bundle_and_leaves_what_is_not_ours(
    small_run: Path, other_run: Path, work: Path
) -> None:
    first = convert(small_run, work / "demo")
    (first.path / "README.md").write_text("mine")
    before = np.asarray(load(first.path).scores(TEXTS))
    second = convert(other_run, work / "demo")
    after = np.asarray(load(second.path).scores(TEXTS))
    assert np.abs(after - before).min() > 0.01
    listed = {file.path for file in (*second.files, *second.artifacts)}
    assert {path.name for path in first.path.iterdir()} == listed | {"manifest.json", "README.md"}


def test_why_keras_gave_no_verdict_stands_in_the_manifest(small_run: Path, work: Path) -> None:
    """A file that our reader reads and Keras refuses: a layer has a setting unknown to it."""
    run = Path(shutil.copytree(small_run, work / "run"))
    with zipfile.ZipFile(run / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = members["config.json"].replace(b'"units": 1,', b'"units": 1, "flavour": 2,')
    assert config != members["config.json"]
    with zipfile.ZipFile(run / "model.keras", "w") as archive:
        for name, content in (members | {"config.json": config}).items():
            archive.writestr(name, content)
    bundle, report = convert_with_report(run, work / "demo", targets=["onnx"], schemes=["float32"])
    assert report.oracles == ("graph",)
    assert "cannot load the model" in bundle.manifest["provenance"]["keras_refusal"]
    assert bundle.verdict == "pass"
