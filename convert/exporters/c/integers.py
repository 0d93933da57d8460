"""The scheme full-int8 as C calls: 8-bit weights, 16-bit values, scales of what was observed.

Not the arithmetic, which is in kernels/integer.c, and not the choice of calibration rows.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gatelet.convert.exporters.c import layers, masks
from gatelet.convert.exporters.c.integer_elements import (
    LOOKED_UP,
    OBSERVED,
    SIGNS,
    look_up,
    observed_scale,
    write_affine,
    write_product,
    write_sum,
)
from gatelet.convert.exporters.c.integer_recurrences import write_recurrence
from gatelet.convert.exporters.c.integer_values import (
    ACTIVATIONS,
    UNIT,
    WAY_OUT,
    Z_UNIT,
    as_integers,
    exponential_table,
    fixed_point,
    stored_bias,
    stored_matrix,
    tail_table,
)
from gatelet.convert.exporters.c.sizes import elements, known
from gatelet.convert.exporters.c.writer import Array, Call, Value, Writer
from gatelet.convert.exporters.ranges import largest_features
from gatelet.errors import ConversionError
from gatelet.runtime.backends.reference import ReferenceBackend, array_of
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import MOVES, OPERATIONS, RECURRENCES, WINDOWED

_OTHERS = ("linear", "relu", "softmax")
_NO_GATE = ("recurrent_activation", "tanh")
"""The share that a gate leaves is the activation of -z, which this one's is not."""


def integer_refusal(graph: Graph) -> str:
    """Say why a Graph cannot be computed in integers, '' where it can."""
    fed = {one.name for one in graph.inputs if one.dtype == "float32"}
    states: set[str] = set()
    for node in graph.nodes:
        why = _node_refusal(node, fed, states) or _shape_refusal(graph, node, fed)
        if why:
            return f"layer '{node.source or node.name}': c full-int8 has no {why}: {WAY_OUT}"
        states.update(node.outputs[1:] if node.op in RECURRENCES else ())
        if OPERATIONS[node.op].gives == MOVES and node.op != "Reshape" and node.inputs[0] in fed:
            fed.add(node.output)
    return ""


def _node_refusal(node: Node, fed: set[str], states: set[str]) -> str:
    """Say what a node has that integers have not; '' where there is nothing."""
    if node.op not in INTEGER_OPERATIONS:
        return f"{node.op}, which {INTEGER_REFUSED.get(node.op, 'is not known')}"
    if node.op == "MaskFeatures" and node.inputs[0] not in fed:
        return "mask by values that are computed"
    joins = node.op in ("Concatenate", "Multiply", *SIGNS)
    values = node.inputs if joins else node.inputs[:1]
    if not states.isdisjoint(values):  # floats, for whoever asked for them
        return f"{node.op} of another layer's state"
    if (joins or node.op == "Reshape") and not fed.isdisjoint(values):
        return f"{node.op} of features"
    if node.op == "Activation":
        name = node.attributes["activation"]
        plain = name in _OTHERS and not any(_parameters(node).values()) and _is_last(node)
        if not plain and name not in (*ACTIVATIONS, *LOOKED_UP):
            return f"activation '{name}'" + (" with parameters" if name in _OTHERS else "")
        return "activation of features" if name != "linear" and node.inputs[0] in fed else ""
    for setting in ("activation", "recurrent_activation"):
        name = node.attributes.get(setting, "sigmoid")
        if name not in ACTIVATIONS or (setting, name) == _NO_GATE:
            return f"{setting} '{name}' in {node.op}"
    return ""


def _shape_refusal(graph: Graph, node: Node, fed: set[str]) -> str:
    """Say what sizes a node joins that integers do not; '' where there is nothing."""
    inputs = {one.name for one in graph.inputs}
    if node.op == "Affine":
        shapes = [graph.weights[name].shape for name in node.weights.values()]
        features = graph.shape_of(node.inputs[0])[-1]
        if any(math.prod(one) not in (1, one[-1:] and features) for one in shapes):
            return "Affine along other axes than the last"
        return "Affine of features that are moved" if node.inputs[0] in fed - inputs else ""
    if node.op in ("Multiply", *SIGNS):
        if len({graph.shape_of(name) for name in node.inputs}) > 1:
            return f"{node.op} of several shapes"
        if any(one.name in node.inputs for one in graph.inputs):
            return f"{node.op} of inputs"
        if node.op == "Multiply" and len(node.inputs) != 2:
            return f"{node.op} of {len(node.inputs)} values"
    return ""


