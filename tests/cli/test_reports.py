"""What inspect, evaluate and parity print of a bundle, and what convert does with a verdict."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from gatelet.cli import convert as convert_command
from gatelet.convert.parity import ArtifactReport, Check, ParityReport
from gatelet.runtime import load, open_bundle
from gatelet.runtime.data.dataset import read, sha256_of
from tests.fixture_types import EditManifest, PutPart

RunCli = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "".join(f"w{i} w{i + 1},{i % 2}\n" for i in range(1, 21)))
    return path


def test_inspect_shows_a_bundle(cli: RunCli, written_bundle: Path) -> None:
    done = cli("inspect", written_bundle)
    assert (done.code, done.err) == (0, "")
    assert "bundle     small, format 1\nlabels     0, 1, threshold 0.5\n" in done.out
    assert "vectorizer 48 words, 10 timesteps, pre-padded\n" in done.out
    assert "onnx    float32 " in done.out and "LSTM" in done.out
    assert "bytes of " in done.out and "recurrent kernel" in done.out
    assert "input      ids int32 [?, ?], below 50\nparameters 283\n" in done.out


def test_inspect_json_is_the_manifest_and_the_sizes_on_one_line(
    cli: RunCli, written_bundle: Path
) -> None:
    done = cli("inspect", written_bundle, "--json")
    assert done.out.count("\n") == 1
    found = json.loads(done.out)
    sizes = found.pop("sizes")
    assert found == json.loads((written_bundle / "manifest.json").read_bytes())
    assert sizes[0]["name"] == "weights"
    assert all(sum(part["bytes"] for part in one["parts"]) == one["bytes"] for one in sizes)


def test_inspect_names_what_stands_in_the_way_of_a_model(cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    layers = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, 5, 3], "name": "in"}},
        {"class_name": "Frobnicate", "config": {"name": "odd\n\x1b", "trainable": True}},
    ]
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}
    h5py.File(tmp_path / "weights", "w").close()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", '{"keras_version": "3.8.0"}')
        archive.write(tmp_path / "weights", "model.weights.h5")
    for words in (("inspect", path), ("convert", path, "--out", tmp_path / "out")):
        done = cli(*words)
        complaint = done.complaint
        assert "Frobnicate" in complaint and "odd" in complaint
        assert "Frobnicate" not in done.out
        assert "cannot be lowered" in complaint and "docs/support.md" in complaint
    assert not (tmp_path / "out").exists()


def test_inspect_tells_what_a_folder_is_not(
    cli: RunCli, bundle: Path, edit_manifest: EditManifest, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    complaint = cli("inspect", tmp_path / "empty").complaint
    assert "empty' is neither a bundle (it has no manifest.json) nor a run" in complaint
    edit_manifest(bundle, labels=["a", "b", "c"], name="another")
    complaint = cli("inspect", bundle).complaint
    assert complaint.startswith(f"bundle '{bundle}' has 3 labels, its model needs 2")


def test_evaluate_measures_every_artifact(cli: RunCli, written_bundle: Path, data: Path) -> None:
    done = cli("evaluate", written_bundle, "--data", data, "--json")
    assert done.code == 0
    float32, int8 = json.loads(done.out)
    assert (float32["target"], float32["scheme"]) == ("onnx", "float32")
    assert (int8["target"], int8["scheme"]) == ("onnx", "dynamic-int8")
    assert {"rows", "accuracy", "macro_f1", "roc_auc", "brier"} <= set(float32)
    labels = [
        found.label
        for found in load(written_bundle, target="reference").predict(
            [line.split(",")[0] for line in data.read_text().splitlines()[1:]]
        )
    ]
    truth = [line.split(",")[1] for line in data.read_text().splitlines()[1:]]
    right = sum(a == b for a, b in zip(labels, truth, strict=True))
    assert float32["rows"] == 20
    assert float32["accuracy"] == pytest.approx(right / 20)
    table = cli("evaluate", written_bundle, "--data", data).out.splitlines()
    assert table[0].split()[:4] == ["target", "scheme", "rows", "accuracy"]
    assert len(table) == 4
    assert table[-1].startswith("no model  always '")
    assert float32["baseline"]["roc_auc"] == 0.5


def test_evaluate_shows_what_was_trained_beside_the_model_on_the_same_rows(
    cli: RunCli, bundle: Path, data: Path, edit_manifest: EditManifest
) -> None:
    beside = {"name": "TF-IDF", "C": 4, "rows": 20, "accuracy": 0.65, "macro_f1": 0.5}
    beside |= {"roc_auc": None, "brier": 0.25}

    def table(digest: str, found: object = beside) -> list[str]:
        provenance = {"training": {"baseline": found}, "test_data_sha256": digest}
        edit_manifest(bundle, provenance=provenance)
        done = cli("evaluate", bundle, "--data", data)
        return [line.rstrip() for line in done.out.splitlines()]

    digest = sha256_of(read(data))
    assert table(digest)[-2].split() == [
        "no",
        "network",
        "TF-IDF",
        "20",
        "0.6500",
        "0.5000",
        "-",
        "0.2500",
    ]
    (one, _) = json.loads(cli("evaluate", bundle, "--data", data, "--json").out)
    assert one["baseline"] == beside
    for other in (table("0" * 64), table(digest, {**beside, "brier": None})):
        assert len(other) == 4 and other[-1].startswith("no model")


def test_evaluate_leaves_out_what_cannot_run(
    cli: RunCli, cli_process: RunCli, written_bundle: Path, data: Path
) -> None:
    done = cli_process("evaluate", written_bundle, "--data", data, without=("onnxruntime",))
    assert done.complaint == "the onnx backend is not installed: pip install 'gatelet[onnx]'"
    assert done.err.count("left out: ") == 2


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"labels": []}, "has the label 'a' (row 1), and the model gives numbers"),
        ({"artifacts": []}, "has no artifacts"),
    ],
)
def test_evaluate_refuses_a_bundle_with_nothing_to_measure(
    cli: RunCli,
    bundle: Path,
    data: Path,
    edit_manifest: EditManifest,
    fields: dict[str, object],
    expected: str,
) -> None:
    edit_manifest(bundle, **fields)
    if not fields.get("labels", True):
        data.write_text("text,label\nw1,a\n")
    assert expected in cli("evaluate", bundle, "--data", data).complaint


def test_parity_json_has_the_promised_keys(cli: RunCli, written_bundle: Path, data: Path) -> None:
    done = cli("parity", written_bundle, "--data", data, "--no-keras", "--json")
    report = json.loads(done.out)
    assert {"verdict", "rows", "artifacts"} <= set(report)
    assert report["rows"] == 20
    assert [(a["target"], a["scheme"]) for a in report["artifacts"]] == [
        ("onnx", "float32"),
        ("onnx", "dynamic-int8"),
    ]
    for artifact in report["artifacts"]:
        assert artifact["verdict"] in ("pass", "fail", "undecided")
        for check in artifact["checks"]:
            assert {"name", "figure", "limit", "verdict"} <= set(check)
    assert report["artifacts"][0]["verdict"] == "pass"
    assert done.code == (1 if report["verdict"] == "fail" else 0)


def test_parity_of_a_wrong_artifact_fails_and_exits_1(
    cli: RunCli, bundle: Path, tmp_path: Path, write_bundle: Callable[..., Path], put_part: PutPart
) -> None:
    other = open_bundle(write_bundle(tmp_path / "other", outputs=3))
    put_part(bundle, "onnx", (other.path / other.artifacts[0].path).read_bytes())
    done = cli("parity", bundle, "--no-keras", "--json")
    assert done.code == 1
    assert json.loads(done.out)["verdict"] == "fail"
    table = cli("parity", bundle, "--no-keras")
    assert table.code == 1
    assert table.out.endswith("rows against graph: fail\n")


def report_of(verdict: str) -> ParityReport:
    checks = (Check("scores_max", float("inf"), 0.1, verdict),)
    return ParityReport(7, ("graph",), (ArtifactReport("onnx", "float32", checks),))


@pytest.mark.parametrize(
    ("verdict", "flags", "code"),
    [("pass", (), 0), ("fail", (), 1), ("undecided", (), 0), ("fail", ("--json",), 1)],
)
def test_convert_prints_its_report_and_exits_by_the_verdict(
    cli: RunCli,
    written_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    verdict: str,
    flags: tuple[str, ...],
    code: int,
) -> None:
    answer = (open_bundle(written_bundle), report_of(verdict))
    monkeypatch.setattr(convert_command, "convert_with_report", lambda *a, **k: answer)
    done = cli("convert", "model.keras", "--out", "out", *flags)
    assert done.code == code
    if flags:
        assert json.loads(done.out)["verdict"] == verdict
    else:
        assert done.out.endswith(f"parity over 7 rows against graph: {verdict}\n")


@pytest.mark.parametrize(
    ("verdict", "flags", "code"),
    [("undecided", (), 0), ("undecided", ("--strict",), 1), ("pass", ("--strict",), 0)],
)
def test_parity_strict_makes_undecided_a_failure(
    cli: RunCli,
    written_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    verdict: str,
    flags: tuple[str, ...],
    code: int,
) -> None:
    from gatelet.cli import parity

    monkeypatch.setattr(parity, "prove", lambda *a, **k: report_of(verdict))
    assert cli("parity", written_bundle, *flags).code == code
