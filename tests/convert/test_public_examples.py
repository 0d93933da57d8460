"""The shapes of the public Keras examples convert, pass parity against Keras, and predict."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert import convert_with_report
from gatelet.convert.exporters.choice import DEFAULT_ARTIFACTS
from gatelet.runtime import load
from tests.conformance.matrix import set_weights

Keras = Any
Model = Any

# Keras' own variables, under NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def imdb_bidirectional(k: Keras) -> Model:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((200,), dtype="int32"),
            layers.Embedding(20_000, 128),
            layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
            layers.Bidirectional(layers.LSTM(64)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def weather_forecast(k: Keras) -> Model:
    return k.Sequential([k.Input((120, 7)), k.layers.LSTM(32), k.layers.Dense(1)])


def text_generation_last_step(k: Keras) -> Model:
    return k.Sequential(
        [k.Input((40, 56)), k.layers.LSTM(128), k.layers.Dense(56, activation="softmax")]
    )


def text_generation_every_step(k: Keras) -> Model:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((100,), dtype="int32"),
            layers.Embedding(66, 64),
            layers.GRU(128, return_sequences=True),
            layers.Dense(66, activation="softmax"),
        ]
    )


def addition(k: Keras) -> Model:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((7, 12)),
            layers.LSTM(128),
            layers.RepeatVector(4),
            layers.LSTM(128, return_sequences=True),
            layers.Dense(12, activation="softmax"),
        ]
    )


def conv_and_lstm(k: Keras) -> Model:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((100,), dtype="int32"),
            layers.Embedding(2_000, 64),
            layers.Dropout(0.25),
            layers.Conv1D(64, 5, activation="relu"),
            layers.MaxPooling1D(4),
            layers.LSTM(70),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def human_activity(k: Keras) -> Model:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((128, 9)),
            layers.LSTM(100),
            layers.Dropout(0.5),
            layers.Dense(100, activation="relu"),
            layers.Dense(6, activation="softmax"),
        ]
    )


def autoencoder(k: Keras) -> Model:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((30, 1)),
            layers.LSTM(64),
            layers.RepeatVector(30),
            layers.LSTM(64, return_sequences=True),
            layers.TimeDistributed(layers.Dense(1)),
        ]
    )


def tagger(k: Keras) -> Model:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((50,), dtype="int32"),
            layers.Embedding(1_000, 32, mask_zero=True),
            layers.Bidirectional(layers.LSTM(32, return_sequences=True)),
            layers.TimeDistributed(layers.Dense(17, activation="softmax")),
        ]
    )


def image_sequences(k: Keras) -> Model:
    layers = k.layers
    cnn = k.Sequential(
        [
            k.Input((16, 16, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    return k.Sequential(
        [
            k.Input((8, 16, 16, 1)),
            layers.TimeDistributed(cnn),
            layers.LSTM(32),
            layers.Dense(5, activation="softmax"),
        ]
    )


def sequence_to_sequence(k: Keras) -> Model:
    layers = k.layers
    source, target = k.Input((16, 71)), k.Input((59, 93))
    _, h, c = layers.LSTM(64, return_state=True)(source)
    y, _, _ = layers.LSTM(64, return_sequences=True, return_state=True)(
        target, initial_state=[h, c]
    )
    return k.Model([source, target], layers.Dense(93, activation="softmax")(y))


def with_text_vectorization(k: Keras) -> Model:
    layers = k.layers
    words = [f"word{index}" for index in range(500)]
    return k.Sequential(
        [
            k.Input((1,), dtype="string"),
            layers.TextVectorization(output_sequence_length=40, vocabulary=words),
            layers.Embedding(502, 32),
            layers.LSTM(32),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


EXAMPLES = (
    imdb_bidirectional,
    weather_forecast,
    text_generation_last_step,
    text_generation_every_step,
    addition,
    conv_and_lstm,
    human_activity,
    autoencoder,
    tagger,
    image_sequences,
    sequence_to_sequence,
    with_text_vectorization,
)


QUICK = (conv_and_lstm, tagger, sequence_to_sequence, with_text_vectorization)


@pytest.mark.parametrize(
    "build",
    [one if one in QUICK else pytest.param(one, marks=pytest.mark.full) for one in EXAMPLES],
    ids=lambda build: build.__name__,
)
def test_converts_and_passes(keras: Any, build: Callable[[Any], Any], tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = build(keras)
    set_small_weights(model)
    path = tmp_path / "model.keras"
    model.save(path)
    bundle, report = convert_with_report(path, tmp_path / "bundle")
    assert report.oracles[1:] == (f"keras {keras.__version__}",)
    failed = [
        (one.target, one.scheme, check, one.note)
        for one in report.artifacts
        for check in one.checks
        if check.verdict == "fail"
    ]
    assert failed == []
    made = [(one.target, one.scheme) for one in bundle.artifacts]
    exact = [one for one in DEFAULT_ARTIFACTS if one[1] == "float32"]
    assert [one for one in made if one[1] == "float32"] == exact
    assert len(made) <= 2 * len(exact)  # of each target, at most one rung of the ladder


def set_small_weights(model: Any) -> None:
    """Draw weights of the size that these examples have when trained."""
    set_weights(model, 1)
    for weight in model.weights:
        if weight.path.endswith(("/kernel", "/recurrent_kernel")):
            weight.assign(weight.numpy() * 0.4)


def test_a_model_with_a_text_layer_predicts_texts(keras: Any, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = with_text_vectorization(keras)
    texts = ["Word1, word2 WORD499!", "", "nothing known here", "word3 " * 60]
    expected = model.predict(keras.ops.convert_to_tensor([[t] for t in texts]), verbose=0)
    model.save(tmp_path / "model.keras")
    convert_with_report(tmp_path / "model.keras", tmp_path / "bundle", targets=("onnx",))
    found = load(tmp_path / "bundle").scores(texts)
    assert np.abs(found - np.asarray(expected)).max() <= 1e-5
