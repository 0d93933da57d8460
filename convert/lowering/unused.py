"""Layers whose weights no output of a model uses: they are neither stored nor expected.

Not the leaving out, which `GraphBuilder.finish` does.
"""

from collections.abc import Iterator, Mapping

from gatelet.convert.reading.source import SourceLayer, SourceModel
from gatelet.runtime.graph.graph import Graph


def unused_layers(model: SourceModel, graph: Graph) -> tuple[str, ...]:
    """Name the layers that have weights and no part in a Graph.

    Args:
        model: As read.
        graph: What it was lowered to.
    """
    used = {node.source for node in graph.nodes}
    return tuple(dict.fromkeys(_without_part(model.layers, used)))


def _without_part(layers: Mapping[str, SourceLayer | SourceModel], used: set[str]) -> Iterator[str]:
    for part in layers.values():
        if isinstance(part, SourceModel):
            yield from _without_part(part.layers, used)
        elif part.name not in used:  # a wrapper whose name is used has its parts' weights
            if part.weights:
                yield part.name
            yield from _without_part(part.parts, used)
