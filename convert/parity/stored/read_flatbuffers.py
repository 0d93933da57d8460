"""Reads LiteRT's and TensorFlow Lite Micro's flatbuffers: their operators and their constants.

Not their comparison with the Graph, which is `match`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gatelet.convert.parity.stored.file import Array, Stored, StoredFile
from gatelet.convert.parity.stored.program import Operator, Program
from gatelet.convert.parity.stored.scopes import scope_by_dataflow, scope_by_names
from gatelet.runtime.backends.tflm import read_contract
from gatelet.runtime.backends.tflm_tables import tables_of

_KINDS = {
    "ADD": "Add",
    "CAST": "Cast",
    "CONCATENATION": "Concat",
    "DEQUANTIZE": "Identity",
    "FLOOR": "Floor",
    "GATHER": "Gather",
    "MUL": "Mul",
    "QUANTIZE": "Identity",  # of integers: the same numbers in other steps
    "RESHAPE": "Reshape",
    "STRIDED_SLICE": "Slice",
    "SUB": "Sub",
    "TRANSPOSE": "Transpose",
}
"""ONNX' name of an operator; others keep their own."""

_TYPES = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
}


def read_litert(file: StoredFile) -> Program:
    """Read the operators of a flatbuffer, those of loops too.

    TensorFlow's converter names nothing after the Graph's nodes: the order of the operators, and
    what they depend on, says whose they are.
    """
    from ai_edge_litert import schema_py_generated as schema

    return scope_by_dataflow(_Reader(schema, file).program(), file.graph)


def read_tflm(file: StoredFile) -> Program:
    """Read the operators of a file of one timestep, and the tables that lie beside it."""
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    reader = _Reader(schema, file)
    program = scope_by_names(reader.program(), file.graph)
    return replace(program, beside=_beside(file, reader.inputs()))


class _Reader:
    """A flatbuffer, with the names of its operators.

    Args:
        schema: The format's Python form.
        file: The file.
    """

    def __init__(self, schema: Any, file: StoredFile) -> None:
        data = bytearray(file.path.read_bytes())
        self._schema = schema
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
        kinds = {number: name for name, number in vars(schema.BuiltinOperator).items()}
        # operators of the format's first years are in the deprecated field only
        numbers = [max(one.builtinCode, one.deprecatedBuiltinCode) for one in self._codes()]
        self._kinds = [kinds.get(int(number), "") for number in numbers]
        self._constants: dict[str, Stored] = {}

    def inputs(self) -> list[str]:
        """Return the names of what the file takes, in order."""
        main = self._model.subgraphs[0]
        return [_name_of(main.tensors[place]) for place in main.inputs]

    def program(self) -> Program:
        """Return the operators, and the constants."""
        operators = tuple(self._operators(0, ""))
        main = self._model.subgraphs[0]
        inputs = {}
        for one in self._model.signatureDefs or ():
            for taken in one.inputs:
                (value,) = self._values(0, [taken.tensorIndex], "")
                inputs[value] = _text(taken.name)
        return Program(operators, self._constants, self._values(0, main.outputs, ""), inputs)

    def _codes(self) -> Sequence[Any]:
        return list(self._model.operatorCodes or ())

    def _values(self, subgraph: int, places: Sequence[int], loop: str) -> tuple[str, ...]:
        """Name values, uniquely also where two loops have one body."""
        return tuple(f"{loop}/{subgraph}/{int(place)}" if place >= 0 else "" for place in places)

    def _operators(self, number: int, loop: str) -> Iterator[Operator]:
        subgraph = self._model.subgraphs[number]
        for place, tensor in enumerate(subgraph.tensors):
            stored = self._constant(tensor)
            if stored is not None:
                self._constants[self._values(number, [place], loop)[0]] = stored
        for one in subgraph.operators:
            inputs, outputs = (self._values(number, places, loop) for places in _ends(one))
            kind = self._kinds[one.opcodeIndex]
            if kind == "WHILE":
                inside = int(one.builtinOptions.bodySubgraphIndex)
                yield from self._body(inside, inputs, outputs[0])
                made = self._model.subgraphs[inside].outputs
                inputs += self._values(inside, made, outputs[0])
            kind, settings = self._kind(one, kind, subgraph)
            name = _name_of(subgraph.tensors[int(one.outputs[0])]) if outputs else ""
            yield Operator(kind, inputs, outputs, settings, name, loop)

    def _body(self, number: int, outside: Sequence[str], loop: str) -> Iterator[Operator]:
        """Return what a loop runs; what no turn of it changes stays what it is outside."""
        body = self._model.subgraphs[number]
        taken = self._values(number, body.inputs, loop)
        after = self._values(number, body.outputs, loop)
        for before, inside, following in zip(outside, taken, after, strict=True):
            kind = "Identity" if inside == following else "LoopInput"
            yield Operator(kind, (before,), (inside,), loop=loop)
        yield from self._operators(number, loop)

    def _kind(self, one: Any, kind: str, subgraph: Any) -> tuple[str, dict[str, Any]]:
        """Return the kind of an operator, and the settings that are needed."""
        kind, options = _KINDS.get(kind, kind), one.builtinOptions
        settings: dict[str, Any] = {"activation": getattr(options, "fusedActivationFunction", 0)}
        if hasattr(options, "axis"):
            settings["axis"] = int(options.axis)
        if kind == "Gather":
            shape = subgraph.tensors[one.inputs[1]].shape
            settings["is_scalar"] = shape is None or not len(shape)
        if kind == "Slice":
            moves = options.newAxisMask or options.shrinkAxisMask
            axes, sizes = (subgraph.tensors[place].shape for place in one.inputs[:2])
            if moves or not (options.ellipsisMask or len(axes) == sizes[0]):
                return "STRIDED_SLICE", {}
            settings |= {"begin": int(options.beginMask), "end": int(options.endMask)}
        return kind, settings

    def _constant(self, tensor: Any) -> Stored | None:
        """Return what a tensor holds; None where it is no constant, or of no known type."""
        known = {getattr(self._schema.TensorType, name): dtype for name, dtype in _TYPES.items()}
        raw = self._model.buffers[tensor.buffer].data
        if raw is None or not len(raw) or tensor.type not in known:
            return None
        data = np.frombuffer(np.asarray(raw, np.uint8).tobytes(), known[tensor.type])
        shape = () if tensor.shape is None else tuple(int(size) for size in tensor.shape)
        return _read(tensor, data.reshape(shape)) if data.size == int(np.prod(shape)) else None


