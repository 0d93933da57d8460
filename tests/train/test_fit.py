import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.cli import main
from gatelet.errors import DataError, GateletError, InputError, ModelError, OutputError
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.metrics import Metrics
from gatelet.runtime.data.run import MARKER, SEEN, Run
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from gatelet.train import TrainConfig, evaluate_run, keras_scores, train
from gatelet.train.model import Network
from gatelet.train.prepare import CALIBRATION_ROWS, prepare
from gatelet.train.progress import Progress

SMALL = {"maxlen": 12, "units": 8, "embedding": 8, "epochs": 3, "learning_rate": 0.02}
LIMIT_S = 120  # for a subprocess; it needs about 10
FILES = {
    "model.keras",
    "vectorizer.json",
    "test.jsonl",
    "calibration.jsonl",
    "metrics.json",
    "history.json",
    "history.svg",
    "config.toml",
    "run.json",
}

# What a subprocess runs: Keras is there before it says that it begins, so that a signal
# meets the training and not an import.
INTERRUPTIBLE = """
import signal
import sys
import keras
from gatelet.errors import GateletError
from gatelet.train import TrainConfig, train
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
data, out = sys.argv[1:]
overrides = {"data": data, "out": out, "maxlen": 12, "units": 8, "embedding": 8,
             "epochs": 10000, "patience": 10000}
try:
    train(TrainConfig.resolve(overrides=overrides))
except GateletError as error:
    sys.exit(str(error))
"""


