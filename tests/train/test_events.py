"""Event files of a training, as TensorBoard reads them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.cli import main
from gatelet.errors import OutputError
from gatelet.train import TrainConfig, train
from gatelet.train.epochs import Epoch
from gatelet.train.events import write_events
from gatelet.train.model import Network, known_warnings
from tests.train.made import write_series

SMALL = {"window": 12, "stride": 3, "horizon": 2, "label_column": "load", "units": 3}
FIGURES = Epoch(loss=0.5, accuracy=0.75, val_loss=0.25, val_accuracy=0.875, val_metric=0.125)


def events(folder: Path) -> list[tuple[str, int, float]]:
    """Return tag, step and value of all scalars in a folder, in the order of its files."""
    import tensorflow as tf

    found = []
    for path in sorted(folder.iterdir()):
        with known_warnings():
            read = list(tf.compat.v1.train.summary_iterator(str(path)))
        assert read[0].file_version == "brain.Event:2"
        for event in read[1:]:
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                found.append((value.tag, event.step, float(tf.make_ndarray(value.tensor))))
    return found


def config(folder: Path, out: str, **settings: Any) -> TrainConfig:
    given = {**SMALL, "epochs": 2, "data": write_series(folder / "load.csv"), "out": folder / out}
    return TrainConfig.resolve(overrides={**given, **settings})


def test_event_files_have_the_figures_of_both_parts(tmp_path: Path) -> None:
    write = write_events(tmp_path / "logs", figure="accuracy", metric="macro_f1", say=pytest.fail)
    write(1, FIGURES)
    write(2, Epoch(loss=0.25, accuracy=0, val_loss=0.125, val_accuracy=0.5))
    assert events(tmp_path / "logs" / "train") == [
        *(("epoch_loss", 1, 0.5), ("epoch_accuracy", 1, 0.75)),
        *(("epoch_loss", 2, 0.25), ("epoch_accuracy", 2, 0.0)),
    ]
    assert events(tmp_path / "logs" / "validation") == [
        *(("epoch_loss", 1, 0.25), ("epoch_accuracy", 1, 0.875), ("epoch_macro_f1", 1, 0.125)),
        *(("epoch_loss", 2, 0.125), ("epoch_accuracy", 2, 0.5)),
    ]


@pytest.mark.ci  # 20 s: three trainings
def test_a_training_writes_what_its_history_holds_and_the_weights_are_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = train(config(tmp_path, "plain"))
    words = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    words += ["--data", str(tmp_path / "load.csv"), "--out", str(tmp_path / "run"), "--epochs=2"]
    assert main(["train", *words, "--tensorboard", str(tmp_path / "logs")]) == 0
    capsys.readouterr()
    one, other = (
        Network.load(folder / "model.keras").weights() for folder in (plain.path, tmp_path / "run")
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    for name in ("history.json", "metrics.json", "config.toml"):
        texts = [
            (p / name).read_text().replace("plain", "run") for p in (plain.path, tmp_path / "run")
        ]
        assert texts[0] == texts[1]
    import json

    epochs = json.loads((tmp_path / "run" / "history.json").read_bytes())["epochs"]
    for part, prefix in (("train", ""), ("validation", "val_")):
        expected = [
            (f"epoch_{name}", number, float(np.float32(epoch[prefix + name])))
            for number, epoch in enumerate(epochs, 1)
            for name in ("loss", "mae")
        ]
        assert events(tmp_path / "logs" / part) == expected
    # a training that goes on adds to what is there
    train(config(tmp_path, "run", epochs=3), tensorboard=tmp_path / "logs")
    steps = [step for tag, step, _ in events(tmp_path / "logs" / "train") if tag == "epoch_loss"]
    assert steps == [1, 2, 1, 2, 3]


def test_event_files_in_the_run_or_below_a_file_are_refused_before_training(tmp_path: Path) -> None:
    given = config(tmp_path, "run")
    with pytest.raises(OutputError, match=r"event files '.*' would be in the folder '.*run'"):
        train(given, tensorboard=tmp_path / "run" / "logs")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"^cannot write event files in '.*file' \(.*--tensorb"):
        train(given, tensorboard=tmp_path / "file")
    assert not (tmp_path / "run").exists()


def test_event_files_that_can_no_longer_be_written_do_not_end_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    said: list[str] = []
    write = write_events(tmp_path / "logs", figure="accuracy", metric="loss", say=said.append)

    def full(*args: Any, **named: Any) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.summary, "write", full)
    write(1, FIGURES)
    write(2, FIGURES)
    assert len(said) == 1
    assert said[0].endswith("logs' end here: No space left on device")
