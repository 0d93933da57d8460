"""Export to C: the list of calls, the blob of weights, and what is built from them.

Not the kernels, which are in kernels/*.c, and not compilers: see `build`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gatelet.convert.exporters.c import layers, masks
from gatelet.convert.exporters.c.activations import write_activation
from gatelet.convert.exporters.c.blob import Blob
from gatelet.convert.exporters.c.build import build_libraries
from gatelet.convert.exporters.c.convolution import write_conv, write_pooling
from gatelet.convert.exporters.c.files import Model, render
from gatelet.convert.exporters.c.functions import Function
from gatelet.convert.exporters.c.integers import INTEGER_OPERATIONS, integer_refusal, observe
from gatelet.convert.exporters.c.recurrent import write_conv_lstm_2d, write_recurrence
from gatelet.convert.exporters.c.sizes import Size, elements, known
from gatelet.convert.exporters.c.slow_units import slow_unit_refusal
from gatelet.convert.exporters.c.source import comment, prefix_of
from gatelet.convert.exporters.c.steps import step_form
from gatelet.convert.exporters.c.vocabulary import write_vocabulary
from gatelet.convert.exporters.c.writer import Call, Value, Writer
from gatelet.convert.exporters.exported import Companion, Exportable, Exported
from gatelet.convert.exporters.raw import RAW_STAYS_RAW
from gatelet.convert.schemes import Scheme
from gatelet.errors import ConversionError, Refused
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph, GraphInput
from gatelet.runtime.graph.operations import FLOATS, VECTOR_RECURRENCES
from gatelet.runtime.graph.operations import OPERATIONS as TABLE
from gatelet.runtime.graph.states import STREAM_ROLE, State

_KINDS = {"int32": "ids", "float32": "float"}
_C_TYPES = {"int32": "int32_t", "float32": "float"}


def export_c(model: Exportable, scheme: Scheme) -> Exported:
    """Export a model to C.

    Args:
        model: The model; the Graph that skips padding is what runs.
        scheme: float32, dynamic-int8, dynamic-int8-emb4 or full-int8.

    Returns:
        The weights as a blob; companions are the source, the header, an example, and a library
        for each platform that could be built here.

    Raises:
        ConversionError: The Graph has an operation that cannot be written.
        Refused: Integers would get a long stream wrong.
        CompilerFailed: There is no compiler, or it refuses the source.
    """
    written = write_model(model, scheme)
    files = render(written, model, scheme)
    libraries = build_libraries(
        files["linked"], files["levels"], model.platforms, scratch=model.scratch
    )
    companions = [
        Companion(f"library:{one.platform}", f"{written.stem}-{one.platform}", one.suffix, one.data)
        for one in libraries
    ]
    if written.steps is not None:
        # the code that streams: its weights are the artifact's own
        source = next(one for one in files["companions"] if one.role == "source")
        companions.append(replace(source, role=STREAM_ROLE))
    return Exported(
        written.weights,
        tuple(sorted(written.kernels)),
        facts=facts_of(written, model),
        companions=(*files["companions"], *companions),
    )


def facts_of(written: Model, model: Exportable) -> dict[str, object]:
    """Return what the manifest says of the weights, and of the code that is written for them."""
    facts: dict[str, object] = {"prefix": written.prefix, **_skipped(model.skipping)}
    facts["sections"] = written.sections
    if written.observed:
        facts["observed"] = {name: one.tolist() for name, one in written.observed.items()}
    if written.steps is not None:
        states = [state.to_manifest() for state in written.states]
        facts[STREAM_ROLE] = {"states": states, "max_batch": None}
    return facts


def _skipped(graph: Graph) -> dict[str, object]:
    """Return for how many pads the blob holds states."""
    limits = [node.attributes["limit"] for node in graph.nodes if node.op == "TrimPadding"]
    return {"skipped_pads": limits[0]} if any(limits) else {}


def write_model(
    model: Exportable, scheme: Scheme, *, observed: Mapping[str, Any] | None = None
) -> Model:
    """Write the calls and the weights; whole sequences and pieces share them.

    Args:
        model: The model.
        scheme: What is stored how.
        observed: The ranges of an artifact that is written again; None to find them.
    """
    blob = Blob()
    kernels: set[str] = set()
    sections: list[dict[str, Any]] = []
    if observed is None:
        observed = _observed(model, scheme)
    writers = [Writer(blob, scheme, observed, kernels=kernels, sections=sections) for _ in "ab"]
    integers = writers[0].integers
    pieces = step_form(model.streaming, model.graph, model.skipping, integers=integers)
    states = pieces.states if pieces else ()
    graphs = (model.skipping, pieces.graph if pieces else None)
    whole, steps = (
        None if graph is None else write_function(writer, graph, carried)
        for writer, graph, carried in zip(writers, graphs, ((), states), strict=True)
    )
    assert whole is not None
    if integers and model.calibration is not None:
        carried = frozenset(one.node for one in states)
        why = slow_unit_refusal(model.graph, carried, model.calibration.rows, writers[0].rounded)
        if why:
            raise Refused(f"c full-int8: {why}", target="c")
    return Model(
        prefix=prefix_of(model.name),
        stem=f"c-{scheme.name}",
        whole=whole,
        kernels=kernels,
        weights=blob.finish(),
        sections=sections,
        vocabulary=write_vocabulary(model.vectorizer) if model.vectorizer else None,
        steps=steps,
        states=states,
        observed=observed,
    )


def _observed(model: Exportable, scheme: Scheme) -> dict[str, Any]:
    """Return the ranges that a scheme in integers needs."""
    if scheme.activations == "float32":
        return {}
    why = integer_refusal(model.graph)
    if why or model.calibration is None:
        raise ConversionError(why or f"the scheme {scheme.name} needs calibration rows")
    return observe(model.graph, model.calibration.rows)


def write_function(writer: Writer, graph: Graph, states: tuple[State, ...] = ()) -> Function:
    """Write a Graph's nodes as calls; its last outputs are the states that it carries, if any."""
    words = len(states) if writer.integers else 0
    writer.places = _places(graph, states)
    own = dict(writer.places)
    arrays = {name: array_of(tensor) for name, tensor in graph.weights.items()}
    parameters: list[tuple[int, int]] = []
    values = {
        one.name: _input(writer, one, index, parameters) for index, one in enumerate(graph.inputs)
    }
    last_use, alone = _last_uses(graph), _for_one_recurrence(graph)
    for index, node in enumerate(graph.nodes):
        call = Call(
            node=node,
            inputs=[values[name] for name in node.inputs],
            weights={role: arrays[name] for role, name in node.weights.items()},
            mask=values[node.mask] if node.mask else None,
            feeds_one=node.output in alone,
        )
        values.update(_write_node(writer, call))
        _release(values, last_use, index)
    outputs = []
    for index, name in enumerate(graph.outputs):
        value = values[name]
        if index < len(graph.outputs) - words:
            value = layers.as_floats(writer, value)
        outputs.append(value)
        if own.get(name) != index or name in writer.places:
            count = elements(value.dims)
            writer.line(f"memcpy(call->to[{index}], {value.name}, sizeof(float) * {count});")
    scratch = [slot.floats for slot in writer.slots]
    return Function(graph, writer.lines, outputs, parameters, scratch, words)


