"""The passes of a conversion, in their order: fewer words, padding skipped, a form that streams.

Not the passes, and nothing particular to a target.
"""

from dataclasses import dataclass, replace

from gatelet.convert.passes.pad_skip import skip_padding, timesteps_in_front
from gatelet.convert.passes.streaming import choose_streaming, streaming_beside
from gatelet.convert.passes.vocabulary import Pruned, prune_vocabulary
from gatelet.convert.reading.model_source import ModelSource
from gatelet.convert.settings import ConversionSettings
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.streaming import StreamingGraph
from gatelet.runtime.vectorizer.opening import AnyVectorizer


@dataclass(frozen=True)
class Whole:
    """A model before words were dropped.

    Args:
        graph: With all words.
        vectorizer: With all words.
        pruned: Made of them.
    """

    graph: Graph
    vectorizer: AnyVectorizer
    pruned: Pruned


@dataclass(frozen=True)
class Rewritten:
    """A model as it is exported and judged.

    Args:
        source: With the vectorizer that belongs to the Graph.
        graph: What parity judges by.
        skipping: The same outputs, with shared padding skipped.
        streaming: Its streaming form; None where it has none, or none is wanted.
        stream_files: Targets that do not hold that form beside the whole get a file of it.
        whole: The model with all its words; None where none was dropped.
        rows: The caller's, which are judged; None for those of the source, or drawn ones.
    """

    source: ModelSource
    graph: Graph
    skipping: Graph
    streaming: StreamingGraph | None
    stream_files: bool
    whole: Whole | None
    rows: Dataset | Arrays | None


def rewrite(source: ModelSource, graph: Graph, settings: ConversionSettings) -> Rewritten:
    """Rewrite a Graph as the settings say.

    Args:
        source: Where it comes from.
        graph: As lowered.
        settings: With the size of the vocabulary, and whether the model streams.

    Raises:
        ConfigError: The vocabulary cannot have that size.
        ConversionError: A stream is wanted of a model that cannot have one.
    """
    whole = None
    if settings.vocabulary is not None:
        settings.progress(f"keeping {settings.vocabulary:,} ids of the vocabulary")
        pruned = prune_vocabulary(graph, source.vectorizer, settings.vocabulary)
        assert source.vectorizer is not None
        whole = Whole(graph, source.vectorizer, pruned)
        source, graph = replace(source, vectorizer=pruned.vectorizer), pruned.graph
    wanted, progress = settings.stream, settings.progress
    files = choose_streaming(graph, source.model, wanted=wanted, progress=progress)
    return Rewritten(
        source=source,
        graph=graph,
        skipping=skip_padding(graph, timesteps=padded_timesteps(source)),
        streaming=streaming_beside(graph, wanted=wanted),
        stream_files=files is not None,
        whole=whole,
        rows=source.arrays if settings.data is None else settings.data,
    )


def padded_timesteps(source: ModelSource) -> int | None:
    """Return the timesteps that texts are padded to in front; None where they are not."""
    return timesteps_in_front(source.model.inputs[0].shape, source.vectorizer)
