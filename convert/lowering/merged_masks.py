"""The mask of what a merging layer gives, by the rules of the Keras that wrote the model.

Keras 1 and 2 join masks by and, Keras 3.0 to 3.3 drop them (there a list of values has no mask),
and Keras 3.4 and later join them by or. Not the values, which are in `merging`.
"""

from collections.abc import Sequence

from gatelet.convert.lowering.builder import GraphBuilder, Value
from gatelet.convert.lowering.settings import refuse
from gatelet.convert.reading.source import SourceLayer
from gatelet.runtime.graph.graph import Shape


def merged_mask(
    layer: SourceLayer, inputs: Sequence[Value], *, builder: GraphBuilder
) -> str | None:
    """Return the mask of Add and its like."""
    masks = [one.mask for one in inputs if one.mask is not None]
    if not masks or _drops_masks(builder) or (builder.ors_masks and len(masks) < len(inputs)):
        return None
    return _joined_by_version(layer, inputs, masks, builder)


def concatenated_mask(
    layer: SourceLayer, inputs: Sequence[Value], *, axis: int, builder: GraphBuilder
) -> str | None:
    """Return the mask of Concatenate: along time the masks one after the other, else joined.

    Raises:
        UnsupportedLayer: The values have other axes than [B, T, F].
    """
    masks = [one.mask for one in inputs if one.mask is not None]
    if not masks or _drops_masks(builder):
        return None
    if any(len(one.shape) != 3 for one in inputs):
        raise refuse(layer, "a masked input that is not [B, T, F]", "end the masks before it")
    if axis == 1:
        return _in_a_row(layer, inputs, builder)
    # an input without a mask counts everywhere
    if builder.ors_masks and len(masks) < len(inputs):
        return None
    return _joined_by_version(layer, inputs, masks, builder)


def joined(
    op: str,
    masks: Sequence[str],
    *,
    shape: Shape,
    source: SourceLayer,
    builder: GraphBuilder,
) -> str:
    """Append a MaskAnd or MaskOr, unless the masks are all one."""
    different = list(dict.fromkeys(masks))
    if len(different) == 1:
        return different[0]
    values = [Value(mask, shape) for mask in different]
    return builder.add(op, values, shape=shape, source=source).name


def _drops_masks(builder: GraphBuilder) -> bool:
    return builder.keras_major == 3 and not builder.ors_masks


def _joined_by_version(
    layer: SourceLayer, inputs: Sequence[Value], masks: Sequence[str], builder: GraphBuilder
) -> str:
    shape = next(one.shape[:2] for one in inputs if one.mask is not None)
    op = "MaskOr" if builder.ors_masks else "MaskAnd"
    return joined(op, masks, shape=shape, source=layer, builder=builder)


def _in_a_row(layer: SourceLayer, inputs: Sequence[Value], builder: GraphBuilder) -> str:
    masks = []
    for one in inputs:
        shape = one.shape[:2]
        if one.mask is not None:
            masks.append(Value(one.mask, shape))
        elif builder.ors_masks or one.shape[2] == 1:
            masks.append(builder.add("MaskAll", [one], shape=shape, source=layer))
        else:
            raise refuse(
                layer,
                "axis=1 with and without masks",
                "Keras before 3.4 fails here: mask all inputs or none",
            )
    sizes = [mask.shape[1] for mask in masks]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    shape = (masks[0].shape[0], total)
    attributes = {"axis": 1}
    return builder.add("Concatenate", masks, shape=shape, source=layer, attributes=attributes).name
