"""Says to which node of the Graph each operator of a file belongs.

By names where the exporter gives names. Where a converter names things after nothing, by the
order of products, loops and look-ups, which it keeps, and by what each depends on: a product is
that of a node only if it depends on the same ones as the node does.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from gatelet.convert.parity.stored.file import Stored
from gatelet.convert.parity.stored.program import Operator, Program
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import CONVOLUTIONS, MASK_MAKERS, RECURRENCES

_BACKWARDS = "_backwards"

_PRODUCTS = {
    "FULLY_CONNECTED": "product",
    "BATCH_MATMUL": "product",
    "CONV_2D": "convolution",
    "DEPTHWISE_CONV_2D": "convolution",
}
_LOOP, _LOOKUP = "WHILE", "lookup"
_NOT_FOLLOWED = (
    "SHAPE",
    "EQUAL",
    "NOT_EQUAL",
    "LESS",
    "LESS_EQUAL",
    "GREATER",
    "GREATER_EQUAL",
    "LOGICAL_AND",
    "LOGICAL_OR",
    "LOGICAL_NOT",
    "REDUCE_ANY",
    "REDUCE_ALL",
)
"""What gives sizes and masks: where padding is depends on other things than what is computed."""

_MOVES = (
    "Cast",
    "Concat",
    "EXPAND_DIMS",
    "Gather",
    "Identity",
    "PACK",
    "Reshape",
    "REVERSE_V2",
    "SLICE",
    "Slice",
    "SQUEEZE",
    "STRIDED_SLICE",
    "TILE",
    "Transpose",
)
"""What leaves ids what they are."""

_Behind = dict[str, frozenset[str]]


def input_of(name: str) -> str:
    """Name the product of a recurrence's input, which is computed before its loop."""
    return f"{name} input"


def scope_by_names(program: Program, graph: Graph) -> Program:
    """Scope the operators whose name begins with that of a node, and what converts their output."""
    names = sorted((node.name for node in graph.nodes), key=len, reverse=True)
    makers: dict[str, Operator] = {}
    scoped: list[Operator] = []
    for one in program.operators:
        scope = next((name for name in names if one.name.startswith(f"{name}_")), "")
        copy = _BACKWARDS if one.name.startswith(f"{scope}{_BACKWARDS}_") else ""
        before = makers.get(one.inputs[0]) if one.kind == "Identity" else None
        if not scope and before is not None:
            scope, copy = before.scope, before.copy
        scoped.append(replace(one, scope=scope, copy=copy))
        makers.update(dict.fromkeys(one.outputs, scoped[-1]))
    return replace(program, operators=tuple(scoped))


def behind_in(graph: Graph) -> Mapping[str, frozenset[str]]:
    """Return the inputs, products, loops and look-ups that each value depends on directly."""
    behind: _Behind = {one.name: frozenset((one.name,)) for one in graph.inputs}
    for node in graph.nodes:
        # of the second input, SplitTime takes the sizes only
        taken = node.inputs[:1] if node.op == "SplitTime" else node.inputs
        found = _union(behind, () if node.op in MASK_MAKERS else taken)
        if _kind_of(node):
            found = frozenset((node.name,))
        behind.update(dict.fromkeys(node.outputs, found))
    return behind


def scope_by_dataflow(program: Program, graph: Graph) -> Program:
    """Scope products, loops, what is in loops, and look-ups; say of the others what is behind."""
    ids = _IdsOf(program)
    tables = {one.outputs[0] for one, table in program.lookups if ids.reach(table.rows_by)}
    finder = _Finder(graph)
    behind: _Behind = {value: frozenset((name,)) for value, name in program.inputs.items()}
    scopes: dict[str, str] = {}  # by output
    products: dict[tuple[str, ...], str] = {}  # by all inputs, and by the first
    scoped: list[Operator] = []
    for one in program.live:
        if one.loop:
            scoped.append(one)
            continue
        found = frozenset[str]() if one.kind in _NOT_FOLLOWED else _union(behind, one.inputs)
        name, kind = "", _PRODUCTS.get(one.kind, "")
        if one.kind == _LOOP:
            name = finder.loop(found)
        elif one.outputs and one.outputs[0] in tables:
            kind, name = _LOOKUP, finder.next(_LOOKUP, program.known[one.outputs[0]], found)
        elif kind:
            name = products.get(one.inputs) or finder.next(kind, program.constant(one, 1), found)
            # what the converter computes twice, with an activation and without
            name = name or products.get((one.inputs[0],), "")
            products |= {one.inputs: name, (one.inputs[0],): name}
        after = (name or one.outputs[0],) if kind or one.kind == _LOOP else found
        behind.update(dict.fromkeys(one.outputs, frozenset(after)))
        scopes.update(dict.fromkeys(one.outputs, name.removesuffix(input_of(""))))
        scoped.append(replace(one, scope=scopes.get(one.outputs[0], ""), behind=found))
    inside = [replace(one, scope=scopes.get(one.loop, "")) if one.loop else one for one in scoped]
    return replace(program, operators=tuple(inside))


def _union(behind: Mapping[str, frozenset[str]], names: tuple[str, ...]) -> frozenset[str]:
    return frozenset[str]().union(*(behind.get(name, ()) for name in names))


def _kind_of(node: Node) -> str:
    """Return what a node's first operator of its own is; '' where it has none that is known."""
    if node.op == "Embedding":
        return _LOOKUP
    if node.op == "Dense" or (node.op in RECURRENCES and node.op not in CONVOLUTIONS):
        return "product"
    return "convolution" if node.op in CONVOLUTIONS else ""


def _size_of(graph: Graph, node: Node) -> int:
    """Return the elements of the weight that a node's first operator takes."""
    name = node.weights["embeddings" if node.op == "Embedding" else "kernel"]
    return math.prod(graph.weights[name].shape)


class _Finder:
    """Hands out the nodes of a Graph in order.

    Args:
        graph: The Graph.
    """

    def __init__(self, graph: Graph) -> None:
        behind = behind_in(graph)
        self._left = [
            (_kind_of(node), node.name, _size_of(graph, node), _union(behind, node.inputs[:1]))
            for node in graph.nodes
            if _kind_of(node)
        ]
        self._recurrent = {node.name for node in graph.nodes if node.op in RECURRENCES}

    def next(self, kind: str, stored: Stored | None, found: frozenset[str]) -> str:
        """Return the first node left that begins with such an operator over the same values."""
        if stored is None:
            return ""
        for one in self._left:
            if (one[0], *one[2:]) == (kind, stored.values.size, found):
                self._left.remove(one)
                return input_of(one[1]) if one[1] in self._recurrent else one[1]
        return ""

    def loop(self, found: frozenset[str]) -> str:
        """Return the recurrence whose input's product a loop takes."""
        names = [name for name in self._recurrent if input_of(name) in found]
        return names[0] if len(names) == 1 else ""


class _IdsOf:
    """Follows indices back to what the file takes.

    Args:
        program: The file.
    """

    def __init__(self, program: Program) -> None:
        self._makers = {name: one for one in program.live for name in one.outputs}

    def reach(self, name: str) -> bool:
        """Return whether indices are the ids that were fed, however they are moved."""
        return all(self._ends(name))

    def _ends(self, name: str) -> Iterator[bool]:
        maker = self._makers.get(name)
        if maker is None:
            yield True
        elif maker.kind not in _MOVES:
            yield False
        else:
            taken = maker.inputs if maker.kind in ("Concat", "PACK") else maker.inputs[:1]
            for one in taken:
                yield from self._ends(one)
