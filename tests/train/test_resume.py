"""A training that was stopped goes on where it was."""

import errno
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.cli import main
from gatelet.errors import ConfigError, DataError, ModelError, OutputError
from gatelet.runtime import files
from gatelet.runtime.data.run import Run
from gatelet.train import TrainConfig, train
from gatelet.train.checkpoints import checkpoint_of
from gatelet.train.model import Network

SMALL = {"maxlen": 12, "units": 6, "embedding": 6, "epochs": 4, "learning_rate": 0.02}
LIMIT_S = 120  # for a subprocess; it needs about 10

KILLED = """
import os, sys
from gatelet.train import TrainConfig, fit, train
kept = fit.save_checkpoint
def die(path, checkpoint, recipe):
    kept(path, checkpoint, recipe)
    if len(checkpoint.course.epochs) == 2:
        os.kill(os.getpid(), 9)
fit.save_checkpoint = die
train(TrainConfig.from_toml(sys.argv[1], out=sys.argv[2]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resume")


@pytest.fixture(scope="module")
def data(folder: Path, write_reviews: Callable[..., Path]) -> Path:
    return write_reviews(folder / "reviews.csv")


def config(data: Path, out: Path, **overrides: object) -> TrainConfig:
    return TrainConfig.resolve(overrides={**SMALL, "data": data, "out": out, **overrides})


@pytest.fixture(scope="module")
def run(folder: Path, data: Path) -> Run:
    return train(config(data, folder / "whole"))


@pytest.fixture
def stopped(folder: Path, data: Path, run: Run, tmp_path: Path) -> Path:
    """Return the place of a run whose training was killed after its second epoch."""
    out = tmp_path / "stopped"
    words = [sys.executable, "-c", KILLED, str(run.path / "config.toml"), str(out)]
    done = subprocess.run(words, capture_output=True, timeout=LIMIT_S, check=False)
    assert done.returncode == -9, done.stderr
    assert checkpoint_of(out).is_file() and not out.exists()
    return out


def weights(run: Run) -> list[Any]:
    return Network.load(run.model_path).weights()


@pytest.mark.ci  # 20 s: two processes train
def test_a_killed_training_goes_on_to_the_same_bits(
    data: Path, run: Run, stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resumed = train(config(data, stopped), resume=True)
    assert "going on after epoch 2" in capsys.readouterr().err
    for one, other in zip(weights(run), weights(resumed), strict=True):
        assert np.array_equal(one, other)
    for name in ("metrics.json", "history.json"):
        assert (run.path / name).read_bytes() == (resumed.path / name).read_bytes()
    assert not checkpoint_of(stopped).exists()


@pytest.mark.ci  # as above
def test_another_training_is_refused_by_what_differs(
    data: Path, stopped: Path, tmp_path: Path, write_reviews: Callable[..., Path]
) -> None:
    with pytest.raises(ConfigError, match="the setting 'units' was 6, now it is 8"):
        train(config(data, stopped, units=8), resume=True)
    held = data.read_bytes()
    try:
        write_reviews(data, rows=310)
        with pytest.raises(DataError, match="the data are other rows"):
            train(config(data, stopped), resume=True)
    finally:
        data.write_bytes(held)
    place = checkpoint_of(stopped)
    place.write_bytes(place.read_bytes()[:-100])
    with pytest.raises(OutputError, match="it is none: move it"):
        train(config(data, stopped), resume=True)


def test_without_a_checkpoint_training_begins_and_a_complete_run_stays(
    data: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = run.model_path.stat().st_mtime_ns
    words = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    command = ["train", "--data", str(data), *words, "--resume"]
    assert main([*command, "--out", str(run.path)]) == 0
    assert "is complete: there is nothing to resume" in capsys.readouterr().err
    assert run.model_path.stat().st_mtime_ns == before
    assert main([*command, "--out", str(tmp_path / "new"), "--epochs=1"]) == 0
    assert "training begins" in capsys.readouterr().err


def test_what_is_no_checkpoint_is_not_written_over(data: Path, tmp_path: Path) -> None:
    mine = checkpoint_of(tmp_path / "run")
    mine.write_text("mine")
    with pytest.raises(OutputError, match="it is none: move it"):
        train(config(data, tmp_path / "run"))
    assert mine.read_text() == "mine"


def test_ctrl_c_keeps_the_best_epoch_and_ends_with_130(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gatelet.train.trainer import Trainer

    fit_epoch = Trainer.fit_epoch

    def interrupted(self: Trainer, number: int, *given: Any, **named: Any) -> Any:
        if number == 3:
            raise KeyboardInterrupt
        return fit_epoch(self, number, *given, **named)

    out = tmp_path / "run"
    words = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    command = ["train", "--data", str(data), "--out", str(out), *words]
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "fit_epoch", interrupted)
        assert main(command) == 130
    assert "the same command with --resume goes on from it" in capsys.readouterr().err
    assert Run.open(out).provenance["interrupted"] is True
    assert checkpoint_of(out).is_file()
    assert main([*command, "--resume"]) == 0
    assert "going on after epoch 2" in capsys.readouterr().err
    assert not checkpoint_of(out).exists()
    assert Run.open(out).provenance["interrupted"] is False


WRITES = 4
"""Checkpoints of a whole training; what is written after them is the run."""


@pytest.mark.ci  # 5 s each: two trainings
@pytest.mark.parametrize("full_at", [1, 3, WRITES + 1])
def test_a_full_disk_is_told_in_a_sentence_and_loses_nothing(
    data: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    full_at: int,
) -> None:
    write_all, calls = files._write_all, count(1)

    def full(handle: int, content: bytes) -> None:
        if next(calls) >= full_at:
            write_all(handle, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        write_all(handle, content)

    out = tmp_path / "run"
    words = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    command = ["train", "--data", str(data), "--out", str(out), *words]
    with monkeypatch.context() as patched:
        patched.setattr(files, "_write_all", full)
        assert main(command) == 1
    (said,) = (one for one in capsys.readouterr().err.splitlines() if one.startswith("gatelet: "))
    assert "No space left on device" in said
    kept = f"the checkpoint '{checkpoint_of(out)}' stays: make room, and the same command"
    assert (kept in said) == (full_at > 1)
    assert [path.name for path in tmp_path.iterdir()] == ["run.checkpoint"] * (full_at > 1)

    assert main([*command, "--resume"]) == 0
    resumed = Run.open(out)
    for one, other in zip(weights(run), weights(resumed), strict=True):
        assert np.array_equal(one, other)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_damaged_checkpoint_is_told(data: Path, tmp_path: Path) -> None:
    from gatelet.train.checkpoints import Recipe, load_checkpoint

    place = tmp_path / "run.checkpoint"
    np.savez(place.with_suffix(".npz"), x=np.zeros(3))
    place.with_suffix(".npz").rename(place)
    with pytest.raises(ModelError, match="is no checkpoint, or damaged"):
        load_checkpoint(place, Recipe({}, "", {}))
