"""Masked recurrences without a loop: real timesteps to the front, and outputs back to their places.

The operators LSTM, GRU and RNN know `sequence_lens`, but not masks with holes. A masked step leaves
the states alone, so a recurrence over the real timesteps alone, in their order, is the same.

Not the recurrences themselves.
"""

from dataclasses import dataclass

from gatelet.convert.exporters.onnx.writer import Call, Writer


@dataclass(frozen=True)
class Compaction:
    """Names of int64 values about a mask.

    Args:
        mask: The mask itself, bool [B, T].
        real: 1 for real timesteps, [B, T].
        before: How many real timesteps come before each, [B, T].
        counts: How many real timesteps each row has, [B, 1].
        lengths: The same, int32 [B].
        longest: The largest of them, or 1 if all are 0, [1].
        order: Where the real timesteps of each row are in a flat [B * T], [longest, B]; what a
            shorter row has at its end is arbitrary.
    """

    mask: str
    real: str
    before: str
    counts: str
    lengths: str
    longest: str
    order: str


def compact(writer: Writer, mask: str) -> Compaction:
    """Return the compaction of a mask; the nodes are written once for each mask."""
    key = ("compaction", mask)
    if key not in writer.known:
        writer.known[key] = _compact(writer, mask)
    found: Compaction = writer.known[key]
    return found


def _compact(writer: Writer, mask: str) -> Compaction:
    zero, one = writer.int_scalar(0), writer.int_scalar(1)
    real = writer.cast(mask, "INT64")
    before = writer.add("Sub", writer.add("CumSum", real, one), real)
    counts = writer.add("ReduceSum", real, writer.ints(1))
    # a permutation of each row: the real ones keep their order, then the masked ones keep theirs
    timesteps = writer.add("Squeeze", writer.sizes(mask, 1))
    time = writer.add("Range", zero, timesteps, one)
    after = writer.add("Sub", writer.add("Add", counts, time), before)
    place = writer.add("Where", mask, before, after)
    flat = writer.add("Range", zero, writer.add("Size", mask), one)
    flat = writer.add("Reshape", flat, writer.sizes(mask, 0))
    order = writer.add("ScatterElements", flat, place, flat, axis=1)
    largest = writer.add("ReduceMax", counts, axes=[0], keepdims=0)
    longest = writer.add("Max", largest, one)
    front = writer.add("Slice", order, writer.ints(0), longest, writer.ints(1))
    return Compaction(
        mask=mask,
        real=real,
        before=before,
        counts=counts,
        lengths=writer.cast(writer.add("Squeeze", counts, writer.ints(1)), "INT32"),
        longest=longest,
        order=writer.add("Transpose", front, perm=[1, 0]),
    )


def gather(writer: Writer, x: str, *, features: int, by: Compaction) -> str:
    """Append x [B, T, F] -> [longest, B, F], the real timesteps first."""
    flat = writer.add("Reshape", x, writer.ints(-1, features))
    return writer.add("Gather", flat, by.order)


def spread(writer: Writer, call: Call, y: str, *, by: Compaction, before_first: str) -> str:
    """Append y [longest, 1, B, U] -> [B, T, U].

    Masked timesteps get zero with `zero_output_for_mask`; else what the step before them got.

    Args:
        writer: Where to.
        call: The recurrence; with `go_backwards` the step before t is t + 1.
        y: The outputs at the real timesteps.
        by: What they were gathered by.
        before_first: What they get before the first step that counts, [B, U]; '' for zero.
    """
    one = writer.int_scalar(1)
    place, zero_masked = by.before, call.node.attributes.get("zero_output_for_mask")
    if zero_masked:
        is_given = by.mask
    elif call.node.attributes.get("go_backwards"):
        is_given = writer.add("Less", by.before, by.counts)
    else:
        seen = writer.add("Add", by.before, by.real)
        is_given = writer.cast(seen, "BOOL")
        place = writer.add("Max", writer.add("Sub", seen, one), writer.int_scalar(0))
    # where nothing is given, any place that exists will do
    place = writer.add("Min", place, writer.add("Sub", by.longest, one))
    rows = writer.sizes(by.mask, 0, 1)
    row = writer.add("Range", writer.int_scalar(0), writer.add("Squeeze", rows), one)
    row = writer.add("Unsqueeze", row, writer.ints(1))
    index = writer.add("Add", writer.add("Mul", place, rows), row)
    units = call.weights["recurrent_kernel"].shape[0]
    flat = writer.add("Reshape", y, writer.ints(-1, units))
    found = writer.add("Gather", flat, index)
    instead = writer.scalar(0)
    if before_first and not zero_masked:
        instead = writer.add("Unsqueeze", before_first, writer.ints(1))
    return writer.add("Where", writer.mask_over(is_given, 3), found, instead)
