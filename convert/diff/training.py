"""What differs in the making of two bundles: labels, vectorizer, layers, data, settings, versions.

Not their predictions.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.vectorizer.opening import AnyVectorizer

_TIMINGS = ("processor_s",)
"""Of provenance: what differs between any two conversions."""
_HIDDEN = ("vocabulary", "vocabulary_size")
"""Fields of a vectorizer that are told by counts."""

_NONE = "-"
_MAX_CHARACTERS = 120


def changes(old: Bundle, new: Bundle) -> Iterator[tuple[str, str, str]]:
    """Return the name, the old value and the new value of everything that differs."""
    before, after = _facts(old), _facts(new)
    for name in dict.fromkeys((*before, *after)):
        was, is_now = before.get(name, _NONE), after.get(name, _NONE)
        if was != is_now:
            yield name, _cut(was), _cut(is_now)
    yield from _vocabulary(old.vectorizer(), new.vectorizer())


def _facts(bundle: Bundle) -> dict[str, str]:
    facts = {"labels": ", ".join(bundle.labels) or _NONE, "threshold": f"{bundle.threshold:g}"}
    facts |= {f"decides.{one.output}": str(one) for one in bundle.decisions}
    facts |= _model(bundle.graph())
    vectorizer = bundle.vectorizer()
    if vectorizer is not None:
        facts["vectorizer"] = type(vectorizer).__name__
        public = {k: v for k, v in vars(vectorizer).items() if not k.startswith("_")}
        facts |= {f"vectorizer.{k}": repr(v) for k, v in public.items() if k not in _HIDDEN}
    provenance = bundle.manifest.get("provenance") or {}
    told = {key: value for key, value in provenance.items() if key not in _TIMINGS}
    return facts | dict(_flat(told, ""))


def _model(graph: Graph) -> dict[str, str]:
    """Describe the layers; their names are generated and say nothing."""
    facts = {"parameters": f"{graph.parameters:,}"}
    layers = [(node, node.op) for node in graph.nodes]
    facts["layers"] = " > ".join(op for _, op in layers)
    for number, (node, op) in enumerate(layers, 1):
        place = f"layer {number} {op}"
        facts[f"{place}.shape"] = str([size if size is not None else "?" for size in node.shape])
        facts |= {f"{place}.{key}": str(value) for key, value in node.attributes.items()}
    return facts


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif value is not None:
        yield path, str(value)


def _vocabulary(
    old: AnyVectorizer | None, new: AnyVectorizer | None
) -> Iterator[tuple[str, str, str]]:
    if old is None or new is None:
        return
    before, after = old.vocabulary, new.vocabulary
    if before == after:
        return
    lost, gained = len(before.keys() - after.keys()), len(after.keys() - before.keys())
    moved = sum(after.get(word, number) != number for word, number in before.items())
    said = f"{len(after):,} words: {gained:,} gained, {lost:,} lost, {moved:,} with another id"
    yield "vocabulary", f"{len(before):,} words", said


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 1]}…"
