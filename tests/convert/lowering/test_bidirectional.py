"""Bidirectional: merge modes, different layers, states and masks, as Keras computes them."""

from typing import Any

import pytest

from tests.late import keras, layers

CELLS = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "SimpleRNN"}
MODES = ["concat", "sum", "mul", "ave", None]


def of_ids(layer: Any, *, mask_zero: bool = True) -> Any:
    x = keras.Input((None,), dtype="int32")
    return keras.Model(x, layer(layers.Embedding(10, 3, mask_zero=mask_zero)(x)))


@pytest.mark.parametrize("mask_zero", [False, True], ids=["unmasked", "masked"])
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("mode", MODES)
def test_merge_modes(
    check: Any, ids: Any, mode: str | None, sequences: bool, mask_zero: bool
) -> None:
    layer = layers.Bidirectional(layers.LSTM(4, return_sequences=sequences), merge_mode=mode)
    check(of_ids(layer, mask_zero=mask_zero), ids)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("cell", CELLS)
def test_states_of_both_directions(
    check: Any, ids: Any, cell: str, sequences: bool, mode: str | None
) -> None:
    inner = getattr(layers, CELLS[cell])(4, return_state=True, return_sequences=sequences)
    layer = layers.Bidirectional(inner, merge_mode=mode)
    check(of_ids(lambda x: list(layer(x))), ids)


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
def test_different_layers_for_the_directions(check: Any, ids: Any, sequences: bool) -> None:
    layer = layers.Bidirectional(
        layers.LSTM(4, return_sequences=sequences),
        backward_layer=layers.GRU(
            3, activation="relu", go_backwards=True, return_sequences=sequences
        ),
    )
    check(of_ids(layer), ids)


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
def test_the_first_layer_may_be_the_one_that_goes_backwards(
    check: Any, ids: Any, sequences: bool
) -> None:
    layer = layers.Bidirectional(
        layers.LSTM(4, return_sequences=sequences, go_backwards=True),
        backward_layer=layers.LSTM(4, return_sequences=sequences),
    )
    check(of_ids(layer), ids)


def test_stacks_of_bidirectional_layers(check: Any, ids: Any) -> None:
    embedding = layers.Embedding(10, 3, mask_zero=True)
    lower = layers.Bidirectional(layers.GRU(4, return_sequences=True))
    upper = layers.Bidirectional(layers.LSTM(3))
    dense = layers.Dense(1, activation="sigmoid")
    model = keras.Sequential([keras.Input((None,)), embedding, lower, upper, dense])
    check(model, ids)


def test_both_outputs_keep_the_mask(check: Any, ids: Any) -> None:
    layer = layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode=None)

    def heads(x: Any) -> Any:
        return [layers.LSTM(2)(one) for one in layer(x)]

    check(of_ids(heads), ids)


@pytest.mark.parametrize("mask_zero", [False, True], ids=["unmasked", "masked"])
def test_initial_states_go_to_both_directions(check: Any, ids: Any, mask_zero: bool) -> None:
    x, y = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    embedding = layers.Embedding(10, 3, mask_zero=mask_zero)
    encoder = layers.Bidirectional(layers.LSTM(4, return_state=True))
    decoder = layers.Bidirectional(layers.LSTM(4, return_sequences=True))
    _, *states = encoder(embedding(x))
    decoded = decoder(embedding(y), initial_state=states)
    check(keras.Model([x, y], [decoded, layers.GRU(2)(decoded)]), ids, ids[::-1])


def test_bidirectional_around_a_cell(check: Any, ids: Any) -> None:
    layer = layers.Bidirectional(layers.RNN(layers.GRUCell(4), return_sequences=True))
    check(of_ids(layer), ids)
