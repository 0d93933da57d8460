"""The table of lowerings, and the walk over a model.

Not the lowering of any one layer: each has a file beside this one, alone or with its family.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from gatelet.convert.lowering.activation import (
    lower_activation,
    lower_activation_layer,
    lower_prelu,
    lower_softmax,
)
from gatelet.convert.lowering.bidirectional import lower_bidirectional
from gatelet.convert.lowering.builder import GraphBuilder, TimeMustBeKnown, Value
from gatelet.convert.lowering.convolution import (
    lower_conv,
    lower_depthwise_conv,
    lower_separable_conv,
)
from gatelet.convert.lowering.dense import lower_dense
from gatelet.convert.lowering.embedding import lower_embedding
from gatelet.convert.lowering.masking import lower_masking
from gatelet.convert.lowering.merging import lower_concatenate, lower_merge
from gatelet.convert.lowering.nested import lower_nested
from gatelet.convert.lowering.normalization import (
    lower_batch_normalization,
    lower_layer_normalization,
    lower_normalization,
    lower_rescaling,
)
from gatelet.convert.lowering.nothing import lower_nothing
from gatelet.convert.lowering.pooling import lower_global_pooling, lower_pooling
from gatelet.convert.lowering.recurrent import lower_recurrent
from gatelet.convert.lowering.reshaping import (
    lower_flatten,
    lower_permute,
    lower_repeat_vector,
    lower_reshape,
    lower_up_sampling,
)
from gatelet.convert.lowering.time_distributed import lower_time_distributed
from gatelet.convert.reading.source import SourceLayer, SourceModel
from gatelet.errors import ModelError, UnsupportedLayer
from gatelet.runtime.graph.graph import Graph, GraphInput, Shape

Lowering = Callable[[SourceLayer, list[Value], GraphBuilder], list[Value]]

LOWERINGS: dict[str, Lowering] = {
    "Activation": lower_activation,
    "ActivityRegularization": lower_nothing,
    "Add": lower_merge,
    "AlphaDropout": lower_nothing,
    "Average": lower_merge,
    "AveragePooling1D": lower_pooling,
    "AveragePooling2D": lower_pooling,
    "BatchNormalization": lower_batch_normalization,
    "BatchNormalizationV1": lower_batch_normalization,
    "BatchNormalizationV2": lower_batch_normalization,
    "Bidirectional": lower_bidirectional,
    "Concatenate": lower_concatenate,
    "Conv1D": lower_conv,
    "Conv2D": lower_conv,
    "ConvLSTM2D": lower_recurrent,
    "CuDNNGRU": lower_recurrent,
    "CuDNNLSTM": lower_recurrent,
    "Dense": lower_dense,
    "DepthwiseConv1D": lower_depthwise_conv,
    "DepthwiseConv2D": lower_depthwise_conv,
    "Dropout": lower_nothing,
    "ELU": lower_activation_layer,
    "Embedding": lower_embedding,
    "Flatten": lower_flatten,
    "Functional": lower_nested,
    "GRU": lower_recurrent,
    "GaussianDropout": lower_nothing,
    "GaussianNoise": lower_nothing,
    "GlobalAveragePooling1D": lower_global_pooling,
    "GlobalAveragePooling2D": lower_global_pooling,
    "GlobalMaxPooling1D": lower_global_pooling,
    "GlobalMaxPooling2D": lower_global_pooling,
    "Identity": lower_nothing,
    "LSTM": lower_recurrent,
    "LayerNormalization": lower_layer_normalization,
    "LeakyReLU": lower_activation_layer,
    "Masking": lower_masking,
    "MaxPooling1D": lower_pooling,
    "MaxPooling2D": lower_pooling,
    "Maximum": lower_merge,
    "Minimum": lower_merge,
    "Model": lower_nested,
    "Multiply": lower_merge,
    "Normalization": lower_normalization,
    "PReLU": lower_prelu,
    "Permute": lower_permute,
    "RNN": lower_recurrent,
    "ReLU": lower_activation_layer,
    "RepeatVector": lower_repeat_vector,
    "Rescaling": lower_rescaling,
    "Reshape": lower_reshape,
    "SeparableConv1D": lower_separable_conv,
    "SeparableConv2D": lower_separable_conv,
    "Sequential": lower_nested,
    "SimpleRNN": lower_recurrent,
    "Softmax": lower_softmax,
    "SpatialDropout1D": lower_nothing,
    "SpatialDropout2D": lower_nothing,
    "Subtract": lower_merge,
    "ThresholdedReLU": lower_activation_layer,
    "TimeDistributed": lower_time_distributed,
    "UpSampling1D": lower_up_sampling,
}

_KEEP_IDS = ("Dropout", "Flatten", "Identity", "Permute", "RepeatVector", "Reshape")


def lower(model: SourceModel) -> Graph:
    """Lower a Keras model to a Graph.

    Args:
        model: Configuration, wiring and weights, as read.

    Returns:
        The Graph; batch is dynamic, and time too unless a layer needs it known.

    Raises:
        UnsupportedLayer: A layer is not in the table, or has an option that is not lowered.
        ModelError: The weights do not fit the configuration.
    """
    try:
        return _lower(model, time_is_open=True)
    except TimeMustBeKnown:
        pass
    try:
        return _lower(model, time_is_open=False)
    except TimeMustBeKnown as error:
        raise ModelError(
            f"{error}, which the model leaves open: build the model with a fixed input length"
        ) from error


def lower_calls(model: SourceModel, inputs: Sequence[Value], builder: GraphBuilder) -> list[Value]:
    """Lower the layers of a model, or of a model nested in another.

    A functional model of Keras 3 names the masks of its calls as they were when it was built, when
    a nested model seemed to take and give none. Where it names none, a call takes the mask that
    its input has when the model runs. So both kinds are followed.

    Args:
        model: What to lower.
        inputs: Values for its inputs.
        builder: Where the nodes go.

    Returns:
        Its outputs.
    """
    values = dict(zip((one.value for one in model.inputs), inputs, strict=True))
    built: dict[str, str | None] = dict.fromkeys(values)
    names_masks = any(call.masked for call in model.calls)
    for call in model.calls:
        layer = model.layers[call.layer]
        given = [values[name] for name in call.inputs]
        as_built = [replace(values[name], mask=built[name]) for name in call.inputs]
        builder.mask_is_given = call.masked is True
        results = lower_layer(layer, as_built if call.masked else given, builder)
        masks = [value.mask for value in results]
        if "model" in layer.parts:
            masks = [None] * len(results)
        elif names_masks and as_built != given:
            # for its masks only: what nothing uses is left out in the end
            other = lower_layer(layer, given if call.masked else as_built, builder)
            if not call.masked:
                masks = [value.mask for value in other]
            elif not builder.keeps_named_masks:
                results = [
                    replace(value, mask=one.mask) for value, one in zip(results, other, strict=True)
                ]
        # a call may leave states unused
        values.update(zip(call.outputs, results, strict=False))
        built.update(zip(call.outputs, masks, strict=False))
    return [values[name] for name in model.outputs]


def lower_layer(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower one layer with the function of its class."""
    lowering = LOWERINGS.get(layer.class_name)
    if lowering is None:
        raise UnsupportedLayer(
            f"layer '{layer.name}' ({layer.class_name}) cannot be lowered: the Graph has nothing "
            "that computes it; use a layer of docs/support.md in its place, or leave the model, as "
            "a .keras file, to TensorFlow's converters with --route keras",
            layer=layer.name,
            class_name=layer.class_name,
        )
    return lowering(layer, inputs, builder)


