"""The streaming form of a Graph: states in, states out, so that a sequence can come in pieces.

Not the loop over pieces (`runtime/predictor/stream.py`), and not the rules of what can be cut
into pieces (`runtime/graph/streamable.py`).
See docs/decisions/0006-streaming.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gatelet.errors import ModelError
from gatelet.runtime.graph.graph import Graph, GraphInput, Node, Shape
from gatelet.runtime.graph.operations import OPERATIONS, RECURRENCES
from gatelet.runtime.graph.states import State
from gatelet.runtime.graph.streamable import STEPS, Kinds, follow_steps


@dataclass(frozen=True)
class StreamingGraph:
    """A Graph that continues where it stopped.

    Args:
        graph: The model's inputs and then an input for each state; the model's outputs and then
            each state after the last step. All states start at zero.
        states: In node order.
    """

    graph: Graph
    states: tuple[State, ...]


def streaming_refusal(graph: Graph) -> str:
    """Say why a model cannot take a sequence in pieces; '' where it can."""
    try:
        to_stream(graph)
    except ModelError as error:
        return str(error)
    return ""


def to_stream(graph: Graph) -> StreamingGraph:
    """Return the streaming form of a model.

    Args:
        graph: The model.

    Returns:
        A Graph that gives, for the pieces of a sequence one after the other, what the model gives
        for all of it so far: outputs with a time axis for the piece's timesteps, others as after
        its last one.

    Raises:
        ModelError: The model cannot be cut into pieces; the message names the layer and says why.
    """
    kinds = follow_steps(graph)
    carried = [
        node.name
        for node in graph.nodes
        if node.op in RECURRENCES and kinds[node.inputs[0]] == STEPS
    ]
    if not carried:
        raise ModelError("no recurrent layer runs over the input's timesteps: nothing to carry")
    return with_states(_with_open_time(graph, kinds), carried)


def with_states(graph: Graph, carried: Iterable[str]) -> StreamingGraph:
    """Return some recurrences of a Graph state inputs and state outputs.

    Args:
        graph: The model.
        carried: The names of the recurrences: forwards, without initial states.
    """
    names = set(carried)
    inputs, nodes, states = list(graph.inputs), [], []
    for node in graph.nodes:
        if node.name not in names:
            nodes.append(node)
            continue
        streamed, own = _carry(node, graph)
        nodes.append(streamed)
        inputs += [GraphInput(one.input, "float32", (None, *one.shape)) for one in own]
        states += own
    # a state can be an output of the model already
    outputs = tuple(dict.fromkeys((*graph.outputs, *(one.output for one in states))))
    return StreamingGraph(Graph(tuple(inputs), tuple(nodes), outputs, graph.weights), tuple(states))


def _carry(node: Node, graph: Graph) -> tuple[Node, list[State]]:
    """Add state inputs to a recurrence, and state outputs if it has none."""
    count = len(OPERATIONS[node.op].states)
    shape = _state_shape(node, graph)
    after = node.outputs[1:] or tuple(f"{node.name}_next_{index}" for index in range(count))
    states = [
        State(f"{node.name}_state_{index}", output, shape, node.name)
        for index, output in enumerate(after)
    ]
    attributes = {**node.attributes, "return_state": True}
    if node.mask is not None:
        # the output before the piece is the state; at the start both are zero
        attributes["output_initial_state"] = True
    streamed = replace(
        node,
        inputs=(*node.inputs, *(one.input for one in states)),
        outputs=(node.output, *after),
        shapes=(node.shape, *((None, *shape) for _ in states)),
        attributes=attributes,
    )
    return streamed, states


def _state_shape(node: Node, graph: Graph) -> tuple[int, ...]:
    if node.op != "ConvLSTM2D":
        return (graph.weights[node.weights["recurrent_kernel"]].shape[0],)
    sizes = [size for size in node.shape[-3:] if size is not None]
    if len(sizes) < 3:
        raise ModelError(f"layer '{node.source}' (ConvLSTM2D) takes images of any size")
    return tuple(sizes)


def _with_open_time(graph: Graph, kinds: Kinds) -> Graph:
    """Let values with the sequence's time axis take any number of timesteps."""

    def opened(name: str, shape: Shape) -> Shape:
        return (shape[0], None, *shape[2:]) if kinds[name] == STEPS else shape

    inputs = [replace(one, shape=opened(one.name, one.shape)) for one in graph.inputs]
    nodes = []
    for node in graph.nodes:
        shapes = tuple(map(opened, node.outputs, node.shapes))
        attributes = dict(node.attributes)
        if node.op == "Reshape" and kinds[node.output] == STEPS:
            attributes["target_shape"] = [-1, *node.shape[2:]]
        nodes.append(replace(node, shapes=shapes, attributes=attributes))
    return replace(graph, inputs=tuple(inputs), nodes=tuple(nodes))
