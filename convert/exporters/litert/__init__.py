"""Export to LiteRT (TensorFlow Lite) flatbuffers."""

from gatelet.convert.exporters.litert.export import export_litert

__all__ = ["export_litert"]
