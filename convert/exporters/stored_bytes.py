"""How many bytes an artifact has, told from the Graph before there is one.

Not a measurement: `Artifact.bytes` is. The gates hold the real file to it, and `gatelet inspect`
tells it.
"""

import math
from dataclasses import dataclass

from gatelet.convert.exporters.c.stored import c_weight_bytes
from gatelet.convert.schemes import Scheme
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.operations import RECURRENCES
from gatelet.runtime.graph.safetensors import Tensor
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.surrogates import as_utf8

__all__ = ["SKIPPING_TARGETS", "file_bytes", "operator_bytes", "vocabulary_bytes", "weight_bytes"]

SKIPPING_TARGETS = ("litert", "onnx", "onnx-text", "c")
"""The targets whose artifacts are made from the Graph that skips padding."""

BYTES_OF = {"float32": 4.0, "float16": 2.0, "int16": 2.0, "int8": 1.0, "int4": 0.5}
"""By the type that a scheme stores large weights in."""

SMALL_ELEMENTS = 1024
"""Smaller tensors stay float32 in quantized files."""


@dataclass(frozen=True)
class _Frame:
    """What takes bytes beside weights.

    Args:
        file: The file itself.
        last: A recurrence that gives its last output.
        sequence: A recurrence that gives all of them.
        other: Any other node.
    """

    file: int
    last: int
    sequence: int
    other: int


# measured over the shapes of the public examples; LiteRT writes the body of a loop out
_FRAMES = {
    ("litert", "float32"): _Frame(2_500, 5_000, 16_500, 400),
    ("litert", "int8"): _Frame(2_500, 8_500, 25_000, 450),
    ("onnx", "float32"): _Frame(200, 600, 600, 350),
    ("onnx", "int8"): _Frame(200, 800, 900, 500),
    ("c", "float32"): _Frame(0, 0, 0, 0),  # operators are code, in files beside it
    ("c", "int8"): _Frame(0, 0, 0, 0),
}
"""By target and the type of large weights; another type is taken for the int8 of its target."""


def weight_bytes(graph: Graph, target: str, scheme: Scheme) -> int | None:
    """Give the bytes of a Graph's weights as a scheme stores them.

    Args:
        graph: What is exported.
        target: Of the artifact.
        scheme: Stores it.

    Returns:
        The bytes, scales included; None for a scheme whose storage is not known here.
    """
    large = BYTES_OF.get(scheme.weights)
    if large is None:
        return None
    if target == "c":
        return c_weight_bytes(graph, scheme)
    tables = BYTES_OF.get(scheme.embedding_type, large)
    if scheme.activations != "float32":  # integers throughout: biases take 64 bits
        sizes = [(math.prod(t.shape), len(t.shape)) for t in graph.weights.values()]
        return sum(int(large * count) if rank > 1 else 8 * count for count, rank in sizes)
    ops = {name: node.op for node in graph.nodes for name in node.weights.values()}
    row_scale = 2 if target == "litert" else 4  # int16 there
    return sum(
        _tensor_bytes(tensor, ops.get(name, ""), large=large, tables=tables, row_scale=row_scale)
        for name, tensor in graph.weights.items()
    )


def _tensor_bytes(tensor: Tensor, op: str, *, large: float, tables: float, row_scale: int) -> int:
    elements = math.prod(tensor.shape)
    if op == "PadState":  # states that are skipped keep at least 16 bits
        return int(max(large, 2.0) * elements)
    each = tables if op == "Embedding" else large
    if each < 1:  # two to a byte, and the row's scale
        return tensor.shape[0] * (1 + (tensor.shape[-1] + 1) // 2)
    if each >= 4 or elements < SMALL_ELEMENTS:
        return 4 * elements
    if each >= 2:
        return int(each * elements)
    scales = row_scale * tensor.shape[0] if op == "Embedding" else 4 * tensor.shape[-1]
    return int(each * elements) + scales


def vocabulary_bytes(vectorizer: AnyVectorizer | None, target: str) -> int:
    """Give what a vectorizer's words and their ids take in an artifact: in those of onnx-text."""
    if vectorizer is None or target != "onnx-text":
        return 0
    # each word has a mark and its length, each id a mark and seven bits to a byte
    words = sum(2 + len(as_utf8(word).encode()) for word in vectorizer.vocabulary)
    return words + sum(1 + -(-i.bit_length() // 7) for i in vectorizer.vocabulary.values())


def file_bytes(
    graph: Graph, target: str, scheme: Scheme, *, vectorizer: AnyVectorizer | None = None
) -> int | None:
    """Predict the bytes of an artifact.

    Args:
        graph: What is exported.
        target: Its kind.
        scheme: What is stored how.
        vectorizer: Of the model, which an artifact may hold too.

    Returns:
        The bytes, right within a few percent for models whose weights outweigh their operators;
        None for a scheme whose storage is not known here.
    """
    weights = weight_bytes(graph, target, scheme)
    if weights is None:
        return None
    return weights + operator_bytes(graph, target, scheme) + vocabulary_bytes(vectorizer, target)


def operator_bytes(graph: Graph, target: str, scheme: Scheme) -> int:
    """Predict what an artifact takes beside weights: operators, names, constants of loops."""
    stored = "float32" if BYTES_OF.get(scheme.weights, 1) > 1 else "int8"
    kind = target.removesuffix("-text")
    frame = _FRAMES.get((kind, stored)) or _FRAMES["onnx", "int8"]
    loops = [node for node in graph.nodes if node.op in RECURRENCES]
    sequences = sum(bool(node.attributes.get("return_sequences")) for node in loops)
    return (
        frame.file
        + sequences * frame.sequence
        + (len(loops) - sequences) * frame.last
        + (len(graph.nodes) - len(loops)) * frame.other
    )