def _parameters(node: Node) -> dict[str, Any]:
    """Return the parameters of an `Activation`."""
    return {k: v for k, v in node.attributes.items() if k not in ("activation", "axis")}


def _is_last(node: Node) -> bool:
    axis = node.attributes.get("axis", -1)
    return axis in (-1, len(node.shape) - 1)


def observe(graph: Graph, rows: Mapping[str, Array]) -> dict[str, Array]:
    """Run rows in float and give the largest magnitudes.

    Args:
        graph: What is exported.
        rows: Of calibration, by graph input.

    Returns:
        Of each feature of each input [F], and of the output of each node of OBSERVED and
        `Embedding` [1]: all that is needed to tell what the integers stand for.
    """
    watched = [node.output for node in graph.nodes if node.op in OBSERVED]
    outputs = tuple(dict.fromkeys((*graph.outputs, *watched)))
    found = ReferenceBackend(replace(graph, outputs=outputs)).run(rows)
    largest = {name: _largest(found[name]) for name in watched}
    for node in graph.nodes:
        if node.op == "Embedding":
            largest[node.output] = _largest(array_of(graph.weights[node.weights["embeddings"]]))
    return largest | largest_features(graph, rows)


def _largest(values: Array) -> Array:
    finite = values[np.isfinite(values)]
    return np.array([np.abs(finite).max(initial=0.0)], np.float64)


def write_embedding(writer: Writer, call: Call) -> list[Value]:
    """Write an `Embedding` node: a scale a row, as a multiplier of 16 bits."""
    writer.kernels.add("integer")
    ids = layers.as_ids(writer, call.x)
    table = call.weights["embeddings"]
    V, F = table.shape
    unit = (float(writer.observed[call.node.output][0]) or 1.0) / 127 * 256 / 65535
    largest = np.abs(table).max(axis=1, keepdims=True).astype(np.float64)
    multipliers = np.clip(np.ceil(largest / 127 * 256 / unit), 1, 65535)
    integers = np.clip(np.rint(table / (multipliers * unit / 256)), -127, 127)
    values, by_row = writer.store(integers, "int8_t"), writer.store(multipliers[:, 0], "uint16_t")
    along = [{"along": "rows", **by_row.entry}]
    writer.section(call.part("embeddings"), values, scales=along, step=unit / 256)
    stored = (values.pointer, by_row.pointer)
    if call.feeds_one:
        names = ("table", "table_multipliers", "vocabulary", "ids")
        made = dict(zip(names, (*stored, str(V), ids.name), strict=True))
        return [Value(ids.name, "int16", (*ids.dims, known(F)), ids.slot, scale=unit, made=made)]
    y = writer.make((*ids.dims, known(F)), "int16", scale=unit)
    n = elements(ids.dims)
    writer.call("gatelet_integer_embedding", *stored, str(V), str(F), ids.name, n, y.name)
    return [y]


def write_dense(writer: Writer, call: Call) -> list[Value]:
    """Write a `Dense` node: its outputs have the range that was observed, and some more."""
    writer.kernels.add("integer")
    x, x_scale = as_integers(writer, call.x)
    scale = observed_scale(writer, call)
    matrix = stored_matrix(writer, call.part("kernel"), x_scale, scale)
    bias = stored_bias(writer, call, scale)
    units = call.weights["kernel"].shape[1]
    y = writer.make((*x.dims[:-1], known(units)), "int16", scale=scale)
    m = elements(x.dims[:-1])
    writer.call("gatelet_integer_dense", f"&{matrix}", bias, x.name, m, y.name)
    return [y]


