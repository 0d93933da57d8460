"""Layers that treat each timestep by itself, in operators of one step.

Not the recurrences, which are in `recurrent`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import numpy as np

from gatelet.convert.exporters.tflm.activations import activate
from gatelet.convert.exporters.tflm.file import Tensor
from gatelet.convert.exporters.tflm.step import LARGEST_INT16, Array, StepWriter
from gatelet.errors import ConversionError
from gatelet.runtime.graph.graph import Node
from gatelet.runtime.graph.operations import WINDOWED

Operation = Callable[[StepWriter, Node, Sequence[Tensor], Mapping[str, Array]], Tensor]

_LARGEST_INT8 = 127
_ROW_SCALES_FROM = 8.0
"""Times the median that a row's largest value is from which rows get scales of their own.

Four more operators and 640 bytes of arena; one scale for all takes that many times more error.
"""


def _embedding(
    writer: StepWriter, node: Node, inputs: Sequence[Tensor], weights: Mapping[str, Array]
) -> Tensor:
    """Write a look-up; in integers, of int8 rows."""
    table, ids = weights["embeddings"], inputs[0]
    if not writer.integers and not writer.rounds:
        return writer.gather(writer.weight(table, "float32"), ids)
    rows, scales, unit = _rounded_rows(table)
    if not writer.integers:
        return writer.gather(writer.weight(rows * (scales * unit), "float32"), ids)
    if scales.max() == 1:
        found = writer.gather(writer.weight(rows, "int8", scale=unit), ids)
        return writer.convert(found, scale=unit / 2**8)
    parts = []
    for values, scale in ((rows, unit), (scales, 1.0)):
        found = writer.gather(writer.weight(values, "int8", scale=scale), ids)
        parts.append(writer.convert(found, scale=scale))
    scale = float(np.float32((np.abs(table).max() or 1.0) / LARGEST_INT16))
    y = writer.file.tensor(f"{node.name}_y", (*ids.shape, table.shape[1]), "int16", scale=scale)
    writer.file.operator("MUL", parts, [y], writer.file.options("Mul"))
    return y


def _rounded_rows(table: Array) -> tuple[Array, Array, float]:
    """Return int8 rows, the scale of each in units, and the unit: scales are 1 to 127, or all 1."""
    largest = np.abs(table).max(axis=1, keepdims=True)
    reach = float(largest.max() or 1.0)
    if largest.max() <= _ROW_SCALES_FROM * np.median(largest):
        scales, unit = np.ones_like(largest), float(np.float32(reach / _LARGEST_INT8))
    else:
        unit = reach / _LARGEST_INT8**2
        scales = np.clip(np.ceil(largest / (unit * _LARGEST_INT8)), 1, _LARGEST_INT8)
    rows = np.clip(np.rint(table / (scales * unit)), -_LARGEST_INT8, _LARGEST_INT8)
    return rows, scales, unit


def _dense(
    writer: StepWriter, node: Node, inputs: Sequence[Tensor], weights: Mapping[str, Array]
) -> Tensor:
    return writer.dense(inputs[0], weights["kernel"], weights.get("bias"))


def _activation(
    writer: StepWriter, node: Node, inputs: Sequence[Tensor], weights: Mapping[str, Array]
) -> Tensor:
    parameters = dict(node.attributes)
    name = parameters.pop("activation")
    axis = parameters.get("axis")
    if axis is not None and axis == len(node.shape) - 1:
        parameters["axis"] = -1
    return activate(writer, name, inputs[0], layer=node.source or node.name, **parameters)


def _prelu(
    writer: StepWriter, node: Node, inputs: Sequence[Tensor], weights: Mapping[str, Array]
) -> Tensor:
    x = inputs[0]
    alpha = writer.constant(_last_axis(weights["alpha"], node, x), like=writer.as_float(x))
    below = writer.binary("MUL", writer.scalar("MINIMUM", x, 0.0), alpha)
    return writer.binary("ADD", writer.scalar("MAXIMUM", x, 0.0), below)


def _affine(
    writer: StepWriter, node: Node, inputs: Sequence[Tensor], weights: Mapping[str, Array]
) -> Tensor:
    x = inputs[0]
    # features as they are fed: one column may be a thousand times another, until this evens them
    raw = x.dtype == "float32"
    for role, op in (("scale", "MUL"), ("shift", "ADD")):
        values = writer.constant(_last_axis(weights[role], node, x), like=x)
        x = writer.binary(op, x, values, in_float=raw)
    return x


def _layer_normalization(
    writer: StepWriter, node: Node, inputs: Sequence[Tensor], weights: Mapping[str, Array]
) -> Tensor:
    if tuple(node.attributes["axes"]) != (-1,):
        raise _over_time(node)
    x = writer.as_float(inputs[0])  # the spread differs from row to row: no integers of one scale
    centred = writer.binary("SUB", x, writer.reduce_last("MEAN", x), in_float=True)
    variance = writer.reduce_last("MEAN", writer.unary("SQUARE", centred))
    variance = writer.scalar("ADD", variance, float(node.attributes["epsilon"]), in_float=True)
    y = writer.binary("MUL", centred, writer.unary("RSQRT", variance), in_float=True)
    for role, op in (("gamma", "MUL"), ("beta", "ADD")):
        if role in weights:
            values = writer.constant(_last_axis(weights[role], node, x), like=y)
            y = writer.binary(op, y, values, in_float=True)
    return y


def _concatenate(
    writer: StepWriter, node: Node, inputs: Sequence[Tensor], weights: Mapping[str, Array]
) -> Tensor:
    if node.attributes["axis"] not in (-1, len(node.shape) - 1):
        raise _over_time(node)
    return writer.concatenate(inputs)


def _fold(op: str) -> Operation:
    def write(
        writer: StepWriter, node: Node, inputs: Sequence[Tensor], weights: Mapping[str, Array]
    ) -> Tensor:
        return reduce(lambda a, b: writer.binary(op, a, b), inputs)

    return write


def _average(
    writer: StepWriter, node: Node, inputs: Sequence[Tensor], weights: Mapping[str, Array]
) -> Tensor:
    return writer.scalar("MUL", _fold("ADD")(writer, node, inputs, weights), 1 / len(inputs))


def _same(
    writer: StepWriter, node: Node, inputs: Sequence[Tensor], weights: Mapping[str, Array]
) -> Tensor:
    return inputs[0]


def _last_axis(values: Array, node: Node, x: Tensor) -> Array:
    """Return a weight of the last axis, in the rank of x; a scalar is one."""
    if values.size not in (1, values.shape[-1] if values.ndim else 1):
        raise _over_time(node)
    return values.reshape((1,) * (len(x.shape) - 1) + (values.size,))


def _over_time(node: Node) -> ConversionError:
    return ConversionError(
        f"layer '{node.source or node.name}' ({node.op}) treats timesteps differently, and a tflm "
        "file sees one timestep at a time: use --target c, litert or onnx",
        layer=node.source,
    )


OPERATIONS: dict[str, Operation] = {
    "Embedding": _embedding,
    "Dense": _dense,
    "Activation": _activation,
    "PReLU": _prelu,
    "Affine": _affine,
    "LayerNormalization": _layer_normalization,
    "Concatenate": _concatenate,
    "Add": _fold("ADD"),
    "Multiply": _fold("MUL"),
    "Average": _average,
    "Subtract": _fold("SUB"),
    "Maximum": _fold("MAXIMUM"),
    "Minimum": _fold("MINIMUM"),
    "MergeTime": _same,  # of one row and one timestep
    "SplitTime": _same,
    "ApplyMask": _same,  # masked timesteps are never run
}

_ALL_STEPS = "needs several timesteps at once"
_SKIPS = "skips padding, which is fed here by whoever calls"
REFUSED = {
    **dict.fromkeys(WINDOWED, _ALL_STEPS),
    **dict.fromkeys(("GlobalAveragePooling1D", "ReduceMax", "ReduceMean"), _ALL_STEPS),
    **dict.fromkeys(("RepeatVector", "Reshape", "Transpose"), _ALL_STEPS),
    **dict.fromkeys(("TrimPadding", "PadState"), _SKIPS),
    "Select": "chooses between timesteps by a mask",
}
"""Why there is no step of an operation, by its name; `walk` has the others."""
