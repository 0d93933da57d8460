"""A smaller vocabulary: the rarest words become out-of-vocabulary, and lose their rows.

Texts of kept words get the same ids and the same scores; what the others cost is measured.
Not quantization, which keeps every word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.quality.figures import decided
from gatelet.convert.parity.quality.statistics import accuracy_difference
from gatelet.errors import ConfigError, ModelError
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import IDS, OPERATIONS
from gatelet.runtime.graph.safetensors import Tensor
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

__all__ = ["Pruned", "measure_cost", "prune_vocabulary"]

_OOV_ID = 1

Array = NDArray[Any]


@dataclass(frozen=True)
class Pruned:
    """A model with a smaller vocabulary.

    Args:
        graph: Its embeddings have `size` rows.
        vectorizer: Gives ids below `size`.
        size: The ids that are left.
        before: The ids that there were.
    """

    graph: Graph
    vectorizer: AnyVectorizer
    size: int
    before: int


def prune_vocabulary(graph: Graph, vectorizer: AnyVectorizer | None, size: int) -> Pruned:
    """Keep the ids below `size`: tokenizers number words from the most frequent to the rarest.

    Args:
        graph: The model.
        vectorizer: Its own.
        size: How many ids to keep; 0 is padding, and often 1 is the unknown word.

    Raises:
        ConfigError: There is no vectorizer, or the size is none that it can have.
        ModelError: Something but an embedding reads the ids.
    """
    if vectorizer is None:
        raise ConfigError(
            "--vocabulary needs a model with a vectorizer: give one with --vectorizer"
        )
    ids = graph.inputs[0]
    before = ids.vocabulary or vectorizer.vocabulary_size
    oov = vectorizer.oov_id or 0 if isinstance(vectorizer, Vectorizer) else _OOV_ID
    pad = vectorizer.pad_value if isinstance(vectorizer, Vectorizer) else 0
    least = max(oov, pad, min(vectorizer.vocabulary.values())) + 1
    if not least <= size < before:
        raise ConfigError(
            f"--vocabulary {size}: the model has {before:,} ids; choose from {least:,} to "
            f"{before - 1:,}"
        )
    weights = dict(graph.weights)
    for node in graph.nodes:
        if ids.name not in node.inputs:
            continue
        if OPERATIONS[node.op].takes != IDS:
            raise ModelError(f"layer '{node.source}' ({node.op}) reads ids, so none can be dropped")
        if node.op == "Embedding":
            name = _table_of(node, graph, ids.name)
            weights[name] = _first_rows(graph.weights[name], size)
    inputs = (replace(ids, vocabulary=size), *graph.inputs[1:])
    return Pruned(
        replace(graph, inputs=inputs, weights=weights), _fewer_words(vectorizer, size), size, before
    )


def _table_of(node: Node, graph: Graph, ids: str) -> str:
    name = node.weights["embeddings"]
    shared = [n for n in graph.nodes if name in n.weights.values() and n.inputs[0] != ids]
    if shared:
        raise ModelError(
            f"layer '{node.source}' (Embedding) also reads other ids, so none can be dropped"
        )
    return name


def _first_rows(tensor: Tensor, size: int) -> Tensor:
    row_bytes = len(tensor.data) // tensor.shape[0]
    return Tensor(tensor.dtype, (size, *tensor.shape[1:]), bytes(tensor.data[: size * row_bytes]))


def _fewer_words(vectorizer: AnyVectorizer, size: int) -> AnyVectorizer:
    vocabulary = {word: id_ for word, id_ in vectorizer.vocabulary.items() if id_ < size}
    if isinstance(vectorizer, Vectorizer):
        return replace(vectorizer, vocabulary=vocabulary, num_words=size)
    return replace(vectorizer, vocabulary=vocabulary)


def measure_cost(
    graph: Graph,
    vectorizer: AnyVectorizer,
    pruned: Pruned,
    texts: Sequence[str],
    *,
    truth: Array | None,
    threshold: float,
) -> dict[str, Any]:
    """Compare with the model that has all words.

    Args:
        graph: With all words.
        vectorizer: With all words.
        pruned: Made of them.
        texts: Rows to compare on.
        truth: The position of each row's label; None where that is not known.
        threshold: Of a single score.

    Returns:
        What the manifest records: differences of scores, flips and, with truth, both accuracies
        and the interval of their difference.
    """
    facts: dict[str, Any] = {"from": pruned.before, "to": pruned.size, "rows": len(texts)}
    if not texts:
        return facts
    ids = [np.array([v.pad(text) for text in texts]) for v in (vectorizer, pruned.vectorizer)]
    old, new = (_scores(g, array) for g, array in zip((graph, pruned.graph), ids, strict=True))
    facts["rows_without_dropped_words"] = int((ids[0] == ids[1]).all(axis=1).sum())
    facts["largest_difference"] = float(np.abs(new - old).max())
    facts["mean_difference"] = float(np.abs(new - old).mean())
    if old.ndim != 2 or truth is None or truth.dtype.kind != "i":
        return facts
    labels = [decided(scores, threshold) for scores in (old, new)]
    facts["flips"] = float((labels[0] != labels[1]).mean())
    return {**facts, **_accuracies(labels[0] == truth, labels[1] == truth)}


def _accuracies(before: Array, after: Array) -> Mapping[str, Any]:
    lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
    interval = accuracy_difference(lost, gained, len(before))
    return {
        "accuracy_before": float(before.mean()),
        "accuracy_after": float(after.mean()),
        "accuracy_difference": {
            "estimate": interval.estimate,
            "low": interval.low,
            "high": interval.high,
        },
    }


def _scores(graph: Graph, ids: Array) -> Array:
    found = ReferenceBackend(graph).run({graph.inputs[0].name: ids.astype(np.int32)})
    return np.asarray(found[graph.outputs[0]], np.float64)
