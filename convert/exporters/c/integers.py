"""The scheme full-int8 as C calls: 8-bit weights, 16-bit values, scales of what was observed.

Not the arithmetic, which is in kernels/integer.c, and not the choice of calibration rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from gatelet.convert.exporters.c import layers, masks
from gatelet.convert.exporters.c.recurrent import FLAGS, entering, gru_columns
from gatelet.convert.exporters.c.sizes import elements, known
from gatelet.convert.exporters.c.writer import Array, Call, Part, Value, Writer, initializer
from gatelet.convert.layouts import ORDERS
from gatelet.errors import ConversionError
from gatelet.runtime.backends.reference import ReferenceBackend, array_of
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import MOVES, OPERATIONS, RECURRENCES, WINDOWED

UNIT = 2.0**-15
"""The scale of states and gates."""
Z_UNIT = 2.0**-16
"""The scale of what goes into an activation."""
HEADROOM = 2.0
"""Values may be so many times those that were observed; the 16 bits can spare one."""
SIGMOID_ENTRIES, EXP_ENTRIES = 513, 1025
"""Of the tables of the logistic function and of e^-x, from 0 to 16."""
_MULTIPLIER_BITS = 24
_WAY_OUT = "use --scheme dynamic-int8 or float32"

_ACTIVATIONS = {
    "tanh": "GATELET_Q_TANH",
    "sigmoid": "GATELET_Q_SIGMOID",
    "hard_sigmoid": "GATELET_Q_HARD_SIGMOID",
    "hard_sigmoid_keras2": "GATELET_Q_HARD_SIGMOID_KERAS2",
}
_OTHERS = ("linear", "relu", "softmax")


def integer_refusal(graph: Graph) -> str:
    """Say why a Graph cannot be computed in integers, '' where it can."""
    fed = {one.name for one in graph.inputs if one.dtype == "float32"}
    states: set[str] = set()
    for node in graph.nodes:
        why = _node_refusal(node, fed, states)
        if why:
            return f"layer '{node.source or node.name}': c full-int8 has no {why}: {_WAY_OUT}"
        states.update(node.outputs[1:] if node.op in RECURRENCES else ())
        if OPERATIONS[node.op].gives == MOVES and node.inputs[0] in fed:
            fed.add(node.output)
    return ""


def _node_refusal(node: Node, fed: set[str], states: set[str]) -> str:
    """Say what a node has that integers have not; '' where there is nothing."""
    if node.op not in INTEGER_OPERATIONS:
        return f"{node.op}, which {INTEGER_REFUSED.get(node.op, 'is not known')}"
    if node.op == "MaskFeatures" and node.inputs[0] not in fed:
        return "mask by values that are computed"
    values = node.inputs if node.op == "Concatenate" else node.inputs[:1]
    if not states.isdisjoint(values):  # floats, for whoever asked for them
        return f"{node.op} of another layer's state"
    if node.op == "Concatenate" and not fed.isdisjoint(values):
        return "Concatenate of features"
    if node.op == "Activation":
        name = node.attributes["activation"]
        plain = name in _OTHERS and not _parameters(node) and _is_last(node)
        if not plain and name not in _ACTIVATIONS:
            return f"activation '{name}'" + (" with parameters" if name in _OTHERS else "")
        return "activation of features" if name != "linear" and node.inputs[0] in fed else ""
    for setting in ("activation", "recurrent_activation"):
        name = node.attributes.get(setting, "tanh")
        if name not in _ACTIVATIONS:
            return f"activation '{name}' in {node.op}"
    return ""


def _parameters(node: Node) -> bool:
    """Return whether an `Activation` has parameters that are not as usual."""
    return any(v for k, v in node.attributes.items() if k not in ("activation", "axis"))


def _is_last(node: Node) -> bool:
    axis = node.attributes.get("axis", -1)
    return axis in (-1, len(node.shape) - 1)


def observe(graph: Graph, rows: Mapping[str, Array]) -> dict[str, Array]:
    """Run rows in float and give the largest magnitudes.

    Args:
        graph: What is exported.
        rows: Of calibration, by graph input.

    Returns:
        Of each feature of each input [F], and of the output of each `Dense` and `Embedding`
        node [1]: all that is needed to tell what the integers stand for.
    """
    watched = [node.output for node in graph.nodes if node.op == "Dense"]
    outputs = tuple(dict.fromkeys((*graph.outputs, *watched)))
    found = ReferenceBackend(replace(graph, outputs=outputs)).run(rows)
    largest = {name: _largest(found[name]) for name in watched}
    for node in graph.nodes:
        if node.op == "Embedding":
            largest[node.output] = _largest(array_of(graph.weights[node.weights["embeddings"]]))
    for one in graph.inputs:
        if one.dtype == "float32" and one.name in rows:
            features = np.asarray(rows[one.name])
            axes = tuple(range(features.ndim - 1))
            largest[one.name] = np.abs(features).max(axis=axes, initial=0.0).astype(np.float64)
    return largest


def _largest(values: Array) -> Array:
    finite = values[np.isfinite(values)]
    return np.array([np.abs(finite).max(initial=0.0)], np.float64)


@dataclass(frozen=True)
class _Fixed:
    """A factor as integers: x * multiplier >> shift."""

    multipliers: Array
    shift: int


def _fixed(factors: Array, rounded: Callable[[Array], Array] = np.rint) -> _Fixed:
    """Return factors as integers of at most 24 bits with one shift."""
    largest = float(np.max(factors, initial=0.0)) or 1.0
    shift = int(np.clip(_MULTIPLIER_BITS - 1 - np.floor(np.log2(largest)) - 1, 0, 62))
    exact = rounded(np.asarray(factors, np.float64) * 2.0**shift)
    return _Fixed(np.clip(exact, 0, 2**_MULTIPLIER_BITS - 1).astype(np.int64), shift)


def _matrix(writer: Writer, part: Part, x_scale: float | Array, scale: float) -> str:
    """Store a kernel [rows, columns] and give the name of its struct.

    Args:
        writer: Stores it.
        part: Float weights.
        x_scale: Of what it is multiplied with; for features one a row.
        scale: Of what comes out.
    """
    kernel = part.array
    rows, columns = kernel.shape
    scaled = kernel.astype(np.float64) * np.broadcast_to(x_scale, (rows,))[:, None]
    # rounded up, so that a column's integers, which are of what is stored, are at most 127
    fixed = _fixed(np.abs(scaled).max(axis=0, initial=0.0) / 127 / scale, np.ceil)
    multipliers = np.maximum(fixed.multipliers, 1)
    scales = multipliers * 2.0**-fixed.shift * scale
    integers = ORDERS["columns"](np.clip(np.rint(scaled / scales), -127, 127), 0)
    values, by_column = writer.store(integers, "int8_t"), writer.store(multipliers, "int32_t")
    step = np.asarray(scale / x_scale * 2.0**-fixed.shift).tolist()
    along = [{"along": "columns", **by_column.entry}]
    writer.section(part, values, "columns", scales=along, step=step)
    name = writer.name("matrix")
    fields = {
        "values": values.pointer,
        "multipliers": by_column.pointer,
        "rows": rows,
        "columns": columns,
        "shift": fixed.shift,
    }
    writer.line(f"const struct gatelet_integer_matrix {name} = {initializer(fields)};")
    return name


def _bias(writer: Writer, call: Call, scale: float, *, row: int | None = None) -> str:
    if "bias" not in call.weights:
        return "NULL"
    part = call.part("bias", row=row)
    exact = np.clip(np.rint(part.array.astype(np.float64) / scale), -(2**30), 2**30)
    stored = writer.store(exact, "int32_t")
    writer.section(part, stored, step=scale)
    return stored.pointer


def _as_integers(writer: Writer, value: Value) -> tuple[Value, float | Array]:
    """Return a value as integers, with its scale: features have one each."""
    if value.kind == "int16":
        return value, value.scale
    largest = writer.observed.get(value.fed)
    if value.kind != "float" or largest is None:
        raise ConversionError(f"c full-int8 knows no range of '{value.name}': {_WAY_OUT}")
    scales = np.where(largest > 0, largest, 1.0) * HEADROOM * HEADROOM / 32767
    y = writer.make(value.dims, "int16")
    inverse = writer.weights(1.0 / scales)
    n, features = elements(value.dims[:-1]), str(len(scales))
    writer.call("gatelet_integers_of_features", value.name, inverse, n, features, y.name)
    return y, scales


def _table(writer: Writer, of: str) -> str:
    if of == "sigmoid":
        values = 1.0 / (1.0 + np.exp(-np.arange(SIGMOID_ENTRIES) / 32.0))
    else:
        values = np.exp(-np.arange(EXP_ENTRIES) / 64.0)
    return writer.weights(np.rint(values * 2**15), "uint16_t")


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
    y = writer.make((*ids.dims, known(F)), "int16", scale=unit)
    values, by_row = writer.store(integers, "int8_t"), writer.store(multipliers[:, 0], "uint16_t")
    along = [{"along": "rows", **by_row.entry}]
    writer.section(call.part("embeddings"), values, scales=along, step=unit / 256)
    stored = (values.pointer, by_row.pointer)
    n = elements(ids.dims)
    writer.call("gatelet_integer_embedding", *stored, str(V), str(F), ids.name, n, y.name)
    return [y]


def write_dense(writer: Writer, call: Call) -> list[Value]:
    """Write a `Dense` node: its outputs have the range that was observed, and some more."""
    writer.kernels.add("integer")
    x, x_scale = _as_integers(writer, call.x)
    largest = float(writer.observed[call.node.output][0]) or 1.0
    scale = largest * HEADROOM / 32767
    matrix = _matrix(writer, call.part("kernel"), x_scale, scale)
    bias = _bias(writer, call, scale)
    units = call.weights["kernel"].shape[1]
    y = writer.make((*x.dims[:-1], known(units)), "int16", scale=scale)
    m = elements(x.dims[:-1])
    writer.call("gatelet_integer_dense", f"&{matrix}", bias, x.name, m, y.name)
    return [y]


def write_activation(writer: Writer, call: Call) -> list[Value]:
    """Write an `Activation` node."""
    writer.kernels.add("integer")
    name, x = call.node.attributes["activation"], call.x
    x, x_scale = _as_integers(writer, x)
    if name == "linear":
        return [x]
    if not isinstance(x_scale, float):
        raise ConversionError(
            f"layer '{call.node.source}': c full-int8 has no activation of features: {_WAY_OUT}"
        )
    y = writer.make(x.dims, "int16", scale=x_scale if name == "relu" else UNIT)
    n = elements(x.dims)
    if name == "relu":
        writer.call("gatelet_integer_relu", x.name, n, y.name)
        return [y]
    fixed = _fixed(np.array([x_scale / Z_UNIT]))
    factor = (str(int(fixed.multipliers[0])), str(fixed.shift))
    if name == "softmax":
        n, classes = elements(x.dims[:-1]), x.dims[-1].text
        table = _table(writer, "exp")
        writer.call("gatelet_integer_softmax", table, x.name, n, classes, *factor, y.name)
        return [y]
    table = _table(writer, "sigmoid")
    kind = _ACTIVATIONS[name]
    writer.call("gatelet_integer_activate", kind, table, x.name, n, *factor, y.name)
    return [y]


def write_recurrence(writer: Writer, call: Call) -> list[Value]:
    """Write an `LSTM`, `GRU` or `SimpleRNN` node."""
    writer.kernels |= {"integer", "recurrence", "product", "activations"}
    node, weights, attributes = call.node, call.weights, call.node.attributes
    x, x_scale = _as_integers(writer, call.x)
    units = len(weights["recurrent_kernel"])
    fields = {"kernel": _matrix(writer, call.part("kernel"), x_scale, Z_UNIT)}
    kind = {"LSTM": "LSTM", "SimpleRNN": "SIMPLE_RNN"}.get(node.op, "GRU")
    recurrent, row = call.part("recurrent_kernel"), None
    if node.op == "GRU" and not attributes.get("reset_after", True):
        kind = "GRU_RESET_BEFORE"
        parts = (call.part("recurrent_kernel", columns=c) for c in gru_columns(units))
        recurrent, candidate = parts
        fields["candidate"] = _matrix(writer, candidate, UNIT, Z_UNIT)
    elif node.op == "GRU" and "bias" in weights:
        row = 0
        fields["recurrent_bias"] = _bias(writer, call, Z_UNIT, row=1)
    fields["recurrent"] = _matrix(writer, recurrent, UNIT, Z_UNIT)
    fields["bias"] = _bias(writer, call, Z_UNIT, row=row)
    rows, timesteps = x.dims[:2]
    sequence = (timesteps,) if attributes["return_sequences"] else ()
    y = writer.make((rows, *sequence, known(units)), "int16", scale=UNIT)
    outputs = [y]
    if attributes.get("return_state"):
        outputs += [writer.make((rows, known(units))) for _ in OPERATIONS[node.op].states]
    fields |= {"x": x.name, "y": y.name, "kind": f"GATELET_Q_{kind}", "units": str(units)}
    fields |= {"rows": rows.text, "timesteps": timesteps.text}
    fields |= dict(zip(("h0", "c0"), (one.name for one in call.inputs[1:]), strict=False))
    fields |= dict(zip(("h", "c"), (one.name for one in outputs[1:]), strict=False))
    if call.mask is not None:
        fields["mask"] = call.mask.name
    fields |= entering(writer, call, call.inputs[1:])
    for setting in ("activation", "recurrent_activation"):
        fields[setting] = _ACTIVATIONS.get(attributes.get(setting, ""), "0")
    flags = [flag for name, flag in FLAGS.items() if attributes.get(name)]
    fields["flags"] = " | ".join(flags) or "0"
    fields["sigmoid"] = _table(writer, "sigmoid")
    work = writer.work(str(2 * weights["kernel"].shape[1] + 4 * units))
    fields["work"] = f"(int32_t *)(void *){work}"
    name = writer.name("recurrence")
    writer.line(f"const struct gatelet_integer_recurrence {name} = {{")
    for field, text in fields.items():
        writer.line(f"    .{field} = {text},")
    writer.line("};")
    writer.call("gatelet_integer_walk", f"&{name}")
    return outputs


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
    fixed = _fixed(np.array([value.scale / scale]))
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
    "Concatenate": write_concatenate,
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

_BROADCASTS = [one.name for one in OPERATIONS.values() if one.broadcasts]
INTEGER_REFUSED = {
    **dict.fromkeys(WINDOWED, "slides a window"),
    **dict.fromkeys(_BROADCASTS, "joins values of several scales"),
    **dict.fromkeys(("PReLU", "Affine", "LayerNormalization"), "scales each feature by itself"),
    **dict.fromkeys(("GlobalAveragePooling1D", "ReduceMax", "ReduceMean"), "reduces an axis"),
    **dict.fromkeys(("RepeatVector", "Reshape", "Transpose"), "changes the axes"),
    **dict.fromkeys(("ApplyMask", "Select", "MaskAnd", "MaskOr"), "computes with masks"),
}
"""What kernels/integer.c has no function for, and what it would have to do."""
