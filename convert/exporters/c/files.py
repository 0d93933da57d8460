"""Renders the C files of a written model.

Not compilers: see `build`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatelet.convert.exporters.c.functions import Function, function_values
from gatelet.convert.exporters.c.source import (
    c_string,
    comment,
    fill,
    kernel_headers_text,
    kernel_text,
    template,
)
from gatelet.convert.exporters.c.steps import NO_STEPS, step_values
from gatelet.convert.exporters.c.texts import text_values, texts_of
from gatelet.convert.exporters.c.vocabulary import Vocabulary
from gatelet.convert.exporters.exported import Companion, Exportable, stored_name
from gatelet.convert.schemes import Scheme
from gatelet.runtime.graph.states import State

__all__ = ["Model", "render"]


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
    choosers = _choosers(values, steps=model.steps is not None)
    levels = fill(
        template("levels.c"),
        {**values, "library": template("library.h"), "choosers": choosers},
    )
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
        text = fill(template(f"{name}{suffix}"), names)
        made.append(Companion(role, f"{stem}-{name}", suffix, text.encode()))
    if vocabulary is not None:
        made.append(vocabulary)
        if values["scores_count"]:
            # its own name holds a digest of its text, so it is written with a star
            names["example_name"] = f"{stem}-example-*.c"
            text = fill(template("example.c"), names)
            made.append(Companion("example", f"{stem}-example", ".c", text.encode()))
    return tuple(made)


def _values(model: Model, exportable: Exportable, scheme: Scheme) -> dict[str, object]:
    whole, prefix = model.whole, model.prefix
    values: dict[str, object] = {
        "prefix": prefix,
        "PREFIX": prefix.upper(),
        "title": comment(exportable.name),
        "target_scheme": f"c {scheme.name}",
        "digest": ", ".join(f"0x{byte:02x}" for byte in model.weights[:24]),
        "weights_bytes": len(model.weights),
        "facts": "",
    }
    own = function_values(whole, "", values)
    values |= {**own, "whole": own["source"]}
    texts = texts_of(whole.graph, whole.outputs, len(whole.sizes), model.vocabulary)
    values["scores_count"] = texts.scores or 0
    if texts.vocabulary is not None:
        told = c_string([json.dumps(["texts", texts.vocabulary.maxlen])])
        values["description"] = f"{values['description']}\n    {told}"
    values |= text_values(texts, whole.graph, len(whole.sizes), values)
    if model.steps is None:
        values |= NO_STEPS
    else:
        values |= step_values(model.steps, whole.graph, model.states, values)
    return values


def _choosers(values: Mapping[str, object], *, steps: bool) -> str:
    """Give what a library exports: how to open it, and how to open its steps."""
    tables = {"": "gatelet_open", **({"step_": "gatelet_open_steps"} if steps else {})}
    return "".join(
        fill(template("chooser.c"), {**values, "form": form, "function": function})
        for form, function in tables.items()
    )
