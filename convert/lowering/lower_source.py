"""The lowering of what is converted: the model, held against what came with it.

Not the layers, which `lower.py` lists.
"""

from dataclasses import replace

from gatelet.convert.lowering.endings import outputs_of
from gatelet.convert.lowering.lower import lower
from gatelet.convert.lowering.unused import unused_layers
from gatelet.convert.reading.meaning import meaning_of, with_sets
from gatelet.convert.reading.model_source import ModelSource
from gatelet.convert.reading.scaling import check_count
from gatelet.convert.settings import ConversionSettings
from gatelet.errors import DataError, ModelError
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.graph.graph import Graph


def lower_source(source: ModelSource, settings: ConversionSettings) -> Graph:
    """Lower a model, and refuse a vectorizer or rows that cannot be its own.

    Args:
        source: As read.
        settings: With the caller's rows.

    Returns:
        The Graph, as `lower` makes it.

    Raises:
        ConfigError: A scaler has another number of outputs than the model.
        ModelError: `lower` cannot take the model, or the vectorizer is another model's.
        DataError: The rows are texts, and there is no vectorizer.
    """
    graph = lower(source.model)
    if "outputs" in source.scaling:
        check_count(source.scaling["outputs"], graph.shape_of(graph.outputs[0])[-1], "outputs")
    unused = unused_layers(source.model, graph)
    if unused:
        names = ", ".join(f"'{name}'" for name in unused)
        settings.progress(f"left out weights that no output uses: those of {names}")
    _check_vocabulary(source, graph)
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


def with_meaning(source: ModelSource, graph: Graph, settings: ConversionSettings) -> ModelSource:
    """Return a model with what its outputs mean: labels, thresholds, decisions.

    Args:
        source: As read.
        graph: As lowered.
        settings: What the caller says of it.

    Raises:
        ConfigError: As `meaning_of`.
    """
    outputs = outputs_of(source.model, graph)
    settings = with_sets(settings, source.labels, source.thresholds)
    found = meaning_of(outputs, settings, labels=source.labels, threshold=source.threshold)
    for one in outputs:
        if one.trained is not None and one.trained.activation != "none" and not found.labels:
            settings.progress(f"{one.where} and {one.trained.told}: give --labels to decide it")
    return replace(
        source,
        labels=found.labels,
        threshold=found.threshold,
        decisions=found.decisions,
        named=bool(settings.labels or source.labels),
    )
