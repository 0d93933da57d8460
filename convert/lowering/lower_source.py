"""The lowering of what is converted: the model, held against what came with it.

Not the layers, which `lower.py` lists.
"""

from collections.abc import Sequence

from gatelet.convert.lowering.lower import lower
from gatelet.convert.lowering.unused import unused_layers
from gatelet.convert.reading.model_source import ModelSource
from gatelet.convert.settings import ConversionSettings
from gatelet.errors import ConfigError, DataError, ModelError
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.graph.graph import Graph


def lower_source(source: ModelSource, settings: ConversionSettings) -> Graph:
    """Lower a model, and refuse a vectorizer, labels or rows that cannot be its own.

    Args:
        source: As read.
        settings: With the caller's rows.

    Returns:
        The Graph, as `lower` makes it.

    Raises:
        ModelError: `lower` cannot take the model, or the vectorizer is another model's.
        ConfigError: There are more or fewer labels than scores.
        DataError: The rows are texts, and there is no vectorizer.
    """
    graph = lower(source.model)
    unused = unused_layers(source.model, graph)
    if unused:
        names = ", ".join(f"'{name}'" for name in unused)
        settings.progress(f"left out weights that no output uses: those of {names}")
    _check_vocabulary(source, graph)
    _check_labels(source.labels, graph)
    if isinstance(settings.data, Dataset) and source.vectorizer is None:
        raise DataError(
            f"model '{source.name}' comes without a vectorizer, so it cannot be checked on the "
            f"texts of '{settings.data.name}': give one with --vectorizer"
        )
    return graph


def _check_vocabulary(source: ModelSource, graph: Graph) -> None:
    """Refuse a vectorizer that cannot be the model's."""
    limit = graph.inputs[0].vocabulary
    if source.vectorizer is None:
        return
    if len(graph.inputs) > 1:
        raise ModelError(
            f"model '{source.name}' takes {len(graph.inputs)} inputs, so no vectorizer alone can "
            "make them: convert it without --vectorizer, and give it ids"
        )
    if limit is None:
        raise ModelError(f"model '{source.name}' takes features, so it can have no vectorizer")
    if source.vectorizer.vocabulary_size > limit:
        raise ModelError(
            f"the vectorizer gives ids up to {source.vectorizer.vocabulary_size - 1}, the model "
            f"'{source.name}' takes ids up to {limit - 1}: it belongs to another model"
        )


def _check_labels(labels: Sequence[str], graph: Graph) -> None:
    """Refuse labels that are not as many as the model's scores."""
    scores = graph.shape_of(graph.outputs[0])[-1]
    if not labels or scores is None:
        return
    expected = max(2, scores)
    if len(labels) != expected or len(set(labels)) < expected:
        raise ConfigError(
            f"the labels are {', '.join(labels)}: the model gives {scores} scores a row, so name "
            f"{expected} different labels"
        )
