"""The first command of the README, on real text: what it prints, leaves and reaches."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Quickstart, quickstart_once, run_quickstart

ARTIFACTS = [
    ("c", "float32"),
    ("c", "dynamic-int8"),
    ("litert", "float32"),
    ("litert", "dynamic-int8"),
    ("onnx", "float32"),
    ("onnx", "dynamic-int8"),
]
ACCURACY_MIN = {"reviews-en": 0.77, "reviews-zh": 0.79}


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def quickstart_zh(tmp_path_factory: pytest.TempPathFactory) -> Quickstart:
    """Run `gatelet quickstart --corpus reviews-zh` once."""
    return quickstart_once(tmp_path_factory, "reviews-zh")


def _assert_proven(found: Quickstart) -> None:
    artifacts = _read(found.bundle / "manifest.json")["artifacts"]
    assert [(one["target"], one["scheme"]) for one in artifacts] == ARTIFACTS
    assert [one["parity"]["verdict"] for one in artifacts] == ["pass"] * len(ARTIFACTS)


def _assert_printed(stdout: str, *, accuracy: float) -> list[str]:
    """Check the end of what is printed: a table row an artifact, the verdict, two predictions.

    Returns the labels of the two.
    """
    assert f"test accuracy {accuracy:.4f}" in stdout
    rows = re.findall(r"^(\S+) +(\S+) +([\d,]+) +([\d.]+) +(\w+) +([\d,]+) us$", stdout, re.M)
    assert [(target, scheme) for target, scheme, *_ in rows] == ARTIFACTS
    assert [verdict for *_, verdict, _ in rows] == ["pass"] * len(ARTIFACTS)
    ratios = [float(ratio) for _, _, _, ratio, _, _ in rows]
    assert set(ratios[::2]) == {1.0}
    assert max(ratios[1::2]) < 0.3
    assert re.search(
        r"^parity over [\d,]+ test texts against graph and keras \S+: pass$", stdout, re.M
    )
    predictions = re.findall(r"^([01])  (0\.\d{4}|1\.0000)  (.+)$", stdout, re.M)
    assert len(predictions) == 2
    return [label for label, _, _ in predictions]


def test_quickstart_proves_every_artifact(quickstart: Quickstart) -> None:
    _assert_proven(quickstart)


def test_quickstart_learns(quickstart: Quickstart) -> None:
    assert _read(quickstart.run / "metrics.json")["accuracy"] >= ACCURACY_MIN["reviews-en"]


def test_quickstart_prints_a_table_and_two_predictions(quickstart: Quickstart) -> None:
    accuracy = _read(quickstart.run / "metrics.json")["accuracy"]

    assert _assert_printed(quickstart.stdout, accuracy=accuracy) == ["1", "0"]


def test_the_c_program_of_the_readme_predicts_what_gatelet_predict_does(
    quickstart: Quickstart, tmp_path: Path
) -> None:
    """Run the README's own line in the bundle, as one who has read it would."""
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    (found,) = re.findall(
        r'^```sh\n(cc .* && \./predict "(.+)")\n```\n```\n(.+)\n```$', readme, re.M
    )
    line, text, shown = found
    shutil.copytree(quickstart.bundle, tmp_path / "demo")
    done = subprocess.run(
        line, shell=True, check=False, capture_output=True, text=True, cwd=tmp_path / "demo"
    )
    assert (done.returncode, done.stderr) == (0, "")

    command = [sys.executable, "-m", "gatelet", "predict", str(quickstart.bundle), text, "--json"]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    score, *rest = done.stdout.split(" ", 1)
    assert rest == [f" {text}\n"]
    # six digits of a float32: other vectors than those of the library may round the last
    assert abs(float(score) - json.loads(told.stdout)["scores"]["1"]) < 1.1e-6
    assert re.fullmatch(rf"0\.\d{{6}}  {re.escape(text)}", shown)
    assert re.fullmatch(r"0\.\d{6}", score)


def test_quickstart_on_chinese_proves_every_artifact(quickstart_zh: Quickstart) -> None:
    _assert_proven(quickstart_zh)


def test_quickstart_on_chinese_learns(quickstart_zh: Quickstart) -> None:
    assert _read(quickstart_zh.run / "metrics.json")["accuracy"] >= ACCURACY_MIN["reviews-zh"]


def test_quickstart_on_chinese_prints_a_table_and_two_predictions(
    quickstart_zh: Quickstart,
) -> None:
    accuracy = _read(quickstart_zh.run / "metrics.json")["accuracy"]

    _assert_printed(quickstart_zh.stdout, accuracy=accuracy)


def test_the_same_seed_gives_the_same_figures_and_the_same_artifacts(
    quickstart_zh: Quickstart, tmp_path: Path
) -> None:
    run_quickstart(tmp_path / "demo", "reviews-zh")

    runs = (quickstart_zh.run, tmp_path / "demo-run")
    first, second = (_read(run / "metrics.json") for run in runs)
    assert first == second
    bundles = (quickstart_zh.bundle, tmp_path / "demo")
    first, second = (_read(bundle / "manifest.json") for bundle in bundles)
    digests = [[one["sha256"] for one in made["artifacts"]] for made in (first, second)]
    assert digests[0] == digests[1]
