"""Bundles that an earlier commit made predict what they predicted there: see README.md."""

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.cli import main
from gatelet.runtime import load, open_bundle

FOLDER = Path(__file__).parent
NAMES = ("text", "sensors", "several")
LARGEST_BYTES = 300 * 1024
OTHER_ENGINES_ATOL = 1e-6  # of another processor, or another version of the engine

EXPECTED = {
    name: json.loads((FOLDER / name / "expected.json").read_text("utf-8")) for name in NAMES
}
KEYS = [(name, *key.split()) for name in NAMES for key in EXPECTED[name]["scores"]]

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run C without the instructions that only some processors have."""
    monkeypatch.setenv("GATELET_LEVEL", "plain")
    monkeypatch.setenv("CC", "no-such-compiler")  # nothing is compiled anew


def opened(name: str, target: str, scheme: str) -> Any:
    """Open an artifact; c with the library that lies in the bundle, compiled at that commit."""
    path = FOLDER / name / "bundle"
    if target == "c":
        machine = f"{platform.machine()}-{platform.system()}".lower()
        (artifact,) = (one for one in open_bundle(path).artifacts if one.target == "c")
        if f"library:{machine}" not in artifact.companions:
            pytest.skip(f"the bundle's library is for x86_64-linux, this is {machine}")
    return load(path, target=target, scheme=scheme)


def given(rows: list[Any]) -> Any:
    if isinstance(rows[0], dict):
        return {name: [row[name] for row in rows] for name in rows[0]}
    return rows


def check_equal(target: str, found: Any, expected: Any) -> None:
    """Compare scores: those of c to the bit."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for name, value in expected.items():
            check_equal(target, found[name], value)
        return
    values, wanted = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert values.shape == wanted.shape
    if target == "c":
        np.testing.assert_array_equal(values, wanted)
    else:
        np.testing.assert_allclose(values, wanted, rtol=0, atol=OTHER_ENGINES_ATOL)


def first(scores: Any) -> Any:
    """Return what was given for the one row of a batch."""
    if isinstance(scores, dict):
        return {name: first(value) for name, value in scores.items()}
    return scores[0]


@pytest.mark.parametrize(("name", "target", "scheme"), KEYS)
def test_the_scores_are_those_of_the_commit_that_made_it(
    name: str, target: str, scheme: str
) -> None:
    predictor, expected = opened(name, target, scheme), EXPECTED[name]
    for row, scores in zip(expected["rows"], expected["scores"][f"{target} {scheme}"], strict=True):
        check_equal(target, first(predictor.scores(given([row]))), scores)


@pytest.mark.parametrize(
    ("name", "target", "scheme"), [key for key in KEYS if EXPECTED[key[0]]["labels"]]
)
def test_so_are_the_labels_of_all_rows_at_once(name: str, target: str, scheme: str) -> None:
    expected = EXPECTED[name]
    predicted = opened(name, target, scheme).predict(given(expected["rows"]))
    assert [one.label for one in predicted] == expected["labels"][f"{target} {scheme}"]


@pytest.mark.parametrize(
    ("name", "target", "scheme"), [key for key in KEYS if EXPECTED[key[0]]["streams"]]
)
def test_so_is_what_a_stream_gives_after_each_step(name: str, target: str, scheme: str) -> None:
    predictor, expected = opened(name, target, scheme), EXPECTED[name]
    for row, steps in zip(
        expected["rows"], expected["streams"][f"{target} {scheme}"], strict=False
    ):
        stream = predictor.stream()
        for step, scores in zip(row, steps, strict=True):
            check_equal(target, first(stream.step(step)), scores)


def test_rows_differ_so_that_wrong_scores_would_show() -> None:
    for name, target, scheme in KEYS:
        scores = EXPECTED[name]["scores"][f"{target} {scheme}"]
        outputs = scores[0] if isinstance(scores[0], dict) else None
        for output in outputs or [""]:
            values = np.array([row[output] if outputs else row for row in scores])
            assert values.std(axis=0).max() > 0.1, (name, target, scheme, output)
        labels = EXPECTED[name]["labels"]
        assert not labels or len(set(labels[f"{target} {scheme}"])) > 1


@pytest.mark.parametrize("name", NAMES)
def test_parity_passes_on_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["parity", str(FOLDER / name / "bundle"), "--no-keras", "--json"])
    report = json.loads(capsys.readouterr().out)
    verdicts = {(one["target"], one["scheme"]): one["verdict"] for one in report["artifacts"]}
    stored = {(one.target, one.scheme) for one in open_bundle(FOLDER / name / "bundle").artifacts}
    assert code == 0
    assert verdicts == dict.fromkeys(stored, "pass")


@pytest.mark.parametrize("name", NAMES)
def test_inspect_shows_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(FOLDER / name / "bundle")]) == 0
    printed = capsys.readouterr().out
    for artifact in open_bundle(FOLDER / name / "bundle").artifacts:
        assert artifact.scheme in printed
        assert f"{artifact.bytes:,}" in printed


def test_predict_gives_the_same_score_for_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    rows, scores = EXPECTED["text"]["rows"], EXPECTED["text"]["scores"]["reference float32"]
    words = ["predict", str(FOLDER / "text" / "bundle"), rows[4], "--target", "reference", "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["label"] == EXPECTED["text"]["labels"]["reference float32"][4]
    assert found["scores"]["pos"] == pytest.approx(scores[4][0], abs=OTHER_ENGINES_ATOL)


def test_predict_streams_the_same_steps(tmp_path: Path) -> None:
    row, steps = (EXPECTED["sensors"][key] for key in ("rows", "streams"))
    lines = "".join(",".join(map(str, step)) + "\n" for step in row[0])
    words = ["predict", str(FOLDER / "sensors" / "bundle"), "--stream", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "gatelet", *words, "--target", "onnx", "--scheme", "float32"],
        input=lines,
        check=True,
        capture_output=True,
        text=True,
    )
    found = [list(json.loads(line)["scores"].values()) for line in done.stdout.splitlines()]
    check_equal("onnx", found, steps["onnx float32"][0])


@pytest.mark.parametrize("name", NAMES)
def test_its_files_are_small_and_name_no_place_of_the_machine(name: str) -> None:
    for path in (FOLDER / name).rglob("*"):
        assert path.is_dir() or path.stat().st_size <= LARGEST_BYTES, path
    manifest = json.loads((FOLDER / name / "bundle" / "manifest.json").read_text("utf-8"))
    assert manifest.get("source") is None  # --strip
    assert "/" not in json.dumps(manifest["provenance"])
