"""Renders the C files of a written model.

Not compilers: see `build`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatelet.convert.exporters.c.sizes import largest_elements
from gatelet.convert.exporters.c.source import (
    c_string,
    comment,
    fill,
    kernel_headers_text,
    kernel_text,
    template,
)
from gatelet.convert.exporters.c.texts import text_values, texts_of
from gatelet.convert.exporters.c.vocabulary import Vocabulary
from gatelet.convert.exporters.c.writer import Value
from gatelet.convert.exporters.exported import Companion, Exportable, stored_name
from gatelet.convert.schemes import Scheme
from gatelet.runtime.graph import Graph

__all__ = ["Model", "render"]


@dataclass(frozen=True)
class Model:
    """A model written as calls.

    Args:
        prefix: Of all C names.
        stem: Of its files' names.
        graph: What runs.
        body: The statements that run it.
        outputs: The values that it gives.
        parameters: The sizes that the caller decides: (input, axis) of each.
        scratch: The floats of each piece of memory, as C expressions.
        kernels: The kernel files that it needs, without suffix.
        weights: The blob.
        vocabulary: Of its vectorizer, where C can do what that does.
    """

    prefix: str
    stem: str
    graph: Graph
    body: list[str]
    outputs: list[Value]
    parameters: list[tuple[int, int]]
    scratch: list[str]
    kernels: set[str]
    weights: bytes
    vocabulary: Vocabulary | None = None


def render(model: Model, exportable: Exportable, scheme: Scheme) -> dict[str, Any]:
    """Give the texts, and the companions.

    'source' is complete; 'linked' is the same to be linked with the kernels, 'levels' chooses
    among the x86-64 levels of it.
    """
    values = _values(model, exportable, scheme)
    header = fill(template("model.h"), values)
    calls = [template("library.h"), fill(template("model.c"), values)]
    kernels = model.kernels | ({"vectorizer"} if model.vocabulary is not None else set())
    source = "\n".join(
        [
            f"/* {values['title']}: {values['target_scheme']}. Made by gatelet: do not edit. */",
            header,
            "#define GATELET_SINGLE_FILE",
            kernel_text(kernels),
            *calls,
        ]
    )
    linked = "\n".join([header, kernel_headers_text(), *calls])
    levels = fill(template("levels.c"), {**values, "library": template("library.h")})
    companions = _companions(model, values, source, header)
    return {"source": source, "linked": linked, "levels": levels, "companions": companions}


def _companions(
    model: Model, values: Mapping[str, object], source: str, header: str
) -> tuple[Companion, ...]:
    """Give the files for a C program; they name each other by the names that a bundle gives."""
    stem = model.stem
    made = [
        Companion("source", f"{stem}-model", ".c", source.encode()),
        Companion("header", f"{stem}-model", ".h", header.encode()),
    ]
    names = {
        **values,
        "source_name": made[0].stored_name,
        "header_name": made[1].stored_name,
        "weights_name": stored_name(stem, ".bin", model.weights),
    }
    for role, name, suffix in (("cmake", "CMakeLists", ".txt"), ("array", "weights", ".c")):
        text = fill(template(f"{name}{suffix}"), names)
        made.append(Companion(role, f"{stem}-{name}", suffix, text.encode()))
    if model.vocabulary is not None:
        vocabulary = Companion("vocabulary", "c-vocabulary", ".bin", model.vocabulary.data)
        made.append(vocabulary)
        if values["scores_count"]:
            names |= {"vocabulary_name": vocabulary.stored_name}
            # its own name holds a digest of its text, so it is written with a star
            names["example_name"] = f"{stem}-example-*.c"
            text = fill(template("example.c"), names)
            made.append(Companion("example", f"{stem}-example", ".c", text.encode()))
    return tuple(made)


def _values(model: Model, exportable: Exportable, scheme: Scheme) -> dict[str, object]:
    graph, prefix = model.graph, model.prefix
    names = [f"T{index}" for index in range(len(model.parameters))]
    values: dict[str, object] = {
        "prefix": prefix,
        "PREFIX": prefix.upper(),
        "title": comment(exportable.name),
        "target_scheme": f"c {scheme.name}",
        "digest": ", ".join(f"0x{byte:02x}" for byte in model.weights[:24]),
        "weights_bytes": len(model.weights),
        "body": _body(model, names),
        "sizes_used": "\n".join(
            [f"    const int32_t T{i} = sizes[{i}];\n    (void)T{i};" for i in range(len(names))]
            or ["    (void)sizes;"]
        ),
        "macro_parameters": ", ".join(["B", *names]),
        "macro_arguments": ", ".join(["B", *names]),
        "macro_passed": ", ".join(
            [
                f"((B) < {prefix.upper()}_ROWS_AT_ONCE ? (B) : {prefix.upper()}_ROWS_AT_ONCE)",
                *(f"({name})" for name in names),
            ]
        ),
        "inputs": len(graph.inputs),
        "outputs": len(graph.outputs),
        "sizes": len(names),
        "vocabularies": ", ".join(str(one.vocabulary or 0) for one in graph.inputs),
        "facts": "",
        "description": c_string(_description(graph)),
    }
    values |= _cases(model)
    values |= _texts(graph, model)
    sorts = _skips_padding(graph)
    blocks = template("blocks_by_padding.c" if sorts else "blocks.c")
    values["blocks"] = fill(blocks, values)
    values["scratch_floats"] = _scratch(model, sorts=sorts)
    texts = texts_of(graph, model.outputs, len(names), model.vocabulary)
    values["scores_count"] = texts.scores or 0
    values |= text_values(texts, graph, len(names), values)
    return values


def _skips_padding(graph: Graph) -> bool:
    """Tell whether rows of like padding should run together."""
    return len(graph.inputs) == 1 and any(node.op == "TrimPadding" for node in graph.nodes)


def _body(model: Model, names: list[str]) -> str:
    lines = [f"const int32_t {name} = sizes[{index}];" for index, name in enumerate(names)]
    lines += [f"(void){name};" for name in names] or ["(void)sizes;"]
    lines += ["(void)weights;", "(void)scratch;"]
    before = "scratch"
    for index, floats in enumerate(model.scratch):
        lines.append(f"float *const s{index} = {before};")
        before = f"s{index} + ROUNDED({floats})"
    return "\n".join(f"    {line}" for line in [*lines, *model.body])


def _cases(model: Model) -> dict[str, str]:
    parameters = {place: index for index, place in enumerate(model.parameters)}
    inputs, outputs, shapes = [], [], []
    for index, one in enumerate(model.graph.inputs):
        factors = [
            f"(size_t)T{parameters[index, axis]}" if size is None else f"(size_t){size}"
            for axis, size in enumerate(one.shape[1:], 1)
        ]
        inputs.append(f"    case {index}: return {' * '.join(['sizeof(int32_t)', *factors])};")
    for index, value in enumerate(model.outputs):
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


def _texts(graph: Graph, model: Model) -> dict[str, str]:
    kinds = {"int32": "int32_t ids", "float32": "float"}

    def written(shape: Any) -> str:
        return "[rows" + "".join(f", {size or '?'}" for size in shape[1:]) + "]"

    sizes = [f"axis {axis} of {graph.inputs[index].name}" for index, axis in model.parameters]
    return {
        "inputs_text": ", ".join(f"{kinds[i.dtype]} {written(i.shape)}" for i in graph.inputs),
        "sizes_text": ", ".join(sizes) or "none, NULL will do",
        "outputs_text": ", ".join(written(graph.shape_of(name)) for name in graph.outputs),
    }


def _scratch(model: Model, *, sorts: bool) -> str:
    rounded = f"{model.prefix.upper()}_ROUNDED_"
    pieces = [f"{rounded}({floats})" for floats in model.scratch]
    if sorts:
        at_once = f"{model.prefix.upper()}_ROWS_AT_ONCE"
        pieces.append(f"{rounded}((size_t){at_once} * (size_t)(T0))")
        pieces += [
            f"{rounded}((size_t){at_once} * ({largest_elements(value.dims[1:])}))"
            for value in model.outputs
        ]
    return " + \\\n      ".join(pieces) or "16"


def _description(graph: Graph) -> list[str]:
    """Describe inputs and outputs for bindings: one JSON list a line."""
    lines = [json.dumps(["input", one.name, one.dtype, list(one.shape)]) for one in graph.inputs]
    return [*lines, *(json.dumps(["output", name]) for name in graph.outputs)]
