"""One function of a model in C: it runs a Graph, whole sequences or pieces of them.

Not the files around it: see `files`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatelet.convert.exporters.c.sizes import SCRATCH_FLOATS, largest_elements
from gatelet.convert.exporters.c.source import c_string, comment, fill
from gatelet.convert.exporters.c.writer import Value
from gatelet.runtime.graph.graph import Graph


@dataclass(frozen=True)
class Function:
    """A Graph written as calls.

    Args:
        graph: What runs.
        body: The statements that run it.
        outputs: The values that it gives.
        parameters: The sizes that the caller decides: (input, axis) of each.
        scratch: The floats of each piece of memory, as C expressions.
        words: How many of the last outputs are int32: states in integers.
    """

    graph: Graph
    body: list[str]
    outputs: list[Value]
    parameters: list[tuple[int, int]]
    scratch: list[str]
    words: int = 0

    @property
    def sorts(self) -> bool:
        """Whether rows run together by their padding, since some of it may be skipped."""
        trims = any(node.op == "TrimPadding" for node in self.graph.nodes)
        return len(self.graph.inputs) == 1 and trims

    @property
    def sizes(self) -> list[str]:
        """The names of the sizes that the caller decides."""
        return [f"T{index}" for index in range(len(self.parameters))]


def function_values(
    function: Function,
    form: str,
    values: Mapping[str, object],
    *,
    states: Sequence[int] = (),
    told: Sequence[str] = (),
) -> dict[str, str]:
    """Return the function's source, and what its header says.

    Args:
        function: What to write.
        form: What its names begin with: '', or 'step_'.
        values: Of the model: 'prefix', 'PREFIX', 'ids_of_text'.
        states: The floats of a row of each state, which are its last inputs and outputs.
        told: Further lines of its description for bindings.

    Returns:
        'source', 'calls', 'library', 'inputs', 'outputs', 'sizes', 'macro_parameters',
        'macro_passed', 'scratch_floats', and 'inputs_text', 'sizes_text', 'outputs_text'.
    """
    graph, names, prefix = function.graph, function.sizes, str(values["PREFIX"])
    pieces = _scratch_pieces(function, prefix)
    named = [one.replace("GATELET_SMALL", f"{prefix}_SMALL") for one in pieces]
    at_once = f"{prefix}_ROWS_AT_ONCE"
    found = {
        "inputs": str(len(graph.inputs)),
        "outputs": str(len(graph.outputs)),
        "sizes": str(len(names)),
        "macro_parameters": ", ".join(["B", *names]),
        "macro_passed": ", ".join(
            [f"((B) < {at_once} ? (B) : {at_once})", *(f"({name})" for name in names)]
        ),
        "scratch_floats": " + \\\n      ".join(f"{prefix}_ROUNDED_({one})" for one in named)
        or str(SCRATCH_FLOATS),
        "blocks": "gatelet_by_padding" if function.sorts else "gatelet_in_order",
        **_texts(function),
    }
    used = [f"    const int32_t {n} = sizes[{i}];\n    (void){n};" for i, n in enumerate(names)]
    filled = {
        **values,
        "blocks": found["blocks"],
        "form": form,
        "kind": form.rstrip("_") or "whole",
        "FORM": form.upper(),
        "body": _body(function),
        **_shapes(function),
        "macro_parameters": found["macro_parameters"],
        "wide_floats": _wide(pieces),
        "sizes_used": "\n".join(used or ["    (void)sizes;"]),
        "vocabularies": ", ".join(str(one.vocabulary or 0) for one in graph.inputs),
        "states": len(states),
        "state_floats": ", ".join(map(str, states)) or "0",
        "description": c_string([*_description(function), *told]),
        "abi": "GATELET_ABI_OF_WORDS" if function.words else "GATELET_ABI",
        "opens": "gatelet_open_steps" if form else "gatelet_open",
    }
    for name, template in (
        ("source", "function.c"),
        ("calls", "calls.c"),
        ("library", "library.c"),
    ):
        found[name] = fill(template, filled)
    return found


def _body(function: Function) -> str:
    names = function.sizes
    lines = [f"const int32_t {name} = call->sizes[{index}];" for index, name in enumerate(names)]
    lines += [f"(void){name};" for name in names]
    lines += ["const void *const weights = call->weights;", "(void)weights;"]
    before = "call->scratch"
    for index, floats in enumerate(function.scratch):
        lines.append(f"float *const s{index} = {before};")
        before = f"s{index} + GATELET_ROUNDED({floats})"
    return "\n".join(f"    {line}" for line in [*lines, *function.body])


def _shapes(function: Function) -> dict[str, str]:
    """Return the elements of a row of each input and output, and the shape of each output."""
    parameters = {place: f"T{index}" for index, place in enumerate(function.parameters)}
    rows = [
        " * ".join(
            f"(size_t){parameters.get((index, axis), size)}"
            for axis, size in enumerate(one.shape[1:], 1)
        )
        for index, one in enumerate(function.graph.inputs)
    ]
    rows += [largest_elements(value.dims[1:]) for value in function.outputs]
    shapes = []
    for index, value in enumerate(function.outputs):
        shapes.append(f"    case {index}:")
        shapes += [f"        shape[{axis}] = {one.most};" for axis, one in enumerate(value.dims)][
            1:
        ]
        shapes.append(f"        return {len(value.dims)};")
    return {
        "elements": "\n".join(f"    elements[{i}] = {row or 1};" for i, row in enumerate(rows)),
        "shapes": "\n".join(shapes),
    }


def _texts(function: Function) -> dict[str, str]:
    graph = function.graph
    kinds = {"int32": "int32_t ids", "float32": "float"}

    def written(shape: Any) -> str:
        return "[rows" + "".join(f", {size or '?'}" for size in shape[1:]) + "]"

    sizes = [
        f"axis {axis} of {comment(graph.inputs[index].name)}" for index, axis in function.parameters
    ]
    return {
        "inputs_text": ", ".join(f"{kinds[i.dtype]} {written(i.shape)}" for i in graph.inputs),
        "sizes_text": ", ".join(sizes) or "none, NULL will do",
        "outputs_text": ", ".join(written(graph.shape_of(name)) for name in graph.outputs),
    }


def _scratch_pieces(function: Function, prefix: str) -> list[str]:
    """Return the floats of each piece of scratch memory, as C expressions of type size_t."""
    if not function.sorts:
        return function.scratch
    # a window gathers the rows of a block, and puts away what they give
    at_once = f"((B) > 1 ? (size_t){prefix}_ROWS_AT_ONCE : (size_t)0)"
    rows = [f"({largest_elements(value.dims[1:])})" for value in function.outputs]
    return [*function.scratch, *(f"{at_once} * {floats}" for floats in ("(size_t)(T0)", *rows))]


def _wide(pieces: list[str]) -> str:
    """Add up expressions in 64 bits, whatever the processor, with what each is rounded up by."""
    wide = [f"({one.replace('size_t', 'uint64_t')}) + {SCRATCH_FLOATS}" for one in pieces]
    return " +\n           ".join(wide) or str(SCRATCH_FLOATS)


def _description(function: Function) -> list[str]:
    """Describe inputs and outputs for bindings: one JSON list a line."""
    graph, floats = function.graph, len(function.graph.outputs) - function.words
    scores = graph.outputs[:floats]
    lines = [json.dumps(["input", one.name, one.dtype, list(one.shape)]) for one in graph.inputs]
    lines += [json.dumps(["output", name]) for name in scores]
    words = (word_name(name, scores) for name in graph.outputs[floats:])
    return [*lines, *(json.dumps(["output", name, "int32"]) for name in words)]


def word_name(name: str, scores: Sequence[str]) -> str:
    """Return what a state in integers is called, which may be one of the model's scores too."""
    return f"{name}_word" if name in scores else name