def config(data: Path, out: Path, **overrides: object) -> TrainConfig:
    # so few steps leave no room for what slows learning down
    return TrainConfig.resolve(
        recipe="seed", overrides={**SMALL, "data": data, "out": out, **overrides}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fit")


@pytest.fixture(scope="module")
def data(folder: Path, write_reviews: Callable[..., Path]) -> Path:
    return write_reviews(folder / "reviews.csv")


@pytest.fixture(scope="module")
def run(folder: Path, data: Path) -> Run:
    return train(config(data, folder / "run"))


def test_a_run_has_all_its_files_and_no_stage_is_left(run: Run) -> None:
    assert {path.name for path in run.path.iterdir()} == FILES
    assert not list(run.path.parent.glob(".run*"))


def test_a_run_keeps_rows_of_the_training_part_for_calibration(run: Run, data: Path) -> None:
    kept = run.calibration()
    assert kept is not None
    assert 0 < len(kept) <= CALIBRATION_ROWS
    assert len(set(kept.texts)) == len(kept)
    parts = prepare(config(data, run.path)).parts
    assert set(kept.texts) <= set(parts.train.texts)
    assert set(kept.texts).isdisjoint((*parts.test.texts, *parts.validation.texts))


def test_learns_what_can_be_learned(run: Run) -> None:
    figures = json.loads((run.path / "metrics.json").read_bytes())
    assert figures["part"] == "test"
    assert figures["accuracy"] >= 0.9
    assert run.labels == ("bad", "good")
    assert run.task == "binary"


@pytest.mark.parametrize(
    ("words", "form"),
    [
        (("evaluate", "RUN"), "csv"),
        (("evaluate", "RUN"), "jsonl"),
        (("convert", "RUN", "--out", "BUNDLE", "--target", "onnx", "--no-keras"), "csv"),
        (("evaluate", "RUN"), "other rows"),
    ],
)
def test_its_own_rows_are_told(
    run: Run,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    form: str,
) -> None:
    with data.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    given = tmp_path / ("rows.csv" if form == "csv" else "rows.jsonl")
    if form == "csv":
        shutil.copy(data, given)
    else:
        kept = rows if form == "jsonl" else rows[1:]
        given.write_text("".join(f"{json.dumps(row)}\n" for row in kept))
    places = {"RUN": str(run.path), "BUNDLE": str(tmp_path / "bundle")}
    code = main([places.get(word, word) for word in words] + ["--data", str(given)])
    printed = capsys.readouterr()
    assert code == 0, printed
    assert (SEEN in printed.out + printed.err) == (form != "other rows")


def test_records_where_it_comes_from(run: Run) -> None:
    provenance: dict[str, Any] = dict(run.provenance)
    assert set(provenance) == {
        "versions",
        "data",
        "seed",
        "config",
        "best_epoch",
        "epochs_run",
        "interrupted",
        "baseline",
    }
    assert provenance["interrupted"] is False
    assert isinstance(provenance["baseline"], dict)
    assert provenance["baseline"]["rows"] == len(run.test())
    history = json.loads((run.path / "history.json").read_bytes())
    assert len(history["epochs"]) == provenance["epochs_run"]
    assert history["best"] == provenance["best_epoch"]


def test_the_kept_weights_are_those_of_the_best_epoch(run: Run) -> None:
    history = json.loads((run.path / "history.json").read_bytes())
    best = min(history["epochs"], key=lambda each: each["val_loss"])
    assert history["epochs"][history["best"] - 1] == best
    validation = prepare(TrainConfig.from_toml(run.path / "config.toml")).parts.validation
    found = evaluate_run(run, validation)
    assert isinstance(found, Metrics)
    assert found.accuracy == pytest.approx(best["val_accuracy"])


def test_the_same_seed_gives_the_same_weights_and_figures(
    folder: Path, data: Path, run: Run
) -> None:
    again = train(config(data, folder / "again", dropout=0.3, seed=5))
    once_more = train(config(data, folder / "more", dropout=0.3, seed=5))
    for name in ("metrics.json", "history.json"):
        assert (again.path / name).read_bytes() == (once_more.path / name).read_bytes()
    pairs = zip(
        Network.load(again.model_path).weights(),
        Network.load(once_more.model_path).weights(),
        strict=True,
    )
    assert all((one == other).all() for one, other in pairs)
    assert (run.path / "history.json").read_bytes() != (again.path / "history.json").read_bytes()


def test_its_own_config_gives_the_same_run_again(folder: Path, run: Run) -> None:
    again = train(TrainConfig.from_toml(run.path / "config.toml", out=folder / "toml"))
    for name in ("metrics.json", "history.json", "test.jsonl", "vectorizer.json"):
        assert (again.path / name).read_bytes() == (run.path / name).read_bytes()


def test_averaging_changes_what_is_kept_and_not_how_the_training_goes_on(
    folder: Path, data: Path
) -> None:
    courses = {}
    for averaging in (0.0, 0.8):
        out = folder / f"averaging-{averaging}"
        train(config(data, out, averaging=averaging, learning_rate=0.005))
        courses[averaging] = json.loads((out / "history.json").read_bytes())["epochs"]
    plain, averaged = courses.values()
    assert [each["loss"] for each in plain] == [each["loss"] for each in averaged]
    assert [each["val_loss"] for each in plain] != [each["val_loss"] for each in averaged]


def test_keras_gives_the_run_the_figures_that_were_written(run: Run) -> None:
    figures = json.loads((run.path / "metrics.json").read_bytes())
    measured = evaluate_run(Run.open(run.path), run.test()).to_dict()
    assert measured["confusion_matrix"] == figures["confusion_matrix"]
    assert measured["brier"] == pytest.approx(figures["brier"], abs=1e-6)


def test_an_empty_text_and_unknown_words_have_scores(run: Run) -> None:
    scores = keras_scores(run, ["", "zzz", "a superb lovely film"], run.vectorizer())
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert scores[2][0] > 0.5
    assert keras_scores(run.model_path, [], run.vectorizer()) == []


def test_more_than_two_labels_get_a_score_each(
    folder: Path, write_reviews: Callable[..., Path]
) -> None:
    three = write_reviews(folder / "three.csv", labels=("good", "bad", "mixed"))
    run = train(config(three, folder / "run3", epochs=6))
    assert run.labels == ("bad", "good", "mixed")
    assert run.task == "multiclass"
    assert json.loads((run.path / "metrics.json").read_bytes())["accuracy"] >= 0.8
    for row in keras_scores(run, ["fine", "dire"], run.vectorizer()):
        assert sum(row) == pytest.approx(1, abs=1e-6)
        assert len(row) == 3


def test_labels_that_the_run_does_not_know_are_named(run: Run) -> None:
    rows = Dataset(("fine", "odd"), ("good", "strange"), "other.csv")
    with pytest.raises(DataError, match=r"'other\.csv' has the label 'strange'.*'bad', 'good'"):
        evaluate_run(run, rows)


def test_ids_outside_the_vocabulary_are_refused_before_keras_sees_them(run: Run) -> None:
    other = Vectorizer.fit([" ".join(f"w{n}" for n in range(500))], num_words=None, maxlen=12)
    with pytest.raises(InputError, match="the model's vocabulary has ids from 0 to 20"):
        keras_scores(run, ["w499"], other)


def test_ids_of_another_length_are_refused(run: Run) -> None:
    other = Vectorizer.fit(["fine"], num_words=None, maxlen=7)
    with pytest.raises(InputError, match="the ids have 7 timesteps, the model takes 12"):
        keras_scores(run, ["fine"], other)


def test_a_file_that_keras_cannot_load_is_named(tmp_path: Path, run: Run) -> None:
    broken = tmp_path / "model.keras"
    with pytest.raises(ModelError, match="does not exist"):
        keras_scores(broken, ["fine"], run.vectorizer())
    broken.write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"cannot load '.*model\.keras'"):
        keras_scores(broken, ["fine"], run.vectorizer())


