"""`gatelet diff`: two real bundles on the same rows, a table, JSON and an exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.runtime import load
from tests.fixture_types import EditManifest, PutPart, WriteBundle

RunCli = Callable[..., Any]
ROWS = 60


@pytest.fixture
def data(tmp_path: Path, written_bundle: Path) -> Path:
    """Write rows of which the tiny bundle has all but every tenth right."""
    path = tmp_path / "data.csv"
    texts = [f"w{i % 48 + 1} w{i % 7 + 1}" for i in range(ROWS)]
    decided = load(written_bundle, target="reference").predict(texts)
    labels = [int(p.label or 0) ^ (row % 10 == 0) for row, p in enumerate(decided)]
    rows = "".join(f"{text},{label}\n" for text, label in zip(texts, labels, strict=True))
    path.write_text(f"text,label\n{rows}")
    return path


@pytest.fixture(scope="session")
def swapped(tmp_path_factory: pytest.TempPathFactory, write_bundle: WriteBundle) -> Path:
    """Write the tiny bundle with its labels swapped: it decides every row otherwise."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "swapped", labels=("1", "0"))


def test_a_bundle_is_no_worse_than_itself(cli: RunCli, written_bundle: Path, data: Path) -> None:
    done = cli("diff", written_bundle, written_bundle, "--data", data)

    assert done.code == 0, done
    lines = done.out.splitlines()
    assert lines[0].split()[:4] == ["target", "scheme", "bytes", "growth"]
    assert [line.split()[0] for line in lines[1:4]] == ["reference", "onnx", "onnx"]
    for line in lines[1:4]:
        assert line.split()[-7:-1] == ["0", "0", "0.00%", *line.split()[-4:-1]]
        assert line.endswith("pass")
    assert "nothing changed in labels" in done.out
    assert lines[-1] == f"diff over {ROWS} rows of {data}: pass"


def test_a_bundle_that_decides_otherwise_is_worse(
    cli: RunCli, written_bundle: Path, swapped: Path, data: Path
) -> None:
    done = cli("diff", written_bundle, swapped, "--data", data, "--json")

    assert done.code == 1
    found = json.loads(done.out)
    assert (found["verdict"], found["rows"], found["metric"]) == ("fail", ROWS, "accuracy")
    assert {"name": "labels", "old": "0, 1", "new": "1, 0"} in found["changes"]
    for one in found["artifacts"]:
        assert one["flips"]["estimate"] == 1.0 and one["flips"]["low"] > 0.9
        assert one["quality"] == pytest.approx([0.9, 0.1])
        assert one["change"]["low"] <= one["change"]["estimate"] <= one["change"]["high"]
        assert one["difference_max"] is None and "other labels" in one["note"]


def test_without_labels_flips_decide(
    cli: RunCli, written_bundle: Path, swapped: Path, tmp_path: Path
) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": f"w{i}"}) + "\n" for i in range(1, 41)))
    done = cli("diff", written_bundle, swapped, "--data", path)
    assert done.code == 1
    assert "100.00% of the labels changed (95 %: 91.19% to 100.00%)" in done.out
    assert cli("diff", written_bundle, swapped, "--data", path, "--max-flips", "1").code == 0


def test_without_data_the_golden_vectors_are_compared(
    cli: RunCli, bundle: Path, written_bundle: Path, put_part: PutPart, tmp_path: Path
) -> None:
    done = cli("diff", written_bundle, bundle)
    assert done.code == 0 and "diff over 8 rows of golden texts of the old bundle" in done.out

    golden = json.loads(next(bundle.glob("golden-*")).read_bytes())
    put_part(bundle, "golden", json.dumps({**golden, "texts": None}).encode())
    done = cli("diff", bundle, written_bundle)
    assert done.code == 0 and "diff over 8 rows of golden inputs of the old bundle" in done.out

    vectorizer = json.loads(next(bundle.glob("vectorizer-*")).read_bytes())
    put_part(bundle, "vectorizer", json.dumps({**vectorizer, "lower": False}).encode())
    assert "the vectorizers differ" in cli("diff", bundle, written_bundle).complaint
    assert "vectorizer.lower" in cli("diff", written_bundle, bundle).out


def test_an_artifact_that_is_gone_is_worse_and_a_new_one_is_not(
    cli: RunCli, written_bundle: Path, write_bundle: WriteBundle, tmp_path: Path
) -> None:
    fewer = write_bundle(tmp_path / "fewer", artifacts=(("onnx", "float32"),))
    gone = cli("diff", written_bundle, fewer)
    assert gone.code == 1
    assert "onnx dynamic-int8: fail: the new bundle has no such artifact" in gone.out
    more = cli("diff", fewer, written_bundle)
    assert more.code == 0
    assert "onnx dynamic-int8: only in the new bundle" in more.out


