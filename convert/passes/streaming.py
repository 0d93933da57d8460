"""The streaming form of a Graph: states in, states out, so that a sequence can come in pieces.

Not the loop over pieces, which is the caller's.
"""

from dataclasses import dataclass, replace

from gatelet.runtime.graph import Graph, GraphInput, Node

__all__ = ["RECURRENT_STATES", "Stream", "to_stream"]

RECURRENT_STATES = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1}
"""The recurrences with states of shape [B, U], and how many each has."""


@dataclass(frozen=True)
class Stream:
    """A Graph that continues where it stopped.

    Args:
        graph: The model's inputs and then a state input [B, U] for each state; the model's
            outputs and then each state after the last step. All states start at zero.
        states: (input, output) names of each state, in node order.
    """

    graph: Graph
    states: tuple[tuple[str, str], ...]


def to_stream(graph: Graph) -> Stream | None:
    """Give the streaming form.

    Args:
        graph: The model.

    Returns:
        None where a recurrence runs backwards, has initial states of its own, or is of a kind
        whose states are no vectors.
    """
    inputs, nodes, states = list(graph.inputs), [], []
    for node in graph.nodes:
        count = RECURRENT_STATES.get(node.op)
        if count is None:
            if node.op == "ConvLSTM2D":
                return None
            nodes.append(node)
            continue
        if node.attributes.get("go_backwards") or len(node.inputs) > 1:
            return None
        streamed, names = _with_states(node, graph, count)
        nodes.append(streamed)
        units = _units(node, graph)
        inputs += [GraphInput(name, "float32", (None, units)) for name in names]
        states += list(zip(names, streamed.outputs[1:], strict=True))
    outputs = (*graph.outputs, *(output for _, output in states))
    return Stream(Graph(tuple(inputs), tuple(nodes), outputs, graph.weights), tuple(states))


def _with_states(node: Node, graph: Graph, count: int) -> tuple[Node, list[str]]:
    """Give a recurrence state inputs, and state outputs if it has none."""
    names = [f"{node.name}_state_{index}" for index in range(count)]
    after = tuple(f"{node.name}_next_{index}" for index in range(count))
    outputs = node.outputs if len(node.outputs) > 1 else (*node.outputs, *after)
    units = _units(node, graph)
    streamed = replace(
        node,
        inputs=(*node.inputs, *names),
        outputs=outputs,
        shapes=(node.shapes[0], *(((None, units),) * count)),
        attributes={**node.attributes, "return_state": True},
    )
    return streamed, names


def _units(node: Node, graph: Graph) -> int:
    return graph.weights[node.weights["recurrent_kernel"]].shape[0]
