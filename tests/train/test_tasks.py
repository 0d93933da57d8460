"""Every kind of model through the command line: train, evaluate, convert, parity, predict."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from gatelet.cli import main
from gatelet.runtime import load, open_bundle
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.run import Run
from gatelet.runtime.data.tags import tag_ids_of
from gatelet.train.model import Network
from tests.train.made import write_inertial, write_series, write_several, write_tagged

pytestmark = pytest.mark.ci  # each trains, converts and proves: 10 s and more

SMALL = ("--recipe=seed", "--units=8", "--embedding=8", "--learning-rate=0.02", "--dropout=0")

Say = Callable[..., Any]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Return a function that runs a command, and returns what it prints, as JSON if asked for."""

    def run(*words: str | Path, code: int = 0) -> Any:
        capsys.readouterr()
        found = main([str(word) for word in words])
        printed = capsys.readouterr()
        assert found == code, printed.err
        if code:
            return printed.err
        if "--json" not in words:
            return printed.out
        if words[0] == "predict":
            return [json.loads(line) for line in printed.out.splitlines()]
        return json.loads(printed.out)

    return run


def keras_scores(run: Run, inputs: Any) -> Any:
    """Return what Keras itself says, without a line of ours between."""
    import keras

    return np.asarray(keras.models.load_model(run.model_path, compile=False)(inputs))


def prove(say: Say, run: Path, bundle: Path, test: Path, *names: str) -> list[Any]:
    """Convert, ask parity, and hold the bundle's figures to Keras' own."""
    say("convert", run, "--out", bundle, "--target", "c", "--target", "onnx", "--scheme", "float32")
    report = say("parity", bundle, "--data", test, "--json")
    assert {one["verdict"] for one in report["artifacts"]} == {"pass"}
    by_keras = say("evaluate", run, "--data", test, "--json")
    found: list[Any] = say("evaluate", bundle, "--data", test, "--json")
    for one in found:
        for name in names:
            assert one[name] == pytest.approx(by_keras[name], rel=1e-4), name
    return found


def test_windows_of_recordings_by_a_gru(tmp_path: Path, say: Say) -> None:
    data, run, bundle = write_inertial(tmp_path / "imu.csv"), tmp_path / "run", tmp_path / "har"
    windows = ("--group", "subject", "--window", "16", "--stride", "8", "--cell", "gru")
    say("train", "--data", data, "--out", run, *windows, *SMALL, "--epochs=12", "--json")
    opened = Run.open(run)
    assert (opened.task, opened.inputs) == ("multiclass", "features")
    assert opened.labels == ("run", "sit", "walk")
    source: Any = opened.provenance["data"]
    assert source["columns"] == ["ax", "ay"]  # not the note, the group or the label
    assert sum(source["groups"].values()) == 12

    rows = opened.test_rows()
    assert isinstance(rows, Arrays) and rows.targets is not None
    scores = keras_scores(opened, rows.inputs[0])
    names = np.array(opened.labels)[scores.argmax(axis=1)]
    figures = json.loads((run / "metrics.json").read_bytes())
    assert figures["accuracy"] == pytest.approx((names == rows.targets).mean())
    assert figures["accuracy"] > 0.7
    prove(say, run, bundle, opened.test_path, "accuracy", "brier")
    assert say("evaluate", run, "--data", data, "--json")["rows"] == sum(
        source["rows"][part] for part in ("train", "validation", "test")
    )

    lines = say("predict", bundle, "--file", opened.test_path, "--json")
    assert [one["label"] for one in lines] == names.tolist()
    steps = tmp_path / "steps.csv"
    np.savetxt(steps, rows.inputs[0][0], delimiter=",")
    streamed = say("predict", bundle, "--stream", "--file", steps, "--json")
    assert len(streamed) == 16
    assert streamed[-1]["scores"] == pytest.approx(lines[0]["scores"], abs=1e-5)


