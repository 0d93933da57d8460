"""Dense: a matrix product along the last axis, and its activation as a node of its own.

Not softmax and its like, which are `Activation` nodes.
"""

from gatelet.convert.lowering.activation_names import add_activation, read_activation
from gatelet.convert.lowering.builder import GraphBuilder, Value, keep_mask
from gatelet.convert.lowering.settings import (
    expect_shape,
    features_of,
    read_bool,
    read_int,
    weight_roles,
)
from gatelet.convert.reading.source import SourceLayer


def lower_dense(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower `keras.layers.Dense`.

    Args:
        layer: Its configuration and weights: kernel [F, U] and bias [U].
        inputs: x [..., F].
        builder: Where the nodes go.

    Returns:
        One value [..., U], masked as x is.
    """
    x = inputs[0]
    units, features = read_int(layer, "units"), features_of(layer, x)
    use_bias = read_bool(layer, "use_bias", default=True)
    weights = weight_roles(layer, *(("kernel", "bias") if use_bias else ("kernel",)))
    expect_shape(layer, "kernel", weights["kernel"], (features, units))
    if use_bias:
        expect_shape(layer, "bias", weights["bias"], (units,))
    shape = (*x.shape[:-1], units)
    value = builder.add("Dense", [x], shape=shape, source=layer, weights=weights)
    activation = read_activation(layer, "activation", builder=builder)
    return [add_activation(activation, keep_mask(value, x), source=layer, builder=builder)]
