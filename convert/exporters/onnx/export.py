"""Export to ONNX with our own writer: standard operators for float32.

Not tf2onnx, and TensorFlow is not needed. dynamic-int8 uses the integer operators that
onnxruntime adds (com.microsoft), written directly: see docs/decisions/0003-onnx-writer.md.

Opset 17 and IR 8: every onnxruntime since 1.14 reads them.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from gatelet.convert.exporters.exported import Exported
from gatelet.convert.exporters.onnx import layers, masks
from gatelet.convert.exporters.onnx.activations import write_activation
from gatelet.convert.exporters.onnx.convolution import write_conv, write_pooling
from gatelet.convert.exporters.onnx.recurrent import write_recurrence
from gatelet.convert.exporters.onnx.scan import write_conv_lstm_2d
from gatelet.convert.exporters.onnx.text import TEXT_INPUT, write_ids
from gatelet.convert.exporters.onnx.writer import Call, Writer
from gatelet.convert.exporters.raw import RAW_STAYS_RAW
from gatelet.convert.schemes import Scheme
from gatelet.errors import ConversionError
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph, GraphInput, Shape
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

OPSETS = {"": 17, "com.microsoft": 1, "ai.onnx.ml": 2}
IR_VERSION = 8


def export_onnx(
    graph: Graph,
    scheme: Scheme,
    *,
    identity: Mapping[str, Any] | None = None,
    vectorizer: Vectorizer | None = None,
) -> Exported:
    """Export a Graph to an ONNX file.

    Args:
        graph: The model.
        scheme: One of those that `TARGETS` lists for onnx.

        identity: What the file says of itself, by name.
        vectorizer: Written into the file, which then takes `text`, string [B], in place of ids,
            and gives `ids` too.

    Returns:
        The file; its inputs and outputs have the Graph's names. `max_batch` is 1 where a scale of
        activations spans the batch, so that rows would change each other.

    Raises:
        ConversionError: The onnx package is missing, or refuses what was written, or the Graph
            has an operation that cannot be written.
    """
    try:
        import onnx
    except ImportError as error:
        raise ConversionError(
            "export to onnx needs the onnx package: pip install 'gatelet[convert]'"
        ) from error
    writer = Writer(onnx, scheme)
    text_ids = write_ids(writer, vectorizer) if vectorizer is not None else None
    _write_nodes(writer, graph, text_ids)
    model = _model(onnx, graph, writer, vectorizer)
    _describe(model, identity or {})
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ConversionError(f"the onnx file is not valid: {error}") from error
    return Exported(
        model.SerializeToString(deterministic=True),
        tuple(sorted(_operators(model.graph))),
        max_batch=1 if writer.spans_batch else None,
    )


def _describe(model: Any, identity: Mapping[str, Any]) -> None:
    """Set the metadata, which Netron and every onnxruntime show."""
    for name, value in identity.items():
        text = value if isinstance(value, str) else json.dumps(value)
        model.metadata_props.add(key=f"gatelet.{name}", value=text)
    if identity:
        model.producer_version = identity["gatelet"]
        model.graph.doc_string = f"{identity['model']}, {identity['scheme']}"


def _write_nodes(writer: Writer, graph: Graph, text_ids: str | None) -> None:
    arrays = {name: array_of(tensor) for name, tensor in graph.weights.items()}
    shapes: dict[str, Shape] = {one.name: one.shape for one in graph.inputs}
    names = {one.name: one.name for one in graph.inputs}
    if text_ids is not None:
        writer.rename(text_ids, graph.inputs[0].name, since=0)
    raw = {one.name for one in graph.inputs if one.dtype == "float32"}
    for node in graph.nodes:
        call = Call(
            node=node,
            inputs=[names[value] for value in node.inputs],
            shapes=[shapes[value] for value in node.inputs],
            weights={role: arrays[name] for role, name in node.weights.items()},
            mask=names[node.mask] if node.mask else None,
            takes_raw_features=node.inputs[0] in raw,
        )
        names.update(_write_node(writer, call))
        shapes.update(zip(node.outputs, node.shapes, strict=True))
        if node.op in RAW_STAYS_RAW and not raw.isdisjoint(node.inputs):
            raw.update(node.outputs)
    writer.scope = "output"
    for output in graph.outputs:
        if names[output] != output:
            made = writer.add("Identity", names[output])
            writer.rename(made, output, since=len(writer.nodes) - 1)


def _write_node(writer: Writer, call: Call) -> Mapping[str, str]:
    """Write a node and give its outputs' names in the file: the Graph's, where they are its own."""
    node = call.node
    if node.op not in OPERATIONS:
        raise ConversionError(
            f"layer '{node.source}': the operation '{node.op}' cannot be exported to onnx; "
            f"known are {', '.join(OPERATIONS)}"
        )
    writer.scope = node.name
    since = len(writer.nodes)
    made: dict[str, str] = {}
    # two outputs can be one value, such as y and the state h
    names: dict[str, str] = {}
    for output, found in zip(node.outputs, OPERATIONS[node.op](writer, call), strict=True):
        if found not in names:
            names[found] = output if writer.rename(found, output, since=since) else found
        made[output] = names[found]
    return made


def _model(onnx: Any, graph: Graph, writer: Writer, vectorizer: Vectorizer | None) -> Any:
    helper = onnx.helper
    types = {"int32": onnx.TensorProto.INT32, "float32": onnx.TensorProto.FLOAT}
    inputs = [
        helper.make_tensor_value_info(one.name, types[one.dtype], _input_sizes(one, graph))
        for one in graph.inputs
    ]
    outputs = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, _output_sizes(name, graph))
        for name in graph.outputs
    ]
    if vectorizer is not None:
        ids = graph.inputs[0].name
        outputs.append(
            helper.make_tensor_value_info(ids, types["int32"], ["batch", vectorizer.maxlen])
        )
        text = onnx.TensorProto.STRING
        inputs = [helper.make_tensor_value_info(TEXT_INPUT, text, ["batch"])]
    used = {node.domain for node in writer.nodes} | {""}
    opsets = [helper.make_opsetid(name, OPSETS[name]) for name in OPSETS if name in used]
    return helper.make_model(
        helper.make_graph(
            writer.nodes,
            "gatelet",
            inputs,
            outputs,
            list(writer.initializers.values()),
            value_info=writer.types,
        ),
        opset_imports=opsets,
        ir_version=IR_VERSION,
        producer_name="gatelet",
    )


def _input_sizes(one: GraphInput, graph: Graph) -> list[int | str]:
    """Name what the caller decides: 'batch' is one for all inputs, each has a 'time' of its own."""
    open_time = [i.name for i in graph.inputs if len(i.shape) > 1 and i.shape[1] is None]
    number = open_time.index(one.name) if one.name in open_time else 0
    time = f"time_{number}" if number else "time"
    names = ["batch", time, *(f"{one.name}_{axis}" for axis in range(2, len(one.shape)))]
    return [size or name for size, name in zip(one.shape, names, strict=False)]


def _output_sizes(name: str, graph: Graph) -> list[int | str]:
    shape = graph.shape_of(name)
    names = ["batch", *(f"{name}_{axis}" for axis in range(1, len(shape)))]
    return [size or name for size, name in zip(shape, names, strict=False)]


def _operators(graph: Any) -> set[str]:
    """Return the names of all operators, those inside a Scan too."""
    found = set()
    for node in graph.node:
        found.add(node.op_type)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= _operators(attribute.g)
    return found


OPERATIONS: dict[str, Callable[[Writer, Call], list[str]]] = {
    "LSTM": write_recurrence,
    "GRU": write_recurrence,
    "SimpleRNN": write_recurrence,
    "ConvLSTM2D": write_conv_lstm_2d,
    "Embedding": layers.write_embedding,
    "Dense": layers.write_dense,
    "Activation": write_activation,
    "PReLU": layers.write_prelu,
    "Affine": layers.write_affine,
    "LayerNormalization": layers.write_layer_normalization,
    "Conv1D": write_conv,
    "Conv2D": write_conv,
    "MaxPooling1D": write_pooling,
    "MaxPooling2D": write_pooling,
    "AveragePooling1D": write_pooling,
    "AveragePooling2D": write_pooling,
    "GlobalAveragePooling1D": layers.write_global_average_pooling_1d,
    "ReduceMax": layers.write_reduction,
    "ReduceMean": layers.write_reduction,
    "Concatenate": layers.write_concatenate,
    "Add": layers.write_fold("Add"),
    "Multiply": layers.write_fold("Mul"),
    "Average": layers.write_average,
    "Subtract": layers.write_fold("Sub"),
    "Maximum": layers.write_fold("Max"),
    "Minimum": layers.write_fold("Min"),
    "RepeatVector": layers.write_repeat_vector,
    "Reshape": layers.write_reshape,
    "Transpose": layers.write_transpose,
    "Reverse": layers.write_reverse,
    "MergeTime": layers.write_merge_time,
    "SplitTime": layers.write_split_time,
    "MaskIds": masks.write_mask_ids,
    "MaskFeatures": masks.write_mask_features,
    "MaskAll": masks.write_mask_all,
    "ApplyMask": masks.write_apply_mask,
    "Select": masks.write_select,
    "MaskAnd": layers.write_fold("And"),
    "MaskOr": layers.write_fold("Or"),
    "TrimPadding": masks.write_trim_padding,
    "PadState": masks.write_pad_state,
}
"""Every operation of docs/graph.md, in its order."""
