"""Runs a Graph with the standard library alone, in Python's own floats.

Slow, exact, and at home wherever Python is. Not the definition of the operations: that is the
reference backend.
"""

import platform
from array import array
from collections.abc import Mapping
from functools import reduce
from operator import add, mul, sub
from typing import Any

from gatelet.errors import ModelError
from gatelet.runtime.backends.pure import convolution, layers, recurrent
from gatelet.runtime.backends.pure.array import Array, Weight
from gatelet.runtime.backends.pure.operation import Call, Operation
from gatelet.runtime.graph.graph import Graph, GraphInput

OPERATIONS: dict[str, Operation] = {
    "LSTM": recurrent.lstm,
    "GRU": recurrent.gru,
    "SimpleRNN": recurrent.simple_rnn,
    "ConvLSTM2D": recurrent.conv_lstm_2d,
    "Embedding": layers.embedding,
    "Dense": layers.dense,
    "Activation": layers.activation,
    "PReLU": layers.prelu,
    "Affine": layers.affine,
    "LayerNormalization": layers.layer_normalization,
    "Conv1D": convolution.conv(1),
    "Conv2D": convolution.conv(2),
    "MaxPooling1D": convolution.max_pooling(1),
    "MaxPooling2D": convolution.max_pooling(2),
    "AveragePooling1D": convolution.average_pooling(1),
    "AveragePooling2D": convolution.average_pooling(2),
    "GlobalAveragePooling1D": layers.global_average_pooling_1d,
    "ReduceMax": layers.reduction(lambda run: reduce(layers.largest, run)),
    "ReduceMean": layers.reduction(lambda run: sum(run) / len(run)),
    "Concatenate": layers.concatenate,
    "Add": layers.fold(add),
    "Multiply": layers.fold(mul),
    "Average": layers.average,
    "Subtract": layers.fold(sub),
    "Maximum": layers.fold(layers.largest),
    "Minimum": layers.fold(layers.smallest),
    "RepeatVector": layers.repeat_vector,
    "Reshape": layers.reshape,
    "Transpose": layers.transposed,
    "Reverse": layers.reverse,
    "MergeTime": layers.merge_time,
    "SplitTime": layers.split_time,
    "MaskIds": layers.mask_ids,
    "MaskFeatures": layers.mask_features,
    "MaskAll": layers.mask_all,
    "ApplyMask": layers.apply_mask,
    "Select": layers.select,
    "MaskAnd": layers.fold(lambda a, b: a and b),
    "MaskOr": layers.fold(lambda a, b: a or b),
    "TrimPadding": layers.trim_padding,
    "PadState": layers.pad_state,
}
"""Every operation of docs/graph.md, in its order."""


def open_graph(graph: Graph) -> "PureBackend":
    """Open a Graph."""
    return PureBackend(graph)


class PureBackend:
    """Runs a Graph in plain Python; several threads may call.

    Args:
        graph: The model; weights are read where they lie, when a node first needs them.

    Raises:
        ModelError: The Graph has an operation that this gatelet does not know.
    """

    target = "pure"

    def __init__(self, graph: Graph) -> None:
        self.engine = f"python {platform.python_version()}"
        self._graph = graph
        weights = {name: Weight(tensor) for name, tensor in graph.weights.items()}
        self._steps = []
        for node in graph.nodes:
            operation = OPERATIONS.get(node.op)
            if operation is None:
                raise ModelError(
                    f"node '{node.name}' has the operation '{node.op}', which this gatelet does "
                    "not know: update gatelet"
                )
            roles = {role: weights[name] for role, name in node.weights.items()}
            trajectory: list[Any] = []
            self._steps.append((node, operation, roles, trajectory))

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run rows and give the graph's outputs.

        Args:
            inputs: By graph input: ids [B, T], features [B, T, F] or states [B, U], as nested
                lists or arrays.

        Returns:
            By graph output, nested lists [B, ...] of float32 numbers.
        """
        values = {one.name: _flat(inputs[one.name], one) for one in self._graph.inputs}
        for node, operation, weights, trajectory in self._steps:
            call = Call(
                inputs=[values[name] for name in node.inputs],
                weights=weights,
                attributes=node.attributes,
                mask=values[node.mask] if node.mask else None,
                start=trajectory,
            )
            results = operation(call)
            node.check_made(result.shape for result in results)
            values.update(zip(node.outputs, results, strict=True))
        return {name: _rounded(values[name]).nested() for name in self._graph.outputs}


def _flat(rows: Any, expected: GraphInput) -> Array:
    """Return lists or an array as an Array; features are rounded to float32, as engines do."""
    data = rows.tolist() if hasattr(rows, "tolist") else list(rows)
    shape = [len(data)]
    for known in expected.shape[1:]:
        shape.append(len(data[0]) if data else known or 0)
        data = [value for row in data for value in row]
    if expected.dtype == "float32":
        data = array("f", data).tolist()
    return Array(tuple(shape), data)


def _rounded(x: Array) -> Array:
    if x.data and isinstance(x.data[0], float):
        return Array(x.shape, array("f", x.data).tolist())
    return x
