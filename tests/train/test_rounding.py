"""Training with rounded weights: what is kept is what files of the scheme hold, and learns."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.cli import main
from gatelet.convert import convert
from gatelet.errors import ConfigError
from gatelet.runtime.data.rounding import (
    ROUNDED,
    rounded_kernel,
    rounded_rows,
    settled_kernel,
    settled_table,
)
from gatelet.runtime.data.run import Run
from gatelet.train import TrainConfig, train
from gatelet.train.checkpoints import checkpoint_of
from gatelet.train.model import Network, import_keras
from gatelet.train.rounding import Rounding
from gatelet.train.steps import Steps
from gatelet.train.tasks import TASKS
from gatelet.train.trainer import Trainer

# an embedding and kernels that are large enough to be rounded in files
SMALL = {"maxlen": 12, "units": 16, "embedding": 64, "learning_rate": 0.01}
SMALL |= {"epochs": 3, "patience": 9, "aware_epochs": 3}
EMB1 = "dynamic-int4-emb1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rounding")


@pytest.fixture(scope="module")
def data(folder: Path, write_reviews: Callable[..., Path]) -> Path:
    return write_reviews(folder / "reviews.csv", rows=900)


def config(data: Path, out: Path, **overrides: object) -> TrainConfig:
    return TrainConfig.resolve(overrides={**SMALL, "data": data, "out": out, **overrides})


@pytest.fixture(scope="module")
def run(folder: Path, data: Path) -> Run:
    return train(config(data, folder / "aware", aware=EMB1))


def weights(run: Run) -> list[Any]:
    return Network.load(run.model_path).weights()


@pytest.mark.parametrize("scheme", ROUNDED)
def test_a_step_changes_weights_by_the_gradient_of_their_rounded_copy(scheme: str) -> None:
    keras = import_keras()
    layers, bits, rng = keras.layers, ROUNDED[scheme], np.random.default_rng(3)
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            layers.Embedding(6, 4),
            layers.Flatten(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    table, kernel, bias = (
        rng.normal(size=shape).astype(np.float32) for shape in ((6, 4), (12, 1), (1,))
    )
    model.set_weights([table, kernel, bias])
    rounding = Rounding(scheme, model)
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(rounding.trainable)
    averages = [keras.Variable(one) for one in rounding.weights]
    steps = Steps(model, optimizer, averages, task=TASKS["binary"], changed=rounding.weights)
    ids, labels = np.array([[1, 2, 0], [2, 4, 4]], np.int32), np.array([1, 0], np.int32)
    rounding.copy(ids)
    steps.learn(ids, labels, 0.5)

    rows, column = rounded_rows(table, bits.embeddings), rounded_kernel(kernel, bits.kernels)
    x = rows[ids].reshape(2, 12)
    off = (1 / (1 + np.exp(-(x @ column + bias))) - labels[:, None]) / 2
    of_rows = np.zeros_like(table)
    np.add.at(of_rows, ids, (off @ column.T).reshape(2, 3, 4))
    expected = [table - of_rows, kernel - x.T @ off, bias - off.sum(axis=0)]
    learned = [one.numpy() for one in rounding.weights]
    for one, wanted, average, before in zip(
        learned, expected, averages, (table, kernel, bias), strict=True
    ):
        assert np.abs(one - wanted).max() < 2e-6
        assert np.abs(average.numpy() - (before + wanted) / 2).max() < 2e-6

    rounding.copy(ids)
    copied = model.get_weights()
    used = [0, 1, 2, 4]
    assert np.array_equal(copied[0][used], rounded_rows(learned[0][used], bits.embeddings))
    assert np.array_equal(copied[1], rounded_kernel(learned[1], bits.kernels))
    assert np.array_equal(copied[2], learned[2])


@pytest.mark.parametrize("name", ["binary", "multiclass", "multi-label", "regression"])
def test_a_step_learns_the_scores_of_a_teacher_and_not_the_labels(name: str) -> None:
    keras = import_keras()
    task, rng = TASKS[name], np.random.default_rng(4)
    width = 1 if name == "binary" else 3

    def model(seed: int) -> Any:
        dense = keras.layers.Dense(width, activation=task.activation)
        made = keras.Sequential([keras.Input((2, 3)), keras.layers.Flatten(), dense])
        made.set_weights([np.random.default_rng(seed).normal(size=(6, width)), np.zeros(width)])
        return made

    x = rng.normal(size=(5, 2, 3)).astype(np.float32)
    one, other = model(1), model(2)
    found = {}
    for labels in (0, 1):
        learner = model(1)
        optimizer = keras.optimizers.SGD(1.0)
        optimizer.build(learner.trainable_variables)
        averages = [keras.Variable(weight) for weight in learner.weights]
        steps = Steps(learner, optimizer, averages, task=task, features=True, teacher=other)
        kind = np.int32 if task.is_single or name == "multiclass" else np.float32
        shape = (5,) if kind is np.int32 else (5, width)
        steps.learn(x, np.full(shape, labels, kind), 1.0)
        found[labels] = learner.get_weights()
    off = one(x).numpy() - other(x).numpy()
    # of a cross-entropy behind its activation, and of a squared error, which a linear layer has
    scale = {"binary": 1, "multiclass": 1, "multi-label": 1 / width, "regression": 2 / width}[name]
    expected = one.get_weights()[0] - x.reshape(5, 6).T @ off * scale / 5
    for learned in found.values():
        assert np.abs(learned[0] - expected).max() < 1e-5


def test_a_run_keeps_the_rounded_weights_of_its_best_epoch(run: Run) -> None:
    kept = weights(run)
    bits = ROUNDED[EMB1]
    assert np.array_equal(kept[0], settled_table(kept[0], bits.embeddings))
    assert len(np.unique(np.abs(kept[0][3]))) == 1
    for kernel in (one for one in kept[1:] if one.ndim == 2):
        assert np.array_equal(kernel, settled_kernel(kernel, bits.kernels))
        assert len(np.unique(kernel[:, 0])) <= 15
    history = json.loads((run.path / "history.json").read_text())
    losses = [epoch["val_loss"] for epoch in history["epochs"]]
    assert len(losses) == 6 and history["best"] == 4 + int(np.argmin(losses[3:]))
    assert f'aware = "{EMB1}"' in (run.path / "config.toml").read_text()
    test = json.loads((run.path / "metrics.json").read_text())
    assert test["accuracy"] > 0.95


@pytest.mark.ci  # 30 s: trainings that are stopped, and go on
@pytest.mark.parametrize("at", [3, 4, 5])  # the last without rounding, the first with it, the next
def test_a_training_that_was_interrupted_goes_on_to_the_same_bits(
    data: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    fit_epoch = Trainer.fit_epoch

    def interrupted(self: Trainer, number: int, *given: Any, **named: Any) -> Any:
        if number == at:
            raise KeyboardInterrupt
        return fit_epoch(self, number, *given, **named)

    same = config(data, tmp_path / "run", aware=EMB1)
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "fit_epoch", interrupted)
        stopped = train(same)
    assert stopped.provenance["interrupted"]
    table = weights(stopped)[0]
    assert np.array_equal(table, settled_table(table, 1))
    assert checkpoint_of(same.out).is_file()
    resumed = train(same, resume=True)
    for one, other in zip(weights(run), weights(resumed), strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(ConfigError, match="the setting 'aware' was 'dynamic-int4-emb1'"):
        checkpoint = tmp_path / "other.checkpoint"
        with monkeypatch.context() as patched:
            patched.setattr(Trainer, "fit_epoch", interrupted)
            train(config(data, tmp_path / "other", aware=EMB1))
        assert checkpoint.is_file()
        train(config(data, tmp_path / "other", aware="dynamic-int8"), resume=True)


@pytest.mark.ci  # 20 s each: a training, and a conversion with proof
@pytest.mark.parametrize(
    ("scheme", "settings"),
    [
        (EMB1, []),
        ("dynamic-int4-emb2", ["--bidirectional", "--cell=gru", "--pooling=max"]),
        ("dynamic-int8-emb4", ["--layers=2", "--mask-zero"]),
        ("dynamic-int8", ["--conv=32", "--conv-width=3"]),
    ],
)
def test_float32_and_the_scheme_give_the_same_scores(
    scheme: str, settings: list[str], data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = [
        f"--{name.replace('_', '-')}={value}"
        for name, value in (SMALL | {"aware_epochs": 2}).items()
    ]
    command = ["train", "--data", str(data), "--out", str(out), *words, *settings]
    assert main([*command, "--aware", scheme]) == 0
    bundle = convert(out, tmp_path / "bundle", targets=["c"], schemes=["float32", scheme])
    exact, rounded = sorted(bundle.artifacts, key=lambda one: one.scheme != "float32")
    checks = {one["name"]: one for one in rounded.entry["parity"]["checks"]}
    assert checks["weights"]["figure"] == 0 and "not found" not in checks["weights"]["note"]
    computes = {one["verdict"] for name, one in checks.items() if name.startswith("computes")}
    assert computes == {"pass"}
    assert not any(one["verdict"] == "fail" for one in checks.values())
    assert checks["scores_max"]["figure"] < 0.03
    assert rounded.bytes < exact.bytes * (0.5 if scheme == "dynamic-int8" else 0.45)


def test_what_cannot_be_rounded_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'aware' is 'float32'.*'dynamic-int4-emb1'"):
        config(data, tmp_path / "run", aware="float32")
