"""Channels first: transposed to channels last, in which the Graph computes, and back.

Not any layer.
"""

from gatelet.convert.lowering.builder import GraphBuilder, Value, keep_mask
from gatelet.convert.reading.source import SourceLayer


def channels_last(value: Value, *, source: SourceLayer, builder: GraphBuilder) -> Value:
    """Move the channels to the end: [..., C, N] or, for images, [..., C, H, W].

    A value with 4 or 5 axes holds images.
    """
    rank = len(value.shape)
    spatial = 1 if rank == 3 else 2
    before = list(range(rank - spatial - 1))
    perm = [*before, *range(rank - spatial, rank), rank - spatial - 1]
    return transposed(value, perm, source=source, builder=builder)


def channels_first(value: Value, *, source: SourceLayer, builder: GraphBuilder) -> Value:
    """Move the channels to the front again; see `channels_last`."""
    rank = len(value.shape)
    spatial = 1 if rank == 3 else 2
    before = list(range(rank - spatial - 1))
    perm = [*before, rank - 1, *range(rank - spatial - 1, rank - 1)]
    return transposed(value, perm, source=source, builder=builder)


def transposed(
    value: Value, perm: list[int], *, source: SourceLayer, builder: GraphBuilder
) -> Value:
    """Append a transposition; the value keeps its mask."""
    made = builder.add(
        "Transpose",
        [value],
        shape=tuple(value.shape[axis] for axis in perm),
        source=source,
        attributes={"perm": perm},
    )
    return keep_mask(made, value)
