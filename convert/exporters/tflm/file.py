"""The flatbuffer of one step: tensors and operators collected, then written.

Not what the operators compute, which `step` says, and not the Graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ALIGNMENT_BYTES = 16
"""Of weights in the file: TensorFlow Lite for Microcontrollers reads them where they lie."""
_LARGEST_OLD_CODE = 127
_VERSION = 3

_TYPES = {
    "float32": "FLOAT32",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "resource": "RESOURCE",
}


def schema() -> Any:
    """Return the format's Python form, which comes with the tflite-micro package."""
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated

    return schema_py_generated


@dataclass(frozen=True)
class Tensor:
    """A tensor of the step.

    Args:
        index: Its number in the file.
        name: Unique.
        shape: With 1 for B, and for T where it has one.
        dtype: A key of `_TYPES`.
        scale: Of an integer tensor, whose zero point is 0 in all files; None for others.
        data: Of a constant.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    data: NDArray[Any] | None = None


class FileWriter:
    """Collects tensors, in `made`, and operators, in the order in which they run."""

    def __init__(self) -> None:
        self._schema = schema()
        self.made: list[Tensor] = []
        self._tensors: list[Any] = []
        self._buffers: list[Any] = [self._schema.BufferT()]  # the first is empty by convention
        self._operators: list[Any] = []
        self._codes: list[str] = []
        self._metadata: list[Any] = []

    @property
    def ops(self) -> tuple[str, ...]:
        """The operators' names, each once, sorted."""
        return tuple(sorted(self._codes))

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        *,
        scale: float | None = None,
        data: NDArray[Any] | None = None,
        is_variable: bool = False,
    ) -> Tensor:
        """Add a tensor.

        Args:
            name: Unique.
            shape: All sizes known.
            dtype: Of its elements.
            scale: Of integers that stand for numbers; the zero point is 0.
            data: Of a constant, of the dtype.
            is_variable: It keeps its value until the interpreter is reset.
        """
        made = self._schema.TensorT()
        made.name = name
        made.shape = list(shape)
        made.type = getattr(self._schema.TensorType, _TYPES[dtype])
        made.isVariable = is_variable
        if scale is not None:
            quantization = self._schema.QuantizationParametersT()
            quantization.scale, quantization.zeroPoint = [float(scale)], [0]
            made.quantization = quantization
        if data is not None:
            made.buffer = self._buffer(np.ascontiguousarray(data).view(np.uint8).reshape(-1))
        self._tensors.append(made)
        self.made.append(Tensor(len(self.made), name, tuple(shape), dtype, scale, data))
        return self.made[-1]

    def operator(
        self,
        name: str,
        inputs: Sequence[Tensor | None],
        outputs: Sequence[Tensor],
        options: Any = None,
    ) -> None:
        """Add an operator.

        Args:
            name: As in the schema: 'FULLY_CONNECTED'.
            inputs: None for an optional one that is left out.
            outputs: What it makes.
            options: An object of the schema, named as its kind: AddOptionsT.
        """
        if name not in self._codes:
            self._codes.append(name)
        made = self._schema.OperatorT()
        made.opcodeIndex = self._codes.index(name)
        made.inputs = [-1 if one is None else one.index for one in inputs]
        made.outputs = [one.index for one in outputs]
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            made.builtinOptionsType = getattr(self._schema.BuiltinOptions, kind)
            made.builtinOptions = options
        self._operators.append(made)

    def options(self, kind: str, **fields: Any) -> Any:
        """Make an operator's options.

        Args:
            kind: 'Add' for AddOptions.
            **fields: In the spelling of the schema's Python form.
        """
        made = getattr(self._schema, f"{kind}OptionsT")()
        for name, value in fields.items():
            if not hasattr(made, name):
                raise ValueError(f"{kind}Options has no field '{name}'")
            setattr(made, name, value)
        return made

    def add_metadata(self, name: str, data: bytes) -> None:
        """Add bytes that no operator reads."""
        made = self._schema.MetadataT()
        made.name = name
        made.buffer = self._buffer(np.frombuffer(data, np.uint8))
        self._metadata.append(made)

    def finish(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], *, description: str
    ) -> bytes:
        """Return the file's bytes."""
        import flatbuffers  # comes with tflite-micro

        graph = self._schema.SubGraphT()
        graph.name = "main"
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs = [one.index for one in inputs]
        graph.outputs = [one.index for one in outputs]
        model = self._schema.ModelT()
        model.version = _VERSION
        model.description = description
        model.operatorCodes = [self._code(name) for name in self._codes]
        model.subgraphs, model.buffers = [graph], self._buffers
        model.metadata = self._metadata
        weights = sum(0 if one.data is None else len(one.data) for one in self._buffers)
        builder = flatbuffers.Builder(weights + 65536)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _buffer(self, data: NDArray[np.uint8]) -> int:
        self._buffers.append(_aligned_buffer(self._schema, data))
        return len(self._buffers) - 1

    def _code(self, name: str) -> Any:
        code = self._schema.OperatorCodeT()
        code.builtinCode = getattr(self._schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, _LARGEST_OLD_CODE)
        code.version = 1
        return code


def _aligned_buffer(kinds: Any, data: NDArray[np.uint8]) -> Any:
    """Make a buffer that is packed at an aligned place, which the schema's own form does not do."""

    class Aligned(kinds.BufferT):  # type: ignore[misc]  # the schema has no types
        def Pack(self, builder: Any) -> Any:  # noqa: N802  the schema's name
            builder.StartVector(1, len(self.data), _ALIGNMENT_BYTES)
            head = builder.Head() - len(self.data)
            builder.head = head
            builder.Bytes[head : head + len(self.data)] = self.data.tobytes()
            packed = builder.EndVector()
            kinds.BufferStart(builder)
            kinds.BufferAddData(builder, packed)
            return kinds.BufferEnd(builder)

    buffer = Aligned()
    buffer.data = data
    return buffer
