"""Which models are exported for streaming too.

Not the streaming form of a Graph (`gatelet.runtime.graph.streaming`), and not its export.
"""

from collections.abc import Callable, Iterator

from gatelet.convert.reading import SourceModel
from gatelet.errors import ConversionError
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.streaming import StreamingGraph, streaming_refusal, to_stream


def choose_streaming(
    graph: Graph, model: SourceModel, *, wanted: bool | None, progress: Callable[[str], None]
) -> StreamingGraph | None:
    """Decide whether a model is exported for streaming too.

    Args:
        graph: The model.
        model: Says which layers are stateful.
        wanted: True, False, or None: as the model's stateful layers say.
        progress: Told of a stateful model that cannot stream.

    Raises:
        ConversionError: It is wanted and cannot be done; the message names the layer.
    """
    stateful = stateful_layers(model)
    if wanted is False or (wanted is None and not stateful):
        return None
    why = streaming_refusal(graph)
    if not why:
        return to_stream(graph)
    if wanted:
        raise ConversionError(
            f"the model cannot stream: {why}; leave out --stream, or train it without this layer"
        )
    progress(
        f"no streaming file for the stateful layer '{stateful[0]}': {why}; "
        "each call starts from zero"
    )
    return None


def streaming_beside(graph: Graph, *, wanted: bool | None) -> StreamingGraph | None:
    """Return the streaming form for artifacts that hold it beside the whole: it costs them little.

    Args:
        graph: The model.
        wanted: False for none; else every model that can stream has one.
    """
    return None if wanted is False or streaming_refusal(graph) else to_stream(graph)


def stateful_layers(model: SourceModel) -> list[str]:
    """Name the layers with `stateful=True`, those inside others too."""
    return list(_stateful(model))


def _stateful(model: SourceModel) -> Iterator[str]:
    for layer in model.layers.values():
        if layer.config.get("stateful"):
            yield layer.name
        for part in layer.parts.values():
            if isinstance(part, SourceModel):
                yield from _stateful(part)
            elif part.config.get("stateful"):
                yield part.name
