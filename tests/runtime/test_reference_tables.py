"""Projecting the rows of an embedding ahead changes no number of the reference backend."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.backends.reference.tables import pays_off, project_tables
from gatelet.runtime.graph.graph import Graph, GraphInput, Node
from gatelet.runtime.graph.safetensors import Tensor

V, F, U, T = 9, 3, 4, 5
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
SETTINGS: dict[str, Any] = {"activation": "tanh", "recurrent_activation": "sigmoid"}


def graph_of(op: str, *, biases: int = 0, **settings: Any) -> Graph:
    """Two recurrences in opposite directions over one embedding of unmasked and masked ids."""
    rng = np.random.default_rng(3)
    columns = GATES[op] * U
    shapes: Mapping[str, tuple[int, ...]] = {
        "embeddings": (V, F),
        "kernel": (F, columns),
        "recurrent_kernel": (U, columns),
        **({"bias": (2, columns) if biases == 2 else (columns,)} if biases else {}),
    }
    arrays: dict[str, NDArray[np.float32]] = {
        name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()
    }
    nodes = [
        Node("mask", "MaskIds", ("ids",), ("mask",), ((None, None),)),
        Node(
            "embedding",
            "Embedding",
            ("ids",),
            ("embedding",),
            ((None, None, F),),
            {"embeddings": "embeddings"},
        ),
    ]
    for name, backwards, mask in (("forward", False, None), ("backward", True, "mask")):
        attributes = SETTINGS | settings | {"go_backwards": backwards, "return_sequences": True}
        weights = {role: role for role in shapes if role != "embeddings"}
        shape = ((None, None, U),)
        nodes.append(Node(name, op, ("embedding",), (name,), shape, weights, attributes, mask))
    stored = {name: Tensor("F32", one.shape, one.tobytes()) for name, one in arrays.items()}
    ids = GraphInput("ids", "int32", (None, None), V)
    return Graph((ids,), tuple(nodes), ("forward", "backward"), stored)


@pytest.mark.parametrize(
    "graph",
    [
        graph_of("LSTM", biases=1),
        graph_of("LSTM"),
        graph_of("GRU", biases=2, reset_after=True),
        graph_of("GRU", biases=1, reset_after=False),
        graph_of("SimpleRNN", biases=1),
    ],
    ids=["lstm", "lstm-no-bias", "gru", "gru-reset-before", "simple-rnn"],
)
def test_gives_the_same_scores(graph: Graph) -> None:
    ids = np.random.default_rng(1).integers(0, V, (6, T))
    plain = ReferenceBackend(graph, dtype=np.float64).run({"ids": ids})
    ahead = ReferenceBackend(graph, dtype=np.float64, project_ahead=True).run({"ids": ids})
    for name, expected in plain.items():
        assert np.abs(expected).max() > 0.01
        np.testing.assert_allclose(ahead[name], expected, rtol=0, atol=1e-14)


def test_the_embedding_itself_is_not_made_where_nothing_reads_it() -> None:
    graph = graph_of("LSTM", biases=1)
    weights = {
        name: np.frombuffer(one.data, "<f4").reshape(one.shape)
        for name, one in graph.weights.items()
    }
    nodes, projected = project_tables(graph, weights)
    assert [node.op for node in nodes] == ["MaskIds", "LSTM", "LSTM"]
    assert projected["forward:table"].shape == (V, 4 * U)


def test_pays_off_for_more_tokens_than_words() -> None:
    assert pays_off(graph_of("LSTM"), V + 1)
    assert not pays_off(graph_of("LSTM"), V)
