"""TimeDistributed and nested models, as Keras computes them."""

from typing import Any

import numpy as np
import pytest

from tests.late import keras, layers

# Keras tells where a mask ends
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")


def images(*stack: Any, timesteps: int | None = 3) -> Any:
    return keras.Sequential([keras.Input((timesteps, 5, 4, 2)), *stack])


@pytest.fixture
def frames() -> Any:
    return np.random.default_rng(2).normal(size=(3, 3, 5, 4, 2)).astype(np.float32)


INNER = {
    "dense": lambda: layers.Dense(4, activation="softmax"),
    "dropout": lambda: layers.Dropout(0.5),
    "leaky_relu": lambda: layers.LeakyReLU(),
    "activation": lambda: layers.Activation("softmax"),
    "batch_normalization": lambda: layers.BatchNormalization(),
    "layer_normalization": lambda: layers.LayerNormalization(),
    "reshape": lambda: layers.Reshape((1, 3)),
    "repeat_vector": lambda: layers.RepeatVector(2),
}


@pytest.mark.parametrize("timesteps", [None, 6], ids=["open", "fixed"])
@pytest.mark.parametrize("masked", [False, True], ids=["unmasked", "masked"])
@pytest.mark.parametrize("inner", INNER)
def test_layers_on_features(
    check: Any, features: Any, inner: str, masked: bool, timesteps: int | None
) -> None:
    stack = [layers.Masking()] if masked else []
    stack.append(layers.TimeDistributed(INNER[inner]()))
    if inner not in ("reshape", "repeat_vector"):
        stack.append(layers.GRU(3))
    check(keras.Sequential([keras.Input((timesteps, 3)), *stack]), features)


@pytest.mark.parametrize("timesteps", [None, 3], ids=["open", "fixed"])
def test_a_convolutional_network_on_each_frame(
    check: Any, frames: Any, timesteps: int | None
) -> None:
    stack = [
        layers.TimeDistributed(layers.Conv2D(3, 2, activation="relu")),
        layers.TimeDistributed(layers.MaxPooling2D()),
        layers.TimeDistributed(layers.Flatten()),
        layers.LSTM(4),
    ]
    check(images(*stack, timesteps=timesteps), frames)


def test_a_model_on_each_frame(check: Any, frames: Any) -> None:
    inner = keras.Sequential(
        [
            keras.Input((5, 4, 2)),
            layers.Conv2D(3, 2, activation="relu", padding="same"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    check(images(layers.TimeDistributed(inner), layers.LSTM(4)), frames)


def test_a_recurrence_on_each_timestep(check: Any) -> None:
    x = np.random.default_rng(2).normal(size=(3, 4, 6, 2)).astype(np.float32)
    stack = [layers.TimeDistributed(layers.LSTM(3)), layers.GRU(2, return_sequences=True)]
    check(keras.Sequential([keras.Input((None, 6, 2)), *stack]), x)


def test_time_distributed_in_time_distributed(check: Any) -> None:
    x = np.random.default_rng(2).normal(size=(3, 4, 6, 2)).astype(np.float32)
    inner = layers.TimeDistributed(layers.TimeDistributed(layers.Dense(3, activation="elu")))
    check(keras.Sequential([keras.Input((None, 6, 2)), inner]), x)


def test_bidirectional_in_time_distributed(check: Any) -> None:
    x = np.random.default_rng(2).normal(size=(3, 4, 6, 2)).astype(np.float32)
    inner = layers.TimeDistributed(layers.Bidirectional(layers.LSTM(3)))
    check(keras.Sequential([keras.Input((None, 6, 2)), inner, layers.LSTM(3)]), x)


def test_words_of_sentences_have_a_mask_of_their_own(check: Any, ids: Any) -> None:
    words = keras.Input((None,), dtype="int32")
    sentence = layers.LSTM(4)(layers.Embedding(10, 3, mask_zero=True)(words))
    encoder = keras.Model(words, sentence)
    sentences = keras.Input((2, 6), dtype="int32")
    made = layers.LSTM(3)(layers.TimeDistributed(encoder)(sentences))
    graph = check(keras.Model(sentences, made), np.stack([ids, ids[::-1]], axis=1))
    assert graph.inputs[0].dtype == "int32"
    assert graph.inputs[0].vocabulary == 10


def test_masks_go_into_nested_models_and_come_out(check: Any, ids: Any) -> None:
    x = keras.Input((None, 3))
    inner = keras.Model(x, layers.Dense(4)(layers.LSTM(4, return_sequences=True)(x)))
    outer = keras.Input((None,), dtype="int32")
    made = inner(layers.Embedding(10, 3, mask_zero=True)(outer))
    check(keras.Model(outer, [layers.GRU(3)(made), layers.Dense(2)(made)]), ids)


def test_a_mask_made_in_a_nested_model_comes_out(check: Any, ids: Any) -> None:
    words = keras.Input((None,), dtype="int32")
    inner = keras.Sequential([keras.Input((None,)), layers.Embedding(10, 3, mask_zero=True)])
    check(keras.Model(words, layers.LSTM(3)(inner(words))), ids)


def test_a_nested_model_with_several_inputs_and_outputs_used_twice(
    check: Any, features: Any
) -> None:
    a, b = keras.Input((None, 3)), keras.Input((None, 3))
    both = layers.Concatenate()([a, b])
    inner = keras.Model([a, b], [layers.LSTM(4)(both), layers.GRU(2)(a)])
    x, y = keras.Input((None, 3)), keras.Input((None, 3))
    first, second = inner([x, y]), inner([y, x])
    graph = check(keras.Model([x, y], [*first, *second]), features, features[::-1])
    assert len(graph.weights) == 6


@pytest.mark.parametrize("merge", ["Concatenate", "Add", "Multiply", "Maximum"])
def test_masks_of_nested_models_are_unknown_when_a_model_is_built(
    check: Any, ids: Any, merge: str
) -> None:
    x = keras.Input((None, 3))
    inner = keras.Model(x, layers.Dense(3)(layers.GRU(3, return_sequences=True)(x)))
    words = keras.Input((None,), dtype="int32")
    embedded = layers.Embedding(10, 3, mask_zero=True)(words)
    shifted = layers.Embedding(10, 3, mask_zero=True)(layers.Permute((1,))(words))
    joined = getattr(layers, merge)()([embedded, inner(shifted)])
    made = layers.LSTM(3)(layers.LSTM(4, return_sequences=True)(joined))
    graph = check(keras.Model(words, made), ids)
    used = {name for node in graph.nodes for name in (*node.inputs, node.mask)}
    assert all(used.union(graph.outputs).intersection(node.outputs) for node in graph.nodes)
