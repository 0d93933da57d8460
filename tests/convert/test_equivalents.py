"""Layers whose code is not Keras' own convert with an equivalent from Python, or not at all."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert import convert, convert_with_report
from gatelet.errors import UnsupportedLayer
from gatelet.runtime import load

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Lambda layer is not portable:UserWarning"),
]


def squash(value: Any) -> Any:
    import keras

    return keras.ops.tanh(value)


@pytest.fixture(scope="module")
def model(keras: Any) -> Any:
    """Return a model with a custom recurrence, a custom layer with weights, and a Lambda."""
    k = keras

    @k.saving.register_keras_serializable("mine")
    class Cautious(k.layers.LSTM):  # type: ignore[misc, name-defined]
        """An LSTM that counts its calls."""

    class Scale(k.layers.Layer):  # type: ignore[misc, name-defined]
        """A Dense without its bias."""

        def __init__(self, width: int, **settings: Any) -> None:
            super().__init__(**settings)
            self.width = width

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(shape[-1], self.width), name="kernel")

        def call(self, x: Any) -> Any:
            return keras.ops.matmul(x, self.kernel)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "width": self.width}

    k.utils.set_random_seed(4)
    x = k.Input((7, 3))
    y = Scale(4, name="scale")(Cautious(5, name="rnn")(x))
    y = k.layers.Lambda(squash, name="squash")(y)
    return k.Model(x, k.layers.Dense(2)(y))


def as_dense(config: Any) -> dict[str, Any]:
    import keras

    return keras.layers.Dense(config["width"], use_bias=False)  # type: ignore[no-any-return]


def equivalents(keras: Any) -> dict[str, Any]:
    return {"mine>Cautious": "LSTM", "Scale": as_dense, "squash": keras.layers.Activation("tanh")}


def test_a_live_model_is_its_own_oracle(keras: Any, model: Any, tmp_path: Path) -> None:
    bundle, report = convert_with_report(
        model, tmp_path / "b", targets=["onnx"], custom_objects=equivalents(keras)
    )
    assert report.oracles == ("graph", f"keras {keras.__version__}")
    assert report.verdict == "pass"
    known = bundle.manifest["provenance"]["custom_objects"]
    assert known == ["Scale", "mine>Cautious", "squash"]
    x = np.random.default_rng(1).normal(size=(5, 7, 3)).astype(np.float32)
    found = np.asarray(load(bundle.path).scores(x))
    assert np.abs(found - np.asarray(model(x))).max() < 1e-5


def test_a_wrong_equivalent_fails_parity(keras: Any, model: Any, tmp_path: Path) -> None:
    wrong = {**equivalents(keras), "squash": keras.layers.Activation("sigmoid")}
    bundle = convert(
        model, tmp_path / "b", targets=["onnx"], schemes=["float32"], custom_objects=wrong
    )
    assert bundle.verdict == "fail"


def test_a_file_finds_the_weights_of_the_layers_replaced(
    keras: Any, model: Any, tmp_path: Path
) -> None:
    for name in ("m.keras", "m.h5"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.save(tmp_path / name)
        bundle = convert(
            tmp_path / name,
            tmp_path / name.replace(".", "-"),
            targets=["onnx"],
            schemes=["float32"],
            custom_objects=equivalents(keras),
        )
        x = np.random.default_rng(1).normal(size=(5, 7, 3)).astype(np.float32)
        found = np.asarray(load(bundle.path).scores(x))
        assert np.abs(found - np.asarray(model(x))).max() < 1e-5
        assert "cannot load the model" in bundle.manifest["provenance"]["keras_refusal"]


def test_what_is_no_layer_of_keras_is_refused(keras: Any, model: Any, tmp_path: Path) -> None:
    kind = type(model.get_layer("rnn"))
    with pytest.raises(UnsupportedLayer, match=r"layer 'rnn' .* expected one of Keras' own layers"):
        convert(model, tmp_path / "b", custom_objects={"mine>Cautious": kind})
    with pytest.raises(UnsupportedLayer, match=r"layer 'scale' .*Scale\) is a custom class.*'squ"):
        convert(model, tmp_path / "b", custom_objects={"mine>Cautious": keras.layers.LSTM})
    assert not (tmp_path / "b").exists()
