"""Masking: timesteps whose features all have one value do not count.

Not Embedding's mask_zero, which is in `gatelet.convert.lowering.embedding`.
"""

from dataclasses import replace

from gatelet.convert.lowering.builder import GraphBuilder, Value
from gatelet.convert.lowering.settings import read_number, refuse
from gatelet.convert.reading.source import SourceLayer


def lower_masking(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower `keras.layers.Masking`.

    Args:
        layer: Its configuration.
        inputs: x [B, T, F].
        builder: Where the nodes go.

    Returns:
        One value [B, T, F], zero and masked where every feature is mask_value.

    Raises:
        UnsupportedLayer: x has other axes, so that the mask would not be [B, T].
    """
    x = inputs[0]
    if len(x.shape) != 3:
        raise refuse(layer, f"an input with {len(x.shape)} axes", "supported: [B, T, F]")
    mask_value = read_number(layer, "mask_value", default=0.0)
    mask = builder.add(
        "MaskFeatures",
        [x],
        shape=x.shape[:2],
        source=layer,
        attributes={"mask_value": mask_value},
    )
    masked = replace(x, mask=mask.name)
    value = builder.add("ApplyMask", [masked], shape=x.shape, source=layer)
    return [replace(value, mask=mask.name)]
