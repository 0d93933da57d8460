"""Convolutions, poolings and ConvLSTM2D, as Keras computes them."""

from typing import Any

import numpy as np
import pytest

from gatelet.convert.lowering import lower
from gatelet.convert.reading import read_keras_object
from tests.late import keras, layers

CONV_1D: dict[str, dict[str, Any]] = {
    "valid": {},
    "same": {"padding": "same"},
    "causal": {"padding": "causal"},
    "even_same": {"kernel_size": 4, "padding": "same"},
    "strided_valid": {"strides": 2},
    "strided_same": {"strides": 2, "padding": "same"},
    "strided_causal": {"strides": 2, "padding": "causal"},
    "dilated_valid": {"dilation_rate": 2},
    "dilated_same": {"dilation_rate": 2, "padding": "same"},
    "dilated_causal": {"dilation_rate": 3, "padding": "causal"},
    "groups": {"groups": 2},
    "no_bias": {"use_bias": False, "activation": "relu"},
    "wide": {"kernel_size": 1, "activation": "softmax"},
}


@pytest.fixture
def series() -> Any:
    return np.random.default_rng(1).normal(size=(3, 11, 4)).astype(np.float32)


@pytest.fixture
def images() -> Any:
    return np.random.default_rng(1).normal(size=(3, 7, 6, 4)).astype(np.float32)


@pytest.fixture
def films() -> Any:
    return np.random.default_rng(1).normal(size=(3, 4, 6, 5, 2)).astype(np.float32)


@pytest.mark.parametrize("timesteps", [None, 11], ids=["open", "fixed"])
@pytest.mark.parametrize("option", CONV_1D)
def test_conv_1d(check: Any, series: Any, option: str, timesteps: int | None) -> None:
    layer = layers.Conv1D(6, **{"kernel_size": 3, **CONV_1D[option]})
    x = keras.Input((timesteps, 4))
    model = keras.Model(x, layers.Activation("tanh")(layer(x)))
    graph = _without_first_step(check, model, series)
    assert graph.inputs[0].shape == (None, None, 4)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("strides", [None, 1, 2])
@pytest.mark.parametrize("kind", ["MaxPooling1D", "AveragePooling1D"])
def test_pooling_1d(
    check: Any, series: Any, kind: str, strides: int | None, size: int, padding: str
) -> None:
    layer = getattr(layers, kind)(size, strides=strides, padding=padding)
    _without_first_step(check, keras.Sequential([keras.Input((11, 4)), layer]), series)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("kind", ["GlobalMaxPooling1D", "GlobalAveragePooling1D"])
