"""Reads the constants of LiteRT's and TensorFlow Lite Micro's flatbuffers.

Not their comparison with the Graph, which is `weights`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.stored.file import Stored, StoredFile, of_levels, scaled
from gatelet.runtime.backends.tflm import read_contract
from gatelet.runtime.backends.tflm_tables import tables_of

_FUSED_LSTM = {"kernel": (1, 5), "recurrent_kernel": (5, 9), "bias": (12, 16)}
"""The places of a fused LSTM's inputs: four gates each, in the Graph's order."""

Array = NDArray[Any]


def read_litert(file: StoredFile) -> list[Stored]:
    """Read the constants of all subgraphs of a flatbuffer.

    Quantized tensors carry their scales. A table that the exporter quantized itself is int8
    without any: its scales, a multiple of a unit for each row or one for each column, are found by
    their shapes, so each that fits is given, and the comparison keeps the one that fits best. A
    table of 4 bits is uint8, two levels in a byte, with uint8 multiples.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = _open(schema, file)
    found: list[Stored] = []
    bare: list[tuple[str, Array]] = []
    seen: set[tuple[int, bytes]] = set()
    for tensor in (one for subgraph in model.subgraphs for one in subgraph.tensors):
        array = _constant(schema, model, tensor)
        # equal numbers are stored once, and may stand for others by another scale
        key = (int(tensor.buffer), np.asarray(_scale_of(tensor)).tobytes())
        if array is None or key in seen:
            continue
        seen.add(key)
        if array.dtype.kind == "f" or len(_scale_of(tensor)):
            found.append(_read(tensor, array))
        else:
            bare.append((_name_of(tensor), array))
    return [*found, *_pair(bare, [one.values for one in found if one.steps is None])]


def read_tflm(file: StoredFile) -> list[Stored]:
    """Read the constants of a file of one timestep; of a fused LSTM, the gates put together.

    A table whose rows have scales of their own has them in a tensor beside it, in a unit. A table
    that lies beside the file is read from there.
    """
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    model = _open(schema, file)
    (graph,) = model.subgraphs
    found: dict[int, Stored] = {}
    for index, tensor in enumerate(graph.tensors):
        array = _constant(schema, model, tensor)
        if array is not None and (array.dtype.kind == "f" or len(_scale_of(tensor))):
            found[index] = _read(tensor, array)
    fused, gates = [], set()
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        if code == schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM:
            for role, (first, end) in _FUSED_LSTM.items():
                places = [int(place) for place in operator.inputs[first:end]]
                fused.append(_joined(role, [found[place] for place in places]))
                gates.update(places)  # which another operator may share: equal ones are stored once
    others = [one for place, one in found.items() if place not in gates]
    return [*others, *fused, *_of_row_scales(others), *_beside(file)]


def _open(schema: Any, file: StoredFile) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(file.path.read_bytes()), 0))


def _constant(schema: Any, model: Any, tensor: Any) -> Array | None:
    """Return what a tensor holds; None where it is no constant, or packed, or of no known type."""
    types = {
        schema.TensorType.FLOAT32: np.float32,
        schema.TensorType.FLOAT16: np.float16,
        schema.TensorType.INT8: np.int8,
        schema.TensorType.UINT8: np.uint8,
        schema.TensorType.INT16: np.int16,
        schema.TensorType.INT64: np.int64,
    }
    raw = model.buffers[tensor.buffer].data
    if raw is None or not len(raw) or tensor.type not in types:
        return None
    data = np.frombuffer(np.asarray(raw, np.uint8).tobytes(), types[tensor.type])
    shape = () if tensor.shape is None else tuple(int(size) for size in tensor.shape)
    return data.reshape(shape) if data.size == int(np.prod(shape)) else None


def _name_of(tensor: Any) -> str:
    return tensor.name.decode() if isinstance(tensor.name, bytes) else str(tensor.name)


def _scale_of(tensor: Any) -> Sequence[float]:
    scale = None if tensor.quantization is None else tensor.quantization.scale
    return () if scale is None else list(scale)


def _read(tensor: Any, array: Array) -> Stored:
    """Return the numbers that a tensor stands for by its own scales."""
    name = _name_of(tensor)
    if array.dtype.kind == "f":
        return Stored(name, array)
    scale = np.asarray(_scale_of(tensor), np.float64)
    points = tensor.quantization.zeroPoint
    zero = np.asarray([0] if points is None else points, np.float64)
    if len(scale) > 1:
        shape = [1] * array.ndim
        shape[int(tensor.quantization.quantizedDimension)] = len(scale)
        scale = scale.reshape(shape)
        zero = zero.reshape(shape) if len(zero) > 1 else zero
    values, steps = (array - zero) * scale, np.broadcast_to(scale, array.shape)
    if array.dtype == np.int64:  # so many steps that the scale's own rounding to float32 counts
        steps = steps + np.abs(values) * np.finfo(np.float32).eps
    return Stored(name, values, steps)


def _joined(name: str, gates: Sequence[Stored]) -> Stored:
    """Put gates [U, ...] together to [4U, ...]."""
    values = np.concatenate([one.values for one in gates])
    steps = [one.steps for one in gates if one.steps is not None]
    return Stored(name, values, np.concatenate(steps) if steps else None)


def _of_row_scales(stored: Sequence[Stored]) -> Iterator[Stored]:
    """Multiply each table of integers with each column of as many integers of the scale 1."""
    columns = [
        one
        for one in stored
        if one.steps is not None and one.values.shape[1:] == (1,) and (one.steps == 1).all()
    ]
    for table in stored:
        for column in columns:
            if table.steps is not None and len(table.values) == len(column.values):
                yield Stored(table.name, table.values * column.values, table.steps * column.values)


def _beside(file: StoredFile) -> Iterator[Stored]:
    """Return the embedding tables that a file takes rows of, each once."""
    contract = read_contract(file.path.read_bytes())
    told = {one["table"]["companion"] for one in contract["inputs"] if "table" in one}
    if not told <= set(file.companions):  # a file alone
        return
    tables = tables_of(contract, {role: file.companions[role].read_bytes() for role in told})
    for one, table in zip(contract["inputs"], tables, strict=True):
        if table is None or one["table"]["companion"] not in told:
            continue
        told.remove(one["table"]["companion"])  # another input may take rows of it too
        scale = one["table"]["scale"]
        rows = table.look_up(np.arange(one["table"]["rows"]))
        if scale is None or table.multipliers is None:
            yield Stored(one["table"]["companion"], rows)
        else:
            steps = np.broadcast_to(table.multipliers * float(scale), rows.shape)
            yield Stored(one["table"]["companion"], rows * float(scale), steps)


def _pair(bare: list[tuple[str, Array]], floats: list[Array]) -> Iterator[Stored]:
    units = {float(one.reshape(-1)[0]) for one in floats if one.size == 1}
    multiples = [array for _, array in bare if array.dtype == np.int16 and array.shape[-1:] == (1,)]
    bytewise = [array for _, array in bare if array.dtype == np.uint8]
    for name, array in bare:
        if array.dtype == np.uint8:
            for rows in bytewise:
                yield from of_levels(name, array, rows, units)
            continue
        if array.dtype != np.int8 or array.ndim < 2:
            continue
        for rows in multiples:
            if rows.shape[0] == array.shape[0]:
                for unit in units - {0.0}:
                    yield from scaled(name, array, np.maximum(rows, 1).astype(np.float64) * unit)
        for columns in floats:
            if columns.size == array.shape[-1] > 1:
                yield from scaled(name, array, columns.reshape(-1))
