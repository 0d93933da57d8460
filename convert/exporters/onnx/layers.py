"""Products, normalisations, reductions, and the operations that combine or rearrange values.

Not recurrences, convolutions, activations and masks, which have files of their own.
"""

from collections.abc import Callable
from functools import reduce

import numpy as np

from gatelet.convert.exporters.onnx.writer import INT8_LIMIT, Array, Call, Writer
from gatelet.convert.exporters.quantize import quantize_int4, quantize_int8, to_integers
from gatelet.convert.layouts import INT4_MIDDLE, pack_int4
from gatelet.runtime.bundle.storage import SMALL_ELEMENTS
from gatelet.runtime.graph.graph import Shape

_SMALLEST_INT64 = -(2**63)


def write_embedding(writer: Writer, call: Call) -> list[str]:
    """Write an `Embedding` node."""
    table, ids = call.weights["embeddings"], call.x
    ids = writer.cast(ids, "INT32")
    if writer.scheme.embedding_type == "int4":
        return [_write_embedding_int4(writer, table, ids)]
    if not writer.quantized or table.size < SMALL_ELEMENTS:
        return [writer.rows(table, "embeddings", ids)]
    # a scale for each row: one scale for the whole table makes most of the int8 error
    multiples, unit = to_integers(np.abs(table).max(axis=1, keepdims=True) / 127, np.int16)
    multiples = np.maximum(multiples, 1)
    values = np.clip(np.rint(table / (multiples * unit)), -127, 127).astype(np.int8)
    rows = writer.add("Gather", writer.constant(values, "embeddings_int8"), ids)
    scales = writer.integer_rows(multiples, unit, "embeddings_scales", ids)
    return [writer.add("Mul", writer.cast(rows, "FLOAT"), scales)]


def _write_embedding_int4(writer: Writer, table: Array, ids: str) -> str:
    """Gather two levels in a byte, and take them apart in float, which every engine can.

    INT4 tensors need IR 10, and their Gather an onnxruntime of 2025.
    """
    levels, multiples, unit = quantize_int4(table)
    both = writer.add("Gather", writer.constant(pack_int4(levels), "embeddings_int4"), ids)
    both = writer.cast(both, "FLOAT")
    high = writer.add("Floor", writer.add("Mul", both, writer.scalar(1 / 16)))
    low = writer.add("Sub", both, writer.add("Mul", high, writer.scalar(16)))
    rows = writer.add("Concat", low, high, axis=-1)
    if table.shape[1] % 2:
        end = writer.ints(table.shape[1])
        rows = writer.add("Slice", rows, writer.ints(0), end, writer.ints(-1))
    rows = writer.add("Sub", rows, writer.scalar(INT4_MIDDLE))
    scales = writer.integer_rows(multiples, unit, "embeddings_scales", ids)
    return writer.add("Mul", rows, scales)


def write_dense(writer: Writer, call: Call) -> list[str]:
    """Write a `Dense` node."""
    kernel = call.weights["kernel"]
    bias = [writer.constant(call.weights["bias"], "bias")] if "bias" in call.weights else []
    if writer.quantized and kernel.size >= SMALL_ELEMENTS and not call.takes_raw_features:
        writer.spans_batch = True
        values, scales = quantize_int8(kernel, axis=1, limit=INT8_LIMIT)
        k, k_scales = (
            writer.constant(values, "kernel_int8"),
            writer.constant(scales[0], "kernel_scales"),
        )
        inputs = [call.x, k, k_scales, *(["", *bias] if bias else [])]
        return [writer.add("DynamicQuantizeMatMul", *inputs, domain="com.microsoft")]
    k = writer.weight(kernel, "kernel", axis=1)
    if bias and call.rank == 2:
        return [writer.add("Gemm", call.x, k, *bias)]
    y = writer.add("MatMul", call.x, k)
    return [writer.add("Add", y, *bias) if bias else y]


def write_prelu(writer: Writer, call: Call) -> list[str]:
    """Write a `PReLU` node; the operator PRelu gives NaN for infinity in older onnxruntimes."""
    alpha = writer.constant(call.weights["alpha"], "alpha")
    is_above = writer.add("Greater", call.x, writer.scalar(0))
    return [writer.add("Where", is_above, call.x, writer.add("Mul", alpha, call.x))]


def write_affine(writer: Writer, call: Call) -> list[str]:
    """Write an `Affine` node."""
    scale, shift = (writer.constant(call.weights[role], role) for role in ("scale", "shift"))
    return [writer.add("Add", writer.add("Mul", call.x, scale), shift)]


