"""One timestep in operators of TensorFlow Lite for Microcontrollers, in floats or in integers.

Not the layers, which are in `layers` and `recurrent`, and not the order of steps: see `walk`.

In integers a tensor is int16 with one scale, symmetric, and weights are int8. What the library has
no int16 kernel for is computed in float between DEQUANTIZE and QUANTIZE.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.quantize import quantize_int8
from gatelet.convert.exporters.tflm.file import FileWriter, Tensor
from gatelet.convert.exporters.tflm.tables import Table, table_of

Array = NDArray[Any]

LARGEST_INT16 = 32767
UNIT_SCALE = 2.0**-15
"""Of results in -1..1: the kernels of LOGISTIC and TANH give no other."""
HEADROOM = 2.0
"""Of a range beyond what calibration saw: a bit of 16, so that a row it did not see is not cut."""

_INT16_UNARY = ("LOGISTIC", "TANH")
_INT16_BINARY = ("ADD", "MUL", "SUB")
_BINARY: dict[str, tuple[str, dict[str, Any]]] = {
    "ADD": ("Add", {"potScaleInt16": False}),
    "DIV": ("Div", {}),
    "MAXIMUM": ("MaximumMinimum", {}),
    "MINIMUM": ("MaximumMinimum", {}),
    "MUL": ("Mul", {}),
    "SUB": ("Sub", {"potScaleInt16": False}),
}


class StepWriter:
    """Writes the operators of a step.

    Args:
        ranges: The largest magnitude of each float tensor, by name, for a file that computes in
            integers; None for floats.
        fused: Use the fused LSTM operator, whose inside cannot be observed; of floats only, since
            the kernel of CMSIS-NN for integers forgets its states at each call.
        outside: Leave embeddings out of the file, which then takes their rows.
        rounds: In floats, store what the integers of kernels and tables would stand for.
    """

    def __init__(
        self,
        *,
        ranges: Mapping[str, float] | None = None,
        fused: frozenset[str] = frozenset(),
        outside: bool = False,
        rounds: bool = False,
    ) -> None:
        self.file = FileWriter()
        self.rounds = rounds
        self.outside = outside
        self.tables: dict[str, Table] = {}
        self.fused = fused
        self.states: list[tuple[Tensor, Tensor]] = []
        self.ranges = ranges
        self._node, self._count = "", 0
        self._converted: dict[tuple[int, str], Tensor] = {}
        self._constants: dict[tuple[Any, ...], Tensor] = {}

    @property
    def integers(self) -> bool:
        """Whether the step computes in integers."""
        return self.ranges is not None

    def begin(self, node: str) -> None:
        """Begin a node: the names of its tensors are the same in every form of a model's step."""
        self._node, self._count = node, 0

    def name(self) -> str:
        """Return the name of the node's next tensor."""
        self._count += 1
        return f"{self._node}_{self._count}"

    def constant(self, values: Array, *, like: Tensor) -> Tensor:
        """Add a constant of the type of another tensor, float or int16."""
        values = np.asarray(values, np.float32)
        is_float = like.dtype == "float32"
        return self._weight(values, "float32") if is_float else self._integers(values)

    def _integers(self, values: Array) -> Tensor:
        scale = self._scale(float(np.abs(values).max(initial=0.0)))
        stored = np.clip(np.rint(values / scale), -LARGEST_INT16, LARGEST_INT16)
        return self._weight(stored.astype(np.int16), "int16", scale=scale)

    def dense(self, x: Tensor, kernel: Array, bias: Array | None, *, name: str = "") -> Tensor:
        """Add x @ kernel + bias.

        Args:
            x: [1, F] or [1, 1, F].
            kernel: [F, U].
            bias: [U].
            name: Of the result.
        """
        U = kernel.shape[1]
        options = self.file.options("FullyConnected", keepNumDims=len(x.shape) > 2)
        x = self.as_integer(x) if self.integers else x
        weights = [self.kernel(kernel.T)]
        weights += [] if bias is None else [self.bias(bias, x, weights[0])]
        y = self.result((*x.shape[:-1], U), name=name)
        inputs: list[Tensor | None] = [x, *weights, *([None] if bias is None else [])]
        self.file.operator("FULLY_CONNECTED", inputs, [y], options)
        return y

    def kernel(self, values: Array) -> Tensor:
        """Add a kernel [U, F], in integers of one scale."""
        if not self.integers and not self.rounds:
            return self._weight(values, "float32")
        stored, scales = quantize_int8(values[None], axis=0)
        if self.integers:
            return self._weight(stored[0], "int8", scale=float(scales.reshape(())))
        return self._weight(stored[0] * scales[0], "float32")

    def bias(self, bias: Array, x: Tensor, kernel: Tensor) -> Tensor:
        """Add a bias, in integers in the units of a product of x and a kernel."""
        if not self.integers:
            return self._weight(bias, "float32")
        # as the file will have it: a bias may be some ten million steps
        scale = float(np.float32((x.scale or 1.0) * (kernel.scale or 1.0)))
        return self._weight(
            np.rint(bias.astype(np.float64) / scale).astype(np.int64), "int64", scale=scale
        )

    def binary(
        self, op: str, a: Tensor, b: Tensor, *, name: str = "", in_float: bool = False
    ) -> Tensor:
        """Add an elementwise operator of two tensors, which are broadcast."""
        name = name or self.name()
        exact = self.integers and op in _INT16_BINARY and not in_float
        a, b = (self.as_integer(one) if exact else self.as_float(one) for one in (a, b))
        rank = max(len(a.shape), len(b.shape))
        shapes = [(1,) * (rank - len(one.shape)) + one.shape for one in (a, b)]
        shape = tuple(max(sizes) for sizes in zip(*shapes, strict=True))
        y = self.result(shape, name=name) if exact else self._float(shape, name)
        kind, fields = _BINARY[op]
        self.file.operator(op, [a, b], [y], self.file.options(kind, **fields))
        return y

    def scalar(
        self, op: str, x: Tensor, value: float, *, name: str = "", in_float: bool = False
    ) -> Tensor:
        """Add an elementwise operator of a tensor and a number."""
        exact = self.integers and op in _INT16_BINARY and not in_float
        x = self.as_integer(x) if exact else self.as_float(x)
        number = self.constant(np.full((1,) * len(x.shape), value), like=x)
        return self.binary(op, x, number, name=name, in_float=in_float)

    def unary(self, op: str, x: Tensor, options: Any = None) -> Tensor:
        """Add an operator of one tensor."""
        name = self.name()
        if not self.integers or op not in _INT16_UNARY:
            x, y = self.as_float(x), self._float(x.shape, name)
        else:
            x, y = self.as_integer(x), self.file.tensor(name, x.shape, "int16", scale=UNIT_SCALE)
        self.file.operator(op, [x], [y], options)
        return y

    def reduce_last(self, op: str, x: Tensor) -> Tensor:
        """Add MEAN or SUM over the last axis, which stays."""
        x = self.as_float(x)
        axes = self._weight(np.array([len(x.shape) - 1], np.int32), "int32")
        y = self._float((*x.shape[:-1], 1), self.name())
        self.file.operator(op, [x, axes], [y], self.file.options("Reducer", keepDims=True))
        return y

    def split(self, x: Tensor, count: int) -> list[Tensor]:
        """Add a split of the last axis in equal parts."""
        axis = self._weight(np.array(len(x.shape) - 1, np.int32), "int32")
        shape = (*x.shape[:-1], x.shape[-1] // count)
        parts = [self.file.tensor(self.name(), shape, x.dtype, scale=x.scale) for _ in range(count)]
        self.file.operator("SPLIT", [axis, x], parts, self.file.options("Split", numSplits=count))
        return parts

    def concatenate(self, parts: Sequence[Tensor]) -> Tensor:
        """Add a concatenation along the last axis."""
        rank = max(len(one.shape) for one in parts)
        name = self.name()
        if self.integers:
            # the operator gives its inputs one scale, and this is the one to share
            parts = [self.as_integer(one) for one in parts]
            wanted = max(one.scale or 0.0 for one in parts)
            parts = [self._rescaled(one, wanted) for one in parts]
        parts = [self.reshape(one, (1,) * (rank - len(one.shape)) + one.shape) for one in parts]
        shape = (*parts[0].shape[:-1], sum(one.shape[-1] for one in parts))
        y = self.file.tensor(name, shape, parts[0].dtype, scale=parts[0].scale)
        self.file.operator(
            "CONCATENATION", parts, [y], self.file.options("Concatenation", axis=rank - 1)
        )
        return y

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """Add a reshape, if it changes anything."""
        return x if x.shape == tuple(shape) else self.copy(x, shape)

    def copy(self, x: Tensor, shape: Sequence[int] = ()) -> Tensor:
        """Add a copy, of another shape."""
        made = tuple(shape) or x.shape
        y = self.file.tensor(self.name(), made, x.dtype, scale=x.scale)
        sizes = self._weight(np.array(made, np.int32), "int32")
        options = self.file.options("Reshape", newShape=list(made))
        self.file.operator("RESHAPE", [x, sizes], [y], options)
        return y

    def gather(self, table: Tensor, ids: Tensor) -> Tensor:
        """Add the rows of a table that ids name."""
        y = self.file.tensor(
            self.name(), (*ids.shape, *table.shape[1:]), table.dtype, scale=table.scale
        )
        self.file.operator("GATHER", [table, ids], [y], self.file.options("Gather", axis=0))
        return y

    def fed_row(self, weight: str, table: Array) -> Tensor:
        """Add an input that takes a row of a table beside the file.

        Args:
            weight: The table's name in the Graph: one that two nodes share lies there once.
            table: [V, F].
        """
        if weight not in self.tables:
            count = len(self.tables) + 1
            role = "embedding" if count == 1 else f"embedding_{count}"
            self.tables[weight] = table_of(table, role=role, integers=self.integers)
        one = self.tables[weight]
        dtype = "int16" if self.integers else "float32"
        return self.file.tensor(self.name(), (1, 1, one.columns), dtype, scale=one.scale)

    def weight(self, values: Array, dtype: str, *, scale: float | None = None) -> Tensor:
        """Add a constant as it is."""
        return self._weight(values, dtype, scale=scale)

    def convert(self, x: Tensor, *, scale: float) -> Tensor:
        """Add a change of integers to int16 of another scale."""
        y = self.file.tensor(f"c{len(self.file.made)}", x.shape, "int16", scale=scale)
        self.file.operator("QUANTIZE", [x], [y], self.file.options("Quantize"))
        return y

    def result(self, shape: Sequence[int], *, name: str = "") -> Tensor:
        """Add a tensor for a result: float32, or int16 of the range that was observed."""
        name = name or self.name()
        if self.ranges is None:
            return self._float(shape, name)
        return self.file.tensor(name, shape, "int16", scale=self.scale_of(name))

    def as_float(self, x: Tensor) -> Tensor:
        """Return the tensor in float32."""
        if x.dtype == "float32":
            return x
        key = (x.index, "float32")
        if key not in self._converted:
            y = self._float(x.shape, f"{x.name}_float")
            self.file.operator("DEQUANTIZE", [x], [y], self.file.options("Dequantize"))
            self._converted[key] = y
        return self._converted[key]

    def as_integer(self, x: Tensor) -> Tensor:
        """Return the tensor in int16."""
        if x.dtype == "int16":
            return x
        if x.data is not None:  # a constant was not observed: its own values give its range
            return self._integers(x.data)
        key = (x.index, "int16")
        if key not in self._converted:
            scale = self.scale_of(x.name)
            y = self.file.tensor(f"{x.name}_integer", x.shape, "int16", scale=scale)
            self.file.operator("QUANTIZE", [x], [y], self.file.options("Quantize"))
            self._converted[key] = y
        return self._converted[key]

    def read_state(self, name: str, units: int, *, scale: float | None) -> tuple[Tensor, Tensor]:
        """Add a state [1, 1, units] that is zero at first: give its handle and its value.

        In floats it is a variable, in integers an input, which `assign_state` gives its output.
        """
        if self.integers:
            value = self.file.tensor(name, (1, 1, units), "int16", scale=scale)
            return value, value
        handle = self.file.tensor(f"{name}_handle", (), "resource")
        options = self.file.options("VarHandle", container="", sharedName=name)
        self.file.operator("VAR_HANDLE", [], [handle], options)
        value = self.file.tensor(name, (1, 1, units), "float32")
        self.file.operator("READ_VARIABLE", [handle], [value], self.file.options("ReadVariable"))
        return handle, value

    def assign_state(self, handle: Tensor, value: Tensor) -> None:
        """Add the change of a state."""
        if self.integers:
            self.states.append((handle, value))
            return
        options = self.file.options("AssignVariable")
        self.file.operator("ASSIGN_VARIABLE", [handle, value], [], options)

    def scale_of(self, name: str) -> float | None:
        """Return the scale of the result of that name; None in floats."""
        return None if self.ranges is None else self._scale(HEADROOM * self.ranges[name])

    def _rescaled(self, x: Tensor, scale: float) -> Tensor:
        return x if x.scale == scale else self.convert(x, scale=scale)

    def _float(self, shape: Sequence[int], name: str) -> Tensor:
        return self.file.tensor(name, shape, "float32")

    def _weight(self, values: Array, dtype: str, *, scale: float | None = None) -> Tensor:
        data = np.ascontiguousarray(values, dtype)
        # what is read forwards and backwards, as a table is, lies in the file once
        key = (dtype, data.shape, scale, hashlib.sha256(data.tobytes()).digest())
        if key not in self._constants:
            name = f"w{len(self.file.made)}"
            self._constants[key] = self.file.tensor(name, data.shape, dtype, scale=scale, data=data)
        return self._constants[key]

    @staticmethod
    def _scale(largest: float) -> float:
        """Return the int16 scale that holds a magnitude."""
        return float(np.float32((largest or 1.0) / LARGEST_INT16))