def test_a_label_for_each_token_by_a_bidirectional_lstm(tmp_path: Path, say: Say) -> None:
    data, run, bundle = write_tagged(tmp_path / "t.jsonl"), tmp_path / "run", tmp_path / "tagger"
    say(
        "train", "--data", data, "--out", run, "--bidirectional", "--maxlen=6", *SMALL, "--epochs=8"
    )
    opened = Run.open(run)
    assert (opened.task, opened.labels) == ("tags", ("neg", "o", "pos"))
    rows, spec = opened.test(), opened.vectorizer()
    ids = np.array([spec.pad(text) for text in rows.texts], np.int32)
    said, right = keras_scores(opened, ids).argmax(axis=2), tag_ids_of(rows, opened.labels, spec)
    figures = json.loads((run / "metrics.json").read_bytes())
    assert figures["rows"] == (ids != 0).sum()
    assert figures["accuracy"] == pytest.approx((said == right)[ids != 0].mean())
    assert figures["accuracy"] > 0.8
    prove(say, run, bundle, opened.test_path, "rows", "accuracy", "brier")
    (one,) = load(bundle).predict(["the awful film"])
    assert [step.label for step in one.steps or ()] == ["o", "neg", "o"]


def test_six_values_ahead_in_the_unit_of_the_data(tmp_path: Path, say: Say) -> None:
    data, run, bundle = write_series(tmp_path / "l.csv"), tmp_path / "run", tmp_path / "load"
    ahead = ("--window", "12", "--stride", "1", "--horizon", "6", "--label-column", "load")
    say("train", "--data", data, "--out", run, *ahead, *SMALL, "--epochs=15", "--metric", "mae")
    opened = Run.open(run)
    assert (opened.task, opened.labels) == ("regression", ())
    rows = opened.test_rows()
    assert isinstance(rows, Arrays) and rows.targets is not None
    table = np.loadtxt(data, delimiter=",", skiprows=1)
    first = next(
        at
        for at in range(len(table))
        if np.allclose(table[at : at + 12], rows.inputs[0][0], rtol=1e-6)
    )
    assert first >= 360  # the last tenth
    assert np.allclose(rows.targets[0], table[first + 12 : first + 18, 0])
    scores = keras_scores(opened, rows.inputs[0])
    figures = json.loads((run / "metrics.json").read_bytes())
    assert figures["mae"] == pytest.approx(np.abs(scores - rows.targets).mean(), rel=1e-4)
    assert figures["mae"] < 250  # of a swing of 800 about 5,000
    history = json.loads((run / "history.json").read_bytes())
    best = min(history["epochs"], key=lambda one: one["val_mae"])
    assert history["epochs"][history["best"] - 1] == best
    assert best["val_metric"] == pytest.approx(best["val_mae"], rel=1e-5)
    prove(say, run, bundle, opened.test_path, "mae", "rmse", "mae_6")
    lines = say("predict", bundle, "--file", opened.test_path, "--json")
    told = lines[0]["outputs"]
    assert told == pytest.approx(scores[0].tolist(), rel=1e-5)


def test_several_labels_a_text_with_tuned_thresholds(tmp_path: Path, say: Say) -> None:
    data, run, bundle = write_several(tmp_path / "s.csv"), tmp_path / "run", tmp_path / "several"
    words = ("train", "--data", data, "--label-columns", "funny,sad", "--maxlen=9", *SMALL)
    say(*words, "--out", run, "--epochs=6", "--tune-threshold")
    say(*words, "--out", tmp_path / "plain", "--epochs=6")
    opened, plain = Run.open(run), Run.open(tmp_path / "plain")
    assert (opened.task, opened.labels) == ("multi-label", ("funny", "sad"))
    assert plain.thresholds == (0.5, 0.5)
    pairs = zip(*(Network.load(one.model_path).weights() for one in (opened, plain)), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)

    rows, spec = opened.test(), opened.vectorizer()
    assert rows.label_lists is not None
    scores = keras_scores(opened, np.array([spec.pad(text) for text in rows.texts], np.int32))
    right = np.array([[one in row for one in opened.labels] for row in rows.label_lists])
    said = scores >= np.array(opened.thresholds)
    figures = json.loads((run / "metrics.json").read_bytes())
    assert figures["accuracy"] == pytest.approx((said == right).all(axis=1).mean())
    assert figures["macro_f1"] == pytest.approx(f1_score(right, said, average="macro"))
    prove(say, run, bundle, opened.test_path, "accuracy", "macro_f1", "brier")
    (decision,) = open_bundle(bundle).decisions
    assert decision.multi_label and decision.thresholds == opened.thresholds
    lines = say("predict", bundle, "--file", opened.test_path, "--json")
    found = [line["labels"] for line in lines]
    assert found == [
        [n for n, is_so in zip(opened.labels, row, strict=True) if is_so] for row in said
    ]


