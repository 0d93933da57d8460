"""Masks, and padding that is trimmed.

Not what a recurrence does at a masked timestep: see `compaction`.
"""

import numpy as np

from gatelet.convert.exporters.onnx.writer import Call, Writer

_LARGEST_FLOAT16 = 65504.0


def write_mask_ids(writer: Writer, call: Call) -> list[str]:
    """Write a `MaskIds` node."""
    return [writer.cast(call.x, "BOOL")]


def write_mask_features(writer: Writer, call: Call) -> list[str]:
    """Write a `MaskFeatures` node."""
    is_value = writer.add("Equal", call.x, writer.scalar(call.node.attributes["mask_value"]))
    others = writer.cast(writer.add("Not", is_value), "INT32")
    return [writer.cast(writer.add("ReduceMax", others, axes=[-1], keepdims=0), "BOOL")]


def write_mask_all(writer: Writer, call: Call) -> list[str]:
    """Write a `MaskAll` node."""
    true = writer.onnx.helper.make_tensor("true", writer.onnx.TensorProto.BOOL, [1], [True])
    return [writer.add("ConstantOfShape", writer.sizes(call.x, 0, 2), value=true)]


def write_apply_mask(writer: Writer, call: Call) -> list[str]:
    """Write an `ApplyMask` node."""
    return [writer.add("Where", _over(writer, call), call.x, writer.scalar(0))]


def write_select(writer: Writer, call: Call) -> list[str]:
    """Write a `Select` node."""
    return [writer.add("Where", _over(writer, call), *call.inputs)]


def write_trim_padding(writer: Writer, call: Call) -> list[str]:
    """Write a `TrimPadding` node: ids', and how many columns at the start are gone."""
    attributes = call.node.attributes
    real = writer.cast(writer.cast(call.x, "BOOL"), "INT32")
    columns = writer.cast(writer.add("ReduceMax", real, axes=[0], keepdims=0), "BOOL")
    size, one = writer.sizes(call.x, 1), writer.int_scalar(1)
    time = writer.add("Range", writer.int_scalar(0), writer.add("Squeeze", size), one)
    # not ArgMax, which onnxruntime 1.18 gets wrong
    first = writer.add("Where", columns, time, writer.add("Sub", size, one))
    start = writer.add("ReduceMin", first, axes=[0], keepdims=1)
    if attributes["limit"] is not None:
        start = writer.add("Min", start, writer.ints(attributes["limit"]))
    end = size
    if attributes["trailing"]:
        last = writer.add("Where", columns, time, start)
        end = writer.add("Add", writer.add("ReduceMax", last, axes=[0], keepdims=1), one)
    ids = writer.add("Slice", call.x, start, end, writer.ints(1))
    return [ids, writer.cast(writer.add("Squeeze", start, writer.ints(0)), "INT32")]


def write_pad_state(writer: Writer, call: Call) -> list[str]:
    """Write a `PadState` node."""
    start, ids = call.inputs
    table = call.weights["table"]
    if writer.quantized and np.abs(table).max(initial=0) < _LARGEST_FLOAT16:
        # 8 bits would be all of a state's precision; half of the bytes go at no visible loss
        rows = writer.add("Gather", writer.constant(table.astype(np.float16), "table_half"), start)
        row = writer.cast(rows, "FLOAT")
    else:
        row = writer.rows(table, "table", start)
    shape = writer.add("Concat", writer.sizes(ids, 0, 1), writer.ints(table.shape[1]), axis=0)
    return [writer.add("Expand", row, shape)]


def _over(writer: Writer, call: Call) -> str:
    assert call.mask is not None, "lowering gives these nodes a mask"
    return writer.mask_over(call.mask, call.rank)
