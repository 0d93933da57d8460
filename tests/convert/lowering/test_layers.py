"""Activations, normalisations and shapes, as Keras computes them."""

from typing import Any

import numpy as np
import pytest

from gatelet.convert.lowering import lower
from gatelet.convert.reading import read_keras_object
from gatelet.errors import ModelError
from gatelet.runtime.backends.reference import ACTIVATIONS, run_graph
from tests.late import keras, layers

NAMES = [
    *(name for name in ACTIVATIONS if name not in ("hard_sigmoid_keras2", "threshold")),
    "swish",
    "hard_swish",
]


def of_features(*stack: Any, timesteps: int | None = None) -> Any:
    return keras.Sequential([keras.Input((timesteps, 3)), *stack])


NAMES_OF_ONE_SHAPE = [name for name in NAMES if name != "glu"]


@pytest.mark.parametrize("name", NAMES_OF_ONE_SHAPE)
def test_every_activation_in_every_place(check: Any, features: Any, name: str) -> None:
    stack = [layers.Dense(6, activation=name), layers.Conv1D(4, 1, activation=name)]
    check(of_features(*stack, layers.Activation(name)), features, deviation=0.3)


def test_glu_halves_the_last_axis(check: Any, features: Any) -> None:
    graph = check(of_features(layers.Dense(6), layers.Activation("glu")), features)
    assert graph.nodes[-1].shape == (None, None, 3)


@pytest.mark.parametrize("name", NAMES_OF_ONE_SHAPE)
def test_every_activation_in_gates(check: Any, features: Any, name: str) -> None:
    x = keras.Input((None, 3))
    made = [
        layers.LSTM(4, activation=name)(x),
        layers.LSTM(4, recurrent_activation=name)(x),
        layers.GRU(4, activation=name, recurrent_activation="hard_sigmoid")(x),
        layers.SimpleRNN(4, activation=name)(x),
    ]
    check(keras.Model(x, made), features, deviation=0.05 if name == "exponential" else 0.3)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.ReLU(),
        lambda: layers.ReLU(max_value=1.0, negative_slope=0.2, threshold=0.3),
        lambda: layers.ReLU(max_value=6, threshold=0.5),
        lambda: layers.ReLU(negative_slope=0.1),
        lambda: layers.LeakyReLU(),
        lambda: layers.LeakyReLU(negative_slope=0.05),
        lambda: layers.ELU(alpha=0.7),
        lambda: layers.Softmax(),
        lambda: layers.Softmax(axis=1),
        lambda: layers.PReLU(shared_axes=[1]),
        lambda: layers.PReLU(shared_axes=[1, 2]),
        lambda: layers.Activation(layers.LeakyReLU(0.4)),
        lambda: layers.Dense(4, activation=layers.ReLU(max_value=0.5)),
        lambda: layers.LSTM(4, activation=layers.LeakyReLU(0.1)),
        lambda: layers.GRU(4, recurrent_activation=layers.ReLU(max_value=1)),
    ],
)
def test_activations_with_parameters(check: Any, features: Any, layer: Any) -> None:
    check(of_features(layer()), features)


def test_a_prelu_of_every_timestep_keeps_time_fixed(check: Any, features: Any) -> None:
    graph = check(of_features(layers.PReLU(), timesteps=6), features)
    assert graph.inputs[0].shape == (None, 6, 3)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.BatchNormalization(),
        lambda: layers.BatchNormalization(scale=False),
        lambda: layers.BatchNormalization(center=False, epsilon=0.1),
        lambda: layers.BatchNormalization(center=False, scale=False),
        lambda: layers.BatchNormalization(axis=1),
        lambda: layers.LayerNormalization(),
        lambda: layers.LayerNormalization(center=False, epsilon=0.1),
        lambda: layers.LayerNormalization(scale=False),
        lambda: layers.LayerNormalization(center=False, scale=False),
        lambda: layers.LayerNormalization(axis=1),
        lambda: layers.LayerNormalization(axis=[1, 2]),
        lambda: layers.Rescaling(0.25),
        lambda: layers.Rescaling([1.0, 2.0, 3.0], offset=[0.5, 0.0, -1.0]),
        lambda: layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 0.0, 4.0]),
        lambda: layers.Normalization(axis=None, mean=1000.0, variance=2.0),
        lambda: layers.Normalization(axis=[1, 2]),
        lambda: layers.Normalization(),
        lambda: layers.Normalization(invert=True),
    ],
)
def test_normalisations(check: Any, features: Any, layer: Any) -> None:
    check(of_features(layer(), timesteps=6), features)


