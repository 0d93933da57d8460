"""The programs of a package: a self-test, and examples that print what `gatelet predict` prints.

Not where a form puts them: see `gatelet.convert.packages.forms`.
"""

import math

from gatelet.convert.exporters.c.decisions import c_text
from gatelet.convert.exporters.c.source import comment, number
from gatelet.convert.packages.filling import fill, wrapped
from gatelet.convert.packages.package import Package
from gatelet.convert.packages.printing import print_values
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.graph.graph import GraphInput
from gatelet.runtime.graph.streamable import has_time

_C_TYPES = {"int32": "int32_t", "float32": "float"}
_LIMITS = {"float32": 1e-5}
_ROUNDED_LIMIT = 0.01
"""Of scores of a scheme that rounds values to integers and computes in floats: processors differ
in the last bit of a float, and where that decides a rounding, in a step of 8 bits."""


def programs(package: Package, *, header: str = "model.h") -> dict[str, str]:
    """Return the text of each program and of the headers that they share, by name.

    Args:
        package: The package.
        header: What they include: model.h, or the package's own where others have such too.

    Returns:
        golden.h and selftest.c; print.h with example.c (of texts or rows) and, of a model that
        streams, stream.c with step.h, where a line of text can hold what the model takes.
    """
    values = {**package.values, "header": header, **_calls(package)}
    made = {"golden.h": _golden(package, values), "selftest.c": fill("programs/selftest.c", values)}
    made["print.h"] = fill("programs/print.h", {**values, **print_values(package, values)})
    reads_texts = "vocabulary.c" in package.sources and len(package.graph.inputs) == 1
    if reads_texts:
        made["text.h"] = fill("programs/text.h", values)
        told = "Predicts texts: words of the command line, or lines of standard input"
        made["example.c"] = _lines(values, "text.h", told, "")
    elif all(one.shape[1:].count(None) <= 1 for one in package.graph.inputs):
        made["example.c"] = fill("programs/rows.c", {**values, **_rows(package)})
    if package.memory.state_bytes and _step_shapes(package) is not None:
        name = "step_text.h" if reads_texts else "step.h"
        made["step.h"] = fill(f"programs/{name}", {**values, **_reading(package, values)})
        told = "Predicts after each step: lines of standard input, or words of the command line"
        made["stream.c"] = _lines(values, "step.h", told, " --stream")
    return made


def _lines(values: dict[str, object], header: str, told: str, flag: str) -> str:
    said = (
        f"/* {told}.\n * It prints what `gatelet predict{flag}` prints of '{values['title']}'. */"
    )
    return fill("programs/lines.c", {**values, "told": said, "line_header": header})


def _calls(package: Package) -> dict[str, object]:
    """Return the arguments of calls of the model: sizes, memory, outputs."""
    golden, graph = package.golden, package.graph
    counts = [len(one) for one in golden.outputs[0]]
    sizes = [str(size) for size in golden.sizes]
    align = f"{package.prefix.upper()}_ALIGNED(4)"
    made = [f"    {align} static float output_{i}[{n}];" for i, n in enumerate(counts)]
    named = ", ".join(f"output_{i}" for i in range(len(counts)))
    made.append(f"    float *const outputs[] = {{{named}}};")
    made.append(f"    static const int32_t counts[] = {{{', '.join(map(str, counts))}}};")
    single_in, single_out = len(graph.inputs) == 1, len(graph.outputs) == 1
    timed = sum(has_time(one) for one in graph.inputs)
    return {
        "sizes": ", ".join(sizes or ["0"]),
        "scratch_of": ", ".join(["1", *sizes]),
        "step_scratch_of": ", ".join(["1", *["1"] * timed]),
        "static_outputs": "\n".join(made),
        "step_given": (
            f"(const {_C_TYPES[graph.inputs[0].dtype]} *)inputs[0]" if single_in else "inputs"
        ),
        "step_made": "outputs[0]" if single_out else "outputs",
    }


def _step_shapes(package: Package) -> list[tuple[GraphInput, int]] | None:
    """Return how many numbers of each input a timestep has; None where it may be any number."""
    found = []
    for one in package.graph.inputs:
        sizes = one.shape[2:] if has_time(one) else one.shape[1:]
        if None in sizes:
            return None
        found.append((one, math.prod(size or 1 for size in sizes)))
    return found


def _reading(package: Package, values: dict[str, object]) -> dict[str, object]:
    """Return how a line is read into the inputs of a step."""
    shapes = _step_shapes(package) or []
    align = f"{values['PREFIX']}_ALIGNED(4)"
    arrays, read = [], []
    for index, (one, count) in enumerate(shapes):
        c_type, array = _C_TYPES[one.dtype], f"input_{index}"
        arrays.append(f"    {align} static {c_type} {array}[{count}];")
        told = {"count": count, "array": array, "c_type": c_type}
        read.append(fill("programs/step_read.h", told).rstrip("\n"))
    of_inputs = ", ".join(comment(one.name) for one, _ in shapes)
    step_counts = [math.prod(n or 1 for n in _of_step(package, k)) for k in _places(package)]
    made = [f"    {align} static float output_{i}[{n}];" for i, n in enumerate(step_counts)]
    made.append(
        f"    float *const outputs[] = {{{', '.join(f'output_{i}' for i in _places(package))}}};"
    )
    made.append(f"    static const int32_t counts[] = {{{', '.join(map(str, step_counts))}}};")
    return {
        "of_inputs": f" of {of_inputs}" if len(shapes) > 1 else "",
        "step_arrays": "\n".join(arrays),
        "read": "\n".join(read),
        "step_inputs": ", ".join(f"input_{index}" for index in range(len(shapes))),
        "numbers": sum(count for _, count in shapes),
        "static_outputs": "\n".join(made),
    }


