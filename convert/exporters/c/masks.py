"""Masks, and padding, as C calls.

Not what a recurrence does at a masked timestep: that is in kernels/recurrence.c.
"""

from dataclasses import replace

from gatelet.convert.exporters.c import layers
from gatelet.convert.exporters.c.entry import Entry
from gatelet.convert.exporters.c.sizes import Size, elements, known
from gatelet.convert.exporters.c.source import number
from gatelet.convert.exporters.c.writer import Call, Value, Writer


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
    """Write a `TrimPadding` node: with a limit each row begins behind its own pads."""
    writer.kernels.add("masks")
    if call.node.attributes["limit"] is not None:
        return _write_entering(writer, call)
    ids, attributes = call.x, call.node.attributes
    rows, timesteps = ids.dims
    start = writer.name("start")
    writer.line(f"int32_t {start} = 0;")
    kept = writer.size(
        f"gatelet_find_padding({ids.name}, {rows.text}, {timesteps.text}, "
        f"{int(attributes['trailing'])}, &{start})",
        timesteps.most,
    )
    return [_kept_columns(writer, ids, start, kept), Value(start, "ids", ())]


def _kept_columns(writer: Writer, ids: Value, start: str, kept: Size) -> Value:
    rows, timesteps = ids.dims
    memory, slot = writer.of_several((rows, kept), "ids")
    name = writer.name("value")
    given = (ids.name, rows.text, timesteps.text, start, kept.text, memory)
    writer.line(f"const int32_t *const {name} = gatelet_keep_columns({', '.join(given)});")
    return Value(name, "ids", (rows, kept), slot)


def _write_entering(writer: Writer, call: Call) -> list[Value]:
    ids, *before = call.inputs
    rows, timesteps = ids.dims
    # recurrences read them after the last node that takes them: this memory stays
    places = writer.memory(f"2 * (size_t)({rows.most})").name
    pads, enter, start = (writer.name(stem) for stem in ("pads", "enter", "start"))
    writer.line(f"int32_t *const {pads} = (int32_t *)(void *){places};")
    writer.line(f"int32_t *const {enter} = {pads} + {rows.text};")
    seen = [layers.as_floats(writer, one) for one in before]
    after = [writer.make(one.dims) for one in seen]
    carried = (seen[0].name, after[0].name) if before else ("NULL", "NULL")
    limit = str(call.node.attributes["limit"])
    given = (ids.name, rows.text, timesteps.text, limit, carried[0], pads, enter, carried[1])
    writer.line(f"const int32_t {start} = gatelet_enter_rows({', '.join(given)});")
    kept = writer.size(f"{timesteps.text} - {start}", timesteps.most)
    y = _kept_columns(writer, ids, start, kept)
    after = [
        layers.as_ids(writer, one) if own.kind == "ids" else one
        for one, own in zip(after, before, strict=True)
    ]
    counted = Value(pads, "ids", (rows,), entry=Entry(pads, enter))
    return [y, counted, *after]


def write_pad_state(writer: Writer, call: Call) -> list[Value]:
    """Write a `PadState` node; rows that are past their padding have states of their own."""
    writer.kernels.add("masks")
    pads, ids, *given = call.inputs
    assert pads.entry is not None, "a limit comes with stored states"
    rows: Size = ids.dims[0]
    table = call.weights["table"]
    units = table.shape[1]
    entry = replace(pads.entry, given=given[0].name if given else "")
    sizes = (rows.text, str(units))
    if not given and not writer.fewest_bytes:
        memory, slot = writer.of_several((rows, known(units)))
        name, stored = writer.name("value"), writer.weights(table)
        after = f"gatelet_states_after({', '.join((stored, pads.name, *sizes, memory))})"
        writer.line(f"const float *const {name} = {after};")
        return [Value(name, "float", (rows, known(units)), slot, entry=entry)]
    y = writer.make((rows, known(units)), entry=entry)
    if writer.fewest_bytes:
        lines = writer.lines_of(table)
        writer.call("gatelet_pad_states_on_lines", f"&{lines}", pads.name, rows.text, y.name)
    else:
        writer.call("gatelet_pad_states", writer.weights(table), pads.name, *sizes, y.name)
    return [y]
