"""A model used as a layer: its layers become nodes of the one Graph.

Not the walk over a model, which is in `gatelet.convert.lowering.lower`.
"""

from gatelet.convert.lowering.builder import GraphBuilder, Value
from gatelet.convert.reading.source import SourceLayer, SourceModel


def lower_nested(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower a nested Sequential or functional model; masks go in and come out."""
    model = layer.parts["model"]
    assert isinstance(model, SourceModel), "the part 'model' is a model"
    return builder.lower_calls(model, inputs, builder)
