"""What one step of a Graph is: which values change with time, in which order their steps come.

A file takes one timestep a call. Steps come forwards, and for a recurrence that runs backwards
they come backwards, in an input of their own: after T calls both have seen the whole sequence.
Masked timesteps change nothing where every recurrence is masked alike, so they are not run.

Not the operators, which are in `layers` and `recurrent`.
"""

from dataclasses import dataclass

from gatelet.convert.exporters.tflm import recurrent
from gatelet.convert.exporters.tflm.file import Tensor
from gatelet.convert.exporters.tflm.layers import OPERATIONS, REFUSED
from gatelet.convert.exporters.tflm.masks import Skip, skip_of
from gatelet.convert.exporters.tflm.step import StepWriter
from gatelet.errors import ConversionError
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph, GraphInput, Node
from gatelet.runtime.graph.operations import MASK_MAKERS

RECURRENCES = {"LSTM": recurrent.lstm, "GRU": recurrent.gru, "SimpleRNN": recurrent.simple_rnn}
FORWARD, BACKWARD, ONCE = "forward", "backward", "once"
_TURNED = {FORWARD: BACKWARD, BACKWARD: FORWARD}


@dataclass(frozen=True)
class Step:
    """A step that has been written.

    Args:
        inputs: What is fed, in the file's order: the graph input, the order of its steps and,
            where rows are fed, the name of the table that its ids look up, else ''.
        outputs: The graph output and the order in which its steps come; 'once' is after the last.
        tensors: The file's inputs and outputs, and behind them what it takes and gives of each
            state, in one order.
        skip: Which timesteps are not run; None runs all.
    """

    inputs: tuple[tuple[str, str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    tensors: tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
    skip: Skip | None


def write_step(graph: Graph, writer: StepWriter) -> Step:
    """Write one timestep of a Graph.

    Raises:
        ConversionError: The Graph needs several timesteps at once; the message names the layer.
    """
    walk = _Walk(graph, writer)
    made: list[Tensor] = []
    orders = []
    for name in graph.outputs:
        order = walk.order_of_output(name)
        tensor = walk.tensor(name, order)
        if tensor in made or tensor in walk.fed.values():
            tensor = writer.copy(tensor)
        made.append(tensor)
        orders.append((name, order))
    fed = tuple(walk.fed)
    if not fed:
        raise ConversionError("the model's outputs do not depend on its inputs")
    inputs = [*walk.fed.values(), *(given for given, _ in writer.states)]
    for _, after in writer.states:
        made.append(writer.copy(after) if after in made or after in inputs else after)
    return Step(fed, tuple(orders), (tuple(inputs), tuple(made)), walk.skip)


def check_steps(graph: Graph) -> None:
    """Refuse a Graph that needs several timesteps at once; as `write_step`, without writing."""
    _Steps(graph)


class _Steps:
    """Which values of a Graph have a time axis, and which are known after the last step."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._makers = {name: node for node in graph.nodes for name in node.outputs}
        self._inputs = {one.name: one for one in graph.inputs}
        self._timed: set[str] = set()
        self._ended: set[str] = set()
        self._sort()
        self.skip = skip_of(graph, self._timed)

    def order_of_output(self, name: str) -> str:
        """Return the order in which the steps of an output come."""
        return self._natural(name) if name in self._timed else ONCE

    def _sort(self) -> None:
        """Find the values that have a time axis, and those that are known after the last step."""
        for one in self._graph.inputs:
            rank = 2 if one.dtype == "int32" else 3
            if len(one.shape) == rank:
                self._timed.add(one.name)
            elif len(one.shape) != 2:
                raise ConversionError(
                    f"the input '{one.name}' has {len(one.shape) - 2} axes a timestep, and the "
                    "tflm exporter takes one: use --target c, litert or onnx"
                )
        for node in self._graph.nodes:
            self._sort_node(node)

    def _sort_node(self, node: Node) -> None:
        timed = [name in self._timed for name in node.inputs]
        if node.op in RECURRENCES:
            if not timed[0]:
                raise _refusal(node, "runs over steps that are no steps of the input")
            if len(node.inputs) > 1:
                raise _refusal(node, "starts at states that another layer gives")
            (self._timed if node.attributes["return_sequences"] else self._ended).add(node.output)
            self._ended.update(node.outputs[1:])
        elif node.op in MASK_MAKERS:
            return
        elif node.op not in OPERATIONS and node.op != "Reverse":
            raise _refusal(node, REFUSED.get(node.op, "is not known"))
        elif any(timed):
            if not all(timed):
                raise _refusal(node, "mixes timesteps with a value of the whole sequence")
            self._timed.update(node.outputs)
        elif node.op == "Reverse":
            raise _refusal(node, "reverses what is no sequence of the input")
        elif any(name in self._ended for name in node.inputs):
            self._ended.update(node.outputs)

    def _natural(self, name: str) -> str:
        """Return the order in which a sequence's steps can be had; forwards if either."""
        node = self._makers.get(name)
        if node is None:
            return FORWARD
        if node.op in RECURRENCES:
            return BACKWARD if node.attributes.get("go_backwards") else FORWARD
        orders = [self._natural(one) for one in node.inputs if self._is_bound(one)]
        order = orders[0] if orders else FORWARD
        return _TURNED[order] if node.op == "Reverse" and orders else order

    def _is_bound(self, name: str) -> bool:
        """Return whether a sequence passed a recurrence, which fixes the order of its steps."""
        node = self._makers.get(name)
        return node is not None and (
            node.op in RECURRENCES or any(self._is_bound(one) for one in node.inputs)
        )


class _Walk(_Steps):
    """Writes values when they are asked for, each once for each order of steps."""

    def __init__(self, graph: Graph, writer: StepWriter) -> None:
        super().__init__(graph)
        self.fed: dict[tuple[str, str, str], Tensor] = {}
        self._writer = writer
        self._weights = {name: array_of(tensor) for name, tensor in graph.weights.items()}
        self._made: dict[tuple[str, str], Tensor] = {}

    def tensor(self, name: str, order: str) -> Tensor:
        """Return a value of the step, written now if it was not yet."""
        order = order if name in self._timed else ONCE
        key = (name, order)
        if key not in self._made:
            if name in self._inputs:
                self._made[key] = self._feed(self._inputs[name], order)
            else:
                self._write(self._makers[name], order)
        return self._made[key]

    def _feed(self, one: GraphInput, order: str) -> Tensor:
        key = (one.name, order, "")
        if key not in self.fed:
            shape = (1, 1) if one.dtype == "int32" else (1, *(size or 1 for size in one.shape[1:]))
            shape = (1, 1, shape[-1]) if len(shape) == 3 else shape
            name = one.name if order != BACKWARD else f"{one.name}_backwards"
            self.fed[key] = self._writer.file.tensor(name, shape, one.dtype)
        return self.fed[key]

    def _feed_row(self, node: Node, order: str) -> Tensor:
        """Return the input that takes rows of an Embedding's table."""
        name, table = node.inputs[0], node.weights["embeddings"]
        while name not in self._inputs:
            maker = self._makers[name]
            if maker.op != "Reverse":
                raise _refusal(node, "looks up what is no input of the model")
            name, order = maker.inputs[0], _TURNED[order]
        key = (name, order, table)
        if key not in self.fed:
            self._writer.begin(node.name if order != BACKWARD else f"{node.name}_backwards")
            self.fed[key] = self._writer.fed_row(table, self._weights[table])
        return self.fed[key]

    def _write(self, node: Node, order: str) -> None:
        if node.op == "Reverse":
            self._made[node.output, order] = self.tensor(node.inputs[0], _TURNED[order])
            return
        if node.op == "Embedding" and self._writer.outside:
            self._made[node.output, order] = self._feed_row(node, order)
            return
        inner = order
        if node.op in RECURRENCES:
            inner = BACKWARD if node.attributes.get("go_backwards") else FORWARD
            if node.output in self._timed and order != inner:
                raise _refusal(
                    node,
                    f"gives its steps {inner}s where a later layer takes them {order}s",
                )
        inputs = [self.tensor(name, inner) for name in node.inputs]
        weights = {role: self._weights[name] for role, name in node.weights.items()}
        self._writer.begin(node.name if order != BACKWARD else f"{node.name}_backwards")
        if node.op in RECURRENCES:
            made = RECURRENCES[node.op](self._writer, node, inputs[0], weights)
            names = [node.output, *node.outputs[1:]]
            values = made if len(names) == 1 else [made[0], *made]
            if len(values) < len(names):
                raise AssertionError(f"'{node.name}' is fused, and its cell state is asked for")
        else:
            names, values = (
                [node.output],
                [OPERATIONS[node.op](self._writer, node, inputs, weights)],
            )
        for name, value in zip(names, values, strict=False):
            self._made[name, order if name in self._timed else ONCE] = value


def _refusal(node: Node, why: str) -> ConversionError:
    return ConversionError(
        f"layer '{node.source or node.name}' ({node.op}) {why}, and a tflm file sees one timestep "
        "at a time: use --target c, litert or onnx",
        layer=node.source,
        op=node.op,
    )
