"""ConvLSTM2D.

Not the equation, which stands in the reference backend.
"""

from collections.abc import Sequence

from gatelet.convert.lowering.builder import GraphBuilder, TimeMustBeKnown, Value
from gatelet.convert.lowering.channels import channels_first, channels_last
from gatelet.convert.lowering.convolution import output_size
from gatelet.convert.lowering.recurrence import (
    Cell,
    Recurred,
    activation_attributes,
    add_recurrence,
    read_steps,
)
from gatelet.convert.lowering.settings import (
    expect_shape,
    features_of,
    read_bool,
    read_choice,
    read_data_format,
    read_int,
    read_sizes,
    weight_roles,
)
from gatelet.convert.reading.source import SourceLayer
from gatelet.runtime.graph.graph import Shape


def recur_conv_lstm(layer: SourceLayer, inputs: Sequence[Value], builder: GraphBuilder) -> Recurred:
    """Lower `keras.layers.ConvLSTM2D`.

    Args:
        layer: Its configuration and weights: kernel [kh, kw, C, 4U], recurrent_kernel
            [kh, kw, U, 4U] and bias [4U], gates i, f, g, o.
        inputs: x [B, T, H, W, C], then initial states (h, c [B, H', W', U]) if any; channels
            first with that data_format.
        builder: Where the nodes go.
    """
    steps = read_steps(layer, inputs, builder)
    first = read_data_format(layer) == "channels_first"
    if first:
        inputs = [channels_last(one, source=layer, builder=builder) for one in inputs]
    recurred = add_recurrence(layer, _read_cell(layer, inputs[0], builder), steps, inputs, builder)
    if not first:
        return recurred
    return Recurred(
        channels_first(recurred.y, source=layer, builder=builder),
        tuple(channels_first(one, source=layer, builder=builder) for one in recurred.states),
        steps,
    )


def _read_cell(layer: SourceLayer, x: Value, builder: GraphBuilder) -> Cell:
    units, channels = read_int(layer, "filters"), features_of(layer, x)
    use_bias = read_bool(layer, "use_bias", default=True)
    kernel_size = read_sizes(layer, "kernel_size", rank=2)
    roles = ("kernel", "recurrent_kernel", "bias") if use_bias else ("kernel", "recurrent_kernel")
    weights = weight_roles(layer, *roles)
    expect_shape(layer, "kernel", weights["kernel"], (*kernel_size, channels, 4 * units))
    recurrent = weights["recurrent_kernel"]
    expect_shape(layer, "recurrent_kernel", recurrent, (*kernel_size, units, 4 * units))
    if use_bias:
        expect_shape(layer, "bias", weights["bias"], (4 * units,))
    strides = read_sizes(layer, "strides", rank=2, default=1)
    dilation_rate = read_sizes(layer, "dilation_rate", rank=2, default=1)
    padding = read_choice(layer, "padding", choices=("valid", "same"), default="valid")
    spatial: Shape = tuple(
        output_size(size, k, stride=s, dilation_rate=d, padding=padding)
        for size, k, s, d in zip(x.shape[2:4], kernel_size, strides, dilation_rate, strict=True)
    )
    if None in spatial:
        raise TimeMustBeKnown(layer)
    gate = "hard_sigmoid" if builder.keras_major < 3 else "sigmoid"
    attributes = activation_attributes(layer, builder, activation="tanh", recurrent_activation=gate)
    return Cell(
        op="ConvLSTM2D",
        state=(*spatial, units),
        weights=weights,
        attributes={
            **attributes,
            "strides": list(strides),
            "padding": padding,
            "dilation_rate": list(dilation_rate),
        },
    )