def _places(package: Package) -> range:
    return range(len(package.graph.outputs))


def _of_step(package: Package, place: int) -> tuple[int | None, ...]:
    """Return the shape of an output of one timestep."""
    shape = package.graph.shape_of(package.graph.outputs[place])
    return shape[2:] if len(shape) > 2 else shape[1:]


def _rows(package: Package) -> dict[str, object]:
    """Return how numbers are read into the inputs of a row."""
    inputs = package.graph.inputs
    counts = [math.prod(size or 1 for size in one.shape[1:]) for one in inputs]
    is_open = [None in one.shape[1:] for one in inputs]
    single_ids = len(inputs) == 1 and inputs[0].dtype == "int32"
    several = "\n * Those of an input come before those of the next one: "
    names = ", ".join(comment(one.name) for one in inputs)
    return {
        "of_inputs": f"{several}{names}." if len(inputs) > 1 else "",
        "is_ids": ", ".join(str(int(one.dtype == "int32")) for one in inputs),
        "fixed": ", ".join(str(0 if o else n) for o, n in zip(is_open, counts, strict=True)),
        "of_step": ", ".join(str(n if o else 0) for o, n in zip(is_open, counts, strict=True)),
        "ids_of_row": "(const int32_t *)inputs[0]" if single_ids else "NULL",
    }


def limit_of(scheme: str) -> tuple[float, str]:
    """Return how far scores may be off in a self-test, and why."""
    row = SCHEMES[scheme]
    if row.activations != "float32":
        return 0.0, "integers: every processor gives the same bits"
    if scheme in _LIMITS:
        return _LIMITS[scheme], "processors round floats differently"
    return _ROUNDED_LIMIT, "processors round floats differently, and that may decide a step of int8"


def _golden(package: Package, values: dict[str, object]) -> str:
    golden, graph = package.golden, package.graph
    limit, why = limit_of(package.artifact.scheme)
    align = f"{values['PREFIX']}_ALIGNED(4)"
    arrays = []
    for row, inputs in enumerate(golden.inputs):
        for index, (one, flat) in enumerate(zip(graph.inputs, inputs, strict=True)):
            written = map(number, flat) if one.dtype == "float32" else (str(int(x)) for x in flat)
            array = f"{align} static const {_C_TYPES[one.dtype]} golden_{row}_{index}[]"
            arrays.append(f"{array} = {{\n{wrapped(written)}\n}};")
    named = (
        f"{{{', '.join(f'golden_{row}_{index}' for index in range(len(graph.inputs)))}}}"
        for row in range(len(golden.inputs))
    )
    expected = (
        f"    {{\n{wrapped((number(x) for one in row for x in one), indent='        ')}\n    }},"
        for row in golden.outputs
    )
    starts, at = [], 0
    for flat in golden.outputs[0]:
        starts.append(at)
        at += len(flat)
    steps = _golden_steps(package)
    filled = {
        **values,
        "rows": len(golden.inputs),
        "scores": at,
        "limit": number(limit),
        "limit_why": why,
        "steps": steps,
        "arrays": "\n".join(arrays),
        "inputs_count": len(graph.inputs),
        "inputs": ", ".join(named),
        "expected": "\n".join(expected).rstrip(","),
        "outputs": ", ".join(f"golden_scores + {start}" for start in starts),
        "texts": "",
        "text_check": "",
        "step_check": "",
    }
    calls = []
    if steps:
        stepping = _stepping(package, starts)
        filled["step_check"] = fill("programs/golden_steps.h", {**filled, **stepping})
        calls.append("    wrong += golden_wrong_steps();")
    if golden.texts:
        texts = ",\n    ".join(map(c_text, golden.texts))
        lengths = (str(len(one.encode("utf-8", "backslashreplace"))) for one in golden.texts)
        filled["texts"] = (
            f"static const char *const golden_texts[GOLDEN_ROWS] = {{\n    {texts}\n}};\n"
            f"static const size_t golden_bytes[GOLDEN_ROWS] = {{{', '.join(lengths)}}};\n"
        )
        filled["text_check"] = fill("programs/golden_texts.h", filled)
        calls.append("    wrong += golden_wrong_texts();")
    filled["calls"] = "\n".join(calls)
    return fill("programs/golden.h", filled)


def _golden_steps(package: Package) -> int:
    """Return the timesteps of a golden row that is fed step by step; 0 where none can be."""
    shapes = _step_shapes(package)
    if not package.memory.state_bytes or shapes is None:
        return 0
    counts = {
        len(flat) // count
        for (one, count), flat in zip(shapes, package.golden.inputs[0], strict=True)
        if has_time(one)
    }
    return counts.pop() if len(counts) == 1 else 0


def _stepping(package: Package, starts: list[int]) -> dict[str, object]:
    """Return the inputs of step t, and the comparison after the last step."""
    given, differs = [], []
    for index, (one, count) in enumerate(_step_shapes(package) or ()):
        at = f" + t * {count}" if has_time(one) else ""
        given.append(f"(const {_C_TYPES[one.dtype]} *)golden_inputs[i][{index}]{at}")
    for place, start in zip(_places(package), starts, strict=True):
        count = math.prod(n or 1 for n in _of_step(package, place))
        last = len(package.golden.outputs[0][place]) - count  # of outputs with timesteps: the last
        shift = f"expected + {last}" if last else "expected"
        differs.append(f"golden_differs({shift}, {start}, {count})")
    return {
        "step_inputs": ", ".join(given),
        "step_differs": "".join(f" || {one}" for one in differs),
    }