def _places(graph: Graph, states: tuple[State, ...]) -> dict[str, int]:
    """Return which states may be made where the caller has them: nobody else reads the last ones.

    A recurrence is through with a row's last states when it gives the next, which may lie there.
    """
    readers = {
        one.input: {node.op for node in graph.nodes if one.input in node.inputs} for one in states
    }
    first = len(graph.outputs) - len(states)
    return {
        name: index
        for index, (one, name) in enumerate(zip(states, graph.outputs[first:], strict=True), first)
        if readers[one.input] <= {*VECTOR_RECURRENCES, "PadState"}
    }


def _input(writer: Writer, one: GraphInput, index: int, parameters: list[tuple[int, int]]) -> Value:
    dims: list[Size] = [Size("B", "B")]
    for axis, size in enumerate(one.shape[1:], 1):
        if size is None:
            dims.append(Size(f"T{len(parameters)}", f"T{len(parameters)}"))
            parameters.append((index, axis))
        else:
            dims.append(known(size))
    writer.node = one.name
    name = writer.name("input")
    c_type = _C_TYPES[one.dtype]
    writer.line(f"const {c_type} *const {name} = (const {c_type} *)call->from[{index}];")
    raw = one.dtype == "float32"
    return Value(name, _KINDS[one.dtype], tuple(dims), raw=raw, fed=one.name)


def _write_node(writer: Writer, call: Call) -> dict[str, Value]:
    node = call.node
    writer.node = node.name
    operations = INTEGER_OPERATIONS if writer.integers else OPERATIONS
    if node.op not in operations:
        raise ConversionError(
            f"layer '{node.source}': the operation '{node.op}' cannot be exported to c; "
            f"known are {', '.join(operations)}"
        )
    if TABLE[node.op].takes == FLOATS and not writer.integers:
        call = Call(
            node, [layers.as_floats(writer, one) for one in call.inputs], call.weights, call.mask
        )
    writer.line(f"/* {comment(node.name)}: {node.op} */")
    made = operations[node.op](writer, call)
    raw = node.op in RAW_STAYS_RAW and any(one.raw for one in call.inputs)
    return {output: _marked(value, raw) for output, value in zip(node.outputs, made, strict=True)}


def _marked(value: Value, raw: bool) -> Value:
    return replace(value, raw=raw)


def _for_one_recurrence(graph: Graph) -> set[str]:
    """Return the values [B, T, F] that one recurrence takes, and nothing else."""
    uses = Counter(name for node in graph.nodes for name in (*node.inputs, node.mask))
    uses.update(graph.outputs)
    taken = {node.inputs[0] for node in graph.nodes if node.op in VECTOR_RECURRENCES}
    return {name for name in taken if uses[name] == 1}


def _last_uses(graph: Graph) -> dict[str, int]:
    """Return the index of the last node that uses each value; outputs are used to the end."""
    uses = dict.fromkeys(graph.outputs, len(graph.nodes))
    for index, node in reversed(list(enumerate(graph.nodes))):
        for name in (*node.inputs, *((node.mask,) if node.mask else ()), *node.outputs):
            uses.setdefault(name, index)
    return uses


def _release(values: Mapping[str, Value], last_use: Mapping[str, int], index: int) -> None:
    """Free the memory of which no later node uses any value."""
    used = {id(v.slot) for name, v in values.items() if v.slot and last_use.get(name, -1) > index}
    for value in values.values():
        if value.slot is not None:
            value.slot.users = int(id(value.slot) in used)


OPERATIONS: dict[str, Callable[[Writer, Call], list[Value]]] = {
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
    "Add": layers.write_fold("ADD"),
    "Multiply": layers.write_fold("MULTIPLY"),
    "Average": layers.write_average,
    "Subtract": layers.write_fold("SUBTRACT"),
    "Maximum": layers.write_fold("MAXIMUM"),
    "Minimum": layers.write_fold("MINIMUM"),
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
    "MaskAnd": layers.write_fold("AND"),
    "MaskOr": layers.write_fold("OR"),
    "TrimPadding": masks.write_trim_padding,
    "PadState": masks.write_pad_state,
}
"""Every operation of docs/graph.md, in its order."""
