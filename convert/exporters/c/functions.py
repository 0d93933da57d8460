"""One function of a model in C: it runs a Graph, whole sequences or pieces of them.

Not the files around it: see `files`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatelet.convert.exporters.c.sizes import largest_elements
from gatelet.convert.exporters.c.source import c_string, fill, template
from gatelet.convert.exporters.c.writer import Value
from gatelet.runtime.graph.graph import Graph

__all__ = ["Function", "function_values"]


@dataclass(frozen=True)
class Function:
    """A Graph written as calls.

    Args:
        graph: What runs.
        body: The statements that run it.
        outputs: The values that it gives.
        parameters: The sizes that the caller decides: (input, axis) of each.
        scratch: The floats of each piece of memory, as C expressions.
    """

    graph: Graph
    body: list[str]
    outputs: list[Value]
    parameters: list[tuple[int, int]]
    scratch: list[str]

    @property
    def sizes(self) -> list[str]:
        """The names of the sizes that the caller decides."""
        return [f"T{index}" for index in range(len(self.parameters))]


def function_values(function: Function, form: str, values: Mapping[str, object]) -> dict[str, str]:
    """Give the function's source, and what its header says.

    Args:
        function: What to write.
        form: What its names begin with: '', or 'step_'.
        values: Of the model: 'prefix', 'PREFIX'.

    Returns:
        'source', 'inputs', 'outputs', 'sizes', 'macro_parameters', 'macro_passed',
        'scratch_floats', 'description', and 'inputs_text', 'sizes_text', 'outputs_text'.
    """
    graph, names, prefix = function.graph, function.sizes, str(values["PREFIX"])
    sorts = len(graph.inputs) == 1 and any(node.op == "TrimPadding" for node in graph.nodes)
    at_once = f"{prefix}_ROWS_AT_ONCE"
    found = {
        "inputs": str(len(graph.inputs)),
        "outputs": str(len(graph.outputs)),
        "sizes": str(len(names)),
        "macro_parameters": ", ".join(["B", *names]),
        "macro_passed": ", ".join(
            [f"((B) < {at_once} ? (B) : {at_once})", *(f"({name})" for name in names)]
        ),
        "scratch_floats": _scratch(function, prefix, sorts=sorts),
        "description": c_string(_description(graph)),
        **_texts(function),
    }
    filled = {
        **values,
        "wide_floats": _wide(_scratch_pieces(function, prefix, sorts=sorts)),
        **_cases(function),
        "form": form,
        "FORM": form.upper(),
        "body": _body(function),
        "sizes_used": "\n".join(
            [f"    const int32_t {n} = sizes[{i}];\n    (void){n};" for i, n in enumerate(names)]
            or ["    (void)sizes;"]
        ),
        "macro_arguments": ", ".join(["B", *names]),
        "vocabularies": ", ".join(str(one.vocabulary or 0) for one in graph.inputs),
    }
    filled["blocks"] = fill(template("blocks_by_padding.c" if sorts else "blocks.c"), filled)
    return {**found, "source": fill(template("function.c"), filled)}


def _body(function: Function) -> str:
    names = function.sizes
    lines = [f"const int32_t {name} = sizes[{index}];" for index, name in enumerate(names)]
    lines += [f"(void){name};" for name in names] or ["(void)sizes;"]
    lines += ["(void)weights;", "(void)scratch;"]
    before = "scratch"
    for index, floats in enumerate(function.scratch):
        lines.append(f"float *const s{index} = {before};")
        before = f"s{index} + ROUNDED({floats})"
    return "\n".join(f"    {line}" for line in [*lines, *function.body])


def _cases(function: Function) -> dict[str, str]:
    parameters = {place: index for index, place in enumerate(function.parameters)}
    inputs, outputs, shapes = [], [], []
    for index, one in enumerate(function.graph.inputs):
        factors = [
            f"(size_t)T{parameters[index, axis]}" if size is None else f"(size_t){size}"
            for axis, size in enumerate(one.shape[1:], 1)
        ]
        inputs.append(f"    case {index}: return {' * '.join(['sizeof(int32_t)', *factors])};")
    for index, value in enumerate(function.outputs):
        rest = value.dims[1:]
        outputs.append(f"    case {index}: return {largest_elements(rest)};")
        shapes.append(f"    case {index}:")
        shapes += [f"        shape[{axis}] = {one.most};" for axis, one in enumerate(rest, 1)]
        shapes.append(f"        return {len(value.dims)};")
    return {
        "input_cases": "\n".join(inputs),
        "output_cases": "\n".join(outputs),
        "shape_cases": "\n".join(shapes),
    }


def _texts(function: Function) -> dict[str, str]:
    graph = function.graph
    kinds = {"int32": "int32_t ids", "float32": "float"}

    def written(shape: Any) -> str:
        return "[rows" + "".join(f", {size or '?'}" for size in shape[1:]) + "]"

    sizes = [f"axis {axis} of {graph.inputs[index].name}" for index, axis in function.parameters]
    return {
        "inputs_text": ", ".join(f"{kinds[i.dtype]} {written(i.shape)}" for i in graph.inputs),
        "sizes_text": ", ".join(sizes) or "none, NULL will do",
        "outputs_text": ", ".join(written(graph.shape_of(name)) for name in graph.outputs),
    }


def _scratch(function: Function, prefix: str, *, sorts: bool) -> str:
    pieces = _scratch_pieces(function, prefix, sorts=sorts)
    return " + \\\n      ".join(f"{prefix}_ROUNDED_({floats})" for floats in pieces) or "16"


def _scratch_pieces(function: Function, prefix: str, *, sorts: bool) -> list[str]:
    """Give the floats of each piece of scratch memory, as C expressions of type size_t."""
    if not sorts:
        return function.scratch
    at_once = f"(size_t){prefix}_ROWS_AT_ONCE"
    rows = [f"({largest_elements(value.dims[1:])})" for value in function.outputs]
    return [*function.scratch, *(f"{at_once} * {floats}" for floats in ("(size_t)(T0)", *rows))]


def _wide(pieces: list[str]) -> str:
    """Add up expressions in 64 bits, whatever the processor; each is rounded up to 16 floats."""
    wide = [f"({floats.replace('size_t', 'uint64_t')}) + 16" for floats in pieces]
    return " +\n                            ".join(wide) or "16"


def _description(graph: Graph) -> list[str]:
    """Describe inputs and outputs for bindings: one JSON list a line."""
    lines = [json.dumps(["input", one.name, one.dtype, list(one.shape)]) for one in graph.inputs]
    return [*lines, *(json.dumps(["output", name]) for name in graph.outputs)]
