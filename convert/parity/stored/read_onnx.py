"""Reads ONNX files, with a vectorizer in them or without: their operators and their constants.

Not their comparison with the Graph, which is `match`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gatelet.convert.parity.stored.file import Array, Stored, StoredFile
from gatelet.convert.parity.stored.program import Operator, Program

_QUANTIZED = {
    "DynamicQuantizeMatMul": ((1, 2, 3),),
    "DynamicQuantizeLSTM": ((1, 8, 9), (2, 10, 11)),
}
"""The places of a kernel, its scales and its zero points."""


def read_onnx(file: StoredFile) -> Program:
    """Read the operators of an ONNX file; each is named after the Graph's node that it is of."""
    import onnx

    graph = onnx.load(str(file.path), load_external_data=False).graph
    constants = {
        one.name: _constant(one.name, onnx.numpy_helper.to_array(one)) for one in graph.initializer
    }
    operators = tuple(one for node in graph.node for one in _operators(onnx, node, ""))
    return Program(operators, constants, tuple(one.name for one in graph.output))


def _constant(name: str, array: Array) -> Stored:
    """Return floats as they are; integers are whole steps."""
    if array.dtype.kind == "f":
        return Stored(name, array)
    return Stored(name, array, np.broadcast_to(np.float64(1), array.shape))


def _operators(onnx: Any, node: Any, loop: str) -> Iterator[Operator]:
    settings = {
        one.name: onnx.helper.get_attribute_value(one)
        for one in node.attribute
        if not one.HasField("g")
    }
    inputs, outputs = tuple(node.input), tuple(node.output)
    scope = node.name.rpartition(".")[0]
    for one in node.attribute:
        if one.HasField("g"):
            yield from _body(onnx, node, one.g)
            inputs += tuple(value.name for value in one.g.output)
    for places in _QUANTIZED.get(node.op_type, ()):
        taken = tuple(inputs[place] for place in places if place < len(inputs))
        floats = f"{node.name} {places[0]}"  # no value is named so
        yield Operator("Scale", taken, (floats,))
        inputs = (*inputs[: places[0]], floats, *inputs[places[0] + 1 :])
    if node.op_type == "Slice":
        # of columns, whose first and last are given
        inputs, settings = inputs[:3], {"begin": 0, "end": 0}
    yield Operator(node.op_type, inputs, outputs, settings, node.name, loop, scope)


def _body(onnx: Any, node: Any, body: Any) -> Iterator[Operator]:
    """Return the operators of a loop's body, which see the constants outside."""
    loop = node.output[0] or node.name
    outside = len(node.input) - len(body.input)
    for one, value in zip(node.input[outside:], body.input, strict=True):
        yield Operator("LoopInput", (one,), (value.name,), loop=loop)
    for inner in body.node:
        yield from _operators(onnx, inner, loop)
