"""Export to LiteRT (TensorFlow Lite) flatbuffers."""

from gatelet.convert.exporters.litert.export import export_litert, import_tensorflow

__all__ = ["export_litert", "import_tensorflow"]
