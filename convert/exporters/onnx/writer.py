"""Collects the nodes and constants of an ONNX file.

Knows no operation of the Graph: those are in the files beside this one.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.quantize import quantize_int8
from gatelet.convert.schemes import Scheme
from gatelet.runtime.bundle.storage import SMALL_ELEMENTS
from gatelet.runtime.graph.graph import Node, Shape

INT8_LIMIT = 64
"""Of weights in integer products: processors without VNNI add two products of 8 bits in 16."""

_LARGEST_FLOAT16 = 65504.0

Array = NDArray[Any]


def fits_float16(array: Array) -> bool:
    """Return whether an array is worth float16, and none of its values is too large."""
    large_enough = array.size >= SMALL_ELEMENTS
    return large_enough and bool(np.abs(array).max(initial=0) < _LARGEST_FLOAT16)


@dataclass(frozen=True)
class Call:
    """What a node of the Graph gives the function that writes it.

    Args:
        node: The node.
        inputs: The names of its inputs in the file.
        shapes: Of its inputs.
        weights: By role.
        mask: The name of its mask in the file.
        takes_raw_features: The first input holds values as the user feeds them, of any range; such
            values are not quantized.
    """

    node: Node
    inputs: list[str]
    shapes: list[Shape]
    weights: Mapping[str, Array]
    mask: str | None
    takes_raw_features: bool

    @property
    def x(self) -> str:
        """The name of the first input."""
        return self.inputs[0]

    @property
    def rank(self) -> int:
        """Of the first input."""
        return len(self.shapes[0])


@dataclass
class Writer:
    """The file under construction.

    Args:
        onnx: The package.
        scheme: What is stored and computed how.
        scope: The Graph's node that is being written; names begin with it.
        nodes: In order.
        initializers: By name.
        known: What was made before and can be used again: by a key that tells it.
        spans_batch: Some activation is quantized with a scale of the whole batch.
        types: Of values that ONNX' own inference cannot tell.
    """

    onnx: Any
    scheme: Scheme
    scope: str = ""
    nodes: list[Any] = field(default_factory=list)
    initializers: dict[str, Any] = field(default_factory=dict)
    known: dict[Any, Any] = field(default_factory=dict)
    spans_batch: bool = False
    types: list[Any] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def quantized(self) -> bool:
        """Whether large weights are stored as int8."""
        return self.scheme.weights == "int8"

    def constant(self, array: Array, role: str) -> str:
        """Store an array; one with the same type and content is stored once."""
        array = np.asarray(array, order="C")  # ascontiguousarray makes a scalar a list
        digest = hashlib.sha256(array.tobytes()).digest()
        key = ("constant", array.dtype.str, array.shape, digest)
        if key not in self.known:
            name = f"{self.scope}.{role}"
            while name in self.initializers:
                name += "_"
            self.known[key] = name
            self.initializers[name] = self.onnx.numpy_helper.from_array(array, name)
        return str(self.known[key])

    def ints(self, *values: int) -> str:
        """Store a list of axes or sizes, int64 [n]."""
        return self.constant(np.array(values, np.int64), "ints")

    def int_scalar(self, value: int) -> str:
        """Store one int64."""
        return self.constant(np.array(value, np.int64), "int")

    def scalar(self, value: float) -> str:
        """Store one float32."""
        return self.constant(np.array(value, np.float32), "scalar")

    def weight(self, array: Array, role: str, *, axis: int) -> str:
        """Store a float weight; as int8 with a scale for each index of `axis` where that pays.

        onnxruntime computes the product of values and scales once, when it opens the file.
        """
        is_float = role == "recurrent_kernel" and self.scheme.recurrent == "float32"
        if is_float or not self.quantized or array.size < SMALL_ELEMENTS:
            return self.table(array, role)
        values, scales = quantize_int8(array, axis=axis)
        floats = self.cast(self.constant(values, f"{role}_int8"), "FLOAT")
        return self.add("Mul", floats, self.constant(scales, f"{role}_scales"))

    def table(self, array: Array, role: str) -> str:
        """Store a float array; as float16 where the scheme says so and that pays.

        onnxruntime makes it float32 once, when it opens the file.
        """
        array = array.astype(np.float32)
        if self.scheme.weights == "float16" and fits_float16(array):
            return self.cast(self.constant(array.astype(np.float16), f"{role}_half"), "FLOAT")
        return self.constant(array, role)

    def rows(self, array: Array, role: str, indices: str) -> str:
        """Append a Gather of rows of a float array, float32; stored as `table` does."""
        if self.scheme.weights == "float16" and fits_float16(array):
            half = self.constant(array.astype(np.float16), f"{role}_half")
            return self.cast(self.add("Gather", half, indices), "FLOAT")
        return self.add("Gather", self.constant(array, role), indices)

    def integer_rows(self, integers: Array, unit: np.float32, role: str, indices: str) -> str:
        """Append a Gather of rows of integers, times a unit, float32."""
        rows = self.add("Gather", self.constant(integers, role), indices)
        return self.add("Mul", self.cast(rows, "FLOAT"), self.scalar(float(unit)))

    def add(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Append a node with one output and give the output's name."""
        (output,) = self.add_many(op, inputs, (True,), domain=domain, **attributes)
        return output

    def add_many(
        self,
        op: str,
        inputs: Sequence[str],
        wanted: Sequence[bool],
        *,
        domain: str = "",
        **attributes: Any,
    ) -> list[str]:
        """Append a node.

        Args:
            op: The operator.
            inputs: Names; '' for an optional one that is left out.
            wanted: For each output whether it is used.
            domain: Of the operator.
            **attributes: Of the operator.

        Returns:
            The outputs' names, '' for those that are not wanted.
        """
        name = self.fresh(op)
        outputs = [
            (name if index == 0 else f"{name}_{index}") if want else ""
            for index, want in enumerate(wanted)
        ]
        self.nodes.append(
            self.onnx.helper.make_node(
                op, list(inputs), outputs, name=name, domain=domain, **attributes
            )
        )
        return outputs

    def fresh(self, what: str) -> str:
        """Return a name that nothing has."""
        return f"{self.scope}.{what.lower()}_{next(self._numbers)}"

    def cast(self, x: str, to: str) -> str:
        """Append a Cast to a type such as 'FLOAT'."""
        return self.add("Cast", x, to=getattr(self.onnx.TensorProto, to))

    def sizes(self, x: str, start: int, end: int | None = None) -> str:
        """Append a Shape: some sizes of x, int64 [n]."""
        attributes: dict[str, Any] = {"start": start} | ({} if end is None else {"end": end})
        return self.add("Shape", x, **attributes)

    def zeros(self, *sizes: str) -> str:
        """Append float zeros of a shape that is put together from int64 lists."""
        return self.add("ConstantOfShape", self.add("Concat", *sizes, axis=0))

    def mask_over(self, mask: str, rank: int) -> str:
        """Append axes to a mask [B, T] until it has a rank."""
        if rank == 2:
            return mask
        return self.add("Unsqueeze", mask, self.ints(*range(2, rank)))

    def body(self) -> "Writer":
        """Return a writer of nodes inside a Scan; constants go to the file."""
        return replace(self, nodes=[])

    def rename(self, found: str, name: str, *, since: int) -> bool:
        """Rename an output to its name in the Graph.

        Args:
            found: The output's name in the file.
            name: Its new one.
            since: Where the nodes begin that may use it.

        Returns:
            False if no node since then makes it.
        """
        nodes = self.nodes[since:]
        if not any(found in node.output for node in nodes):
            return False
        for node in nodes:
            for names in (node.input, node.output):
                for index, one in enumerate(names):
                    if one == found:
                        names[index] = name
        return True
