"""Poolings: over windows, and over all timesteps or a whole image.

Not convolutions.
"""

from gatelet.convert.lowering.builder import GraphBuilder, TimeMustBeKnown, Value, keep_mask
from gatelet.convert.lowering.channels import channels_first, channels_last
from gatelet.convert.lowering.convolution import output_size
from gatelet.convert.lowering.settings import (
    read_bool,
    read_choice,
    read_data_format,
    read_setting,
    read_sizes,
    refuse,
)
from gatelet.convert.reading.source import SourceLayer

_RANKS = {"1D": 1, "2D": 2}


def lower_pooling(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower MaxPooling1D, AveragePooling1D, MaxPooling2D and AveragePooling2D.

    Args:
        layer: Its configuration.
        inputs: x [B, T, C] or [B, H, W, C]; channels first with that data_format.
        builder: Where the nodes go.

    Returns:
        One value [B, T', C] or [B, H', W', C], without a mask.
    """
    x, rank = inputs[0], _rank_of(layer, inputs[0])
    if rank == 2 and None in x.shape[1:]:
        raise TimeMustBeKnown(layer)
    first = read_data_format(layer) == "channels_first"
    if first:
        x = channels_last(x, source=layer, builder=builder)
    pool_size = read_sizes(layer, "pool_size", rank=rank, default=2)
    strides = (
        pool_size
        if read_setting(layer, "strides") is None
        else read_sizes(layer, "strides", rank=rank)
    )
    padding = read_choice(layer, "padding", choices=("valid", "same"), default="valid")
    spatial = tuple(
        output_size(size, k, stride=s, dilation_rate=1, padding=padding)
        for size, k, s in zip(x.shape[1:-1], pool_size, strides, strict=True)
    )
    y = builder.add(
        layer.class_name,
        [x],
        shape=(x.shape[0], *spatial, x.shape[-1]),
        source=layer,
        attributes={
            "pool_size": pool_size[0] if rank == 1 else list(pool_size),
            "strides": strides[0] if rank == 1 else list(strides),
            "padding": padding,
        },
    )
    return [channels_first(y, source=layer, builder=builder) if first else y]


def lower_global_pooling(
    layer: SourceLayer, inputs: list[Value], builder: GraphBuilder
) -> list[Value]:
    """Lower GlobalMaxPooling1D, GlobalAveragePooling1D and those of 2D.

    As in Keras, only GlobalAveragePooling1D honours a mask, and gives NaN for a row that is all
    masked; GlobalMaxPooling1D sees the masked timesteps too.

    Args:
        layer: Its configuration.
        inputs: x [B, T, C] or [B, H, W, C]; channels first with that data_format.
        builder: Where the nodes go.

    Returns:
        One value [B, C], or with keepdims one with 1 for each axis that is gone.
    """
    x, rank = inputs[0], _rank_of(layer, inputs[0])
    keepdims = read_bool(layer, "keepdims", default=False)
    is_first = read_data_format(layer) == "channels_first"
    is_average = "Average" in layer.class_name
    if is_first and rank == 1 and is_average:
        x = keep_mask(channels_last(x, source=layer, builder=builder), x)
    if rank == 1 and is_average:
        y = builder.add(
            "GlobalAveragePooling1D",
            [x],
            shape=(x.shape[0], 1, x.shape[2]) if keepdims else (x.shape[0], x.shape[2]),
            source=layer,
            attributes={"keepdims": keepdims},
        )
        turn = is_first and keepdims
        return [channels_first(y, source=layer, builder=builder) if turn else y]
    axes = [axis + 1 if is_first else axis for axis in range(1, rank + 1)]
    kept = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    left = [size for axis, size in enumerate(x.shape) if axis not in axes]
    return [
        builder.add(
            "ReduceMean" if is_average else "ReduceMax",
            [x],
            shape=tuple(kept if keepdims else left),
            source=layer,
            attributes={"axes": axes, "keepdims": keepdims},
        )
    ]


def _rank_of(layer: SourceLayer, x: Value) -> int:
    """Return over how many axes a layer pools."""
    rank = _RANKS[layer.class_name[-2:]]
    if len(x.shape) != rank + 2:
        raise refuse(
            layer,
            f"an input with {len(x.shape)} axes",
            f"supported: {rank + 2}; put the layer into TimeDistributed for more",
        )
    return rank
