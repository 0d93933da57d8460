"""What files of Keras' own converters hold, in an order that does not hang on names.

Not their comparison, which is `weights`. Names count what a process made before, and tf2onnx puts
operators into an order that hangs on them: two files of one model differ, and are the same.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Args:
        form: What two files share whose constants can be compared: all but the constants.
        constants: In the order in which that form reads them.
        digest: Of the form with the constants in it; '' where their order says it all.
    """

    form: str
    constants: tuple[Array, ...]
    digest: str = ""


def read_contents(target: str, data: bytes) -> Contents:
    """Read what a file holds.

    Args:
        target: 'litert' or 'onnx'.
        data: The file.
    """
    return _READERS[target](data)


@dataclass
class _Walk:
    """Finds a digest of each value of an ONNX graph: of its operator and of what that reads.

    Args:
        with_constants: Constants count with their numbers, else with type and shape.
        uses: By the identity of a constant, the digests of the operators that read it.
        constants: Those, by the same.
    """

    with_constants: bool
    uses: dict[int, list[str]] = field(default_factory=dict)
    constants: dict[int, Any] = field(default_factory=dict)

    def graph(self, graph: Any, known: Mapping[str, str], tensors: Mapping[str, Any]) -> str:
        """Return the digest of a graph's outputs, which see the values around it."""
        values, held = dict(known), dict(tensors)
        for place, one in enumerate(graph.input):
            values[one.name] = _digest("input", place)
        for tensor in (*graph.initializer, *(s.values for s in graph.sparse_initializer)):
            values[tensor.name], held[tensor.name] = self._constant(tensor), tensor
        for node in graph.node:
            self._node(node, values, held)
        return _digest(*(values.get(one.name, "") for one in graph.output))

    def _node(self, node: Any, values: dict[str, str], held: Mapping[str, Any]) -> None:
        attributes = sorted(node.attribute, key=lambda one: str(one.name))
        told = [self._attribute(one, values, held) for one in attributes]
        read = [values.get(name, "") for name in node.input]
        found = _digest(node.domain, node.op_type, *told, *read)
        own = [(place, held[name]) for place, name in enumerate(node.input) if name in held]
        own += [(-1, tensor) for one in attributes for tensor in _tensors(one)]
        for place, tensor in own:
            self.constants[id(tensor)] = tensor
            self.uses.setdefault(id(tensor), []).append(_digest(found, place))
        for place, name in enumerate(node.output):
            values[name] = _digest(found, place)

    def _attribute(self, one: Any, values: Mapping[str, str], held: Mapping[str, Any]) -> str:
        bodies = (*([one.g] if one.HasField("g") else ()), *one.graphs)
        if bodies:
            return _digest(one.name, *(self.graph(body, values, held) for body in bodies))
        tensors = list(_tensors(one))
        if tensors:
            return _digest(one.name, *map(self._constant, tensors))
        return _digest(one.name, one.SerializeToString(deterministic=True).hex())

    def _constant(self, tensor: Any) -> str:
        array = _array(tensor)
        content = array.tobytes().hex() if self.with_constants else ""
        return _digest(array.dtype.str, array.shape, content)


def _tensors(attribute: Any) -> Iterator[Any]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors


def _array(tensor: Any) -> Array:
    import onnx

    return np.asarray(onnx.numpy_helper.to_array(tensor))


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def _read_onnx(data: bytes) -> Contents:
    import onnx

    graph = onnx.load_model_from_string(data).graph
    plain, whole = _Walk(with_constants=False), _Walk(with_constants=True)
    form, digest = plain.graph(graph, {}, {}), whole.graph(graph, {}, {})
    found = []
    for key, tensor in plain.constants.items():
        array = _array(tensor)
        found.append((sorted(plain.uses[key]), array.tobytes(), array))
    found.sort(key=lambda one: one[:2])
    places = (place for place, _, _ in found)
    return Contents(_digest(form, *places), tuple(array for _, _, array in found), digest)


def _read_litert(data: bytes) -> Contents:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data), 0))
    form: list[object] = []
    constants: list[Array] = []
    for subgraph in model.subgraphs:
        for one in subgraph.operators or ():
            code = model.operatorCodes[one.opcodeIndex]
            form.append((int(max(code.builtinCode, code.deprecatedBuiltinCode)), code.customCode))
            form.append([list(map(int, ends)) for ends in (one.inputs, one.outputs)])
        for tensor in subgraph.tensors:
            form.append(int(tensor.type))
            constants += _of_tensor(model, tensor)
    shapes = [(one.dtype.str, one.shape) for one in constants]
    return Contents(_digest(form, shapes), tuple(constants))


def _of_tensor(model: Any, tensor: Any) -> list[Array]:
    """Return what a tensor holds, and what its integers are multiples of."""
    raw = model.buffers[tensor.buffer].data
    held = np.zeros(0, np.uint8) if raw is None else np.asarray(raw, np.uint8)
    dtype = np.dtype(_LITERT_TYPES.get(int(tensor.type), np.uint8))
    scales = None if tensor.quantization is None else tensor.quantization.scale
    points = None if tensor.quantization is None else tensor.quantization.zeroPoint
    return [
        held.view(dtype) if held.size % dtype.itemsize == 0 else held,
        np.asarray([] if scales is None else scales, np.float32),
        np.asarray([] if points is None else points, np.int64),
    ]


_LITERT_TYPES: Mapping[int, Any] = {
    0: np.float32,
    1: np.float16,
    2: np.int32,
    4: np.int64,
    7: np.int16,
    9: np.int8,
}
"""Of the format's TensorType; others are compared as bytes."""

_READERS: dict[str, Callable[[bytes], Contents]] = {"litert": _read_litert, "onnx": _read_onnx}
