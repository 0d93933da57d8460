"""A smaller vocabulary: the rarest words become out-of-vocabulary, and lose their rows.

Texts of kept words get the same ids and the same scores. What the others cost is measured in
`gatelet.convert.parity.quality`.
"""

from dataclasses import dataclass, replace

from gatelet.errors import ConfigError, ModelError
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import IDS, OPERATIONS
from gatelet.runtime.graph.safetensors import Tensor
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

_OOV_ID = 1


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