def _lower(model: SourceModel, *, time_is_open: bool) -> Graph:
    builder = GraphBuilder(model.keras_version, lower_layer, lower_calls)
    values = [
        _graph_input(
            builder, one.shape, is_ids=_feeds_embedding(model, one.value), open_=time_is_open
        )
        for one in model.inputs
    ]
    return builder.finish(lower_calls(model, values, builder))


def _feeds_embedding(model: SourceModel, value: str) -> bool:
    """Return whether a value holds ids: it reaches an Embedding, if through layers that keep it."""
    for call in model.calls:
        if value not in call.inputs:
            continue
        layer = model.layers[call.layer]
        if _is_for_ids(layer, call.inputs.index(value)):
            return True
        if layer.class_name in _KEEP_IDS and _feeds_embedding(model, call.outputs[0]):
            return True
    return False


def _is_for_ids(layer: SourceLayer, place: int) -> bool:
    if layer.class_name == "Embedding":
        return True
    inner, nested = layer.parts.get("layer"), layer.parts.get("model")
    if isinstance(inner, SourceLayer):
        return _is_for_ids(inner, place)
    return isinstance(nested, SourceModel) and _feeds_embedding(nested, nested.inputs[place].value)


def _graph_input(builder: GraphBuilder, shape: Shape, *, is_ids: bool, open_: bool) -> Value:
    """Declare an input: ids where they reach an Embedding, else features."""
    kind, dtype = ("ids", "int32") if is_ids else ("features", "float32")
    taken = sum(one.dtype == dtype for one in builder.inputs)
    name = kind if not taken else f"{kind}_{taken}"
    has_time = len(shape) > 2 or is_ids
    found: Shape = (None, None, *shape[2:]) if has_time and open_ else (None, *shape[1:])
    builder.inputs.append(GraphInput(name, dtype, found))
    return Value(name, found)
