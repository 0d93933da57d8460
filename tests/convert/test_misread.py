"""Where a file computes what the Graph does, and what is read from it does not, it is misread."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gatelet.convert.parity.checks.blame import scores_with
from gatelet.convert.parity.checks.misread import doubt_reading
from gatelet.convert.parity.report import Check
from gatelet.convert.parity.stored.match import StoredWeight, check_weights
from gatelet.convert.rows.rows import Rows
from gatelet.runtime.backends.reference import array_of, run_graph
from gatelet.runtime.graph.graph import Graph, GraphInput, Node
from gatelet.runtime.graph.safetensors import Tensor

ROWS = {"features": np.random.default_rng(4).normal(0, 1, (20, 3, 5)).astype(np.float32)}


def graph_of() -> Graph:
    rng = np.random.default_rng(3)
    shapes = {"kernel": (5, 16), "recurrent_kernel": (4, 16), "bias": (16,)}
    weights = {
        f"lstm.{role}": Tensor("F32", shape, rng.normal(0, 0.5, shape).astype("<f4").tobytes())
        for role, shape in shapes.items()
    }
    settings = {"activation": "tanh", "recurrent_activation": "sigmoid", "return_sequences": False}
    roles = {role: f"lstm.{role}" for role in shapes}
    node = Node("lstm", "LSTM", ("features",), ("lstm",), ((None, 4),), roles, settings)
    return Graph((GraphInput("features", "float32", (None, None, 5)),), (node,), ("lstm",), weights)


def read(graph: Graph, factor: float) -> tuple[StoredWeight, ...]:
    """Return the weights as they are read: the recurrent kernel times a factor."""
    (node,) = graph.nodes
    found = []
    for role, name in node.weights.items():
        array = array_of(graph.weights[name]).astype(np.float64)
        is_off = role == "recurrent_kernel" and factor != 1
        found.append(
            StoredWeight(node, role, name, array * (factor if is_off else 1), 9.0 * is_off)
        )
    return tuple(found)


def scores(graph: Graph, weights: tuple[StoredWeight, ...] = ()) -> Any:
    if weights:
        return scores_with(graph, Rows(ROWS), {one.weight: one for one in weights})
    return run_graph(graph, ROWS, dtype=np.float64)["lstm"]


def judged(weights: tuple[StoredWeight, ...], file: Any, limit: float) -> tuple[Any, Check]:
    graph = graph_of()
    oracle: Any = SimpleNamespace(inputs=Rows(ROWS), scores=scores(graph))
    check = check_weights("litert", weights)
    assert check.verdict == "fail"
    return doubt_reading(graph, oracle, file, weights, check, limit=limit)


@pytest.mark.parametrize("factor", [1.01, 2.0, -1.0])
def test_a_reader_that_is_wrong_blames_no_file(factor: float) -> None:
    right = scores(graph_of()).astype(np.float32)
    weights, found = judged(read(graph_of(), factor), right, 1e-5)
    assert weights is None and found.verdict == "not checked"
    assert "this gatelet misreads them (recurrent_kernel of layer 'lstm'" in found.note


@pytest.mark.parametrize("factor", [1.01, 2.0, -1.0])
def test_a_file_that_computes_what_is_read_from_it_is_to_blame(factor: float) -> None:
    weights = read(graph_of(), factor)
    file = scores(graph_of(), weights).astype(np.float32)
    for limit in (1e-5, 10.0):  # an integer scheme's limit hides a fault
        found = judged(weights, file, limit)
        assert found[0] == weights and found[1].verdict == "fail"


def test_noise_of_a_scheme_is_no_reason_to_doubt() -> None:
    weights = read(graph_of(), 1.01)
    noise = np.random.default_rng(0).normal(0, 0.02, (20, 4))
    found = judged(weights, scores(graph_of(), weights) + noise, 0.1)
    assert found[1].verdict == "fail"
