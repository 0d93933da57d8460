"""Where faults of weights are planted in the files of each target.

Not the faults (`planted`) and not the table. Numbers are found in a file by what the Graph has.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gatelet.convert.exporters.c.blob import sums_of
from gatelet.convert.exporters.quantize import coded_rows, quantize_int8
from gatelet.convert.layouts import ORDERS, pack
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph
from tests.convert.faults import Array, Change

GATE_COLUMNS = 64
"""Of a tile of four gates of 16 units."""

Weight = Callable[[Array], Array]
"""Changes a weight in the Graph's layout."""


def weight_of(graph: Graph, role: str) -> Array:
    """Return the recurrence's weight of a role, or the embedding's."""
    nodes = [node for node in graph.nodes if node.op in ("LSTM", "Embedding")]
    (name,) = (node.weights[role] for node in nodes if role in node.weights)
    return array_of(graph.weights[name])


def in_blob(graph: Graph, scheme: str, role: str, change: Weight) -> Change:
    """Change a weight in the blob of a C model: what the exporter would have packed of another."""
    right = weight_of(graph, role)
    sections = [_packed(role, one, scheme) for one in (right, change(right.copy()))]

    def edit(data: bytes) -> bytes:
        for old, new in zip(*sections, strict=True):
            assert len(old) == len(new)
            assert data.count(old) == 1, f"{role} was found {data.count(old)} times"
            data = data.replace(old, new)
        return data

    return edit


def _packed(role: str, array: Array, scheme: str) -> list[bytes]:
    if role == "bias":
        parts: Sequence[Array] = [pack(array, 4)]
    elif role == "embeddings" and scheme == "float32":
        parts = [array]
    elif role == "embeddings":
        parts = coded_rows(array)
    elif scheme == "float32":
        parts = [ORDERS["tiles"](pack(array, 4), GATE_COLUMNS)]
    else:
        values, scales = quantize_int8(pack(array, 4), axis=1)
        parts = [ORDERS["fours"](values, GATE_COLUMNS), scales, sums_of(values)]
    return [np.ascontiguousarray(one, one.dtype.newbyteorder("<")).tobytes() for one in parts]


def in_litert_table(shape: tuple[int, ...], change: Weight) -> Change:
    """Change the one constant of a shape, floats or integers."""

    def edit(data: bytes) -> bytes:
        from ai_edge_litert import schema_py_generated as schema

        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data), 0))
        dtypes = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT8: np.int8}
        changed = set()
        for tensor in (one for subgraph in model.subgraphs for one in subgraph.tensors):
            buffer = model.buffers[tensor.buffer]
            fits = tensor.shape is not None and tuple(tensor.shape) == shape
            if buffer.data is None or not fits or tensor.type not in dtypes:
                continue
            raw = np.asarray(buffer.data, np.uint8).tobytes()
            values = np.frombuffer(raw, dtypes[tensor.type]).reshape(shape)
            if tensor.buffer not in changed:
                buffer.data = np.frombuffer(change(values.copy()).tobytes(), np.uint8)
                changed.add(tensor.buffer)
        assert len(changed) == 1, f"{shape} was found {len(changed)} times"
        builder: Any = importlib.import_module("flatbuffers").Builder(len(data))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    return edit


def of_gates(change: Callable[[dict[str, Array]], dict[str, Array]]) -> Weight:
    """Change gates by their names, i, f, g, o along the last axis."""

    def edit(array: Array) -> Array:
        gates = change(dict(zip("ifgo", np.split(array, 4, axis=-1), strict=True)))
        return np.concatenate([gates[name] for name in "ifgo"], axis=-1).astype(np.float32)

    return edit