def test_lost_parity_and_growth_are_worse(
    cli: RunCli, bundle: Path, written_bundle: Path, edit_manifest: EditManifest
) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["artifacts"][0]["parity"] = {"verdict": "fail"}
    provenance = {"training": {"seed": 2}, "processor_s": {"parity": 1.5}}
    edit_manifest(bundle, artifacts=manifest["artifacts"], provenance=provenance)
    done = cli("diff", written_bundle, bundle)
    assert done.code == 1
    assert "onnx float32: fail: parity was pass, is fail" in done.out
    assert any(line.split() == ["training.seed", "-", "2"] for line in done.out.splitlines())
    assert "processor_s" not in done.out, "times differ between any two conversions"


def test_a_model_of_other_classes_is_compared_by_its_decisions(
    cli: RunCli, written_bundle: Path, write_bundle: WriteBundle, tmp_path: Path, data: Path
) -> None:
    other = write_bundle(tmp_path / "other", outputs=3)
    done = cli("diff", written_bundle, other, "--data", data, "--max-size-growth", "0", "--json")
    found = json.loads(done.out)
    assert done.code == 1
    assert {"name": "labels", "old": "0, 1", "new": "0, 1, 2"} in found["changes"]
    _, float32, _ = found["artifacts"]
    assert float32["difference_max"] is None and float32["flips"] is not None
    size = next(one for one in float32["findings"] if one["name"] == "size")
    assert size["verdict"] == "fail" and "the limit is +0.0%" in size["sentence"]


def test_a_regression_is_compared_by_its_error(
    cli: RunCli, write_bundle: WriteBundle, tmp_path: Path, data: Path
) -> None:
    model = write_bundle(tmp_path / "model", labels=())
    found = json.loads(cli("diff", model, model, "--data", data, "--json").out)
    assert found["metric"] == "MAE" and found["verdict"] == "pass"
    texts = [line.split(",")[0] for line in data.read_text().splitlines()[1:]]
    truth = [float(line.split(",")[1]) for line in data.read_text().splitlines()[1:]]
    scores = np.asarray(load(model, target="reference").scores(texts))[:, 0]
    for one in found["artifacts"][:2]:
        assert one["quality"][0] == pytest.approx(np.abs(scores - truth).mean(), abs=1e-5)
        assert one["change"]["estimate"] == 0


def test_features_come_from_npz(cli: RunCli, write_bundle: WriteBundle, tmp_path: Path) -> None:
    model = write_bundle(tmp_path / "model", features=4, with_vectorizer=False)
    path = tmp_path / "data.npz"
    rng = np.random.default_rng(3)
    np.savez(path, x=rng.normal(size=(30, 10, 4)).astype(np.float32), y=np.arange(30) % 2)
    done = cli("diff", model, model, "--data", path)
    assert done.code == 0 and done.out.endswith(f"diff over 30 rows of {path}: pass\n")
    texts = tmp_path / "texts.csv"
    texts.write_text("text\nw1\n")
    assert "has no vectorizer" in cli("diff", model, model, "--data", texts).complaint


def test_without_its_engine_an_artifact_is_compared_by_size_alone(
    cli_process: RunCli, written_bundle: Path
) -> None:
    words = ("diff", written_bundle, written_bundle, "--json")
    found = json.loads(cli_process(*words, without=("onnxruntime",)).out)
    reference, *artifacts = found["artifacts"]
    assert reference["difference_max"] == 0
    for one in artifacts:
        assert "pip install" in one["note"] and one["difference_max"] is None
        assert [finding["name"] for finding in one["findings"]] == ["parity", "size"]


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (("--max-flips", "-1"), "max_flips is -1.0: expected a share from 0", 2),
        (("--data", "missing.csv"), "does not exist", 1),
    ],
)
def test_bad_input_is_one_sentence(
    cli: RunCli, written_bundle: Path, words: tuple[str, ...], said: str, code: int
) -> None:
    done = cli("diff", written_bundle, written_bundle, *words)
    assert said in (done.misuse if code == 2 else done.complaint)


def test_a_label_that_the_new_bundle_does_not_know_is_named(
    cli: RunCli, written_bundle: Path, tmp_path: Path
) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("text,label\nw1,positive\n")
    assert "positive" in cli("diff", written_bundle, written_bundle, "--data", path).complaint
