"""What an exported file says of itself: its operators, and tensors that outlive a call.

Not a judgement, which `gatelet.convert.gates.gates` passes, and no engine or converter is needed.
"""

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

# fields of the TensorFlow Lite schema, version 3, by their place in the table
_MODEL_OPERATOR_CODES, _MODEL_SUBGRAPHS, _MODEL_BUFFERS = 1, 2, 4
_CODE_DEPRECATED, _CODE_CUSTOM, _CODE_BUILTIN = 0, 1, 3
_SUBGRAPH_TENSORS, _SUBGRAPH_OPERATORS = 0, 3
_TENSOR_NAME, _TENSOR_IS_VARIABLE = 3, 5
_OPERATOR_INDEX = 0
_BUFFER_DATA = 0
_RESOURCE_OPERATORS = {142: "VAR_HANDLE", 143: "READ_VARIABLE", 144: "ASSIGN_VARIABLE"}
_WHILE = 119
# what stock onnxruntime has kernels for
_ONNX_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")


ALIGNMENT_BYTES = 16
"""Of buffers, as the schema of TensorFlow Lite asks for it."""


@dataclass(frozen=True)
class FileFacts:
    """What a file says of itself.

    Args:
        loops: The loop operators (WHILE; Loop, Scan), one entry for each use.
        custom_ops: Operators that the stock engine has no kernel for, by their own names.
        resources: Operators on variables that live in the engine.
        variables: The names of tensors that keep their value between calls.
        alignment_bytes: What all buffers' places are multiples of, 16 at most. Engines read them
            in place: of numbers that are not aligned some processors stop, or are slow.
    """

    loops: tuple[str, ...] = ()
    custom_ops: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    alignment_bytes: int = ALIGNMENT_BYTES


def read_onnx_facts(data: bytes) -> FileFacts:
    """Read an ONNX file, graphs inside operators and functions included."""
    import onnx

    model = onnx.load_from_string(data)
    nodes = [*_nodes(model.graph), *(n for one in model.functions for n in _nodes(one))]
    own = {function.domain for function in model.functions}
    return FileFacts(
        loops=tuple(node.op_type for node in nodes if node.op_type in ("Loop", "Scan")),
        custom_ops=tuple(
            f"{node.domain}.{node.op_type}"
            for node in nodes
            if node.domain not in _ONNX_DOMAINS and node.domain not in own
        ),
    )


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _nodes(inner)


def read_litert_facts(data: bytes) -> FileFacts:
    """Read a TensorFlow Lite flatbuffer, all of its subgraphs.

    Source: tensorflow/compiler/mlir/lite/schema/schema.fbs, and the FlatBuffers binary format.
    """
    model = _Table(data, _u32(data, 0))
    codes = [_code(code) for code in model.tables(_MODEL_OPERATOR_CODES)]
    used = [
        codes[operator.number(_OPERATOR_INDEX, "I")]
        for graph in model.tables(_MODEL_SUBGRAPHS)
        for operator in graph.tables(_SUBGRAPH_OPERATORS)
    ]
    numbers = [number for number, _ in used]
    return FileFacts(
        loops=("WHILE",) * numbers.count(_WHILE),
        custom_ops=tuple(dict.fromkeys(custom for _, custom in used if custom)),
        resources=tuple(name for number, name in _RESOURCE_OPERATORS.items() if number in numbers),
        variables=tuple(
            tensor.text(_TENSOR_NAME)
            for graph in model.tables(_MODEL_SUBGRAPHS)
            for tensor in graph.tables(_SUBGRAPH_TENSORS)
            if tensor.number(_TENSOR_IS_VARIABLE, "B")
        ),
        alignment_bytes=math.gcd(
            ALIGNMENT_BYTES,
            *(buffer.place_of_bytes(_BUFFER_DATA) for buffer in model.tables(_MODEL_BUFFERS)),
        ),
    )


def _code(code: "_Table") -> tuple[int, str]:
    """Return an operator's number and its custom name, '' for a built-in one."""
    # operators of the format's first years are in the deprecated field only
    number = max(code.number(_CODE_BUILTIN, "i"), code.number(_CODE_DEPRECATED, "b"))
    return number, code.text(_CODE_CUSTOM)


@dataclass(frozen=True)
class _Table:
    """A table of a flatbuffer: fields by their number, absent ones are zero or empty."""

    data: bytes
    start: int

    def _field(self, number: int) -> int:
        vtable = self.start - struct.unpack_from("<i", self.data, self.start)[0]
        size_bytes = struct.unpack_from("<H", self.data, vtable)[0]
        place = 4 + 2 * number
        if place >= size_bytes:
            return 0
        offset: int = struct.unpack_from("<H", self.data, vtable + place)[0]
        return self.start + offset if offset else 0

    def number(self, number: int, kind: str) -> int:
        place = self._field(number)
        return int(struct.unpack_from(f"<{kind}", self.data, place)[0]) if place else 0

    def text(self, number: int) -> str:
        place = self._field(number)
        if not place:
            return ""
        start = place + _u32(self.data, place)
        return self.data[start + 4 : start + 4 + _u32(self.data, start)].decode("utf-8", "replace")

    def place_of_bytes(self, number: int) -> int:
        """Return where a vector of bytes begins; 0 for an empty one."""
        place = self._field(number)
        start = place + _u32(self.data, place) if place else 0
        return start + 4 if place and _u32(self.data, start) else 0

    def tables(self, number: int) -> list["_Table"]:
        place = self._field(number)
        if not place:
            return []
        start = place + _u32(self.data, place)
        places = range(start + 4, start + 4 + 4 * _u32(self.data, start), 4)
        return [_Table(self.data, place + _u32(self.data, place)) for place in places]


def _u32(data: bytes, place: int) -> int:
    return int(struct.unpack_from("<I", data, place)[0])


READERS: dict[str, Callable[[bytes], FileFacts]] = {
    ".tflite": read_litert_facts,
    ".onnx": read_onnx_facts,
}
"""By the suffix of files that are graphs of operators."""
