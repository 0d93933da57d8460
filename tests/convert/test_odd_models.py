"""Odd models convert, and what Keras says of them is compared or noted."""

from pathlib import Path
from typing import Any

import pytest

from gatelet.convert import convert_with_report

# Keras' own variables, under NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_a_name_that_keras_itself_cannot_run_is_a_note(keras: Any, tmp_path: Path) -> None:
    x = keras.Input((6, 3))
    y = keras.layers.Dense(1, name="out")(keras.layers.LSTM(3, name="lstm>1: x")(x))
    keras.Model(x, y).save(tmp_path / "m.keras")
    bundle, report = convert_with_report(
        tmp_path / "m.keras", tmp_path / "b", targets=["onnx"], schemes=["float32"]
    )
    assert (report.verdict, report.oracles) == ("pass", ("graph",))
    assert "cannot run the model" in bundle.manifest["provenance"]["keras_refusal"]


def test_a_mixed_policy_is_compared_in_float32(keras: Any, tmp_path: Path) -> None:
    rnn = keras.layers.LSTM(4, dtype="mixed_float16")
    model = keras.Sequential([keras.Input((6, 3)), rnn, keras.layers.Dense(2, dtype="float32")])
    model.save(tmp_path / "m.keras")
    _, report = convert_with_report(
        tmp_path / "m.keras", tmp_path / "b", targets=["onnx"], schemes=["float32"]
    )
    assert report.verdict == "pass"
    assert report.oracles[1:] == (f"keras {keras.__version__}",)
