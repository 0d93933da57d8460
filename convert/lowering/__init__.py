"""Lowering: Keras layers to Graph nodes, one file a layer.

Not about files (that is `gatelet.convert.reading`) and not about targets (exporters).
"""

from gatelet.convert.lowering.lower import LOWERINGS, lower

__all__ = ["LOWERINGS", "lower"]
