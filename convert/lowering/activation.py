"""The layers that are activations: Activation, ReLU, LeakyReLU, ELU, Softmax, PReLU.

Not the reading of names, which is `gatelet.convert.lowering.activation_names`.
"""

from gatelet.convert.lowering.activation_names import (
    activation_layer,
    add_activation,
    read_activation,
)
from gatelet.convert.lowering.builder import GraphBuilder, TimeMustBeKnown, Value, keep_mask
from gatelet.convert.lowering.settings import expect_shape, read_setting, refuse, weight_roles
from gatelet.convert.reading.source import SourceLayer


def lower_activation(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower `keras.layers.Activation`."""
    activation = read_activation(layer, "activation", builder=builder)
    return [add_activation(activation, inputs[0], source=layer, builder=builder)]


def lower_activation_layer(
    layer: SourceLayer, inputs: list[Value], builder: GraphBuilder
) -> list[Value]:
    """Lower ReLU, LeakyReLU, ELU and ThresholdedReLU, a layer of Keras 2."""
    return [add_activation(activation_layer(layer), inputs[0], source=layer, builder=builder)]


def lower_softmax(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower `keras.layers.Softmax`.

    Raises:
        UnsupportedLayer: Its input is masked: Keras then wants a mask of the input's own shape.
    """
    if inputs[0].mask is not None:
        raise refuse(layer, "a masked input", "use Activation('softmax'), as Keras fails here")
    return lower_activation_layer(layer, inputs, builder)


def lower_prelu(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower `keras.layers.PReLU`.

    Args:
        layer: Its configuration and its weight, alpha: the shape of x without B, 1 along
            shared_axes.
        inputs: x [B, ...].
        builder: Where the node goes.
    """
    x = inputs[0]
    shared = read_setting(layer, "shared_axes", default=[])
    sizes = [1 if axis in shared else size for axis, size in enumerate(x.shape)][1:]
    weights = weight_roles(layer, "alpha")
    known = tuple(size for size in sizes if size is not None)
    if len(known) != len(sizes):
        raise TimeMustBeKnown(layer)
    expect_shape(layer, "alpha", weights["alpha"], known)
    made = builder.add("PReLU", [x], shape=x.shape, source=layer, weights=weights)
    return [keep_mask(made, x)]
