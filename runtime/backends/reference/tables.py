"""Projects each row of an embedding once, for runs over more tokens than there are words.

Not another equation: (E[id]) @ kernel + bias is a row of E @ kernel + bias.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gatelet.runtime.backends.reference.operation import Array
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import VECTOR_RECURRENCES

TABLE = "table"
"""The role of a projected embedding in the recurrence that reads it in place of its input."""

_MOST_ELEMENTS = 2**23
"""A table is kept in memory: 64 MB of float64 at most."""


def pays_off(graph: Graph, tokens: int) -> bool:
    """Return whether a run is over more tokens than the embeddings have rows."""
    rows = [
        graph.weights[node.weights["embeddings"]].shape[0]
        for node in graph.nodes
        if node.op == "Embedding"
    ]
    return tokens > sum(rows) > 0


def project_tables(
    graph: Graph, weights: Mapping[str, Array]
) -> tuple[Sequence[Node], dict[str, Array]]:
    """Let recurrences that read an embedding read its projected rows instead.

    Args:
        graph: The model.
        weights: Its weights, in the type that is computed in.

    Returns:
        The nodes and weights to run; values that nothing reads any more are not made.
    """
    embeddings = {node.output: node for node in graph.nodes if node.op == "Embedding"}
    nodes, found = [], dict(weights)
    for node in graph.nodes:
        source = embeddings.get(node.inputs[0]) if node.op in VECTOR_RECURRENCES else None
        if source is not None and _is_small(source, node, weights):
            name = f"{node.name}:{TABLE}"
            found[name] = _projected(node, weights[source.weights["embeddings"]], weights)
            node = replace(
                node,
                inputs=(*source.inputs, *node.inputs[1:]),
                weights={**node.weights, TABLE: name},
            )
        nodes.append(node)
    read = {name for node in nodes for name in node.inputs} | set(graph.outputs)
    return [node for node in nodes if node.op != "Embedding" or node.output in read], found


def _is_small(source: Node, node: Node, weights: Mapping[str, Array]) -> bool:
    rows = len(weights[source.weights["embeddings"]])
    return bool(rows * weights[node.weights["kernel"]].shape[-1] <= _MOST_ELEMENTS)


def _projected(node: Node, table: Array, weights: Mapping[str, Array]) -> Array:
    projected = table @ weights[node.weights["kernel"]]
    if "bias" in node.weights:
        bias = weights[node.weights["bias"]]
        projected += bias[0] if bias.ndim == 2 else bias  # a GRU's second is the state's
    return projected
