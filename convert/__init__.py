"""Conversion: read a Keras model, lower it to a Graph, export artifacts, prove parity.

Not training, and nothing that a device needs.
"""

from gatelet.convert.conversion import convert, convert_with_report
from gatelet.convert.inspection import lint
from gatelet.convert.proving import prove

__all__ = ["convert", "convert_with_report", "lint", "prove"]
