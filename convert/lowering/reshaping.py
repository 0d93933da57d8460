"""Flatten, Reshape, Permute, RepeatVector and UpSampling1D, which as in Keras end a mask.

Not the transposition of channels, which is in `gatelet.convert.lowering.channels`.
"""

import math

from gatelet.convert.lowering.builder import GraphBuilder, TimeMustBeKnown, Value
from gatelet.convert.lowering.channels import transposed
from gatelet.convert.lowering.settings import (
    features_of,
    read_data_format,
    read_int,
    refuse,
)
from gatelet.convert.reading.source import SourceLayer
from gatelet.errors import ModelError
from gatelet.runtime.graph.graph import Shape


def lower_flatten(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower `keras.layers.Flatten`: [B, ...] to [B, N]."""
    x = inputs[0]
    if read_data_format(layer) == "channels_first" and len(x.shape) > 2:
        perm = [0, *range(2, len(x.shape)), 1]
        x = transposed(x, perm, source=layer, builder=builder)
    size = math.prod(_known(layer, x.shape[1:]))
    return [reshaped(x, (size,), source=layer, builder=builder)]


def lower_reshape(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower `keras.layers.Reshape`; at most one size is -1.

    Raises:
        ModelError: The sizes do not multiply to those of the input.
    """
    x, target = inputs[0], list(layer.config["target_shape"])
    if None in x.shape[1:] and -1 in target:
        return [reshaped(x, tuple(target), source=layer, builder=builder)]
    total = math.prod(_known(layer, x.shape[1:]))
    if -1 in target:
        rest = math.prod(size for size in target if size != -1)
        target[target.index(-1)] = total // max(rest, 1)
    if math.prod(target) != total or min(target, default=1) < 1:
        raise ModelError(
            f"layer '{layer.name}' (Reshape): {list(x.shape[1:])} cannot be given the shape "
            f"{list(layer.config['target_shape'])}",
            layer=layer.name,
            class_name=layer.class_name,
        )
    return [reshaped(x, tuple(target), source=layer, builder=builder)]


def lower_permute(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower `keras.layers.Permute`, whose axes count from 1."""
    x, dims = inputs[0], [int(axis) for axis in layer.config["dims"]]
    if sorted(dims) != list(range(1, len(x.shape))):
        raise refuse(layer, f"dims={dims}", f"the input has {len(x.shape) - 1} axes")
    bare = Value(x.name, x.shape)
    return [transposed(bare, [0, *dims], source=layer, builder=builder)]


def lower_repeat_vector(
    layer: SourceLayer, inputs: list[Value], builder: GraphBuilder
) -> list[Value]:
    """Lower `keras.layers.RepeatVector`: [B, F] to [B, n, F]."""
    x, n = inputs[0], read_int(layer, "n")
    if len(x.shape) != 2:
        raise refuse(layer, f"an input with {len(x.shape)} axes", "supported: [B, F]")
    shape = (x.shape[0], n, x.shape[1])
    return [builder.add("RepeatVector", [x], shape=shape, source=layer, attributes={"n": n})]


def lower_up_sampling(
    layer: SourceLayer, inputs: list[Value], builder: GraphBuilder
) -> list[Value]:
    """Lower `keras.layers.UpSampling1D`: [B, T, F] to [B, T * size, F], each timestep repeated."""
    x, size = inputs[0], read_int(layer, "size", default=2)
    if len(x.shape) != 3:
        raise refuse(layer, f"an input with {len(x.shape)} axes", "supported: [B, T, F]")
    B, T, features = *x.shape[:2], features_of(layer, x)
    single = reshaped(x, (T or -1, 1, features), source=layer, builder=builder)
    repeated = builder.add(
        "Concatenate",
        [single] * size,
        shape=(B, T, size, features),
        source=layer,
        attributes={"axis": 2},
    )
    target = (T * size if T else -1, features)
    return [reshaped(repeated, target, source=layer, builder=builder)]


def reshaped(
    value: Value, target: tuple[int, ...], *, source: SourceLayer, builder: GraphBuilder
) -> Value:
    """Append a new shape without B, unless it is the old one; the value has no mask."""
    if value.shape[1:] == target:
        return Value(value.name, value.shape)
    return builder.add(
        "Reshape",
        [value],
        shape=(value.shape[0], *(None if size == -1 else size for size in target)),
        source=source,
        attributes={"target_shape": list(target)},
    )


def _known(layer: SourceLayer, shape: Shape) -> list[int]:
    sizes = [size for size in shape if size is not None]
    if len(sizes) != len(shape):
        raise TimeMustBeKnown(layer)
    return sizes
