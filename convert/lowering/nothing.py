"""Layers that do something in training only.

Not a place for layers that are merely hard.
"""

from gatelet.convert.lowering.builder import GraphBuilder, Value
from gatelet.convert.reading.source import SourceLayer


def lower_nothing(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower a layer that passes its input and its mask on when predicting."""
    return inputs
