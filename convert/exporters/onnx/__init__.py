"""Export to ONNX files."""

from gatelet.convert.exporters.onnx.export import export_onnx
from gatelet.convert.exporters.onnx.recurrent import needs_scan

__all__ = ["export_onnx", "needs_scan"]
