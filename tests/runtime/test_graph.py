"""The Graph: what can be stored comes back the same, and nothing else is a Graph."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.errors import ModelError
from gatelet.runtime import open_bundle
from gatelet.runtime.graph.graph import FORMAT_VERSION, Graph, GraphInput, Node, graph_from_json
from gatelet.runtime.graph.safetensors import Tensor

IDS = GraphInput("ids", "int32", (None, None), 50)
TWO = Tensor("F32", (1, 2), bytes(8))


def node(name: str = "n", **fields: Any) -> Node:
    known: dict[str, Any] = {"inputs": ("ids",), "outputs": (name,), "shapes": ((None, 2),)}
    return Node(name, "Dense", **{**known, **fields})


@pytest.fixture
def graph(written_bundle: Path) -> Graph:
    return open_bundle(written_bundle).graph()


def test_json_gives_the_same_graph_and_the_same_text(graph: Graph) -> None:
    again = graph_from_json(graph.to_json(), graph.weights, name="x")
    assert again == graph
    assert again.to_json() == graph.to_json()
    assert graph_from_json(graph.to_json().encode(), graph.weights, name="x") == graph


def test_a_mask_is_kept_and_none_is_not_written() -> None:
    masked = Graph((IDS,), (node(mask="ids", source="dense \u4e2d"),), ("n",), {})
    text = masked.to_json()
    assert graph_from_json(text, {}, name="x") == masked
    assert '"mask"' in text
    assert '"mask"' not in Graph((IDS,), (node(),), ("n",), {}).to_json()


def test_tells_shapes_of_values_and_counts_parameters(graph: Graph) -> None:
    assert graph.shape_of("ids") == (None, None)
    assert graph.shape_of("scores") == (None, 1)
    several = node(outputs=("n", "n_1"), shapes=((None, 2), (None, 3)))
    assert Graph((IDS,), (several,), ("n",), {"w": TWO}).shape_of("n_1") == (None, 3)
    assert Graph((IDS,), (several,), ("n",), {"w": TWO}).parameters == 2
    assert (several.output, several.shape) == ("n", (None, 2))
    with pytest.raises(KeyError):
        graph.shape_of("nothing")


def table(rows: int) -> Graph:
    """Return a Graph that looks ids up to 49 up in a table."""
    looked_up = Node("n", "Embedding", ("ids",), ("n",), ((None, None, 2),), {"embeddings": "w"})
    return Graph((IDS,), (looked_up,), ("n",), {"w": Tensor("F32", (rows, 2), bytes(8 * rows))})


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: table(49), "'ids' takes ids up to 49, and the table of node 'n' has 49 rows"),
        (lambda: Graph((), (), ("ids",), {}), "the output 'ids' is made by no node"),
        (lambda: Graph((), (), (), {}), "at least one input and one output"),
        (lambda: Graph((IDS,), (), (), {}), "at least one input and one output"),
        (lambda: Graph((IDS,), (node(),), ("m",), {}), "the output 'm' is made by no node"),
        (lambda: Graph((IDS, IDS), (), ("ids",), {}), "the value 'ids' is made twice"),
        (lambda: Graph((IDS,), (node(), node()), ("n",), {}), "the value 'n' is made twice"),
        (
            lambda: Graph((IDS,), (node(inputs=("x",)),), ("n",), {}),
            "node 'n' uses 'x', which no earlier node makes",
        ),
        (
            lambda: Graph((IDS,), (node(inputs=("n",)),), ("n",), {}),
            "node 'n' uses 'n', which no earlier node makes",
        ),
        (
            lambda: Graph((IDS,), (node(mask="m"),), ("n",), {}),
            "node 'n' uses 'm', which no earlier node makes",
        ),
        (
            lambda: Graph((IDS,), (node(weights={"kernel": "w"}),), ("n",), {}),
            r"node 'n' needs the weight 'w' \(kernel\), which is missing",
        ),
        (lambda: node(shapes=()), "it needs one shape for each output"),
        (lambda: node(outputs=(), shapes=()), "it needs one shape for each output"),
        (lambda: node(shapes=((None, 0),)), "its shapes are"),
        (lambda: node(shapes=((None, 2.0),)), "its shapes are"),
        (lambda: node(name=""), "a name in it is no text"),
        (lambda: node(inputs=(3,)), "a name in it is no text"),
        (lambda: node(weights={"kernel": 3}), "a name in it is no text"),
        (lambda: node(mask=3), "its mask is no text"),
        (lambda: node(source=None), "its source is no text"),
        (lambda: GraphInput("", "int32", (None, 3)), "its name is no text"),
        (lambda: GraphInput("ids", "int64", (None, 3)), "its type is 'int64'"),
        (lambda: GraphInput("ids", "int32", (None, -3)), "its shape is"),
        (lambda: GraphInput("ids", "int32", (None, True)), "its shape is"),
        (lambda: GraphInput("ids", "int32", (None, None), 0), "its vocabulary is 0"),
        (lambda: GraphInput("x", "float32", (None, None, 3), 5), "its vocabulary is 5"),
    ],
    ids=range(26),
)
def test_refuses_what_is_no_graph(make: Callable[[], object], expected: str) -> None:
    with pytest.raises(ModelError, match=f"graph.*{expected}"):
        make()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": "other"}, "its 'format' is not 'gatelet-graph'"),
        ({"format_version": FORMAT_VERSION + 1}, "graph format 2, this gatelet reads up to 1"),
        ({"format_version": 0}, "format_version is 0, expected an integer from 1"),
        ({"format_version": "1"}, "format_version is '1', expected an integer"),
        ({"nodes": {}}, "it has {} where a list is expected"),
        ({"nodes": ["x"]}, "is damaged: string indices must be integers"),
        ({"nodes": [{}]}, "'name' is missing"),
        ({"nodes": None}, "it has None where a list is expected"),
        ({"inputs": "ids"}, "it has 'ids' where a list is expected"),
        ({"inputs": []}, "uses 'ids', which no earlier node makes"),
        ({"outputs": "n"}, "it has 'n' where a list is expected"),
        ({"outputs": [["n"]]}, "is damaged: "),
        ({"outputs": []}, "at least one input and one output"),
    ],
)
def test_refuses_a_damaged_file(change: dict[str, object], expected: str) -> None:
    content = json.loads(Graph((IDS,), (node(),), ("n",), {}).to_json()) | change
    with pytest.raises(ModelError, match=f"'graph.json'.*{expected}"):
        graph_from_json(json.dumps(content), {}, name="graph.json")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"weights": [["kernel", "w"]]}, "where an object is expected"),
        ({"attributes": 3}, "it has 3 where an object is expected"),
        ({"shapes": [None]}, "it has None where a list is expected"),
        ({"shapes": "ab"}, "it has 'ab' where a list is expected"),
        ({"inputs": "ids"}, "it has 'ids' where a list is expected"),
        ({"name": ["n"]}, "a name in it is no text"),
        ({"op": None}, "a name in it is no text"),
    ],
)
def test_refuses_a_damaged_node(change: dict[str, object], expected: str) -> None:
    content = json.loads(Graph((IDS,), (node(),), ("n",), {}).to_json())
    content["nodes"][0] |= change
    with pytest.raises(ModelError, match=f"'graph.json' is damaged: .*{expected}"):
        graph_from_json(json.dumps(content), {}, name="graph.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000, '{"a": 1, "a": 2}', "NaN"])
def test_refuses_what_is_not_one_json_object(text: str) -> None:
    with pytest.raises(ModelError, match=r"'graph.json' is no "):
        graph_from_json(text, {}, name="graph.json")