def _ends(operator: Any) -> tuple[list[int], list[int]]:
    inputs, outputs = operator.inputs, operator.outputs
    return ([] if inputs is None else list(inputs), [] if outputs is None else list(outputs))


def _name_of(tensor: Any) -> str:
    return _text(tensor.name)


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _read(tensor: Any, array: Array) -> Stored:
    """Return the numbers that a tensor stands for by its own scales; without any, whole steps."""
    name, quantization = _name_of(tensor), tensor.quantization
    if array.dtype.kind == "f":
        return Stored(name, array)
    scales = None if quantization is None else quantization.scale
    if scales is None or not len(scales):
        return Stored(name, array, np.broadcast_to(np.float64(1), array.shape))
    scale = np.asarray(scales, np.float64)
    points = quantization.zeroPoint
    zero = np.asarray([0] if points is None else points, np.float64)
    if len(scale) > 1:
        shape = [1] * array.ndim
        shape[int(quantization.quantizedDimension)] = len(scale)
        scale = scale.reshape(shape)
        zero = zero.reshape(shape) if len(zero) > 1 else zero
    values, steps = (array - zero) * scale, np.broadcast_to(scale, array.shape)
    if array.dtype == np.int64:  # so many steps that the scale's own rounding to float32 counts
        steps = steps + np.abs(values) * np.finfo(np.float32).eps
    return Stored(name, values, steps)


def _beside(file: StoredFile, inputs: Sequence[str]) -> dict[str, Stored]:
    """Return the embedding tables that a file takes rows of, by the names of those inputs."""
    contract = read_contract(file.path.read_bytes())
    told = {one["table"]["companion"] for one in contract["inputs"] if "table" in one}
    if not told <= set(file.companions):  # a file alone
        return {}
    tables = tables_of(contract, {role: file.companions[role].read_bytes() for role in told})
    found = {}
    for name, one, table in zip(inputs, contract["inputs"], tables, strict=False):  # no states
        if table is None:
            continue
        scale = one["table"]["scale"]
        rows = table.look_up(np.arange(one["table"]["rows"]))
        if scale is None or table.multipliers is None:
            found[name] = Stored(name, rows)
        else:
            steps = np.broadcast_to(table.multipliers * float(scale), rows.shape)
            found[name] = Stored(name, rows * float(scale), steps)
    return found
