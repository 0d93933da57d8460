"""Which vectorizers can belong to a model that takes the route past the Graph."""

import pytest

from gatelet.convert.keras_route.bundle import check_vectorizer
from gatelet.errors import ModelError
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.onnx_graphs import GraphMaker
from tests.small_vectorizer import vectorizer_of

VECTORIZER = vectorizer_of(["a", "b", "c"])


def graph_of(*kinds: str, vocabulary: int | None = None) -> Graph:
    maker = GraphMaker()
    inputs = [
        maker.input(f"ids{place}", None, 4, vocabulary=vocabulary)
        if kind == "ids"
        else maker.input(f"x{place}", None, 4, 2)
        for place, kind in enumerate(kinds)
    ]
    return maker.finish(maker.one("Reverse", [inputs[0]], (None, 4)))


def test_the_vectorizer_of_a_model_of_ids_is_taken() -> None:
    check_vectorizer(VECTORIZER, graph_of("ids", vocabulary=4))


@pytest.mark.parametrize("kinds", [("features",), ("ids", "ids"), ("features", "ids")])
def test_a_model_that_takes_anything_else_has_none(kinds: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match="does not take ids alone"):
        check_vectorizer(VECTORIZER, graph_of(*kinds, vocabulary=4))


def test_a_vectorizer_with_more_words_is_another_models() -> None:
    with pytest.raises(ModelError, match="gives ids up to 3, the model takes ids up to 2"):
        check_vectorizer(VECTORIZER, graph_of("ids", vocabulary=3))
