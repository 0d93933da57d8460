"""The oracle: the Graph's equations in NumPy, in float32 or float64.

Not fast, and not where exporters look for code: each operation is one function that reads like
its definition, in the files beside this one.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from gatelet.errors import ModelError
from gatelet.runtime.backends.reference import (
    convolution,
    convolution_recurrent,
    layers,
    masks,
    padding,
    recurrent,
)
from gatelet.runtime.backends.reference.operation import Array, Call, Operation
from gatelet.runtime.backends.reference.tables import project_tables
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.safetensors import Tensor
from gatelet.runtime.graph.width import width_of

_DTYPES = {"F32": "<f4", "F16": "<f2", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}
_ROWS_AT_ONCE = 128

DType = type[np.floating[Any]]

OPERATIONS: dict[str, Operation] = {
    "LSTM": recurrent.lstm,
    "GRU": recurrent.gru,
    "SimpleRNN": recurrent.simple_rnn,
    "ConvLSTM2D": convolution_recurrent.conv_lstm_2d,
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
    "ReduceMax": layers.reduction(np.max),
    "ReduceMean": layers.reduction(np.mean),
    "Concatenate": layers.concatenate,
    "Add": layers.fold(np.add),
    "Multiply": layers.fold(np.multiply),
    "Average": layers.average,
    "Subtract": layers.fold(np.subtract),
    "Maximum": layers.fold(np.maximum),
    "Minimum": layers.fold(np.minimum),
    "RepeatVector": layers.repeat_vector,
    "Reshape": layers.reshape,
    "Transpose": layers.transpose,
    "Reverse": layers.reverse,
    "MergeTime": layers.merge_time,
    "SplitTime": layers.split_time,
    "MaskIds": masks.mask_ids,
    "MaskFeatures": masks.mask_features,
    "MaskAll": masks.mask_all,
    "ApplyMask": masks.apply_mask,
    "Select": masks.select,
    "MaskAnd": layers.fold(np.logical_and),
    "MaskOr": layers.fold(np.logical_or),
    "TrimPadding": padding.trim_padding,
    "PadState": padding.pad_state,
}
"""Every operation of docs/graph.md, in its order."""


def array_of(tensor: Tensor) -> Array:
    """View a stored tensor as an array, without a copy."""
    return np.frombuffer(tensor.data, dtype=_DTYPES[tensor.dtype]).reshape(tensor.shape)


def run_graph(
    graph: Graph, inputs: Mapping[str, Array], *, dtype: DType = np.float32
) -> dict[str, Array]:
    """Run a Graph and give every value it makes.

    Args:
        graph: The model.
        inputs: An array for each graph input: ids int [B, T] or features float [B, T, F].
        dtype: The type to compute in: np.float32, or np.float64 for an oracle of the oracle.

    Returns:
        All values by name, the graph's inputs and outputs among them.

    Raises:
        ModelError: The Graph has an operation that this gatelet does not know.
    """
    return _run_nodes(graph.nodes, _weights_of(graph, dtype), _computed_in(inputs, dtype))


def _weights_of(graph: Graph, dtype: DType) -> dict[str, Array]:
    return _computed_in({name: array_of(one) for name, one in graph.weights.items()}, dtype)


def _computed_in(arrays: Mapping[str, Array], dtype: DType) -> dict[str, Array]:
    return {name: _in_type(array, dtype) for name, array in arrays.items()}


def _run_nodes(
    nodes: Sequence[Node],
    weights: Mapping[str, Array],
    values: dict[str, Array],
    *,
    done_with: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, Array]:
    """Run nodes, and drop the values that none needs after a node of that name."""
    for node in nodes:
        operation = OPERATIONS.get(node.op)
        if operation is None:
            raise ModelError(
                f"node '{node.name}' has the operation '{node.op}', which this gatelet does not "
                "know: update gatelet"
            )
        call = Call(
            inputs=[values[name] for name in node.inputs],
            weights={role: weights[name] for role, name in node.weights.items()},
            attributes=node.attributes,
            mask=values[node.mask] if node.mask else None,
        )
        # infinity and NaN are results, as they are in Keras
        with np.errstate(all="ignore"):
            results = operation(call)
        node.check_made(result.shape for result in results)
        values.update(zip(node.outputs, results, strict=True))
        for name in done_with.get(node.name, ()):
            del values[name]
    return values


def _last_readers(nodes: Sequence[Node], outputs: Sequence[str]) -> dict[str, list[str]]:
    """Return the values that nothing reads after each node, by its name."""
    seen, found = set(outputs), {}
    for node in reversed(nodes):
        read = {*node.inputs, *node.outputs, *((node.mask,) if node.mask else ())}
        found[node.name] = sorted(read - seen)
        seen |= read
    return found


def _in_type(array: Array, dtype: DType) -> Array:
    """Return numbers in the type to compute in, without a copy where they are; integers stay."""
    return array.astype(dtype, copy=False) if array.dtype.kind == "f" else array


def open_graph(graph: Graph) -> "ReferenceBackend":
    """Open a Graph, to be run in float32."""
    return ReferenceBackend(graph)


class ReferenceBackend:
    """Runs a Graph in NumPy.

    Args:
        graph: The model.
        dtype: np.float32, or np.float64 to measure the distance that float32 itself makes.
        project_ahead: Project the embeddings' rows before any run, each once.
    """

    target = "reference"

    def __init__(
        self, graph: Graph, *, dtype: DType = np.float32, project_ahead: bool = False
    ) -> None:
        self.engine = f"numpy {np.__version__}"
        self._graph = graph
        self._dtype = dtype
        self._nodes: Sequence[Node] = graph.nodes
        self._weights = _weights_of(graph, dtype)
        if project_ahead:
            self._nodes, self._weights = project_tables(graph, self._weights)
        self._width = width_of(graph)
        self._done_with = _last_readers(self._nodes, graph.outputs)

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """Run rows and give the graph's outputs.

        Args:
            inputs: By graph input: ids int [B, T] or features float [B, T, F].

        Returns:
            By graph output, each [B, ...].
        """
        arrays = {name: np.asarray(value) for name, value in inputs.items()}
        first = next(iter(arrays.values()))
        timesteps = max(one.shape[1] if one.ndim > 1 else 1 for one in arrays.values())
        size, parts = min(_ROWS_AT_ONCE, self._width.rows_at_once(timesteps)), []
        for start in range(0, max(len(first), 1), size):
            part = {name: array[start : start + size] for name, array in arrays.items()}
            given = _computed_in(part, self._dtype)
            values = _run_nodes(self._nodes, self._weights, given, done_with=self._done_with)
            parts.append({name: values[name] for name in self._graph.outputs})
        return {n: np.concatenate([part[n] for part in parts]) for n in self._graph.outputs}
