"""How many bytes an artifact has, told from the Graph before there is one.

Not a measurement: `Artifact.bytes` is. The gates hold the real file to it, and `gatelet inspect`
tells it.
"""

import math

from gatelet.convert.exporters.targets import EXPORTERS
from gatelet.convert.schemes import Scheme
from gatelet.runtime.bundle.storage import BYTES_OF, SMALL_ELEMENTS
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.operations import RECURRENCES
from gatelet.runtime.graph.safetensors import Tensor
from gatelet.runtime.vectorizer.opening import AnyVectorizer


def weight_bytes(graph: Graph, target: str, scheme: Scheme) -> int:
    """Return the bytes of a Graph's weights as a scheme stores them, scales included.

    Args:
        graph: What is exported.
        target: Of the artifact.
        scheme: Stores it.
    """
    row = EXPORTERS[target]
    if row.weight_bytes is not None:
        return row.weight_bytes(graph, scheme)
    large = BYTES_OF[scheme.weights]
    if scheme.activations != "float32":  # integers throughout: biases take 64 bits
        sizes = [(math.prod(t.shape), len(t.shape)) for t in graph.weights.values()]
        return sum(int(large * count) if rank > 1 else 8 * count for count, rank in sizes)
    ops = {name: (node.op, role) for node in graph.nodes for role, name in node.weights.items()}
    return sum(
        _tensor_bytes(
            tensor, *ops.get(name, ("", "")), scheme=scheme, row_scale=row.row_scale_bytes
        )
        for name, tensor in graph.weights.items()
    )


def _tensor_bytes(tensor: Tensor, op: str, role: str, *, scheme: Scheme, row_scale: int) -> int:
    elements = math.prod(tensor.shape)
    if op == "PadState":  # states that are skipped keep at least 16 bits
        return int(max(BYTES_OF[scheme.weights], 2.0) * elements)
    types = {"embeddings": scheme.embedding_type, "recurrent_kernel": scheme.recurrent_type}
    each = BYTES_OF[types.get(role, scheme.weights)]
    if each < 1:  # two to a byte, and the row's scale
        return tensor.shape[0] * (1 + (tensor.shape[-1] + 1) // 2)
    if each >= 4 or elements < SMALL_ELEMENTS:
        return 4 * elements
    if each >= 2:
        return int(each * elements)
    scales = row_scale * tensor.shape[0] if op == "Embedding" else 4 * tensor.shape[-1]
    return int(each * elements) + scales


def file_bytes(
    graph: Graph, target: str, scheme: Scheme, *, vectorizer: AnyVectorizer | None = None
) -> int:
    """Predict the bytes of an artifact.

    Args:
        graph: What is exported.
        target: Its kind.
        scheme: What is stored how.
        vectorizer: Of the model, which an artifact may hold too.

    Returns:
        The bytes, right within a few percent for models whose weights outweigh their operators.
    """
    row = EXPORTERS[target]
    words = row.vocabulary_bytes(vectorizer) if row.vocabulary_bytes and vectorizer else 0
    inside = weight_bytes(graph, target, scheme) - _table_bytes_beside(graph, scheme)
    return inside + operator_bytes(graph, target, scheme) + words


def _table_bytes_beside(graph: Graph, scheme: Scheme) -> int:
    """Return the bytes of embeddings that lie beside a file."""
    tables = {node.weights["embeddings"] for node in graph.nodes if node.op == "Embedding"}
    elements = sum(math.prod(graph.weights[name].shape) for name in tables)
    return int(BYTES_OF[scheme.embedding_type] * elements) if scheme.outside else 0


def operator_bytes(graph: Graph, target: str, scheme: Scheme) -> int:
    """Predict what an artifact takes beside weights: operators, names, constants of loops."""
    floats, others = EXPORTERS[target].frames
    frame = floats if BYTES_OF[scheme.weights] > 1 else others
    loops = [node for node in graph.nodes if node.op in RECURRENCES]
    sequences = sum(bool(node.attributes.get("return_sequences")) for node in loops)
    return (
        frame.file
        + sequences * frame.sequence
        + (len(loops) - sequences) * frame.last
        + (len(graph.nodes) - len(loops)) * frame.other
    )