def test_global_pooling_1d(check: Any, series: Any, kind: str, keepdims: bool) -> None:
    layer = getattr(layers, kind)(keepdims=keepdims)
    check(keras.Sequential([keras.Input((None, 4)), layer]), series)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Conv1D(6, 3, padding="same", data_format="channels_first"),
        lambda: layers.MaxPooling1D(2, data_format="channels_first"),
        lambda: layers.AveragePooling1D(3, 2, padding="same", data_format="channels_first"),
        lambda: layers.GlobalMaxPooling1D(data_format="channels_first"),
        lambda: layers.GlobalAveragePooling1D(data_format="channels_first", keepdims=True),
        lambda: layers.GlobalAveragePooling1D(data_format="channels_first"),
        lambda: layers.GlobalMaxPooling1D(data_format="channels_first", keepdims=True),
        lambda: layers.Flatten(data_format="channels_first"),
    ],
    ids=["conv", "max", "average", "global_max", "kept", "global_average", "kept_max", "flatten"],
)
def test_channels_first_1d(check: Any, series: Any, layer: Any) -> None:
    check(keras.Sequential([keras.Input((11, 4)), layer()]), series)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Conv2D(6, 3),
        lambda: layers.Conv2D(6, (2, 3), padding="same", activation="relu", strides=(2, 1)),
        lambda: layers.Conv2D(6, 2, dilation_rate=(2, 1), use_bias=False, groups=2),
        lambda: layers.Conv2D(6, 2, dilation_rate=2, padding="same"),
        lambda: layers.Conv2D(6, 3, data_format="channels_first", padding="same"),
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu"),
        lambda: layers.SeparableConv2D(6, 3, padding="same", depth_multiplier=2),
        lambda: layers.MaxPooling2D((2, 3), padding="same"),
        lambda: layers.MaxPooling2D(2, strides=1, data_format="channels_first"),
        lambda: layers.AveragePooling2D((3, 2), strides=(2, 1), padding="same"),
        lambda: layers.GlobalMaxPooling2D(keepdims=True),
        lambda: layers.GlobalAveragePooling2D(),
        lambda: layers.GlobalMaxPooling2D(data_format="channels_first"),
        lambda: layers.SpatialDropout2D(0.5),
        lambda: layers.Flatten(data_format="channels_first"),
    ],
)
def test_images(check: Any, images: Any, layer: Any) -> None:
    check(keras.Sequential([keras.Input((7, 6, 4)), layer()]), images)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.SeparableConv1D(6, 3, padding="same", activation="relu"),
        lambda: layers.SeparableConv1D(6, 3, strides=2, depth_multiplier=2, use_bias=False),
        lambda: layers.DepthwiseConv1D(3, depth_multiplier=2, padding="same"),
    ],
)
def test_depthwise_1d(check: Any, series: Any, layer: Any) -> None:
    check(keras.Sequential([keras.Input((11, 4)), layer()]), series)


FILMS: dict[str, dict[str, Any]] = {
    "valid": {},
    "same": {"padding": "same"},
    "even_same": {"kernel_size": (2, 4), "padding": "same"},
    "strided": {"strides": (2, 1), "padding": "same"},
    "dilated": {"dilation_rate": 2, "kernel_size": 2},
    "backwards": {"go_backwards": True},
    "no_bias": {"use_bias": False, "activation": "relu", "recurrent_activation": "hard_sigmoid"},
}


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("option", FILMS)
def test_conv_lstm_2d(check: Any, films: Any, option: str, sequences: bool) -> None:
    settings = {"kernel_size": 3, "return_sequences": sequences, **FILMS[option]}
    layer = layers.ConvLSTM2D(3, **settings)
    check(keras.Sequential([keras.Input((None, 6, 5, 2)), layer]), films, deviation=0.4)


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
def test_conv_lstm_2d_with_channels_first(check: Any, films: Any, sequences: bool) -> None:
    x = keras.Input((4, 2, 6, 5))
    layer = layers.ConvLSTM2D(
        3, 3, data_format="channels_first", return_sequences=sequences, return_state=True
    )
    first = np.ascontiguousarray(np.moveaxis(films, -1, 2))
    check(keras.Model(x, list(layer(x))), first, deviation=0.4)


def test_conv_lstm_2d_stacked_with_states_and_both_directions(check: Any, films: Any) -> None:
    x = keras.Input((None, 6, 5, 2))
    y, h, c = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True, return_state=True)(x)
    y = layers.BatchNormalization()(y)
    both = layers.Bidirectional(layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True))(y)
    last = layers.ConvLSTM2D(3, 3, padding="same")(y, initial_state=[h, c])
    check(keras.Model(x, [both, last]), films, deviation=0.4)


def test_conv_and_pooling_before_a_recurrence(check: Any, series: Any) -> None:
    stack = [
        layers.Conv1D(5, 3, activation="relu"),
        layers.MaxPooling1D(2),
        layers.LSTM(4, return_sequences=True),
        layers.Flatten(),
        layers.Dense(1),
    ]
    graph = check(keras.Sequential([keras.Input((11, 4)), *stack]), series)
    assert graph.inputs[0].shape == (None, 11, 4)


def _without_first_step(check: Any, model: Any, series: Any) -> Any:
    """Compare on the whole series only: one timestep is too short for a window."""
    fixed = keras.Input((11, 4))
    check(keras.Model(fixed, model(fixed)), series)
    return lower(read_keras_object(model))
