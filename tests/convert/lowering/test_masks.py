"""Where masks begin, which layers pass them on, and which end them, as Keras does it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.late import keras, layers

# Keras tells where a mask ends
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")

Make = Callable[[], Any]
PASSING: dict[str, Make] = {
    "activation": lambda: layers.Activation("relu"),
    "batch_normalization": lambda: layers.BatchNormalization(),
    "dense": lambda: layers.Dense(3, activation="tanh"),
    "dropout": lambda: layers.Dropout(0.5),
    "elu": lambda: layers.ELU(),
    "gaussian_noise": lambda: layers.GaussianNoise(0.5),
    "layer_normalization": lambda: layers.LayerNormalization(),
    "leaky_relu": lambda: layers.LeakyReLU(),
    "prelu": lambda: layers.PReLU(shared_axes=[1]),
    "relu": lambda: layers.ReLU(),
    "rescaling": lambda: layers.Rescaling(0.5, 1.0),
    "spatial_dropout": lambda: layers.SpatialDropout1D(0.5),
    "time_distributed": lambda: layers.TimeDistributed(layers.Dense(3)),
}
ENDING: dict[str, Make] = {
    "average_pooling": lambda: layers.AveragePooling1D(2, strides=1),
    "conv": lambda: layers.Conv1D(4, 2, padding="same"),
    "max_pooling": lambda: layers.MaxPooling1D(2, strides=1),
    "permute": lambda: layers.Permute((1, 2)),
    "reshape": lambda: layers.Reshape((-1, 3)),
}


@pytest.mark.parametrize("layer", [*PASSING, *ENDING])
def test_masks_pass_and_end(check: Any, ids: Any, layer: str) -> None:
    embedding = layers.Embedding(10, 3, mask_zero=True)
    make = PASSING[layer] if layer in PASSING else ENDING[layer]
    stack = [embedding, make(), layers.LSTM(3)]
    model = keras.Sequential([keras.Input((6 if layer in ENDING else None,)), *stack])
    graph = check(model, ids)
    assert (graph.nodes[-1].mask is not None) == (layer in PASSING)


@pytest.mark.parametrize("value", [0.0, -1.0, 0.1])
def test_masking(check: Any, features: Any, value: float) -> None:
    x = np.where(features == 0, np.float32(value), features)
    x[0, 2, 1] = value
    model = keras.Sequential([keras.Input((None, 3)), layers.Masking(value)])
    check(model, x)
    model = keras.Sequential([model, layers.LSTM(4, return_sequences=True), layers.GRU(3)])
    check(model, x)


def test_a_masked_row_gives_the_average_nan(check: Any, ids: Any) -> None:
    x = keras.Input((None,), dtype="int32")
    embedded = layers.Embedding(10, 3, mask_zero=True)(x)
    pooled = layers.GlobalAveragePooling1D(keepdims=True)(embedded)
    dense = layers.Dense(2, activation="relu")(layers.GlobalAveragePooling1D()(embedded))
    model = keras.Model(x, [pooled, dense, layers.Dense(2, activation="softmax")(dense)])
    check(model, ids)
    assert np.isnan(np.asarray(model(ids)[1])).any(axis=1).sum() == 1


def test_the_maximum_ignores_the_mask(check: Any, ids: Any) -> None:
    embedding = layers.Embedding(10, 3, mask_zero=True)
    check(keras.Sequential([keras.Input((None,)), embedding, layers.GlobalMaxPooling1D()]), ids)


def test_one_embedding_gives_one_mask(check: Any, ids: Any) -> None:
    x = keras.Input((None,), dtype="int32")
    first, second = (layers.Embedding(10, 3, mask_zero=True)(x) for _ in range(2))
    made = layers.LSTM(3)(layers.Add()([first, second]))
    graph = check(keras.Model(x, made), ids)
    assert sum(node.op == "MaskIds" for node in graph.nodes) == 1


def test_repeat_vector_ends_a_mask(check: Any, ids: Any) -> None:
    stack = [layers.LSTM(3), layers.RepeatVector(4), layers.LSTM(3, return_sequences=True)]
    embedding = layers.Embedding(10, 3, mask_zero=True)
    check(keras.Sequential([keras.Input((None,)), embedding, *stack]), ids)


def test_flatten_ends_a_mask(check: Any, ids: Any) -> None:
    embedding = layers.Embedding(10, 3, mask_zero=True)
    stack = [embedding, layers.LSTM(3, return_sequences=True), layers.Flatten(), layers.Dense(2)]
    check(keras.Sequential([keras.Input((6,)), *stack]), ids)
