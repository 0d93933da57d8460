"""Embedding: token ids to rows of a table, and the mask of the ids that are padding.

Not the vectorizer, which makes the ids.
"""

from dataclasses import replace

from gatelet.convert.lowering.builder import GraphBuilder, Value
from gatelet.convert.lowering.settings import (
    expect_shape,
    read_bool,
    read_int,
    refuse,
    weight_roles,
)
from gatelet.convert.reading.source import SourceLayer


def lower_embedding(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower `keras.layers.Embedding`.

    Args:
        layer: Its configuration and its weight, embeddings [V, F].
        inputs: ids [B, T], or of any shape without `mask_zero`.
        builder: Where the nodes go.

    Returns:
        One value [B, T, F]; with `mask_zero` masked where the id is 0.

    Raises:
        UnsupportedLayer: Ids of more than one axis a row would be masked.
    """
    ids = inputs[0]
    vocabulary, features = read_int(layer, "input_dim"), read_int(layer, "output_dim")
    weights = weight_roles(layer, "embeddings")
    expect_shape(layer, "embeddings", weights["embeddings"], (vocabulary, features))
    builder.limit_ids(ids, vocabulary)
    shape = (*ids.shape, features)
    value = builder.add("Embedding", [ids], shape=shape, source=layer, weights=weights)
    if not read_bool(layer, "mask_zero", default=False):
        return [value]
    if len(ids.shape) != 2:
        raise refuse(
            layer, "mask_zero=True for ids of more than [B, T]", "supported: mask_zero=False"
        )
    return [replace(value, mask=builder.mask_ids(ids, source=layer))]
