"""Export to LiteRT (TensorFlow Lite) flatbuffers: built-in operators only, no variables.

Not called directly: TensorFlow's converter can kill its process, so this runs in the worker
of `gatelet.convert.worker.worker`.

A recurrence is a while loop over timesteps with the input projection hoisted out of it, batch
and time both dynamic. See docs/decisions/0002-litert-while-loop.md.
"""

from collections.abc import Callable
from typing import Any

from gatelet.convert.exporters.exported import Exported
from gatelet.convert.exporters.litert import (
    activations,
    convolution,
    layers,
    masks,
    recurrent,
)
from gatelet.convert.exporters.litert.int8 import (
    keep_nan,
    raw_values,
    values_that_may_be_nan,
)
from gatelet.convert.exporters.litert.step import Step, Tf, TfTensor
from gatelet.convert.schemes import Scheme
from gatelet.convert.worker.tensorflow import import_tensorflow
from gatelet.errors import ConversionError
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph


def export_litert(graph: Graph, scheme: Scheme) -> Exported:
    """Export a Graph to a LiteRT flatbuffer.

    Args:
        graph: The model.
        scheme: One of those that `TARGETS` lists for litert.

    Returns:
        The file, with one signature whose inputs and outputs have the Graph's names.

    Raises:
        ConversionError: TensorFlow is missing, or its converter refuses the model.
    """
    tf = import_tensorflow()
    module = _module(tf, graph, scheme)
    concrete = module.run.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    _set_up(tf, converter, scheme)
    data = bytes(converter.convert())
    return Exported(data, _operators_in(data), max_batch=scheme.batch)


def _set_up(tf: Tf, converter: Any, scheme: Scheme) -> None:
    if scheme.weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if scheme.weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if scheme.batch is not None:
        # FULLY_CONNECTED with a scale a column is too new for tflite-runtime
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True


def _operators_in(data: bytes) -> tuple[str, ...]:
    """Return the names of a flatbuffer's operators, those of loops' bodies among them."""
    from tensorflow.lite.python import schema_py_generated as schema

    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    model = schema.Model.GetRootAs(data, 0)
    found = set()
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        # operators of the format's first years are in the deprecated field only
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = code.CustomCode()
        found.add(custom.decode() if custom else names[number])
    return tuple(sorted(found))


def _module(tf: Tf, graph: Graph, scheme: Scheme) -> Any:
    """Make a tf.Module whose `run` is the Graph."""
    signature = [
        tf.TensorSpec(
            (scheme.batch, *one.shape[1:]),
            tf.int32 if one.dtype == "int32" else tf.float32,
            name=one.name,
        )
        for one in graph.inputs
    ]

    may_be_nan, raw = values_that_may_be_nan(graph), raw_values(graph)
    arrays = {name: array_of(tensor) for name, tensor in graph.weights.items()}

    # TensorFlow has no types
    @tf.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
    def run(*inputs: TfTensor) -> dict[str, TfTensor]:
        values = dict(zip((one.name for one in graph.inputs), inputs, strict=True))
        for node in graph.nodes:
            step = Step(
                tf,
                node,
                inputs=[values[name] for name in node.inputs],
                weights={role: arrays[name] for role, name in node.weights.items()},
                mask=None if node.mask is None else values[node.mask],
                scheme=scheme,
                takes_raw_features=node.inputs[0] in raw,
            )
            suspects = {name: values[name] for name in node.inputs if name in may_be_nan}
            made = keep_nan(step, _export(step), suspects)
            for name, value, shape in zip(node.outputs, made, node.shapes, strict=True):
                value.set_shape(shape)
                values[name] = value
        # an output that is an input, or is named twice, needs a tensor of its own
        return {name: tf.identity(values[name]) for name in graph.outputs}

    module = tf.Module()
    module.run = run
    return module


def _export(step: Step) -> list[TfTensor]:
    """Return the outputs of a node."""
    node = step.node
    operation = OPERATIONS.get(node.op)
    if operation is None:
        raise ConversionError(
            f"node '{node.name}' ({node.op}) cannot be exported to litert; known are "
            f"{', '.join(OPERATIONS)}"
        )
    made = operation(step)
    return made if isinstance(made, list) else [made]


OPERATIONS: dict[str, Callable[[Step], Any]] = {
    "LSTM": recurrent.lstm,
    "GRU": recurrent.gru,
    "SimpleRNN": recurrent.simple_rnn,
    "ConvLSTM2D": convolution.conv_lstm_2d,
    "Embedding": layers.embedding,
    "Dense": layers.dense,
    "Activation": activations.activation,
    "PReLU": layers.prelu,
    "Affine": layers.affine,
    "LayerNormalization": layers.layer_normalization,
    "Conv1D": convolution.conv_1d,
    "Conv2D": convolution.conv_2d,
    "MaxPooling1D": convolution.pooling_1d("max_pool2d"),
    "MaxPooling2D": convolution.pooling_2d("max_pool2d"),
    "AveragePooling1D": convolution.pooling_1d("avg_pool2d"),
    "AveragePooling2D": convolution.pooling_2d("avg_pool2d"),
    "GlobalAveragePooling1D": layers.global_average_pooling_1d,
    "ReduceMax": layers.reduction("reduce_max"),
    "ReduceMean": layers.reduction("reduce_mean"),
    "Concatenate": layers.concatenate,
    "Add": layers.fold("add"),
    "Multiply": layers.fold("multiply"),
    "Average": layers.average,
    "Subtract": layers.fold("subtract"),
    "Maximum": layers.maximum,
    "Minimum": layers.minimum,
    "RepeatVector": layers.repeat_vector,
    "Reshape": layers.reshape,
    "Transpose": layers.transpose,
    "Reverse": layers.reverse,
    "MergeTime": layers.merge_time,
    "SplitTime": layers.split_time,
    "MaskIds": masks.mask_ids,
    "MaskFeatures": masks.mask_features,
    "MaskAll": masks.mask_all,
    "ApplyMask": masks.apply_mask,
    "Select": masks.select,
    "MaskAnd": layers.fold("logical_and"),
    "MaskOr": layers.fold("logical_or"),
    "TrimPadding": masks.trim_padding,
    "PadState": masks.pad_state,
}
"""Every operation of docs/graph.md, in its order."""
