"""Renders the C files of a written model.

Not compilers: see `build`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatelet.convert.exporters.c.blob import HEAD_BYTES, INT8_CHUNK
from gatelet.convert.exporters.c.decisions import decision_values
from gatelet.convert.exporters.c.functions import Function, function_values
from gatelet.convert.exporters.c.layout import assertions
from gatelet.convert.exporters.c.ranges import range_declarations
from gatelet.convert.exporters.c.sizes import LARGEST_SIZE
from gatelet.convert.exporters.c.source import (
    c_bytes,
    comment,
    fill,
    kernel_headers_text,
    kernel_text,
    kinds_of,
    levels_text,
)
from gatelet.convert.exporters.c.steps import NO_STEPS, step_values
from gatelet.convert.exporters.c.texts import text_values, texts_of
from gatelet.convert.exporters.c.vocabulary import Vocabulary
from gatelet.convert.exporters.exported import Companion, Exportable, stored_name
from gatelet.convert.layouts import LANES
from gatelet.convert.schemes import Scheme
from gatelet.runtime.graph.states import State


@dataclass(frozen=True)
class Model:
    """A model written as calls.

    Args:
        prefix: Of all C names.
        stem: Of its files' names.
        whole: Runs whole sequences.
        kernels: The kernel files that it needs, without suffix.
        weights: The blob.
        sections: The table of what it holds, as in docs/bundle.md.
        vocabulary: Of its vectorizer, where C can do what that does.
        steps: Runs pieces of sequences, where the model streams.
        states: What those carry.
        observed: The largest magnitudes that the integers of a scheme were scaled by.
    """

    prefix: str
    stem: str
    whole: Function
    kernels: set[str]
    weights: bytes
    sections: Sequence[Mapping[str, Any]] = ()
    vocabulary: Vocabulary | None = None
    steps: Function | None = None
    states: tuple[State, ...] = ()
    observed: Mapping[str, Any] = field(default_factory=dict)


def render(model: Model, exportable: Exportable, scheme: Scheme) -> dict[str, Any]:
    """Return the texts, and the companions.

    'source' is complete; 'linked' is the same to be linked with the kernels, 'levels' chooses
    among the x86-64 levels of it.
    """
    values = _values(model, exportable, scheme)
    header = fill("model.h", values)
    calls = _calls(values)
    sorts = any(one.sorts for one in (model.whole, model.steps) if one is not None)
    kernels = {"run", *model.kernels, *(["windows"] if sorts else [])}
    kernels |= {"vectorizer"} if model.vocabulary is not None else set()
    decides = any(one.activation != "none" for one in exportable.decisions)
    kernels |= {"activations"} if decides else set()
    source = "\n".join(
        [
            f"/* {values['title']}: {values['target_scheme']}. Made by gatelet: do not edit. */",
            header,
            "#define GATELET_SINGLE_FILE",
            f"#define GATELET_SMALL {model.prefix.upper()}_SMALL",
            *_used(calls),
            kernel_text(kernels),
            calls,
        ]
    )
    linked = "\n".join([header, kernel_headers_text(), calls])
    opened = {"gatelet_open": "library"}
    opened |= {"gatelet_open_steps": "step_library"} if model.steps is not None else {}
    levels = [levels_text()]
    levels += [f"GATELET_LEVELS({k}, {model.prefix}_{table})" for k, table in opened.items()]
    companions = _companions(model, values, source, header)
    return {
        "source": source,
        "linked": linked,
        "levels": "\n".join([*levels, str(values["decide_levels"])]),
        "companions": companions,
    }


def _used(calls: str) -> list[str]:
    """Return the definitions that leave out what no call names: activations, tiles of floats."""
    kinds = enumerate(kinds_of("activations.h"))
    used = sum(1 << bit for bit, one in kinds if re.search(rf"\b{one}\b", calls))
    kinds = enumerate(kinds_of("integer.h"))
    integers = sum(1 << bit for bit, one in kinds if re.search(rf"\b{one}\b", calls))
    found = set(re.findall(r"\.floats = .*\.tile = (\d+)\}", calls))
    tiles = sum(1 << int(tile) // LANES - 1 for tile in found)
    rounded = re.findall(r"\.limit = \d+, \.rows = (\d+)", calls)
    inner = min(INT8_CHUNK, max((int(rows) + 7 for rows in rounded), default=8) // 8 * 8)
    return [
        f"#define GATELET_KINDS {used:#x}u",
        f"#define GATELET_Q_KINDS {integers:#x}u",
        f"#define GATELET_TILES {tiles}",
        f"#define GATELET_INNER {inner}",
    ]


def _companions(
    model: Model, values: Mapping[str, object], source: str, header: str
) -> tuple[Companion, ...]:
    """Return the files for a C program; they name each other by the names that a bundle gives."""
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
        "and_vocabulary": "",
        "vocabulary_array": "",
    }
    vocabulary = None
    if model.vocabulary is not None:
        vocabulary = Companion("vocabulary", "c-vocabulary", ".bin", model.vocabulary.data)
        name = vocabulary.stored_name
        names |= {
            "vocabulary_name": name,
            "and_vocabulary": " and its vocabulary",
            "vocabulary_array": f'ARRAY("{values["prefix"]}_vocabulary", "{name}");\n',
        }
    for role, name, suffix in (("cmake", "CMakeLists", ".txt"), ("array", "weights", ".c")):
        text = fill(f"{name}{suffix}", names)
        made.append(Companion(role, f"{stem}-{name}", suffix, text.encode()))
    if vocabulary is not None:
        made.append(vocabulary)
        if values["scores_count"]:
            # its own name holds a digest of its text, so it is written with a star
            names["example_name"] = f"{stem}-example-*.c"
            text = fill("example.c", names)
            made.append(Companion("example", f"{stem}-example", ".c", text.encode()))
    return tuple(made)


def _values(model: Model, exportable: Exportable, scheme: Scheme) -> dict[str, object]:
    whole, prefix = model.whole, model.prefix
    values: dict[str, object] = {
        "prefix": prefix,
        "PREFIX": prefix.upper(),
        "title": comment(exportable.name),
        "units": f" * Units: {comment(exportable.units)}.\n" if exportable.units else "",
        "target_scheme": f"c {scheme.name}",
        "weights_head": c_bytes(model.weights[:HEAD_BYTES]),
        "weights_bytes": len(model.weights),
        "largest_size": LARGEST_SIZE,
        "assertions": assertions(prefix.upper()),
    }
    texts = texts_of(whole.graph, whole.outputs, len(whole.sizes), model.vocabulary)
    values["scores_count"] = texts.scores or 0
    told = []
    if texts.vocabulary is not None:
        told.append(json.dumps(["texts", texts.vocabulary.maxlen]))
    values["ids_of_text"] = "NAME(ids_of_text)" if told else "NULL"
    own = function_values(whole, "", values, told=told)
    values |= own
    values |= text_values(texts, whole.graph, len(whole.sizes), values)
    decided = decision_values(exportable.decisions, values, several=len(whole.outputs) > 1)
    values |= decided
    ranges = range_declarations(exportable.graph, model.observed, values["PREFIX"])
    values["declarations"] = f"{values['declarations']}{decided['decide_declarations']}{ranges}"
    is_one = len(whole.outputs) == 1 and any(not one.steps for one in exportable.decisions)
    values["print_scores"] = fill(f"print_{'decided' if is_one else 'scores'}.c", values).rstrip()
    values |= NO_STEPS
    if model.steps is not None:
        values |= step_values(model.steps, whole.graph, model.states, values)
    return values


def _calls(values: Mapping[str, object]) -> str:
    """Return the model's own code: its tables, and calls of the kernels."""
    parts = (
        fill("model.c", values),
        *(values[key] for key in ("texts", "source", "calls", "predict", "decide", "step_source")),
        "\n#if defined(GATELET_LIBRARY)",
        *(values[key] for key in ("library", "step_library")),
        "#endif\n",
    )
    return "".join(map(str, parts))
