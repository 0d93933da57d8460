"""Which reader looks into the files of which target.

Not the readers. A target without one is not looked into, and the report says so.
"""

from collections.abc import Callable

from gatelet.convert.parity.stored.file import Stored, StoredFile
from gatelet.convert.parity.stored.program import Program
from gatelet.convert.parity.stored.read_c import read_c
from gatelet.convert.parity.stored.read_flatbuffers import read_litert, read_tflm
from gatelet.convert.parity.stored.read_onnx import read_onnx

READERS: dict[str, Callable[[StoredFile], Program | list[Stored] | None]] = {
    "litert": read_litert,
    "onnx": read_onnx,
    "tflm": read_tflm,
    "c": read_c,
}
"""By target; None where a file does not say what this reader needs."""