def test_refuses_some_other_folder_before_it_reads_the_data(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="is a folder that is no run"):
        train(config(tmp_path / "missing.csv", tmp_path))
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_refuses_to_replace_the_folder_that_holds_its_data(run: Run) -> None:
    with pytest.raises(OutputError, match=r"is in the folder .* that would be replaced"):
        train(config(run.test_path, run.path))
    assert run.test_path.is_file()


def test_refuses_to_delete_a_bundle_that_lies_in_the_run(tmp_path: Path) -> None:
    (tmp_path / MARKER).touch()
    (tmp_path / "bundle").mkdir()
    with pytest.raises(OutputError, match="holds the folder 'bundle', which training did not"):
        train(config(tmp_path.parent / "missing.csv", tmp_path))
    assert (tmp_path / "bundle").is_dir()


def test_an_error_leaves_the_run_that_was_there(folder: Path, data: Path) -> None:
    out = folder / "kept"
    before = train(config(data, out, epochs=1))
    one_label = folder / "one.csv"
    one_label.write_text("text,label\n" + "".join(f"row {n},good\n" for n in range(60)))
    with pytest.raises(DataError, match="only the label"):
        train(config(one_label, out))
    assert Run.open(out) == before


def start(data: Path, out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, str(data), str(out)],
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    limit = threading.Timer(LIMIT_S, process.kill)  # its end ends the loop below
    limit.start()
    try:
        for line in process.stderr:
            if text in line:
                return
    finally:
        limit.cancel()
    pytest.fail(f"the subprocess ended without saying {text!r}")


def test_ctrl_c_keeps_the_best_epoch_so_far(folder: Path, data: Path) -> None:
    out = folder / "interrupted"
    with start(data, out) as process:
        wait_for(process, "epoch 2/10000:")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, said
    assert "interrupted: epoch" in said
    run = Run.open(out)
    assert run.provenance["interrupted"] is True
    assert {path.name for path in out.iterdir()} == FILES
    assert json.loads((out / "history.json").read_bytes())["interrupted"] is True
    figures = json.loads((out / "metrics.json").read_bytes())
    assert evaluate_run(run, run.test()).to_dict()["accuracy"] == figures["accuracy"]


def test_ctrl_c_before_the_first_epoch_writes_nothing(folder: Path, data: Path) -> None:
    out = folder / "too-early"
    with start(data, out) as process:
        wait_for(process, " words")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert said.splitlines()[-1] == (
        "training was interrupted before its first epoch ended: nothing was written"
    )
    assert "Traceback" not in said
    assert not out.exists()
    assert not list(folder.glob(".too-early*"))


def test_ctrl_c_ends_the_step_and_not_the_epoch(
    folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pressing(Progress):
        steps = 0

        def step(self, done: int) -> None:
            self.steps += 1
            if self.steps > 5 and done == 2:  # the second epoch: the first has 4 steps or 5
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("gatelet.train.fit.Progress", Pressing)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run = train(config(data, folder / "step"))
    finally:
        signal.signal(signal.SIGINT, before)
    assert run.provenance["interrupted"] is True
    assert run.provenance["epochs_run"] == 1


def test_an_interrupt_while_reading_is_named(
    folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: TrainConfig) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gatelet.train.fit.prepare", interrupted)
    with pytest.raises(GateletError, match="interrupted before its first epoch ended"):
        train(config(data, folder / "early"))


def test_importing_the_package_loads_no_engine() -> None:
    code = (
        "import sys; from gatelet.train import train; "
        "print([m for m in ('keras', 'tensorflow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.ci  # 10 s each: a training, and a conversion with proof
@pytest.mark.parametrize(
    "flags",
    [
        ("--cell", "gru", "--layers", "2", "--pooling", "mean"),
        ("--bidirectional", "--mask-zero"),
        ("--cell", "rnn", "--conv", "4", "--conv-width", "3", "--pooling", "max"),
    ],
    ids=" ".join,
)
def test_other_layers_learn_convert_and_pass(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    small = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    words = ["train", "--recipe=seed", "--data", str(data), "--out", str(run), *small]
    words += ["--epochs=6", *flags]
    assert main(words) == 0
    assert json.loads((run / "metrics.json").read_bytes())["accuracy"] >= 0.8  # of 29 rows
    words = ["convert", str(run), "--out", str(bundle), "--target", "c", "--scheme", "float32"]
    assert main(words) == 0, capsys.readouterr().err
