"""Files of Keras' own converters are compared constant by constant, whatever things are called."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gatelet.convert.bundle.facts import versions_of
from gatelet.convert.keras_route.contents import Contents, read_contents
from gatelet.convert.keras_route.weights import PACKAGES, check_weights
from gatelet.convert.parity import Check

Array = np.ndarray[Any, Any]


def _kernels(seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    floats = [rng.normal(size=(4, 4)).astype(np.float32) for _ in range(2)]
    return [*floats, rng.integers(-99, 99, (2000, 4)).astype(np.int8)]


def _file(kernels: Sequence[Array], *, prefix: str = "a", turn: bool = False) -> bytes:
    """Write two branches of a product and a tanh, a table, and their sum, in two orders."""
    names = [f"{prefix}_{index}" for index in range(len(kernels))]
    nodes = [
        helper.make_node("MatMul", ["x", names[0]], [f"{prefix}y"], f"{prefix}7"),
        helper.make_node("MatMul", ["x", names[1]], [f"{prefix}z"], f"{prefix}8"),
        helper.make_node("Tanh", [f"{prefix}z"], [f"{prefix}t"], f"{prefix}9"),
    ]
    nodes = [nodes[1], nodes[2], nodes[0]] if turn else nodes
    nodes += [
        helper.make_node("Cast", [names[2]], [f"{prefix}c"], to=TensorProto.FLOAT),
        helper.make_node("Sub", [f"{prefix}y", f"{prefix}t"], [f"{prefix}s"]),
        helper.make_node("MatMul", [f"{prefix}c", f"{prefix}s"], ["out"]),
    ]
    tensors = [numpy_helper.from_array(k, n) for k, n in zip(kernels, names, strict=True)]
    graph = helper.make_graph(
        nodes,
        prefix,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 4])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [2000, 4])],
        tensors[::-1] if turn else tensors,
    )
    return bytes(helper.make_model(graph).SerializeToString())


def _judged(folder: Path, data: bytes, again: bytes | None, **changes: Any) -> Check:
    (folder / "m.onnx").write_bytes(data)
    manifest = {"provenance": {"packages": versions_of(*PACKAGES)}}
    given = {"path": folder, "generation": (1,), "manifest": manifest, **changes}
    artifact: Any = SimpleNamespace(target="onnx", path="m.onnx")
    bundle: Any = SimpleNamespace(**given)
    return check_weights(bundle, artifact, again)


def _contents(data: bytes) -> Contents:
    return read_contents("onnx", data)


def test_names_and_the_order_of_operators_say_nothing(tmp_path: Path) -> None:
    one, other = _file(_kernels()), _file(_kernels(), prefix="b", turn=True)
    assert one != other
    assert (_contents(one).form, _contents(one).digest) == (
        _contents(other).form,
        _contents(other).digest,
    )
    assert _judged(tmp_path, one, other).verdict == "pass"


ALTERED: dict[str, Callable[[list[Array]], object]] = {
    "a number": lambda kernels: kernels[0].__setitem__((1, 2), kernels[0][1, 2] * 1.001),
    "two rows": lambda kernels: kernels[1].__setitem__([0, 1], kernels[1][[1, 0]]),
    "two kernels": lambda kernels: kernels.__setitem__(slice(0, 2), kernels[1::-1]),
    "an integer": lambda kernels: kernels[2].__setitem__((5, 0), kernels[2][5, 0] ^ 16),
    "another kernel": lambda kernels: kernels.__setitem__(0, _kernels(1)[0]),
    "a kernel of NaN": lambda kernels: kernels[0].fill(np.nan),
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=list(ALTERED))
def test_any_altered_constant_fails(alter: Callable[[list[Array]], object], tmp_path: Path) -> None:
    kernels = _kernels()
    alter(kernels)
    data, again = _file(kernels), _file(_kernels(), prefix="b", turn=True)
    assert _judged(tmp_path, data, again).verdict == "fail"
    other = {"provenance": {"packages": {**versions_of(*PACKAGES), "keras": "2.0"}}}
    assert _judged(tmp_path, data, again, manifest=other).verdict == "undecided"
    assert _judged(tmp_path, data, again, manifest={}).verdict == "undecided"


def test_constants_of_one_form_that_have_changed_places_fail(tmp_path: Path) -> None:
    """Of two branches that are alike, only the digest of the whole tells which kernel is whose."""

    def file(first: Array, second: Array) -> bytes:
        nodes = [
            helper.make_node("MatMul", ["x", "k"], ["a"]),
            helper.make_node("MatMul", ["x", "l"], ["b"]),
            helper.make_node("Sub", ["a", "b"], ["out"]),
        ]
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 4])
        out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [4, 4])
        held = [numpy_helper.from_array(first, "k"), numpy_helper.from_array(second, "l")]
        graph = helper.make_graph(nodes, "g", [x], [out], held)
        return bytes(helper.make_model(graph).SerializeToString())

    one, other, _ = _kernels()
    assert _contents(file(one, other)).form == _contents(file(other, one)).form
    found = _judged(tmp_path, file(one, other), file(other, one))
    assert (found.verdict, found.note) == ("fail", "constants have changed places")


def test_what_another_processor_rounds_otherwise_is_no_failure(tmp_path: Path) -> None:
    near = _kernels()
    near[0] *= np.float32(1 + 2e-7)
    assert _judged(tmp_path, _file(near), _file(_kernels())).verdict == "pass"
    near[2][7, 1] += 1
    found = _judged(tmp_path, _file(near), _file(_kernels()))
    assert found.verdict == "undecided" and "one off" in found.note
    near[2] += 1
    assert _judged(tmp_path, _file(near), _file(_kernels())).verdict == "fail"


def test_other_operators_are_seen(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(_file(_kernels()))
    next(node for node in model.graph.node if node.op_type == "Tanh").op_type = "Sigmoid"
    found = _judged(tmp_path, model.SerializeToString(), _file(_kernels()))
    assert found.verdict == "fail" and "other operators" in found.note


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    data = _file(_kernels())
    found = _judged(tmp_path, data, None)
    assert found.verdict == "undecided" and "only Keras and the model" in found.note
    assert _judged(tmp_path, data, None, generation=()).verdict == "not checked"


def test_a_constant_in_the_body_of_a_loop_counts(tmp_path: Path) -> None:
    def file(kernel: Array) -> bytes:
        body = helper.make_graph(
            [
                helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(kernel)),
                helper.make_node("MatMul", ["x", "k"], ["branch"]),
            ],
            "body",
            [],
            [helper.make_tensor_value_info("branch", TensorProto.FLOAT, [4, 4])],
        )
        node = helper.make_node("If", ["c"], ["out"], then_branch=body, else_branch=body)
        inputs = [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 4]),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        ]
        out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [4, 4])
        graph = helper.make_graph([node], "g", inputs, [out])
        return bytes(helper.make_model(graph).SerializeToString())

    one, other, _ = _kernels()
    assert _judged(tmp_path, file(one), file(one.copy())).verdict == "pass"
    assert _judged(tmp_path, file(one), file(other)).verdict == "fail"
