"""Recurrent layers: every option under every padding, as Keras computes them."""

from typing import Any

import numpy as np
import pytest

from tests.late import keras, layers

CELLS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
    "gru_reset_before": ("GRU", {"reset_after": False}),
    "simple_rnn": ("SimpleRNN", {}),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "last": {},
    "sequences": {"return_sequences": True},
    "backwards": {"go_backwards": True},
    "backward_sequences": {"go_backwards": True, "return_sequences": True},
    "no_bias": {"use_bias": False},
    "zero_output": {"zero_output_for_mask": True, "return_sequences": True},
    "zero_last_output": {"zero_output_for_mask": True},
    "dropouts": {"dropout": 0.3, "recurrent_dropout": 0.2},
    "relu": {"activation": "relu"},
}


def maker(cell: str) -> tuple[Any, dict[str, Any]]:
    """Return a layer's class and its settings."""
    name, settings = CELLS[cell]
    return getattr(layers, name), settings


def of_ids(*stack: Any, mask_zero: bool) -> Any:
    embedding = layers.Embedding(10, 3, mask_zero=mask_zero)
    return keras.Sequential([keras.Input((None,), dtype="int32"), embedding, *stack])


@pytest.mark.parametrize("mask_zero", [False, True], ids=["unmasked", "masked"])
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_option_of_a_cell(
    check: Any, ids: Any, cell: str, option: str, mask_zero: bool
) -> None:
    make, settings = maker(cell)
    check(of_ids(make(4, **settings, **OPTIONS[option]), mask_zero=mask_zero), ids)


@pytest.mark.parametrize("cell", CELLS)
def test_a_backward_sequence_keeps_the_mask_of_the_forward_one(
    check: Any, ids: Any, cell: str
) -> None:
    make, settings = maker(cell)
    stack = [make(4, go_backwards=True, return_sequences=True, **settings), layers.GRU(3)]
    check(of_ids(*stack, mask_zero=True), ids)


@pytest.mark.parametrize("cell", ["lstm", "gru", "simple_rnn"])
def test_stacks_pass_masks_on(check: Any, ids: Any, cell: str) -> None:
    make, settings = maker(cell)
    stack = [make(4, return_sequences=True, **settings) for _ in range(2)]
    check(of_ids(*stack, layers.Dropout(0.5), make(3, **settings), mask_zero=True), ids)


def test_states_of_saturated_cells_grow_beyond_ten(check: Any) -> None:
    model = keras.Sequential([keras.Input((None, 2)), layers.LSTM(3, return_state=True)])
    x = np.full((2, 30, 2), 4, np.float32)
    check(model, x)
    kernel, recurrent, bias = model.layers[0].get_weights()
    model.layers[0].set_weights([np.abs(kernel), np.abs(recurrent), np.abs(bias)])
    assert np.abs(np.asarray(model(x)[2])).max() > 10


@pytest.mark.parametrize("mask_zero", [False, True], ids=["unmasked", "masked"])
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "simple_rnn"])
def test_return_state(check: Any, ids: Any, cell: str, sequences: bool, mask_zero: bool) -> None:
    make, settings = maker(cell)
    x = keras.Input((None,), dtype="int32")
    embedded = layers.Embedding(10, 3, mask_zero=mask_zero)(x)
    made = make(4, return_state=True, return_sequences=sequences, **settings)(embedded)
    check(keras.Model(x, list(made)), ids)


@pytest.mark.parametrize("mask_zero", [False, True], ids=["unmasked", "masked"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "simple_rnn"])
def test_a_decoder_starts_from_the_encoders_states(
    check: Any, ids: Any, cell: str, mask_zero: bool
) -> None:
    make, settings = maker(cell)
    x, y = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    embedding = layers.Embedding(10, 3, mask_zero=mask_zero)
    _, *states = make(4, return_state=True, **settings)(embedding(x))
    decoded, *last = make(4, return_sequences=True, return_state=True, **settings)(
        embedding(y), initial_state=states
    )
    made = layers.Dense(5, activation="softmax")(decoded)
    check(keras.Model([x, y], [made, layers.GRU(2)(decoded), *last]), ids, ids[::-1])


def test_keras_3_passes_no_mask_to_a_layer_with_initial_state(check: Any, ids: Any) -> None:
    x, h = keras.Input((None,), dtype="int32"), keras.Input((4,))
    embedded = layers.Embedding(10, 3, mask_zero=True)(x)
    plain = keras.Model([x, h], layers.GRU(4)(embedded, initial_state=h))
    state = np.ones((7, 4), np.float32)
    graph = check(plain, ids, state)
    assert graph.nodes[-1].mask is None
    named = layers.GRU(4)(embedded, initial_state=h, mask=embedded._keras_mask)
    graph = check(keras.Model([x, h], named), ids, state)
    assert graph.nodes[-1].mask is not None


@pytest.mark.parametrize("unroll", [False, True])
def test_unrolling_changes_nothing(check: Any, ids: Any, unroll: bool) -> None:
    layer = layers.LSTM(4, unroll=unroll, return_sequences=True)
    embedding = layers.Embedding(10, 3, mask_zero=True)
    check(keras.Sequential([keras.Input((6,), dtype="int32"), embedding, layer]), ids)


def test_a_stateful_model_of_a_fixed_batch_starts_from_zero(check: Any, features: Any) -> None:
    x = keras.Input(batch_shape=(7, 6, 3))
    model = keras.Model(x, layers.LSTM(4, stateful=True)(x))
    graph = check(model, features)
    assert graph.inputs[0].shape == (None, None, 3)


RNN_CELLS = {
    "lstm": lambda: layers.LSTMCell(4),
    "gru": lambda: layers.GRUCell(4, reset_after=False),
    "simple_rnn": lambda: layers.SimpleRNNCell(4, activation="relu"),
    "stacked": lambda: layers.StackedRNNCells([layers.LSTMCell(4), layers.GRUCell(3)]),
}


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("cell", RNN_CELLS)
def test_rnn_around_cells(check: Any, ids: Any, cell: str, sequences: bool) -> None:
    layer = layers.RNN(RNN_CELLS[cell](), return_sequences=sequences, go_backwards=True)
    check(of_ids(layer, mask_zero=True), ids)


def test_rnn_around_stacked_cells_gives_all_states(check: Any, features: Any) -> None:
    x = keras.Input((None, 3))
    layer = layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_state=True)
    check(keras.Model(x, keras.tree.flatten(layer(x))), features)


def test_a_shared_layer_stores_its_weights_once(check: Any, ids: Any) -> None:
    x, y = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    embedding, layer = layers.Embedding(10, 3, mask_zero=True), layers.LSTM(4)
    made = layers.Concatenate()([layer(embedding(x)), layer(embedding(y))])
    graph = check(keras.Model([x, y], made), ids, ids[::-1])
    assert len(graph.weights) == 4
