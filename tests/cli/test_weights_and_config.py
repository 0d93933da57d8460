"""Weights in one file and the configuration in another: from the command line and from Python."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert import convert_with_report
from gatelet.errors import ConfigError, ModelError
from gatelet.runtime import load

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """Return a model, and the folder where its weights and its configuration lie apart."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras
    keras.utils.set_random_seed(2)
    rnn = keras.layers.Bidirectional(keras.layers.GRU(4))
    model = keras.Sequential([keras.Input((6, 3)), rnn, keras.layers.Dense(2)])
    folder = tmp_path_factory.mktemp("apart")
    (folder / "config.json").write_text(model.to_json(), "utf-8")
    model.save_weights(folder / "model.weights.h5")
    return model, folder


def test_they_convert_from_python_and_keras_agrees(apart: tuple[Any, Path], tmp_path: Path) -> None:
    model, folder = apart
    bundle, report = convert_with_report(
        folder / "model.weights.h5",
        tmp_path / "b",
        config=folder / "config.json",
        targets=["onnx"],
        schemes=["float32"],
    )
    assert report.oracles[1].startswith("keras ")
    assert report.verdict == "pass"
    assert bundle.part("source") is not None
    x = np.random.default_rng(1).normal(size=(5, 6, 3)).astype(np.float32)
    found = np.asarray(load(bundle.path).scores(x))
    assert np.abs(found - np.asarray(model(x))).max() < 1e-5


def test_they_convert_from_the_command_line(
    apart: tuple[Any, Path], cli: Callable[..., Any], tmp_path: Path
) -> None:
    weights, config = apart[1] / "model.weights.h5", apart[1] / "config.json"
    flags = ("--target", "onnx", "--scheme", "float32", "--no-keras")
    done = cli("convert", weights, "--config", config, "--out", tmp_path / "b", *flags)
    assert done.code == 0, done.err
    assert "rows against graph: pass\n" in done.out
    shown = cli("inspect", weights, "--config", config)
    assert shown.code == 0 and "GRU" in shown.out
    told = cli("convert", weights, "--out", tmp_path / "c", *flags).complaint
    assert "holds weights only" in told and "--config FILE" in told


def test_what_does_not_belong_together_is_refused(apart: tuple[Any, Path], tmp_path: Path) -> None:
    model, folder = apart
    with pytest.raises(ConfigError, match="a configuration is for a file of weights"):
        convert_with_report(model, tmp_path / "b", config=folder / "config.json")
    other = tmp_path / "other.json"
    other.write_text((folder / "config.json").read_text().replace('"units": 4', '"units": 5'))
    with pytest.raises(ModelError, match="should be"):
        convert_with_report(folder / "model.weights.h5", tmp_path / "b", config=other)
    assert not (tmp_path / "b").exists()
