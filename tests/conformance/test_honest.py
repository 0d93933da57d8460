"""Honest files of large models pass parity: in every target and scheme, with every kind of kernel.

Weights are large enough that each scheme stores them in its own type, which those of the matrix are
not: a check that accuses a file falsely is seen here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.convert import convert_with_report
from tests.conformance.matrix import set_weights
from tests.conformance.test_conformance import keras

T, V, E, U = 12, 300, 32, 40

# Keras' own variables, under NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

Keras = Any
Build = Callable[[Keras], Any]


def ids(k: Keras, *layers: Any, mask: bool = False) -> Any:
    table = k.layers.Embedding(V, E, mask_zero=mask)
    return k.Sequential([k.Input((T,), dtype="int32"), table, *layers])


def features(k: Keras, *layers: Any, shape: tuple[int, ...] = (T, E)) -> Any:
    return k.Sequential([k.Input(shape), *layers])


def scores(k: Keras, labels: int = 1) -> Any:
    return k.layers.Dense(labels, activation="sigmoid" if labels == 1 else "softmax")


def conv(padding: str, **settings: Any) -> Build:
    def build(k: Keras) -> Any:
        layer = k.layers.Conv1D(U, 3, padding=padding, activation="relu", **settings)
        return ids(k, layer, k.layers.LSTM(U), scores(k))

    return build


def conv_of_features(padding: str) -> Build:
    def build(k: Keras) -> Any:
        first = k.layers.Conv1D(U, 3, padding=padding, activation="tanh")
        second = k.layers.Conv1D(U, 3, padding=padding)
        return features(k, first, second, k.layers.GRU(U), scores(k, 3))

    return build


def conv_groups(k: Keras) -> Any:
    return ids(k, k.layers.Conv1D(64, 5, groups=4), k.layers.LSTM(U), scores(k))


def conv_pooled(k: Keras) -> Any:
    layers = k.layers
    pooled = (layers.Conv1D(U, 3, strides=2), layers.MaxPooling1D(2))
    return ids(k, *pooled, layers.SimpleRNN(U), scores(k))


def conv_of_images(k: Keras) -> Any:
    layers = k.layers
    over_time = (
        layers.Conv2D(16, 3, activation="relu", padding="same"),
        layers.Conv2D(16, 3),
        layers.MaxPooling2D(2),
        layers.Flatten(),
    )
    each = [layers.TimeDistributed(one) for one in over_time]
    return features(k, *each, layers.LSTM(U), scores(k, 5), shape=(6, 10, 10, 8))


def conv_lstm(k: Keras) -> Any:
    layers = k.layers
    first = layers.ConvLSTM2D(8, 3, padding="same", return_sequences=True)
    second = layers.ConvLSTM2D(16, 3)
    shape = (5, 8, 8, 4)
    return features(k, first, second, layers.GlobalAveragePooling2D(), scores(k, 3), shape=shape)


def separable(k: Keras) -> Any:
    return ids(k, k.layers.SeparableConv1D(U, 3), k.layers.LSTM(U), scores(k))


def gru_reset_before(k: Keras) -> Any:
    first = k.layers.GRU(U, reset_after=False, return_sequences=True)
    return features(k, first, k.layers.GRU(U), scores(k, 4))


def bidirectional(mode: str) -> Build:
    def build(k: Keras) -> Any:
        both = k.layers.Bidirectional(k.layers.LSTM(U), merge_mode=mode)
        return ids(k, both, scores(k), mask=True)

    return build


def bidirectional_stack(k: Keras) -> Any:
    layers = k.layers
    first = layers.Bidirectional(layers.GRU(U, return_sequences=True))
    second = layers.Bidirectional(layers.LSTM(U))
    dense = layers.Dense(64, activation="relu")
    return features(k, first, layers.LayerNormalization(), second, dense, scores(k, 2))


def relu(k: Keras) -> Any:
    rnn = k.layers.SimpleRNN(U, activation="relu")
    return features(k, rnn, k.layers.Dense(3))


def normalizations(k: Keras) -> Any:
    layers = k.layers
    each = layers.TimeDistributed(layers.Dense(64, activation="relu"))
    norm = layers.BatchNormalization
    behind = (layers.LSTM(U), norm(), layers.Dense(64), norm(), scores(k))
    return features(k, layers.Normalization(mean=3.0, variance=4.0), each, norm(), *behind)


def masked_features(k: Keras) -> Any:
    return features(k, k.layers.Masking(), k.layers.LSTM(U), scores(k))


def repeated(k: Keras) -> Any:
    layers = k.layers
    again = (layers.RepeatVector(T), layers.LSTM(U, return_sequences=True))
    return features(k, layers.LSTM(U), *again, layers.TimeDistributed(layers.Dense(E)))


def backwards(k: Keras) -> Any:
    return ids(k, k.layers.LSTM(U, go_backwards=True), scores(k))


def tagger(k: Keras) -> Any:
    both = k.layers.Bidirectional(k.layers.LSTM(U, return_sequences=True))
    return ids(k, both, k.layers.TimeDistributed(scores(k, 30)), mask=True)


def slopes(k: Keras) -> Any:
    layers = k.layers
    behind = (layers.PReLU(), layers.LSTM(U), layers.LeakyReLU(), scores(k))
    return features(k, layers.Dense(U), *behind)


def states_passed_on(k: Keras) -> Any:
    layers, given = k.layers, k.Input((T,), dtype="int32")
    x = layers.Embedding(V, E)(given)
    y, h, c = layers.LSTM(U, return_sequences=True, return_state=True)(x)
    z = layers.LSTM(U)(y, initial_state=[h, c])
    joined = layers.Concatenate()([z, h, layers.GlobalMaxPooling1D()(y)])
    return k.Model(given, scores(k, 5)(joined))


def decoder(k: Keras) -> Any:
    given, h, c = k.Input((None, E)), k.Input((U,)), k.Input((U,))
    lstm = k.layers.LSTM(U, return_sequences=True, return_state=True)
    y, *states = lstm(given, initial_state=[h, c])
    return k.Model([given, h, c], [scores(k, 30)(y), *states])


def cells(k: Keras) -> Any:
    layers = k.layers
    stack = layers.StackedRNNCells([layers.LSTMCell(U), layers.LSTMCell(U)])
    return features(k, layers.RNN(stack), scores(k, 3))


def residual(k: Keras) -> Any:
    layers, given = k.layers, k.Input((T, E))
    x = layers.Dense(U)(given)
    y = layers.GRU(U, return_sequences=True)(x)
    z = layers.Multiply()([layers.Add()([x, y]), y])
    last = layers.LSTM(U, return_sequences=True)(z)
    return k.Model(given, scores(k, 3)(layers.GlobalAveragePooling1D()(last)))


CASES: dict[str, Build] = {
    **{f"conv_{padding}": conv(padding) for padding in ("valid", "same", "causal")},
    "conv_dilated": conv("same", dilation_rate=2),
    **{f"conv_of_features_{one}": conv_of_features(one) for one in ("valid", "same", "causal")},
    **{f"bidirectional_{mode}": bidirectional(mode) for mode in ("concat", "sum", "mul", "ave")},
    **{
        build.__name__: build
        for build in (
            *(conv_groups, conv_pooled, conv_of_images, conv_lstm, separable, gru_reset_before),
            *(bidirectional_stack, relu, normalizations, masked_features, repeated, backwards),
            *(tagger, slopes, states_passed_on, decoder, cells, residual),
        )
    },
}
IN_CI = ("conv_valid", "conv_lstm", "gru_reset_before", "bidirectional_concat")


@pytest.mark.parametrize(
    "name",
    [one if one in IN_CI else pytest.param(one, marks=pytest.mark.full) for one in CASES],
)
def test_no_honest_file_is_accused(tmp_path: Path, name: str) -> None:
    model = CASES[name](keras())
    set_weights(model, 1)
    for weight in model.weights:
        if weight.path.endswith(("/kernel", "/recurrent_kernel")):
            weight.assign(weight.numpy() * 0.4)
    model.save(tmp_path / "model.keras")
    _, report = convert_with_report(
        tmp_path / "model.keras", tmp_path / "bundle", schemes=("all",), with_keras=False
    )
    accused = [
        (one.target, one.scheme, check)
        for one in report.artifacts
        for check in one.checks
        if check.verdict == "fail"
    ]
    assert accused == []
    notes = [check.note for one in report.artifacts for check in one.checks]
    assert not [note for note in notes if "its oracle failed" in note]
    schemes = {one.scheme for one in report.artifacts if one.target == "c"}
    assert {"float32", "dynamic-int8", "dynamic-int8-rec16"} <= schemes
    asked = {
        one.target for one in report.artifacts if any("computes_" in c.name for c in one.checks)
    }
    assert asked >= {"c", "litert", "onnx"}
