"""Export to ONNX files."""

from gatelet.convert.exporters.onnx.export import export_onnx
from gatelet.convert.exporters.onnx.recurrent import count_scans

__all__ = ["count_scans", "export_onnx"]
