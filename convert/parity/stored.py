"""Reads the constants that an artifact's file holds.

Not their comparison with the Graph, which is `weights`. A target without a reader here is not
looked into, and the report says so.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.quantize import INT4_MIDDLE, unpack_int4

__all__ = ["READERS", "Stored"]

Array = NDArray[Any]
_INT8_SUFFIX, _INT4_SUFFIX, _SCALES_SUFFIX = "_int8", "_int4", "_scales"


@dataclass(frozen=True)
class Stored:
    """A constant of a file.

    Args:
        name: In the file.
        values: What it stands for, float; of integers the products with their scales.
        steps: The distance of two neighbouring numbers, broadcast over the values; None for
            floats, which are what they are.
        cut_off: -1 and 1 where a value is the lowest or highest that its row can hold, and stands
            for all beyond it too; None where nothing is cut off.
    """

    name: str
    values: Array
    steps: Array | None = None
    cut_off: Array | None = None


def read_onnx(path: Path) -> list[Stored]:
    """Read the initializers of an ONNX file: floats, and integers with the scales beside them.

    Scales are floats, or multiples of some float of the file: the comparison keeps the one that
    fits best. Tables of 4 bits have two levels in a byte.
    """
    import onnx

    model = onnx.load(str(path))
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    found = [Stored(n, a) for n, a in arrays.items() if a.dtype.kind == "f"]
    scales = [a for n, a in arrays.items() if n.rstrip("_").endswith(_SCALES_SUFFIX)]
    units = {float(one.values.reshape(-1)[0]) for one in found if one.values.size == 1}
    for name, array in arrays.items():
        if array.dtype == np.uint8 and name.rstrip("_").endswith(_INT4_SUFFIX):
            own = arrays.get(name.replace(_INT4_SUFFIX, _SCALES_SUFFIX))
            for candidate in [own] if own is not None else scales:
                found += _of_levels(name, array, candidate, units)
            continue
        if array.dtype != np.int8 or not name.rstrip("_").endswith(_INT8_SUFFIX):
            continue
        own = arrays.get(name.replace(_INT8_SUFFIX, _SCALES_SUFFIX))
        # equal arrays are stored once, under the name of the first
        for candidate in [own] if own is not None else scales:
            for unit in {1.0} if candidate.dtype.kind == "f" else units - {0.0}:
                found += _scaled(name, array, candidate.astype(np.float64) * unit)
    return found


def read_litert(path: Path) -> list[Stored]:
    """Read the constants of all subgraphs of a flatbuffer.

    Quantized tensors carry their scales. A table that the exporter quantized itself is int8
    without any: its scales, a multiple of a unit for each row or one for each column, are found by
    their shapes, so each that fits is given, and the comparison keeps the one that fits best. A
    table of 4 bits is uint8, two levels in a byte, with uint8 multiples.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(path.read_bytes()), 0))
    types = {
        schema.TensorType.FLOAT32: np.float32,
        schema.TensorType.FLOAT16: np.float16,
        schema.TensorType.INT8: np.int8,
        schema.TensorType.UINT8: np.uint8,
        schema.TensorType.INT16: np.int16,
    }
    found: list[Stored] = []
    bare: list[tuple[str, Array]] = []
    seen: set[int] = set()
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            raw = model.buffers[tensor.buffer].data
            if raw is None or not len(raw) or tensor.type not in types or tensor.buffer in seen:
                continue
            seen.add(tensor.buffer)
            name = tensor.name.decode() if isinstance(tensor.name, bytes) else str(tensor.name)
            data = np.frombuffer(np.asarray(raw, np.uint8).tobytes(), types[tensor.type])
            shape = () if tensor.shape is None else tuple(int(size) for size in tensor.shape)
            if data.size != int(np.prod(shape)):
                continue  # packed, or sparse
            array = data.reshape(shape)
            if array.dtype.kind == "f":
                found.append(Stored(name, array))
            elif tensor.quantization is not None and tensor.quantization.scale is not None:
                found += _quantized(name, array, tensor.quantization)
            else:
                bare.append((name, array))
    return [*found, *_pair(bare, [one.values for one in found if one.steps is None])]


def _quantized(name: str, array: Array, quantization: Any) -> list[Stored]:
    scale = np.asarray(quantization.scale, np.float64)
    zero = np.asarray(
        quantization.zeroPoint if quantization.zeroPoint is not None else [0], np.float64
    )
    if len(scale) > 1:
        shape = [1] * array.ndim
        shape[int(quantization.quantizedDimension)] = len(scale)
        scale = scale.reshape(shape)
        zero = zero.reshape(shape) if len(zero) > 1 else zero
    return [Stored(name, (array - zero) * scale, np.broadcast_to(scale, array.shape))]


def _pair(bare: list[tuple[str, Array]], floats: list[Array]) -> Iterator[Stored]:
    units = {float(one.reshape(-1)[0]) for one in floats if one.size == 1}
    multiples = [array for _, array in bare if array.dtype == np.int16 and array.shape[-1:] == (1,)]
    bytewise = [array for _, array in bare if array.dtype == np.uint8]
    for name, array in bare:
        if array.dtype == np.uint8:
            for rows in bytewise:
                yield from _of_levels(name, array, rows, units)
            continue
        if array.dtype != np.int8 or array.ndim < 2:
            continue
        for rows in multiples:
            if rows.shape[0] == array.shape[0]:
                for unit in units - {0.0}:
                    yield from _scaled(name, array, np.maximum(rows, 1).astype(np.float64) * unit)
        for columns in floats:
            if columns.size == array.shape[-1] > 1:
                yield from _scaled(name, array, columns.reshape(-1))


def _scaled(name: str, array: Array, scales: Array) -> Iterator[Stored]:
    try:
        steps = np.broadcast_to(scales.astype(np.float64), array.shape)
    except ValueError:
        return
    yield Stored(name, array * steps, steps)


def _of_levels(name: str, packed: Array, multiples: Array, units: set[float]) -> Iterator[Stored]:
    """Give the tables of F and, where the last half column is filled up, F - 1 columns."""
    if packed.ndim != 2 or multiples.shape != (len(packed), 1) or multiples is packed:
        return
    if multiples.dtype != np.uint8:
        return
    for columns in (2 * packed.shape[1], 2 * packed.shape[1] - 1):
        levels = unpack_int4(packed, columns).astype(np.int8)
        cut_off = (levels == 15).astype(np.int8) - (levels == 0)
        for unit in units - {0.0}:
            steps = np.broadcast_to(multiples * unit, levels.shape)
            yield Stored(name, (levels - INT4_MIDDLE) * steps, steps, cut_off)


READERS: dict[str, Callable[[Path], list[Stored]]] = {
    "litert": read_litert,
    "onnx": read_onnx,
}
"""By target."""
