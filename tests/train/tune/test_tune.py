"""`gatelet tune` on made-up reviews, with real trials: what it writes, and that it goes on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from gatelet.cli import main
from gatelet.runtime.data import dataset
from gatelet.runtime.data.dataset import Dataset, Split
from gatelet.runtime.data.run import Run
from gatelet.train import evaluate_run, fit, train
from gatelet.train.baseline import NAME
from gatelet.train.config import TrainConfig
from gatelet.train.model import Network
from gatelet.train.tune import search
from gatelet.train.tune.watching import Watching
from tests.train.made import write_series

pytestmark = pytest.mark.ci

SPACE = """
cell = ["gru", "rnn"]
units = { low = 2, high = 6 }
embedding = { low = 2, high = 8, log = true }
learning_rate = { low = 0.02, high = 0.1, log = true }
"""
SETTINGS = ["--maxlen", "12", "--epochs", "2", "--vocabulary", "60"]

FILES = {
    "calibration.jsonl",
    "config.toml",
    "history.json",
    "history.svg",
    "metrics.json",
    "model.keras",
    "run.json",
    "test.jsonl",
    "vectorizer.json",
}
LIMIT_S = 600  # for a subprocess; it needs about 15


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tune")


@pytest.fixture(scope="module")
def words(folder: Path, write_reviews: Callable[..., Path]) -> list[str]:
    data = write_reviews(folder / "re<views&.csv", rows=240)
    space = folder / "space.toml"
    space.write_text(SPACE, "utf-8")
    return ["tune", "--data", str(data), "--space", str(space), "--trials", "3", *SETTINGS]


class Sealed(Dataset):
    """A test part that nobody may read before it is judged."""

    is_open = False

    def __getattribute__(self, name: str) -> Any:
        if name in ("texts", "labels") and not type(self).is_open:
            # its rows are counted, and a part without rows is made of it: both read no row
            code = sys._getframe(1).f_code
            assert code.co_filename == dataset.__file__, code
            assert code.co_name in ("__len__", "rows", "<genexpr>", "__post_init__"), code
        return object.__getattribute__(self, name)


def test_no_trial_opens_the_test_part(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split, write_run = dataset.split, fit.write_run
    judged: list[Path] = []

    def sealed(rows: Dataset) -> Split[Any]:
        parts = split(rows)
        test = Sealed(parts.test.texts, parts.test.labels, parts.test.name)
        return Split(parts.train, parts.validation, test)

    def judge(config: TrainConfig, *rest: Any) -> Any:
        judged.append(config.out)
        return write_run(config, *rest)

    def judging(self: Watching, number: int) -> None:
        assert not judged
        Sealed.is_open = True

    monkeypatch.setattr(dataset, "split", sealed)
    monkeypatch.setattr(search, "write_run", judge)
    monkeypatch.setattr(Watching, "judging", judging)
    monkeypatch.setattr(Sealed, "is_open", False)
    out = tmp_path / "study"

    assert main([*words, "--out", str(out)]) == 0
    assert judged == [out / "run"]


@pytest.fixture(scope="module")
def study(folder: Path, words: list[str]) -> Path:
    assert main([*words, "--out", str(folder / "study")]) == 0
    return folder / "study"


def points(study: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (study / "trials.jsonl").read_text().splitlines()]


def test_the_chosen_trial_is_an_ordinary_run_that_was_judged_on_the_test_part(study: Path) -> None:
    run = Run.open(study / "run")
    (chosen,) = [one for one in points(study) if one["chosen"]]
    stored = json.loads((run.path / "metrics.json").read_text("utf-8"))

    assert {path.name for path in run.path.iterdir()} >= FILES
    assert run.provenance["seed"] == chosen["seed"]
    assert stored["accuracy"] == evaluate_run(run, run.test()).to_dict()["accuracy"]


def test_exported_bytes_are_those_that_were_predicted(study: Path) -> None:
    front = [one for one in points(study) if one["on_front"]]

    assert front
    for one in front:
        assert abs(one["bytes"] / one["exported_bytes"] - 1) < 0.01


def test_a_trial_trained_again_by_its_settings_has_the_same_bits(
    study: Path, tmp_path: Path
) -> None:
    (chosen,) = [one for one in points(study) if one["chosen"]]
    settings = study / "trials" / f"{chosen['trial']:04}.toml"

    again = train(TrainConfig.from_toml(settings, out=tmp_path / "again"))

    was, now = (Network.load(one.model_path) for one in (Run.open(study / "run"), again))
    pairs = zip(was.weights(), now.weights(), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


def test_the_pictures_are_whole_and_escape_names(study: Path) -> None:
    picture = ElementTree.fromstring((study / "front.svg").read_text("utf-8"))
    page = (study / "front.html").read_text("utf-8")

    texts = [one.text or "" for one in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "re<views&.csv: 3 trials" in texts
    marks = list(picture.iter("{http://www.w3.org/2000/svg}circle"))
    assert len([one for one in marks if one.get("class") == "chosen"]) == 1
    front = [one for one in points(study) if one["on_front"]]
    assert len([one for one in marks if one.get("class") == "best"]) == len(front)
    assert "re&lt;views&amp;.csv: 3 trials" in page and "re<views" not in page
    for one in front:
        assert f"<td>{one['bytes']:,}</td><td>{one['exported_bytes']:,}</td>" in page


def test_json_has_the_front_and_the_test_figures(
    study: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--out", str(study), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert sum(told["trials"].values()) == 3
    assert [one for one in points(study) if one["on_front"]] == sorted(
        told["front"], key=lambda one: one["trial"]
    )
    assert told["test"]["rows"] == len(Run.open(study / "run").test())


def test_the_baseline_stands_beside_the_chosen_trial(
    study: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    stored = json.loads((study / "run" / "metrics.json").read_text("utf-8"))["baseline"]
    line = f"{NAME}, on whole texts: {stored['accuracy']:.4f}"

    assert main([*words, "--out", str(study)]) == 0

    assert stored["rows"] == len(Run.open(study / "run").test())
    assert f"\n{line}\n" in capsys.readouterr().out
    assert f"Beside it {line}." in (study / "front.html").read_text("utf-8")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_search_that_was_ended_goes_on_to_the_same_trials(
    study: Path, words: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "study"
    command = [sys.executable, "-m", "gatelet", *words, "--out", str(out)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("trial 0"):
            break
    os.kill(child.pid, number)
    child.communicate(timeout=LIMIT_S)
    assert child.returncode == (130 if number == signal.SIGINT else -number)
    assert not (out / "run").exists()

    assert main([*words, "--out", str(out)]) == 0

    def bare(one: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in one.items() if key != "processor_s"}

    assert [bare(one) for one in points(out)] == [bare(one) for one in points(study)]
    assert sorted(path.name for path in out.iterdir()) == sorted(p.name for p in study.iterdir())


@pytest.mark.full
def test_two_workers_of_ray_finish_the_same_study(words: list[str], tmp_path: Path) -> None:
    pytest.importorskip("ray")
    out = tmp_path / "study"
    command = [sys.executable, "-m", "gatelet", *words, "--out", str(out), "--engine", "ray"]

    # Ray starts workers with a niceness of 15: beside other work they would not get anywhere
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ, "RAY_worker_niceness": "0"},
    )

    assert done.returncode == 0, done.stderr
    found = points(out)
    assert [one["trial"] for one in found] == [0, 1, 2]
    assert [one["seed"] for one in found] == [1, 2, 3]
    assert Run.open(out / "run").test_path.is_file()


def test_a_setting_that_is_given_as_a_flag_does_not_vary(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--cell", "rnn", "--units", "3", "--embedding", "2", "--learning-rate", "0.1"]

    assert main([*words, *given, "--out", str(tmp_path / "study")]) == 2
    assert "nothing varies" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_values_of_windows_are_searched_and_keep_their_unit(tmp_path: Path) -> None:
    data, out, space = write_series(tmp_path / "load.csv"), tmp_path / "study", tmp_path / "s.toml"
    space.write_text("units = [8, 12]\n", "utf-8")
    asked = [
        "--window",
        "12",
        "--stride",
        "1",
        "--horizon",
        "6",
        "--label-column",
        "load",
        "--epochs",
        "4",
        "--trials",
        "2",
    ]
    settings = ["--space", str(space), "--learning-rate", "0.02", "--dropout", "0"]
    assert main(["tune", "--data", str(data), "--out", str(out), *asked, *settings]) == 0
    (chosen,) = [one for one in points(out) if one["chosen"]]
    assert abs(chosen["bytes"] / chosen["exported_bytes"] - 1) < 0.01
    run = Run.open(out / "run")
    found = evaluate_run(run, run.test_rows()).to_dict()
    # the series lies near 5,000: without its unit the error would be as large
    assert found["mae"] < 1_000 and found["rows"] == 23
    page = (out / "front.html").read_text("utf-8")
    assert "mean absolute error" in page and "accuracy" not in page