@pytest.mark.parametrize("kind", ["tags", "regression", "multi-label"])
def test_a_stopped_training_of_any_task_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Say, kind: str
) -> None:
    from gatelet.train.trainer import Trainer

    x = np.random.default_rng(1).normal(size=(90, 6, 2)).astype(np.float32)
    y = {
        "tags": (x[:, :, 0] > 0).astype(int),
        "regression": x[:, -1, :1] * 300 + 7,
        "multi-label": np.stack([x[:, -1, 0] > 0, x[:, 0, 1] > 0, x[:, 2, 1] > 0], 1).astype(int),
    }[kind]
    data = tmp_path / "d.npz"
    np.savez(data, x=x, y=y)
    words = ("train", "--data", data, "--units=4", "--epochs=4", "--patience=4")
    say(*words, "--out", tmp_path / "whole")
    fit_epoch = Trainer.fit_epoch

    def stopped(self: Trainer, number: int, *given: Any, **named: Any) -> Any:
        if number == 3:
            raise KeyboardInterrupt
        return fit_epoch(self, number, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "fit_epoch", stopped)
        say(*words, "--out", tmp_path / "run", code=130)
    say(*words, "--out", tmp_path / "run", "--resume")
    one, other = (Run.open(tmp_path / name) for name in ("whole", "run"))
    assert one.task == kind
    pairs = zip(*(Network.load(run.model_path).weights() for run in (one, other)), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    for name in ("history.json", "metrics.json", "test.npz", "calibration.npz"):
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes()


def test_folds_change_nothing_but_what_is_printed(tmp_path: Path, say: Say) -> None:
    data = write_inertial(tmp_path / "imu.csv", subjects=8, rows=30)
    words = ("train", "--data", data, "--group", "subject", "--window", "10", *SMALL, "--epochs=2")
    plain = say(*words, "--out", tmp_path / "plain", "--json")
    folds = say(*words, "--out", tmp_path / "folded", "--folds", "3", "--json")
    told = folds.pop("folds")
    assert len(told["accuracy"]["folds"]) == 3
    assert told["accuracy"]["mean"] == pytest.approx(np.mean(told["accuracy"]["folds"]))
    assert told["accuracy"]["deviation"] == pytest.approx(np.std(told["accuracy"]["folds"], ddof=1))
    assert {**plain, "run": ""} == {**folds, "run": ""}
    runs = [Run.open(tmp_path / name) for name in ("plain", "folded")]
    one, other = (Network.load(run.model_path).weights() for run in runs)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_run_of_format_1_still_evaluates_and_converts(
    tmp_path: Path, say: Say, write_reviews: Callable[..., Path]
) -> None:
    data, run = write_reviews(tmp_path / "reviews.csv"), tmp_path / "run"
    say("train", "--data", data, "--out", run, "--maxlen=12", *SMALL, "--epochs=3")
    stored = json.loads((run / "run.json").read_bytes())
    assert stored["format_version"] == 1 and set(stored) == {
        *("format", "format_version", "labels", "task", "threshold", "provenance")
    }
    former = {key: stored["provenance"]["config"][key] for key in ("data", "units", "maxlen")}
    stored["provenance"]["config"] = former  # of a gatelet that knew no task, group or window
    (run / "run.json").write_text(json.dumps(stored))
    prove(say, run, tmp_path / "bundle", run / "test.jsonl", "accuracy", "roc_auc")
    shutil.rmtree(run)