def write_activation(writer: Writer, call: Call) -> list[Value]:
    """Write an `Activation` node."""
    writer.kernels.add("integer")
    name, x = call.node.attributes["activation"], call.x
    x, x_scale = as_integers(writer, x)
    if name == "linear":
        return [x]
    if not isinstance(x_scale, float):
        raise ConversionError(
            f"layer '{call.node.source}': c full-int8 has no activation of features: {WAY_OUT}"
        )
    parameters = _parameters(call.node)
    if name in LOOKED_UP and (name != "relu" or any(parameters.values())):
        return [look_up(writer, x, x_scale, name, **parameters)]
    y = writer.make(x.dims, "int16", scale=x_scale if name == "relu" else UNIT)
    n = elements(x.dims)
    if name == "relu":
        writer.call("gatelet_integer_relu", x.name, n, y.name)
        return [y]
    fixed = fixed_point(np.array([x_scale / Z_UNIT]))
    factor = (str(int(fixed.multipliers[0])), str(fixed.shift))
    if name == "softmax":
        n, classes = elements(x.dims[:-1]), x.dims[-1].text
        exponential = exponential_table(writer)
        writer.call("gatelet_integer_softmax", exponential, x.name, n, classes, *factor, y.name)
        return [y]
    tail = tail_table(writer)
    kind = ACTIVATIONS[name]
    writer.call("gatelet_integer_activate", kind, tail, x.name, n, *factor, y.name)
    return [y]


def write_concatenate(writer: Writer, call: Call) -> list[Value]:
    """Write a `Concatenate` node: values get the widest of their scales."""
    if call.x.kind != "int16":  # masks
        return layers.write_concatenate(writer, call)
    writer.kernels.add("integer")
    widest = max(one.scale for one in call.inputs)
    alike = [_rescaled(writer, one, widest) for one in call.inputs]
    (y,) = layers.write_concatenate(writer, replace(call, inputs=alike))
    return [replace(y, scale=widest)]


def _rescaled(writer: Writer, value: Value, scale: float) -> Value:
    if value.scale == scale:
        return value
    y = writer.make(value.dims, "int16", scale=scale)
    fixed = fixed_point(np.array([value.scale / scale]))
    factor = (str(int(fixed.multipliers[0])), str(fixed.shift))
    writer.call("gatelet_integer_scale", value.name, elements(value.dims), *factor, y.name)
    return y


def _same_values(write: Callable[[Writer, Call], list[Value]]) -> Callable[..., list[Value]]:
    """Let what only moves values, or gives them another shape, keep their scale."""

    def keeping(writer: Writer, call: Call) -> list[Value]:
        (made,) = write(writer, call)
        return [replace(made, scale=call.x.scale, fed=call.x.fed)]

    return keeping


INTEGER_OPERATIONS: dict[str, Callable[[Writer, Call], list[Value]]] = {
    "LSTM": write_recurrence,
    "GRU": write_recurrence,
    "SimpleRNN": write_recurrence,
    "Embedding": write_embedding,
    "Dense": write_dense,
    "Activation": write_activation,
    "Affine": write_affine,
    "Concatenate": write_concatenate,
    "Multiply": write_product,
    **dict.fromkeys(SIGNS, write_sum),
    "RepeatVector": _same_values(layers.write_repeat_vector),
    "Reshape": _same_values(layers.write_reshape),
    "Reverse": _same_values(layers.write_reverse),
    "MergeTime": _same_values(layers.write_merge_time),
    "SplitTime": _same_values(layers.write_split_time),
    "MaskIds": masks.write_mask_ids,
    "MaskFeatures": masks.write_mask_features,
    "MaskAll": masks.write_mask_all,
    "TrimPadding": masks.write_trim_padding,
    "PadState": masks.write_pad_state,
}
"""What full-int8 computes; for others there is dynamic-int8."""

INTEGER_REFUSED = {
    **dict.fromkeys(WINDOWED, "slides a window"),
    **dict.fromkeys(("Maximum", "Minimum"), "chooses among values of several scales"),
    **dict.fromkeys(("PReLU", "LayerNormalization"), "scales each feature by itself"),
    **dict.fromkeys(("GlobalAveragePooling1D", "ReduceMax", "ReduceMean"), "reduces an axis"),
    "Transpose": "changes the axes",
    **dict.fromkeys(("ApplyMask", "Select", "MaskAnd", "MaskOr"), "computes with masks"),
}
"""What the kernels of integers have no function for, and what it would have to do."""
