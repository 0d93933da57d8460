"""How many bytes the weights of a C model take, told from the Graph: what `Blob` will hold.

Not a measurement: nothing is packed or quantized here.
"""

import math
from collections.abc import Iterator, Sequence

from gatelet.convert.exporters.c.blob import (
    ALIGNMENT_BYTES,
    INT8_CHUNK,
    lines_of,
)
from gatelet.convert.exporters.raw import RAW_STAYS_RAW
from gatelet.convert.layouts import padded_columns
from gatelet.convert.schemes import Scheme
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.bundle.storage import BYTES_OF, SMALL_ELEMENTS
from gatelet.runtime.data.rounding import LARGEST_CODEBOOK
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import CONVOLUTIONS, GATES

SIGMOID_TABLE_BYTES = 1088
"""513 numbers of 16 bits, to a boundary."""


def c_weight_bytes(graph: Graph, scheme: Scheme) -> int:
    """Return the bytes of a blob: its head, and each section on a boundary of 64 bytes.

    Args:
        graph: What is exported: the Graph that skips padding.
        scheme: Stores it.
    """
    raw = {one.name for one in graph.inputs if one.dtype == "float32"}
    sections: dict[tuple[str, int], int] = {}  # equal ones are stored once
    for node in graph.nodes:
        # a state that is fed says nothing of what meets the kernel
        is_raw = node.inputs[0] in raw
        for role, name in node.weights.items():
            shape = graph.weights[name].shape
            if node.op == "PadState" and BYTES_OF[scheme.embedding_type] < 1:
                lines = lines_of(array_of(graph.weights[name]))
                sections[name, 0] = _aligned(lines.values.size)
                continue
            for index, count in enumerate(_sections(node, role, shape, scheme, raw=is_raw)):
                sections[name, index] = _aligned(count)
        if node.op in RAW_STAYS_RAW and raw.intersection(node.inputs):
            raw.update(node.outputs)
    if scheme.activations != "float32" and any(node.op in GATES for node in graph.nodes):
        sections["the logistic function", 0] = SIGMOID_TABLE_BYTES
    return ALIGNMENT_BYTES + sum(sections.values())


def _aligned(count: int) -> int:
    return -(-count // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _sections(
    node: Node, role: str, shape: Sequence[int], scheme: Scheme, *, raw: bool
) -> Iterator[int]:
    """Return the bytes of each section that a weight takes."""
    elements, quantizes = math.prod(shape), scheme.weights in ("int8", "int4")
    if scheme.activations != "float32":
        yield from _integer_sections(role, shape)
        return
    if role == "embeddings":
        rows, features = shape
        each = BYTES_OF[scheme.embedding_type]
        if (quantizes or each < 1) and elements >= SMALL_ELEMENTS:
            scales = 1 if each < 1 else min(rows, LARGEST_CODEBOOK)
            yield from (rows * math.ceil(features * each), rows, 4 * scales)
        else:
            yield 4 * elements
        return
    if role not in ("kernel", "recurrent_kernel"):
        # biases are padded as the columns that they are added to
        yield from (4 * count for count in _columns(node, role, shape))
        return
    # neither what is fed nor the states that are convolved are rounded: their kernels have no sums
    sums = not raw if role == "kernel" else node.op != "ConvLSTM2D"
    stored = scheme.recurrent_type if role == "recurrent_kernel" else scheme.weights
    rows = math.prod(shape[:-1])
    for columns in _columns(node, role, shape):
        if stored == "float32" or rows * columns < SMALL_ELEMENTS:
            yield 4 * rows * columns
        elif stored == "int16":
            yield from (-(-rows // 2) * 4 * columns, 4 * columns)
        elif sums:
            chunks = -(-rows // INT8_CHUNK)
            each = BYTES_OF[stored]
            numbers = int(-(-rows // 4) * 4 * columns * each)
            yield from (numbers, 4 * columns, 2 * columns * chunks)
        else:
            yield from (rows * columns, 4 * columns)


def _integer_sections(role: str, shape: Sequence[int]) -> Iterator[int]:
    """Return the same where all is in integers: a multiplier of 2 bytes a row, or of 4 a column."""
    if role == "embeddings":
        yield from (math.prod(shape), 2 * shape[0])
    elif role in ("kernel", "recurrent_kernel"):
        yield from (math.prod(shape), 4 * shape[-1])
    else:
        yield 4 * math.prod(shape)


def _columns(node: Node, role: str, shape: Sequence[int]) -> list[int]:
    """Return the columns, whole tiles, of each matrix or vector that a weight is stored as."""
    gates, last = GATES.get(node.op, 1), shape[-1]
    if node.op in CONVOLUTIONS:
        if role == "bias":
            return [last]
        groups = node.attributes.get("groups", 1)
        return [padded_columns(last // groups)] * groups
    if node.op != "Dense" and node.op not in GATES:
        return [math.prod(shape)]
    if role == "recurrent_kernel" and not node.attributes.get("reset_after", True):
        units = last // gates
        return [padded_columns(2 * units, 2), padded_columns(units)]
    apart = math.prod(shape) // last if role == "bias" else 1
    return [padded_columns(last, gates)] * apart
