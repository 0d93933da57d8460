"""Conv1D and Conv2D, plain, depthwise and separable.

Not poolings, and not ConvLSTM2D.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.lowering.activation_names import add_activation, read_activation
from gatelet.convert.lowering.builder import GraphBuilder, TimeMustBeKnown, Value
from gatelet.convert.lowering.channels import channels_first, channels_last
from gatelet.convert.lowering.settings import (
    expect_shape,
    features_of,
    read_bool,
    read_choice,
    read_data_format,
    read_int,
    read_sizes,
    refuse,
    weight_roles,
)
from gatelet.convert.reading.source import SourceLayer

_RANKS = {"1D": 1, "2D": 2}


def lower_conv(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower `keras.layers.Conv1D` and `Conv2D`.

    Args:
        layer: Its configuration and weights: kernel [k..., C/groups, F] and bias [F].
        inputs: x [B, T, C] or [B, H, W, C]; channels first with that data_format.
        builder: Where the nodes go.

    Returns:
        One value [B, T', F] or [B, H', W', F], without a mask.
    """
    conv = _read_conv(layer)
    x = _to_last(conv, inputs[0], builder)
    groups, filters = read_int(layer, "groups", default=1), read_int(layer, "filters")
    channels = features_of(layer, x)
    if channels % groups or filters % groups:
        raise refuse(layer, f"groups={groups}", f"it must divide {channels} and {filters}")
    weights = weight_roles(layer, *(("kernel", "bias") if conv.use_bias else ("kernel",)))
    expected = (*conv.kernel_size, channels // groups, filters)
    expect_shape(layer, "kernel", weights["kernel"], expected)
    if conv.use_bias:
        expect_shape(layer, "bias", weights["bias"], (filters,))
    y = _add_conv(conv, x, weights, groups=groups, builder=builder)
    return [_finish(conv, y, builder)]


def lower_depthwise_conv(
    layer: SourceLayer, inputs: list[Value], builder: GraphBuilder
) -> list[Value]:
    """Lower `keras.layers.DepthwiseConv1D` and `DepthwiseConv2D`.

    Args:
        layer: Its configuration and weights: depthwise_kernel [k..., C, M] and bias [C * M].
        inputs: x, as of `lower_conv`.
        builder: Where the nodes go.
    """
    conv = _read_conv(layer)
    x = _to_last(conv, inputs[0], builder)
    roles = ("depthwise_kernel", "bias") if conv.use_bias else ("depthwise_kernel",)
    given = weight_roles(layer, *roles)
    weights = {"kernel": _depthwise(conv, given["depthwise_kernel"], x, builder)}
    if conv.use_bias:
        expect_shape(layer, "bias", given["bias"], weights["kernel"].shape[-1:])
        weights["bias"] = given["bias"]
    y = _add_conv(conv, x, weights, groups=features_of(layer, x), builder=builder)
    return [_finish(conv, y, builder)]


def lower_separable_conv(
    layer: SourceLayer, inputs: list[Value], builder: GraphBuilder
) -> list[Value]:
    """Lower `keras.layers.SeparableConv1D` and `SeparableConv2D`.

    Args:
        layer: Its configuration and weights: depthwise_kernel [k..., C, M], pointwise_kernel
            [1..., C * M, F] and bias [F].
        inputs: x, as of `lower_conv`.
        builder: Where the nodes go.
    """
    conv, filters = _read_conv(layer), read_int(layer, "filters")
    x = _to_last(conv, inputs[0], builder)
    roles = ("depthwise_kernel", "pointwise_kernel", "bias")
    given = weight_roles(layer, *(roles if conv.use_bias else roles[:2]))
    depthwise = _depthwise(conv, given["depthwise_kernel"], x, builder)
    pointwise = given["pointwise_kernel"]
    expected = (*[1] * conv.rank, depthwise.shape[-1], filters)
    expect_shape(layer, "pointwise_kernel", pointwise, expected)
    weights = {"kernel": builder.derive(layer, "pointwise", lambda: pointwise.reshape(-1, filters))}
    if conv.use_bias:
        expect_shape(layer, "bias", given["bias"], (filters,))
        weights["bias"] = given["bias"]
    channels = features_of(layer, x)
    y = _add_conv(conv, x, {"kernel": depthwise}, groups=channels, builder=builder)
    # a convolution of size 1 is a product along the last axis
    y = builder.add("Dense", [y], shape=(*y.shape[:-1], filters), source=layer, weights=weights)
    return [_finish(conv, y, builder)]


def output_size(
    size: int | None, kernel: int, *, stride: int, dilation_rate: int, padding: str
) -> int | None:
    """Return how many windows fit along an axis; None for an open one."""
    if size is None:
        return None
    if padding == "valid":
        return max((size - (kernel - 1) * dilation_rate - 1) // stride + 1, 0)
    return -(-size // stride)


@dataclass(frozen=True)
class _Conv:
    layer: SourceLayer
    rank: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation_rate: tuple[int, ...]
    padding: str
    is_channels_first: bool
    use_bias: bool


def _read_conv(layer: SourceLayer) -> _Conv:
    rank = _RANKS[layer.class_name[-2:]]
    paddings = ("valid", "same", "causal") if rank == 1 else ("valid", "same")
    return _Conv(
        layer=layer,
        rank=rank,
        kernel_size=read_sizes(layer, "kernel_size", rank=rank),
        strides=read_sizes(layer, "strides", rank=rank, default=1),
        dilation_rate=read_sizes(layer, "dilation_rate", rank=rank, default=1),
        padding=read_choice(layer, "padding", choices=paddings, default="valid"),
        is_channels_first=read_data_format(layer) == "channels_first",
        use_bias=read_bool(layer, "use_bias", default=True),
    )


def _to_last(conv: _Conv, x: Value, builder: GraphBuilder) -> Value:
    if len(x.shape) != conv.rank + 2:
        raise refuse(
            conv.layer,
            f"an input with {len(x.shape)} axes",
            f"supported: {conv.rank + 2}; put the layer into TimeDistributed for more",
        )
    if conv.rank == 2 and None in x.shape[1:]:
        raise TimeMustBeKnown(conv.layer)
    if not conv.is_channels_first:
        return x
    return channels_last(x, source=conv.layer, builder=builder)


def _depthwise(
    conv: _Conv, kernel: NDArray[Any], x: Value, builder: GraphBuilder
) -> NDArray[np.generic]:
    """Return a depthwise kernel as that of a convolution with a group for each channel."""
    multiplier = read_int(conv.layer, "depth_multiplier", default=1)
    channels = features_of(conv.layer, x)
    expected = (*conv.kernel_size, channels, multiplier)
    expect_shape(conv.layer, "depthwise_kernel", kernel, expected)
    return builder.derive(conv.layer, "depthwise", lambda: kernel.reshape(*conv.kernel_size, 1, -1))


def _add_conv(
    conv: _Conv,
    x: Value,
    weights: Mapping[str, NDArray[Any]],
    *,
    groups: int,
    builder: GraphBuilder,
) -> Value:
    spatial = tuple(
        output_size(size, k, stride=s, dilation_rate=d, padding=conv.padding)
        for size, k, s, d in zip(
            x.shape[1:-1], conv.kernel_size, conv.strides, conv.dilation_rate, strict=True
        )
    )
    is_1d = conv.rank == 1
    return builder.add(
        f"Conv{conv.rank}D",
        [x],
        shape=(x.shape[0], *spatial, weights["kernel"].shape[-1]),
        source=conv.layer,
        weights=weights,
        attributes={
            "strides": conv.strides[0] if is_1d else list(conv.strides),
            "padding": conv.padding,
            "dilation_rate": conv.dilation_rate[0] if is_1d else list(conv.dilation_rate),
            "groups": groups,
        },
    )


def _finish(conv: _Conv, y: Value, builder: GraphBuilder) -> Value:
    if conv.is_channels_first:
        y = channels_first(y, source=conv.layer, builder=builder)
    activation = read_activation(conv.layer, "activation", builder=builder)
    return add_activation(activation, y, source=conv.layer, builder=builder)
