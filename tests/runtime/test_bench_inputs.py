"""The rows that `gatelet bench` times a model on: of the right kind and shape, and no two alike."""

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gatelet.runtime.graph.graph import GraphInput
from gatelet.runtime.measure.bench import random_inputs
from tests.small_vectorizer import vectorizer_of


def drawn(*inputs: GraphInput, vectorizer: Any = None) -> Any:
    predictor: Any = SimpleNamespace(
        _vectorizer=vectorizer, _graph=SimpleNamespace(inputs=tuple(inputs))
    )
    return random_inputs(predictor, 7, 30, random.Random(1))


def test_ids_are_of_known_words_and_none_is_padding() -> None:
    ids = np.array(drawn(GraphInput("ids", "int32", (None, None), 50)))
    assert ids.shape == (30, 7)
    assert ids.min() >= 1 and ids.max() < 50 and len(np.unique(ids)) > 40


@pytest.mark.parametrize("vocabulary", [None, 1])
def test_without_known_words_ids_are_padding(vocabulary: int | None) -> None:
    assert not np.any(drawn(GraphInput("ids", "int32", (None, 4), vocabulary)))


def test_features_are_numbers_of_the_models_shape() -> None:
    x = np.array(drawn(GraphInput("x", "float32", (None, None, 3), None)))
    assert x.shape == (30, 7, 3) and np.abs(x).max() <= 1 and x.std() > 0.4


def test_several_inputs_are_given_by_name_and_texts_as_texts() -> None:
    ids = GraphInput("ids", "int32", (None, 5), 9)
    both = drawn(ids, GraphInput("x", "float32", (None, 2), None))
    assert {name: np.array(rows).shape for name, rows in both.items()} == {
        "ids": (30, 5),
        "x": (30, 2),
    }
    texts = drawn(ids, vectorizer=vectorizer_of(["good", "bad"]))
    assert len(texts) == 30 and {len(text.split()) for text in texts} == {7}
    assert {word for text in texts for word in text.split()} == {"good", "bad"}
