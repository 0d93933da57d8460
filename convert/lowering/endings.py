"""How the outputs of a Graph end: in which activation, whatever moves or joins numbers after it.

Not what that means: see `gatelet.convert.reading.meaning`.
"""

from gatelet.convert.reading.meaning import Output, trained_by
from gatelet.convert.reading.source import SourceModel
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.operations import MOVES, OPERATIONS, RECURRENCES

_JOINS = ("Average", "Concatenate")
"""Of several values that end alike these end so too: a mean of softmaxes is one, a row of sigmoids
is sigmoids. A row of softmaxes is no softmax."""


def ends_in(graph: Graph, value: str) -> str:
    """Return the activation that makes an output of a Graph; '' for none."""
    made = {output: node for node in graph.nodes for output in node.outputs}
    waiting, found = [value], set()
    while waiting:
        node = made.get(waiting.pop())
        if node is None or node.op in RECURRENCES:  # their outputs are products of activations
            return ""
        if node.op in _JOINS:
            waiting += node.inputs
            found |= {node.op}
        elif OPERATIONS[node.op].gives == MOVES:
            waiting.append(node.inputs[0])
        else:
            found |= {str(node.attributes.get("activation") or "")}
    ends = found - set(_JOINS)
    if len(ends) != 1 or ("Concatenate" in found and ends != {"sigmoid"}):
        return ""
    return ends.pop()


def outputs_of(model: SourceModel, graph: Graph) -> list[Output]:
    """Return the outputs of a model.

    Args:
        model: As read.
        graph: As lowered, with as many outputs.
    """
    layers = model.output_layers
    trained = trained_by(model.loss, layers)
    return [
        Output(name, layer, graph.shape_of(name), ends_in(graph, name), loss)
        for name, layer, loss in zip(graph.outputs, layers, trained, strict=True)
    ]
