"""The table of operations: every list of them derives from it, or is held to it here."""

import re
from collections.abc import Collection
from pathlib import Path

import pytest

from gatelet.convert.exporters.c import export as c
from gatelet.convert.exporters.c import integers
from gatelet.convert.exporters.c import recurrent as c_recurrent
from gatelet.convert.exporters.litert import export as litert
from gatelet.convert.exporters.onnx import export as onnx
from gatelet.convert.exporters.onnx import recurrent as onnx_recurrent
from gatelet.convert.exporters.onnx import scan as onnx_scan
from gatelet.convert.exporters.tflm import layers as tflm
from gatelet.convert.exporters.tflm import walk as tflm_walk
from gatelet.convert.lowering.recurrent import CELLS
from gatelet.runtime.backends import pure, reference
from gatelet.runtime.graph import streamable
from gatelet.runtime.graph.graph import Node
from gatelet.runtime.graph.operations import (
    KEEPS_RANGE,
    MASK_MAKERS,
    MOVES,
    OPERATIONS,
    RECURRENCES,
    VECTOR_RECURRENCES,
    WHOLE,
    WINDOW,
    check_node,
)
from gatelet.runtime.predictor import batches

DOCS = Path(__file__).resolve().parents[2] / "docs" / "graph.md"

NOTHING: dict[str, str] = {}
SIDES: dict[str, tuple[Collection[str], dict[str, str]]] = {
    "reference": (reference.OPERATIONS, NOTHING),
    "pure": (pure.OPERATIONS, NOTHING),
    "litert": (litert.OPERATIONS, NOTHING),
    "onnx": (onnx.OPERATIONS, NOTHING),
    "c": (c.OPERATIONS, NOTHING),
    "c in integers": (integers.INTEGER_OPERATIONS, integers.INTEGER_REFUSED),
    "tflm": (
        # those that `walk` has no function for are written by no operator
        {*tflm.OPERATIONS, *tflm_walk.RECURRENCES, *MASK_MAKERS, "Reverse"},
        tflm.REFUSED,
    ),
}
"""What runs or writes operations: those that it has, and why it lacks others."""


@pytest.mark.parametrize("side", SIDES)
def test_each_operation_is_implemented_or_refused_for_a_reason(side: str) -> None:
    has, refused = SIDES[side]
    assert sorted([*has, *refused]) == sorted(OPERATIONS)
    assert all(refused.values())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (c_recurrent.FUNCTIONS, VECTOR_RECURRENCES),
        (onnx_recurrent.OPERATORS, VECTOR_RECURRENCES),
        (onnx_scan.STEPS, VECTOR_RECURRENCES),
        (tflm_walk.RECURRENCES, VECTOR_RECURRENCES),
        # a rule that no operation is left for would be forgotten
        (
            streamable.BY_TIME,
            {one.time for one in OPERATIONS.values()} - {WINDOW, WHOLE},
        ),
        # words in names: a process that predicts does not load the table
        (
            [op for op in OPERATIONS if any(word in op for word in batches.READS_ACROSS_TIME)],
            {
                one.name
                for one in OPERATIONS.values()
                if one.window_axes or (one.gives in (MOVES, KEEPS_RANGE) and not one.pointwise)
            }
            - {"RepeatVector", "Select"},
        ),
    ],
)
def test_lists_that_cannot_derive_name_what_the_table_names(
    names: Collection[str], expected: Collection[str]
) -> None:
    assert sorted(names) == sorted(expected)


def test_the_list_of_single_cases_names_operations() -> None:
    assert set(streamable.BY_NAME) <= set(OPERATIONS)


def test_every_recurrence_has_a_cell_that_is_lowered_to_it() -> None:
    assert {name for name in CELLS if name in OPERATIONS} == VECTOR_RECURRENCES
    assert {"ConvLSTM2D"} == RECURRENCES - VECTOR_RECURRENCES


def documented() -> dict[str, tuple[tuple[str, ...], ...]]:
    """Read the tables of docs/graph.md: required weights, optional ones, and gates."""
    found: dict[str, tuple[tuple[str, ...], ...]] = {}
    columns = [""]
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells[:1] == ["op"]:
            columns = cells
        elif columns[0] == "op" and cells and cells[0].startswith("`"):
            weights = dict(zip(columns, cells, strict=True)).get("weights", "")
            listed, _, rest = weights.partition(";")
            # without shapes, and without what they depend on
            roles = re.findall(r"(\(?)(\w+)", re.sub(r"\[[^\]]*\]|if [^)]*", "", listed))
            required = tuple(role for bracket, role in roles if not bracket)
            optional = tuple(role for bracket, role in roles if bracket)
            gates = tuple(rest.removeprefix(" gates ").split(", ")) if "gates" in rest else ()
            found.update(
                dict.fromkeys(re.findall(r"`(\w+)`", cells[0]), (required, optional, gates))
            )
        elif not cells:
            columns = [""]
    return found


def test_the_page_of_the_graph_says_what_the_table_says() -> None:
    said = documented()
    assert said == {
        one.name: (one.weights, one.optional, one.gates if said[one.name][2] else ())
        for one in OPERATIONS.values()
    }
    assert [name for name in said if said[name][2]] == ["LSTM", "GRU"]


def node(op: str, count: int = 1, roles: str = "", mask: str | None = None) -> Node:
    weights = {role: role for role in roles.split()}
    return Node("n", op, ("x",) * count, ("n",), ((None, 2),), weights, mask=mask)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (node("Denser"), "node 'n': there is no operation 'Denser'"),
        (node("Dense", 2, "kernel"), r"node 'n' \(Dense\) takes 2 inputs"),
        (node("Add"), r"node 'n' \(Add\) takes 1 inputs"),
        (node("Dense", 1, "bias"), r"node 'n' \(Dense\) has the weights \['bias'\]"),
        (node("Dense", 1, "kernel scale"), r"node 'n' \(Dense\) has the weights"),
        (node("Dense", 1, "kernel", "m"), r"node 'n' \(Dense\) has a mask"),
    ],
)
def test_nodes_that_are_not_as_the_table_says_are_refused(made: Node, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_node(made)


def test_nodes_that_are_as_the_table_says_are_taken() -> None:
    check_node(node("Dense", 1, "kernel bias"))
    check_node(node("LSTM", 3, "kernel recurrent_kernel", "m"))
    check_node(node("Concatenate", 9))
