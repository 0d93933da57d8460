"""Skipping padding changes no score, and is done only where it is exact."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatelet.convert.passes import skip_padding
from gatelet.runtime.backends.reference import ReferenceBackend, run_graph
from gatelet.runtime.graph.graph import Graph, GraphInput, Node
from gatelet.runtime.graph.safetensors import Tensor

V, F, U, T = 20, 3, 4, 10
RECURRENT = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "return_sequences": False,
    "return_state": False,
    "go_backwards": False,
    "zero_output_for_mask": False,
}


def make(
    *later: Node, mask: bool = False, outputs: tuple[str, ...] | None = None, **settings: Any
) -> Graph:
    """Make ids -> Embedding -> LSTM -> later nodes."""
    rng = np.random.default_rng(5)

    def tensor(*shape: int) -> Tensor:
        array = rng.normal(0, 0.8, shape).astype("<f4")
        return Tensor("F32", shape, array.tobytes())

    attributes = {**RECURRENT, **settings}
    shape = (None, None, U) if attributes["return_sequences"] else (None, U)
    nodes = [
        Node("e", "Embedding", ("ids",), ("e",), ((None, None, F),), {"embeddings": "table"}),
        *([Node("m", "MaskIds", ("ids",), ("m",), ((None, None),))] if mask else []),
        Node(
            "h",
            "LSTM",
            ("e",),
            ("h",),
            (shape,),
            {"kernel": "k", "recurrent_kernel": "r", "bias": "b"},
            attributes,
            mask="m" if mask else None,
        ),
        *later,
    ]
    weights = {
        "table": tensor(V, F),
        "k": tensor(F, 4 * U),
        "r": tensor(U, 4 * U),
        "b": tensor(4 * U),
        "k2": tensor(U, 4 * U),
    }
    inputs = (GraphInput("ids", "int32", (None, None), V),)
    return Graph(inputs, tuple(nodes), outputs or (nodes[-1].output,), weights)


def second(**settings: Any) -> Node:
    attributes = {**RECURRENT, **settings}
    roles = {"kernel": "k2", "recurrent_kernel": "r", "bias": "b"}
    return Node("h2", "LSTM", ("h",), ("h2",), ((None, U),), roles, attributes)


def bent() -> tuple[Node, Node]:
    """A pointwise layer between two recurrences."""
    bend = Node("a", "Activation", ("h",), ("a",), ((None, None, U),), {}, {"activation": "relu"})
    return bend, replace(second(), inputs=("a",))


def repeated() -> tuple[Node, Node]:
    """A recurrence over other steps than those of the ids."""
    repeat = Node("q", "RepeatVector", ("h",), ("q",), ((None, 3, U),), attributes={"n": 3})
    roles = {"kernel": "k2", "recurrent_kernel": "r", "bias": "b"}
    return repeat, Node("h2", "LSTM", ("q",), ("h2",), ((None, U),), roles, RECURRENT)


def padded_rows() -> np.ndarray:
    rng = np.random.default_rng(2)
    ids = rng.integers(1, V, (40, T))
    for row in range(40):
        ids[row, : row % (T + 1)] = 0
        if row % 7 == 3:
            ids[row, T // 2 :] = 0
    return ids.astype(np.int32)


@pytest.mark.parametrize(
    "graph",
    [
        make(),
        make(second(), return_sequences=True),
        make(*bent(), return_sequences=True),
        make(*repeated()),
        make(mask=True),
        make(mask=True, go_backwards=True),
    ],
    ids=[
        "one",
        "stack",
        "a bend between",
        "a recurrence over other steps",
        "masked",
        "masked, backwards",
    ],
)
@pytest.mark.parametrize("rows", [1, 5, 40])
def test_gives_what_the_plain_graph_gives(graph: Graph, rows: int) -> None:
    skipping = skip_padding(graph, timesteps=T)
    assert "TrimPadding" in {node.op for node in skipping.nodes}
    ids = padded_rows()
    for start in range(0, len(ids), rows):
        part = {"ids": ids[start : start + rows]}
        (plain,) = ReferenceBackend(graph, dtype=np.float64).run(part).values()
        (skip,) = ReferenceBackend(skipping, dtype=np.float64).run(part).values()
        # the table is stored in float32
        assert np.abs(plain - skip).max() < 1e-6


def test_takes_fewer_steps() -> None:
    ids = np.zeros((2, T), np.int32)
    ids[:, -3:] = 5
    values = run_graph(skip_padding(make(), timesteps=T), {"ids": ids})
    assert values["trim"].shape == (2, 3)
    assert values["trim_start"] == T - 3


def test_skips_no_more_than_the_table_holds() -> None:
    ids = np.zeros((1, T), np.int32)
    ids[:, -1] = 5
    values = run_graph(skip_padding(make(), timesteps=4), {"ids": ids})
    assert values["trim_start"] == 4


@pytest.mark.parametrize(
    "graph",
    [
        make(go_backwards=True),
        make(return_sequences=True),
        make(second(go_backwards=True), return_sequences=True),
        make(
            Node("p", "ReduceMax", ("h",), ("p",), ((None, U),), attributes={"axes": [1]}),
            return_sequences=True,
        ),
        make(mask=True, return_sequences=True),
        make(mask=True, zero_output_for_mask=True),
    ],
    ids=["backwards", "sequence", "second backwards", "pooled", "masked sequence", "masked zeros"],
)
def test_leaves_alone_what_reads_all_steps(graph: Graph) -> None:
    assert skip_padding(graph, timesteps=T) is graph


def test_needs_to_know_the_timesteps() -> None:
    graph = make()
    assert skip_padding(graph, timesteps=None) is graph