def write_layer_normalization(writer: Writer, call: Call) -> list[str]:
    """Write a `LayerNormalization` node.

    onnxruntime's operator takes the variance as a difference of squares, which is wrong where the
    mean is far from zero. Mul, not Pow: onnxruntime would fuse the latter into that operator.
    """
    axes = list(call.node.attributes["axes"])
    centred = writer.add("Sub", call.x, writer.add("ReduceMean", call.x, axes=axes))
    variance = writer.add("ReduceMean", writer.add("Mul", centred, centred), axes=axes)
    epsilon = writer.scalar(call.node.attributes["epsilon"])
    deviation = writer.add("Sqrt", writer.add("Add", variance, epsilon))
    y = writer.add("Div", centred, deviation)
    for role, op in (("gamma", "Mul"), ("beta", "Add")):
        if role in call.weights:
            y = writer.add(op, y, writer.constant(call.weights[role], role))
    return [y]


def write_global_average_pooling_1d(writer: Writer, call: Call) -> list[str]:
    """Write a `GlobalAveragePooling1D` node; a row that is all masked gives 0/0."""
    keepdims = int(bool(call.node.attributes.get("keepdims")))
    if call.mask is None:
        return [writer.add("ReduceMean", call.x, axes=[1], keepdims=keepdims)]
    counts = writer.mask_over(call.mask, 3)
    real = writer.add("Where", counts, call.x, writer.scalar(0))
    total, number = (
        writer.add("ReduceSum", values, writer.ints(1), keepdims=keepdims)
        for values in (real, writer.cast(counts, "FLOAT"))
    )
    return [writer.add("Div", total, number)]


def write_reduction(writer: Writer, call: Call) -> list[str]:
    """Write a `ReduceMax` or `ReduceMean` node."""
    attributes = call.node.attributes
    keepdims = int(bool(attributes.get("keepdims")))
    return [writer.add(call.node.op, call.x, axes=list(attributes["axes"]), keepdims=keepdims)]


def write_fold(op: str) -> Callable[[Writer, Call], list[str]]:
    """Return what writes a node that joins n values by an operator of two, from the left."""

    def write(writer: Writer, call: Call) -> list[str]:
        return [reduce(lambda x, y: writer.add(op, x, y), call.inputs)]

    return write


def write_average(writer: Writer, call: Call) -> list[str]:
    """Write an `Average` node."""
    (total,) = write_fold("Add")(writer, call)
    return [writer.add("Div", total, writer.scalar(len(call.inputs)))]


def write_concatenate(writer: Writer, call: Call) -> list[str]:
    """Write a `Concatenate` node."""
    return [writer.add("Concat", *call.inputs, axis=call.node.attributes["axis"])]


def write_repeat_vector(writer: Writer, call: Call) -> list[str]:
    """Write a `RepeatVector` node."""
    row = writer.add("Unsqueeze", call.x, writer.ints(1))
    return [writer.add("Expand", row, writer.ints(1, call.node.attributes["n"], 1))]


def write_reshape(writer: Writer, call: Call) -> list[str]:
    """Write a `Reshape` node; a size of 0 means to ONNX that the size stays."""
    return [writer.add("Reshape", call.x, writer.ints(0, *call.node.attributes["target_shape"]))]


def write_transpose(writer: Writer, call: Call) -> list[str]:
    """Write a `Transpose` node."""
    return [writer.add("Transpose", call.x, perm=list(call.node.attributes["perm"]))]


def write_reverse(writer: Writer, call: Call) -> list[str]:
    """Write a `Reverse` node."""
    start, end = writer.ints(-1), writer.ints(_SMALLEST_INT64)
    return [writer.add("Slice", call.x, start, end, writer.ints(1), writer.ints(-1))]


def write_merge_time(writer: Writer, call: Call) -> list[str]:
    """Write a `MergeTime` node."""
    rest = _sizes(writer, call.x, call.shapes[0], start=2)
    shape = writer.add("Concat", writer.ints(-1), rest, axis=0) if rest else writer.ints(-1)
    return [writer.add("Reshape", call.x, shape)]


def write_split_time(writer: Writer, call: Call) -> list[str]:
    """Write a `SplitTime` node."""
    x, like = call.inputs
    batch = writer.sizes(like, 0, 2)
    rest = _sizes(writer, x, call.shapes[0], start=1)
    shape = writer.add("Concat", batch, rest, axis=0) if rest else batch
    return [writer.add("Reshape", x, shape)]


def _sizes(writer: Writer, x: str, shape: Shape, *, start: int) -> str:
    """Return the sizes of x from an axis on, as a constant where they are known; '' for none."""
    rest = shape[start:]
    if not rest:
        return ""
    known = [size for size in rest if size is not None]
    if len(known) == len(rest):
        return writer.constant(np.array(known, np.int64), "sizes")
    return writer.sizes(x, start)
