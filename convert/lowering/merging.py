"""Layers that join values: Concatenate, Add, Multiply, Average, Subtract, Maximum, Minimum.

Not the rules for their masks, which changed with Keras 3.4 and are in `merged_masks`.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gatelet.convert.lowering.builder import GraphBuilder, TimeMustBeKnown, Value
from gatelet.convert.lowering.merged_masks import concatenated_mask, joined, merged_mask
from gatelet.convert.lowering.reshaping import reshaped
from gatelet.convert.lowering.settings import refuse
from gatelet.convert.reading.source import SourceLayer
from gatelet.errors import ModelError
from gatelet.runtime.graph.graph import Shape


def lower_concatenate(
    layer: SourceLayer, inputs: list[Value], builder: GraphBuilder
) -> list[Value]:
    """Lower `keras.layers.Concatenate`.

    Args:
        layer: Its configuration.
        inputs: n values that differ along one axis only.
        builder: Where the nodes go.

    Raises:
        UnsupportedLayer: The axis is the batch's.
    """
    axis, rank = int(layer.config.get("axis", -1)), len(inputs[0].shape)
    if axis % rank == 0:
        raise refuse(layer, "axis=0", "supported: every axis but the batch's")
    if any(len(one.shape) != rank for one in inputs):
        raise ModelError(
            f"layer '{layer.name}' (Concatenate): its inputs have different numbers of axes",
            layer=layer.name,
            class_name=layer.class_name,
        )
    mask = concatenated_mask(layer, inputs, axis=axis % rank, builder=builder)
    made = concatenated(inputs, axis=axis, source=layer, builder=builder)
    return [replace(made, mask=mask)]


def concatenated(
    values: Sequence[Value], *, axis: int, source: SourceLayer, builder: GraphBuilder
) -> Value:
    """Append a concatenation; the value has no mask."""
    rank = len(values[0].shape)
    axis %= rank
    sizes = [value.shape[axis] for value in values]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    shape = tuple(
        total if at == axis else next((v.shape[at] for v in values if v.shape[at]), None)
        for at in range(rank)
    )
    return builder.add("Concatenate", values, shape=shape, source=source, attributes={"axis": axis})


def lower_merge(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower Add, Multiply, Average, Subtract, Maximum and Minimum.

    From Keras 3.4 on, a masked timestep of one input leaves that input out of a Multiply, Maximum
    or Minimum.

    Args:
        layer: Its configuration.
        inputs: n values that can be broadcast; those with fewer axes get them after B.
        builder: Where the nodes go.
    """
    mask = merged_mask(layer, inputs, builder=builder)
    values = _same_rank(layer, inputs, builder)
    masked = [one for one in values if one.mask is not None]
    picks = builder.ors_masks and masked and layer.class_name in ("Multiply", "Maximum", "Minimum")
    if picks and any(len(one.shape) != 3 for one in masked):
        raise refuse(layer, "a masked input that is not [B, T, F]", "end the masks before it")
    if picks and layer.class_name == "Multiply":
        made = _masked_multiply(layer, values, builder)
    elif picks:
        made = _masked_fold(layer, values, builder)
    else:
        made = _merge(layer, values, builder)
    return [replace(made, mask=mask)]


def _merge(layer: SourceLayer, values: Sequence[Value], builder: GraphBuilder) -> Value:
    shape = _broadcast(layer, values)
    return builder.add(layer.class_name, values, shape=shape, source=layer)


def _masked_multiply(layer: SourceLayer, values: Sequence[Value], builder: GraphBuilder) -> Value:
    """Multiply what counts; where nothing of fully masked inputs does, the product is zero."""
    factors = []
    for value in values:
        if value.mask is None:
            factors.append(value)
            continue
        weights = {
            "scale": builder.derive(layer, "scale", lambda: np.zeros(1, np.float32)),
            "shift": builder.derive(layer, "shift", lambda: np.ones(1, np.float32)),
        }
        ones = builder.add("Affine", [value], shape=value.shape, source=layer, weights=weights)
        factors.append(_select(layer, value, ones, value.mask, builder))
    made = _merge(layer, factors, builder)
    masks = [value.mask for value in values if value.mask is not None]
    if len(masks) < len(values):
        return made
    some = joined("MaskOr", masks, shape=values[0].shape[:2], source=layer, builder=builder)
    return builder.add("ApplyMask", [replace(made, mask=some)], shape=made.shape, source=layer)


def _masked_fold(layer: SourceLayer, values: Sequence[Value], builder: GraphBuilder) -> Value:
    """Take the maximum or minimum of what counts, two by two as Keras does."""
    total, mask = values[0], values[0].mask
    for value in values[1:]:
        one = value if value.mask is None else _select(layer, value, total, value.mask, builder)
        other = total if mask is None else _select(layer, total, one, mask, builder)
        if mask is not None and value.mask is not None:
            mask = joined(
                "MaskOr", [mask, value.mask], shape=one.shape[:2], source=layer, builder=builder
            )
        else:
            mask = None
        total = _merge(layer, [other, one], builder)
    return total


def _select(
    layer: SourceLayer, value: Value, other: Value, mask: str, builder: GraphBuilder
) -> Value:
    shape = _broadcast(layer, [value, other])
    masked = replace(value, mask=mask)
    return builder.add("Select", [masked, other], shape=shape, source=layer)


def _same_rank(layer: SourceLayer, inputs: Sequence[Value], builder: GraphBuilder) -> list[Value]:
    """Bring every value to the same number of axes, as Keras does it: after B."""
    rank = max(len(one.shape) for one in inputs)
    values = []
    for one in inputs:
        missing = rank - len(one.shape)
        if not missing:
            values.append(one)
            continue
        rest = one.shape[1:]
        if None in rest:
            raise TimeMustBeKnown(layer)
        target = (*[1] * missing, *(size for size in rest if size is not None))
        values.append(reshaped(one, target, source=layer, builder=builder))
    return values


def _broadcast(layer: SourceLayer, values: Sequence[Value]) -> Shape:
    shape: list[int | None] = list(values[0].shape)
    for value in values[1:]:
        for axis, size in enumerate(value.shape):
            if shape[axis] == 1 or (shape[axis] is None and size != 1):
                shape[axis] = size
            elif size not in (None, 1, shape[axis]):
                raise ModelError(
                    f"layer '{layer.name}' ({layer.class_name}) cannot join "
                    f"{[list(one.shape[1:]) for one in values]}",
                    layer=layer.name,
                    class_name=layer.class_name,
                )
    return tuple(shape)
