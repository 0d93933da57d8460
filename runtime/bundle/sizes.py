"""Where the bytes of a bundle go: by layer, and by what they are.

Not a measurement of memory at run time. Standard library only.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.bundle.storage import Storage, storage_of
from gatelet.runtime.graph.graph import Graph

_KINDS = {"embeddings": "embedding", "kernel": "kernel", "recurrent_kernel": "recurrent kernel"}


@dataclass(frozen=True)
class SizePart:
    """Some bytes.

    Args:
        layer: Whose they are; '' where they are no layer's.
        kind: 'embedding', 'kernel', 'recurrent kernel', 'bias', 'vocabulary' or 'rest'.
        bytes: How many.
    """

    layer: str
    kind: str
    bytes: int


@dataclass(frozen=True)
class Sizes:
    """A file, in parts that add up to it.

    Args:
        name: 'weights', 'vectorizer', or target and scheme.
        bytes: Of the file.
        parts: The largest first.
    """

    name: str
    bytes: int
    parts: tuple[SizePart, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        parts = [{"layer": p.layer, "kind": p.kind, "bytes": p.bytes} for p in self.parts]
        return {"name": self.name, "bytes": self.bytes, "parts": parts}


def sizes_of(bundle: Bundle) -> tuple[Sizes, ...]:
    """Divide the weights in float32, each artifact, and the vectorizer.

    An artifact's layers are counted as the manifest says that it stores them; 'rest' is what its
    file has more: operators, scales, states after padding, names. A file of a type that is not
    known here is all rest. What a vocabulary takes in a file is told by the manifest.

    Args:
        bundle: The opened bundle.

    Returns:
        The weights ('before'), the artifacts ('after') in their order, the vectorizer.
    """
    graph = bundle.graph()
    whole = Storage("float32", "float32")
    size = sum(whole.bytes_of(role, elements) for _, role, elements in _weights(graph))
    found = [_divided("weights", graph, whole, round(size))]
    for artifact in bundle.artifacts:
        name = f"{artifact.target} {artifact.scheme}"
        vocabulary = artifact.entry.get("vocabulary_bytes")
        words = vocabulary if isinstance(vocabulary, int) else 0
        stored = storage_of(artifact.entry)
        found.append(_divided(name, graph, stored, artifact.bytes, words=words))
    vectorizer = bundle.part("vectorizer")
    if vectorizer is not None:
        size = vectorizer.stat().st_size
        found.append(Sizes("vectorizer", size, (SizePart("", "vocabulary", size),)))
    return tuple(found)


def _divided(
    name: str, graph: Graph, storage: Storage | None, whole: int, *, words: int = 0
) -> Sizes:
    counts: dict[tuple[str, str], float] = {}
    if storage is not None:
        for layer, role, elements in _weights(graph):
            key = (layer, _KINDS.get(role, "bias" if "bias" in role else "other weights"))
            counts[key] = counts.get(key, 0.0) + storage.bytes_of(role, elements)
    parts = [SizePart(layer, kind, round(size)) for (layer, kind), size in counts.items() if size]
    if 0 < words <= whole:
        parts.append(SizePart("", "vocabulary", words))
    rest = whole - sum(part.bytes for part in parts)
    if rest > 0:
        parts.append(SizePart("", "rest", rest))
    return Sizes(name, whole, tuple(sorted(parts, key=lambda part: -part.bytes)))


def _weights(graph: Graph) -> list[tuple[str, str, int]]:
    """Return the layer, the role and the elements of every tensor, each once."""
    seen: dict[str, tuple[str, str, int]] = {}
    for node in graph.nodes:
        for role, tensor in node.weights.items():
            elements = math.prod(graph.weights[tensor].shape)
            seen.setdefault(tensor, (node.source or node.name, role, elements))
    return list(seen.values())


def layers_of(sizes: Sizes) -> Mapping[tuple[str, str], int]:
    """Return the bytes of a file by layer and kind."""
    return {(part.layer, part.kind): part.bytes for part in sizes.parts}