def test_an_adapted_normalisation_of_large_numbers(features: Any, check: Any) -> None:
    layer = layers.Normalization()
    shifted = (features + np.array([1e4, -3e3, 0])).astype(np.float32)
    layer.adapt(shifted)
    graph = check(of_features(layer), shifted, keep_weights=True)
    # x - mean is exact; folded into one product and one sum it would not be
    y = run_graph(graph, {"features": shifted})[graph.outputs[0]]
    np.testing.assert_allclose(y, np.asarray(layer(shifted)), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Flatten(),
        lambda: layers.Reshape((3, 6)),
        lambda: layers.Reshape((2, -1, 3)),
        lambda: layers.Reshape((18,)),
        lambda: layers.Permute((2, 1)),
        lambda: layers.Permute((1, 2)),
        lambda: layers.Reshape((6, 3)),
    ],
)
def test_shapes(check: Any, features: Any, layer: Any) -> None:
    check(of_features(layer(), timesteps=6), features)


def test_a_reshape_that_any_number_of_timesteps_fits_keeps_time_open(
    check: Any, features: Any
) -> None:
    stack = [layers.Reshape((-1, 1)), layers.LSTM(3)]
    graph = check(of_features(*stack, timesteps=6), features)
    assert graph.inputs[0].shape == (None, None, 3)


def test_a_permuted_sequence_needs_its_length(check: Any, features: Any) -> None:
    graph = check(of_features(layers.Permute((2, 1)), layers.LSTM(3), timesteps=6), features)
    assert graph.inputs[0].shape == (None, 6, 3)


def test_repeated_timesteps(check: Any, features: Any) -> None:
    check(of_features(layers.UpSampling1D(3), layers.GRU(3)), features)


def test_an_autoencoder(check: Any, features: Any) -> None:
    stack = [
        layers.LSTM(4),
        layers.RepeatVector(6),
        layers.LSTM(4, return_sequences=True),
        layers.TimeDistributed(layers.Dense(3)),
    ]
    check(of_features(*stack), features)


def test_features_without_time(check: Any) -> None:
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    stack = [
        layers.Dense(6, activation="relu"),
        layers.BatchNormalization(),
        layers.Dropout(0.1),
        layers.AlphaDropout(0.1),
        layers.GaussianDropout(0.1),
        layers.ActivityRegularization(0.1),
        layers.Flatten(),
        layers.Reshape((3, 2)),
        layers.GRU(3),
    ]
    check(keras.Sequential([keras.Input((4,)), *stack]), x)


def test_embedding_of_a_category(check: Any, ids: Any) -> None:
    stack = [layers.Embedding(10, 3), layers.Flatten(), layers.Dense(2)]
    graph = check(keras.Sequential([keras.Input((1,), dtype="int32"), *stack]), ids[:, :1])
    assert graph.inputs[0].shape == (None, 1)
    assert graph.inputs[0].vocabulary == 10


def test_ids_are_found_behind_a_reshape(check: Any, ids: Any) -> None:
    x = keras.Input((6,), dtype="int32")
    embedded = layers.Embedding(10, 3)(layers.Reshape((2, 3))(x))
    graph = check(keras.Model(x, layers.Flatten()(embedded)), ids)
    assert (graph.inputs[0].dtype, graph.inputs[0].vocabulary) == ("int32", 10)


def test_the_smallest_vocabulary_limits_shared_ids(check: Any, ids: Any) -> None:
    x = keras.Input((None,), dtype="int32")
    both = [layers.Embedding(size, 3)(x) for size in (12, 10, 11)]
    graph = check(keras.Model(x, layers.Add()(both)), ids)
    assert graph.inputs[0].vocabulary == 10


def test_mixed_precision_is_computed_in_float32(features: Any, check: Any) -> None:
    policy = keras.DTypePolicy("mixed_float16")
    model = of_features(layers.LSTM(4, dtype=policy), layers.Dense(1, dtype="float32"))
    graph = lower(read_keras_object(model))
    assert {one.dtype for one in graph.weights.values()} == {"F32"}


def test_says_which_layer_needs_the_length() -> None:
    model = of_features(layers.LSTM(4, return_sequences=True))
    flat = keras.Sequential([keras.Input((None, 3)), *model.layers, layers.Reshape((4, 6))])
    with pytest.raises(ModelError, match=r"'reshape.*' \(Reshape\) needs to know.*fixed input"):
        lower(read_keras_object(flat))
