"""Masks, and padding that all rows share, as C calls.

Not what a recurrence does at a masked timestep: that is in kernels/recurrence.c.
"""

from gatelet.convert.exporters.c.sizes import Size, elements, known
from gatelet.convert.exporters.c.writer import Call, Value, Writer, number


def write_mask_ids(writer: Writer, call: Call) -> list[Value]:
    """Write a `MaskIds` node."""
    writer.kernels.add("masks")
    x = call.x
    mask = writer.make(x.dims, "mask")
    if x.kind == "ids":
        writer.call("gatelet_mask_ids", x.name, elements(x.dims), mask.name)
    else:
        writer.call("gatelet_mask_features", x.name, "0.0f", elements(x.dims), "1", mask.name)
    return [mask]


def write_mask_features(writer: Writer, call: Call) -> list[Value]:
    """Write a `MaskFeatures` node."""
    writer.kernels.add("masks")
    x = call.x
    mask = writer.make(x.dims[:2], "mask")
    value = number(call.node.attributes["mask_value"])
    n, features = elements(x.dims[:2]), elements(x.dims[2:])
    writer.call("gatelet_mask_features", x.name, value, n, features, mask.name)
    return [mask]


def write_mask_all(writer: Writer, call: Call) -> list[Value]:
    """Write a `MaskAll` node."""
    mask = writer.make(call.x.dims[:2], "mask")
    writer.line(f"memset({mask.name}, 1, {elements(mask.dims)});")
    return [mask]


def write_apply_mask(writer: Writer, call: Call) -> list[Value]:
    """Write an `ApplyMask` node."""
    return _write_select(writer, call, "NULL")


def write_select(writer: Writer, call: Call) -> list[Value]:
    """Write a `Select` node."""
    return _write_select(writer, call, call.inputs[1].name)


def _write_select(writer: Writer, call: Call, other: str) -> list[Value]:
    assert call.mask is not None, "lowering gives these nodes a mask"
    writer.kernels.add("masks")
    x, rank = call.x, len(call.mask.dims)
    y = writer.make(x.dims)
    n, features = elements(x.dims[:rank]), elements(x.dims[rank:])
    writer.call("gatelet_select", x.name, other, call.mask.name, n, features, y.name)
    return [y]


def write_trim_padding(writer: Writer, call: Call) -> list[Value]:
    """Write a `TrimPadding` node."""
    writer.kernels.add("masks")
    ids, attributes = call.x, call.node.attributes
    rows, timesteps = ids.dims
    limit = -1 if attributes["limit"] is None else attributes["limit"]
    start = writer.name("start")
    writer.line(f"int32_t {start} = 0;")
    kept = writer.size(
        f"gatelet_find_padding({ids.name}, {rows.text}, {timesteps.text}, {limit}, "
        f"{int(attributes['trailing'])}, &{start})",
        timesteps.most,
    )
    y = writer.make((rows, kept), "ids")
    writer.call(
        "gatelet_keep_columns", ids.name, rows.text, timesteps.text, start, kept.text, y.name
    )
    return [y, Value(start, "ids", ())]


def write_pad_state(writer: Writer, call: Call) -> list[Value]:
    """Write a `PadState` node."""
    start, ids = call.inputs
    rows: Size = ids.dims[0]
    table = call.weights["table"]
    units = table.shape[1]
    y = writer.make((rows, known(units)))
    if writer.fewest_bytes:
        writer.kernels.add("masks")
        lines = writer.lines_of(table)
        writer.call("gatelet_pad_state", f"&{lines}", start.name, rows.text, y.name)
        return [y]
    writer.kernels.add("layers")
    row = f"{writer.weights(table)} + (size_t){start.name} * {units}"
    writer.call("gatelet_repeat", row, "1", rows.text, f"(size_t){4 * units}", y.name)
    return [y]
