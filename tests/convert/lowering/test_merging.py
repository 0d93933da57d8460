"""Merging layers and the masks of what they give, as Keras computes them."""

from typing import Any

import numpy as np
import pytest

from tests.late import keras, layers

MERGES = ["Add", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]


def branches(merge: str, masks: tuple[bool, ...], **settings: Any) -> Any:
    inputs = [keras.Input((None,), dtype="int32") for _ in masks]
    embedded = [
        layers.Embedding(10, 3, mask_zero=mask)(x) for x, mask in zip(inputs, masks, strict=True)
    ]
    joined = getattr(layers, merge)(**settings)(embedded)
    outputs = [joined, layers.LSTM(3)(joined), layers.GlobalAveragePooling1D()(joined)]
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("masks", [(0, 0), (1, 0), (0, 1), (1, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)])
@pytest.mark.parametrize("merge", MERGES)
def test_values_and_masks(check: Any, ids: Any, merge: str, masks: tuple[int, ...]) -> None:
    given = [ids, ids[::-1], np.roll(ids, 2, axis=1)][: len(masks)]
    check(branches(merge, tuple(map(bool, masks))), *given)


@pytest.mark.parametrize("masks", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_subtract(check: Any, ids: Any, masks: tuple[int, ...]) -> None:
    check(branches("Subtract", tuple(map(bool, masks))), ids, ids[::-1])


@pytest.mark.parametrize("masks", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_concatenate_along_time(check: Any, ids: Any, masks: tuple[int, ...]) -> None:
    check(branches("Concatenate", tuple(map(bool, masks)), axis=1), ids, ids[::-1])


@pytest.mark.parametrize("merge", ["Add", "Multiply", "Maximum"])
def test_one_mask_twice_is_one_mask(check: Any, ids: Any, merge: str) -> None:
    x = keras.Input((None,), dtype="int32")
    embedded = layers.Embedding(10, 3, mask_zero=True)(x)
    other = layers.LSTM(3, return_sequences=True)(embedded)
    joined = getattr(layers, merge)()([embedded, other])
    graph = check(keras.Model(x, layers.GRU(2)(joined)), ids)
    assert not any(node.op in ("MaskAnd", "MaskOr") for node in graph.nodes)


@pytest.mark.parametrize("merge", ["Add", "Multiply", "Minimum"])
def test_a_value_with_fewer_axes_is_broadcast(check: Any, ids: Any, merge: str) -> None:
    x, y = keras.Input((None,), dtype="int32"), keras.Input((3,))
    embedded = layers.Embedding(10, 3, mask_zero=True)(x)
    joined = getattr(layers, merge)()([embedded, y])
    given = np.random.default_rng(3).normal(size=(7, 3)).astype(np.float32)
    check(keras.Model([x, y], [joined, layers.LSTM(2)(joined)]), ids, given)


def test_a_repeated_context_joins_an_open_sequence(check: Any, features: Any) -> None:
    x = keras.Input((6, 3))
    context = layers.RepeatVector(6)(layers.GRU(3)(x))
    joined = layers.Multiply()([layers.LSTM(3, return_sequences=True)(x), context])
    check(keras.Model(x, layers.Concatenate()([joined, context])), features)


def test_several_inputs_and_outputs(check: Any, ids: Any, features: Any) -> None:
    words, signal = keras.Input((None,), dtype="int32"), keras.Input((None, 3))
    text = layers.LSTM(4)(layers.Embedding(10, 3, mask_zero=True)(words))
    series = layers.GRU(4)(layers.Masking()(signal))
    joined = layers.Add()([text, series])
    outputs = [layers.Dense(2, activation="softmax")(joined), layers.Dense(1)(text)]
    graph = check(keras.Model([words, signal], outputs), ids, features)
    assert [one.name for one in graph.inputs] == ["ids", "features"]
