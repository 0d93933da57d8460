"""`step` and `reset` of a model in C: a sequence in pieces, with its states in the caller's memory.

Not the streaming form of a Graph, which is `gatelet.runtime.graph.streaming`.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from gatelet.convert.exporters.c.functions import Function, function_values, word_name
from gatelet.convert.exporters.c.source import comment, fill
from gatelet.convert.exporters.c.texts import INPUTS
from gatelet.runtime.graph.graph import Graph, GraphInput
from gatelet.runtime.graph.states import State
from gatelet.runtime.graph.streamable import has_time
from gatelet.runtime.graph.streaming import StreamingGraph

NO_STEPS = {"step_source": "", "step_declarations": "", "step_library": ""}
"""What `step_values` gives, for a model that does not stream."""


def step_form(
    streaming: StreamingGraph | None, model: Graph, skipping: Graph, *, integers: bool = False
) -> StreamingGraph | None:
    """Return what a step runs; None where a model has no `step`.

    Each state has an output of its own, where it is one of the model's outputs too; in a scheme
    of integers it is int32.

    Args:
        streaming: The streaming form of the model, if it has one.
        model: The model.
        skipping: What runs whole sequences: steps skip the padding that it skips.
        integers: The scheme computes in integers.
    """
    if streaming is None:
        return None
    for one in streaming.graph.inputs:
        sizes = one.shape[2:] if has_time(one) else one.shape[1:]
        if None in sizes:  # `step` is told the timesteps, and no other size
            return None
    form = _after_padding(streaming, skipping)
    outputs = (*model.outputs, *(one.output for one in form.states))
    inputs, states = form.graph.inputs, form.states
    if integers:
        states = tuple(
            replace(one, output=word_name(one.output, model.outputs), dtype="int32")
            for one in states
        )
        names = {one.input for one in states}
        inputs = tuple(replace(i, dtype="int32") if i.name in names else i for i in inputs)
    return StreamingGraph(replace(form.graph, inputs=inputs, outputs=outputs), states)


def _after_padding(streaming: StreamingGraph, skipping: Graph) -> StreamingGraph:
    """Let steps take the states after padding that whole sequences take.

    The pads of each row are counted in one more state, as long as it has had nothing else.
    """
    tables = [node for node in skipping.nodes if node.op == "PadState"]
    if not tables:
        return streaming
    (trim,) = (node for node in skipping.nodes if node.op == "TrimPadding")
    count = State(f"{trim.name}_pads", f"{trim.name}_pads_next", (1,))
    trim = replace(
        trim,
        inputs=(*trim.inputs, count.input),
        outputs=(*trim.outputs, count.output),
        shapes=(*trim.shapes, (None, 1)),
    )
    began = {node.output: f"{node.output}_began" for node in tables}
    renamed = {trim.inputs[0]: trim.output, **began}
    nodes = [
        replace(node, inputs=(*node.inputs, node.output), outputs=(began[node.output],))
        for node in tables
    ]
    graph = streaming.graph
    for node in graph.nodes:
        nodes.append(replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs)))
    weights = dict(graph.weights)
    for node in tables:
        weights |= {name: skipping.weights[name] for name in node.weights.values()}
    form = Graph(
        inputs=(*graph.inputs, GraphInput(count.input, "float32", (None, 1))),
        nodes=(trim, *nodes),
        outputs=(*graph.outputs, count.output),
        weights=weights,
    )
    return StreamingGraph(form, (*streaming.states, count))


def step_values(
    function: Function, model: Graph, states: tuple[State, ...], values: Mapping[str, object]
) -> dict[str, str]:
    """Return the source and declarations of a model's `step`.

    Args:
        function: Runs the Graph of `step_form`.
        model: The model itself.
        states: What is carried.
        values: Of the model: 'prefix', 'PREFIX'.
    """
    sizes = [math.prod(state.shape) for state in states]
    own = function_values(function, "step_", {**values, "ids_of_text": "NULL"}, states=sizes)
    timesteps = ["timesteps"] * len(function.sizes)
    named = {
        **values,
        **{f"step_{key}": text for key, text in own.items()},
        **_arguments(model),
        "state_floats": sum(sizes),
        "step_inputs_text": _taken(model, function),
        "step_outputs_text": _listed(own["outputs_text"], len(model.outputs)),
        "step_timesteps": ", ".join(timesteps) or "timesteps",
        "step_scratch_text": ", ".join(["rows", *timesteps]),
    }
    return {
        "step_source": own["source"] + fill("step.c", named),
        "step_declarations": fill("step.h", named),
        "step_library": own["calls"] + own["library"],
    }


def _taken(model: Graph, function: Function) -> str:
    """Describe what a step takes."""
    shapes = []
    for one in function.graph.inputs[: len(model.inputs)]:
        sizes = ["timesteps", *one.shape[2:]] if has_time(one) else list(one.shape[1:])
        shapes.append(f"{comment(one.name)} [{', '.join(map(str, ['rows', *sizes]))}]")
    return ", ".join(shapes)


def _listed(text: str, count: int) -> str:
    """Keep the first of some shapes that are written one after the other."""
    return "], ".join(text.split("], ")[:count]).rstrip("]") + "]"


def _arguments(model: Graph) -> dict[str, str]:
    """Return the arguments for the inputs and outputs: one array, or an array of arrays."""
    found = {
        "step_argument": "const void *const *inputs",
        "step_inputs_given": "inputs",
        "step_result": "float *const *outputs",
        "step_outputs_given": "outputs",
    }
    if len(model.inputs) == 1:
        c_type, name = INPUTS[model.inputs[0].dtype]
        found["step_argument"] = f"const {c_type} *{name}"
        found["step_inputs_given"] = f"(const void *const[]){{{name}}}"
    if len(model.outputs) == 1:
        found["step_result"] = "float *scores"
        found["step_outputs_given"] = "(float *const[]){scores}"
    return found
