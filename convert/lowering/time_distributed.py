"""TimeDistributed: a layer or model applied to each timestep by itself.

Not the layer inside, which is lowered as if the batch were B*T rows.
"""

from dataclasses import replace

from gatelet.convert.lowering.builder import GraphBuilder, Value
from gatelet.convert.lowering.settings import refuse
from gatelet.convert.reading.source import SourceLayer

# layers that do the same to [B, T, F] as to [B*T, F]
_ALONG_LAST_AXIS = (
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "Dense",
    "Dropout",
    "ELU",
    "GaussianDropout",
    "GaussianNoise",
    "LeakyReLU",
    "ReLU",
    "ThresholdedReLU",
)


def lower_time_distributed(
    layer: SourceLayer, inputs: list[Value], builder: GraphBuilder
) -> list[Value]:
    """Lower `keras.layers.TimeDistributed`.

    Args:
        layer: With the part 'layer', which may hold a model.
        inputs: Values [B, T, ...].
        builder: Where the nodes go.

    Returns:
        The inner outputs, each [B, T, ...] and masked as the first input is.

    Raises:
        UnsupportedLayer: The inner layer makes a mask that would have more axes than [B, T].
    """
    part, mask = layer.parts["layer"], inputs[0].mask
    assert isinstance(part, SourceLayer), "a part that is a model is a layer with a model"
    if part.class_name in _ALONG_LAST_AXIS and len(inputs) == 1:
        outputs = builder.lower_layer(part, inputs, builder)
        return [replace(value, mask=mask) for value in outputs]
    # the inner layer gets no mask: Keras gives it one of [B], which no layer with masks can take
    merged = [
        builder.add("MergeTime", [value], shape=(None, *value.shape[2:]), source=layer)
        for value in inputs
    ]
    outputs = builder.lower_layer(part, merged, builder)
    if builder.keras_major < 3 and any(value.mask is not None for value in outputs):
        raise refuse(
            layer, "an inner layer whose output is masked", "end the mask inside, with an LSTM say"
        )
    shapes = [(*inputs[0].shape[:2], *value.shape[1:]) for value in outputs]
    split = [
        builder.add("SplitTime", [value, inputs[0]], shape=shape, source=layer)
        for value, shape in zip(outputs, shapes, strict=True)
    ]
    return [replace(value, mask=mask) for value in split]
