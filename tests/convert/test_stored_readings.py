"""A weight is what the operators of a file read: honest numbers elsewhere in the file do not help.

The files are those of the golden bundles, and some that are written here; no TensorFlow is needed
but for the foldings that it makes itself.
"""

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.onnx.export import export_onnx
from gatelet.convert.exporters.tflm.export import export_tflm
from gatelet.convert.parity.report import Check
from gatelet.convert.parity.stored.file import Stored, StoredFile
from gatelet.convert.parity.stored.match import check_weights, match_weights
from gatelet.convert.parity.stored.program import Operator, Program
from gatelet.convert.parity.stored.readers import READERS
from gatelet.convert.parity.stored.scopes import scope_by_dataflow
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.graph.graph import Graph, GraphInput, Node
from gatelet.runtime.graph.safetensors import Tensor

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
U = 32
Edit = Callable[[Any], None]


def golden(name: str, target: str, scheme: str) -> tuple[str, StoredFile]:
    """Return an artifact of a golden bundle."""
    bundle = open_bundle(GOLDEN / name / "bundle")
    (found,) = (a for a in bundle.artifacts if (a.target, a.scheme) == (target, scheme))
    return target, StoredFile.of(bundle, found, bundle.graph())


def twins(target: str, scheme: str, path: Path) -> tuple[str, StoredFile]:
    """Write a file of layers that are alike but for their numbers."""
    path.write_bytes(_written(target, scheme))
    return target, StoredFile(path, twin_graph())


def twin_graph() -> Graph:
    """Return two LSTMs, two GRUs and three Dense of the same shapes."""
    rng, weights = np.random.default_rng(5), {}
    nodes, value = [], "ids"
    for index, op in enumerate(("Embedding", "LSTM", "LSTM", "GRU", "GRU", *["Dense"] * 3)):
        name, gates = f"n{index}_{op.lower()}", {"LSTM": 4, "GRU": 3}.get(op, 1)
        shapes = {"kernel": (U, gates * U), "bias": (gates * U,)}
        attributes: dict[str, Any] = {}
        if op == "Embedding":
            shapes = {"embeddings": (50, U)}
        elif op != "Dense":
            shapes["recurrent_kernel"] = (U, gates * U)
            attributes = {"activation": "tanh", "recurrent_activation": "sigmoid"}
            attributes |= {"return_sequences": index < 4, "reset_after": False}
        for role, shape in shapes.items():
            array = rng.normal(0, 0.3 + 0.1 * index, shape).astype("<f4")
            weights[f"{name}.{role}"] = Tensor("F32", shape, array.tobytes())
        roles = {role: f"{name}.{role}" for role in shapes}
        made = (None, None, U) if index < 4 else (None, U)
        nodes.append(Node(name, op, (value,), (name,), (made,), roles, attributes))
        value = name
    ids = GraphInput("ids", "int32", (None, None), vocabulary=50)
    return Graph((ids,), tuple(nodes), (value,), weights)


@cache
def _written(target: str, scheme: str) -> bytes:
    graph = twin_graph()
    if target == "tflm":
        return export_tflm(Exportable(graph, graph), SCHEMES[scheme]).data
    return export_onnx(graph, SCHEMES[scheme]).data


def check(target: str, file: StoredFile) -> Check:
    return check_weights(target, match_weights(target, file))


def edited(given: tuple[str, StoredFile], edit: Edit, path: Path) -> tuple[str, StoredFile]:
    """Return the file with a change of its form as objects."""
    target, file = given
    data = file.path.read_bytes()
    if target == "onnx":
        onnx = importlib.import_module("onnx")
        model = onnx.load_from_string(data)
        edit(model)
        data = model.SerializeToString()
    else:
        schema = importlib.import_module("ai_edge_litert.schema_py_generated")
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data), 0))
        edit(model)
        builder = importlib.import_module("flatbuffers").Builder(len(data))
        builder.Finish(model.Pack(builder), b"TFL3")
        data = bytes(builder.Output())
    path.write_bytes(data)
    return target, replace(file, path=path)


def operators(model: Any, kind: str, *, inside: bool = False) -> list[Any]:
    """Return the operators of a kind: in ONNX or a flatbuffer, in loops or before them."""
    if hasattr(model, "graph"):
        return [node for node in model.graph.node if node.op_type == kind]
    codes = vars(importlib.import_module("ai_edge_litert.schema_py_generated").BuiltinOperator)
    graphs = model.subgraphs[1:] if inside else model.subgraphs[:1]
    return [
        one
        for graph in graphs
        for one in graph.operators
        if model.operatorCodes[one.opcodeIndex].builtinCode == codes[kind]
    ]


def exchange_inputs(kind: str, place: int, first: int = 0, second: int = 1) -> Edit:
    """Let two operators read each other's constant."""

    def edit(model: Any) -> None:
        taken = [operators(model, kind)[index] for index in (first, second)]
        x, y = (one.input if hasattr(model, "graph") else one.inputs for one in taken)
        assert x[place] != y[place]
        x[place], y[place] = y[place], x[place]

    return edit


def exchange_own_inputs(kind: str, one: int, other: int, index: int = 0) -> Edit:
    """Let an operator read two of its constants in each other's place."""

    def edit(model: Any) -> None:
        names = operators(model, kind)[index].input
        assert names[one] != names[other]
        names[one], names[other] = names[other], names[one]

    return edit


def read_another(kind: str, place: int, *, inside: bool = False, last: bool = False) -> Edit:
    """Let an operator read a changed copy of a constant; the honest one stays, unread."""

    def edit(model: Any) -> None:
        found = operators(model, kind, inside=inside)
        one = found[-1 if last else 0]
        if hasattr(model, "graph"):
            onnx = importlib.import_module("onnx")
            (honest,) = (t for t in model.graph.initializer if t.name == one.input[place])
            array = onnx.numpy_helper.to_array(honest)
            rolled = np.roll(array.reshape(-1), 1).reshape(array.shape)
            model.graph.initializer.append(onnx.numpy_helper.from_array(rolled, "another"))
            one.input[place] = "another"
            return
        copied = importlib.import_module("copy").copy
        (graph,) = (g for g in model.subgraphs if any(o is one for o in g.operators))
        tensor = copied(graph.tensors[one.inputs[place]])
        buffer = copied(model.buffers[tensor.buffer])
        buffer.data = np.roll(np.asarray(buffer.data, np.uint8), 4)  # a float, or four int8
        model.buffers.append(buffer)
        tensor.buffer = len(model.buffers) - 1
        graph.tensors.append(tensor)
        one.inputs = [*one.inputs[:place], len(graph.tensors) - 1, *one.inputs[place + 1 :]]

    return edit


TWINS = (("onnx", "float32"), ("onnx", "float16"), ("onnx", "dynamic-int8"), ("tflm", "float32"))


@pytest.mark.parametrize(("target", "scheme"), TWINS)
def test_what_is_alike_but_for_its_numbers_is_told_apart(
    target: str, scheme: str, tmp_path: Path
) -> None:
    found = check(*twins(target, scheme, tmp_path / "file"))
    assert found.verdict == "pass" and found.note == "19 of 19 tensors", found


GOLDEN_FILES = (
    ("sensors", "litert", "float32"),
    ("sensors", "onnx", "float32"),
    ("several", "litert", "float16"),
    ("several", "onnx", "float16"),
    ("text", "litert", "dynamic-int8"),
    ("text", "onnx", "dynamic-int8"),
    ("text", "onnx", "float16"),
    ("text", "litert", "float16"),
)


@pytest.mark.parametrize(("name", "target", "scheme"), GOLDEN_FILES)
def test_files_of_an_older_gatelet_are_read(name: str, target: str, scheme: str) -> None:
    found = check(*golden(name, target, scheme))
    assert found.verdict == "pass" and "not checked" not in found.note, found


FAULTS: dict[str, tuple[tuple[str, ...], Edit, str]] = {
    # exchanged scales
    "scales of two Dense": (
        ("onnx", "dynamic-int8"),
        exchange_inputs("DynamicQuantizeMatMul", 2),
        "kernel of layer 'n5_dense', kernel of layer 'n6_dense'",
    ),
    "scales of two LSTMs": (
        ("onnx", "dynamic-int8"),
        exchange_inputs("DynamicQuantizeLSTM", 8),
        "kernel of layer 'n1_lstm', kernel of layer 'n2_lstm'",
    ),
    "scales of an LSTM's kernels": (
        ("onnx", "dynamic-int8"),
        exchange_own_inputs("DynamicQuantizeLSTM", 8, 10),
        "kernel of layer 'n1_lstm', recurrent_kernel of layer 'n1_lstm'",
    ),
    "scales of a golden LSTM's kernels": (
        ("text", "onnx", "dynamic-int8"),
        exchange_own_inputs("DynamicQuantizeLSTM", 8, 10),
        "kernel of layer 'lstm', recurrent_kernel of layer 'lstm'",
    ),
    # exchanged kernels
    "kernels of two Dense in onnx": (
        ("onnx", "float32"),
        exchange_inputs("Gemm", 1, 1, 2),
        "kernel of layer 'n6_dense', kernel of layer 'n7_dense'",
    ),
    "recurrent kernels of two GRUs in onnx": (
        ("onnx", "float32"),
        exchange_inputs("GRU", 2),
        "recurrent_kernel of layer 'n3_gru', recurrent_kernel of layer 'n4_gru'",
    ),
    "kernels of an LSTM in onnx": (
        ("onnx", "float32"),
        exchange_own_inputs("LSTM", 1, 2),
        "kernel of layer 'n1_lstm', recurrent_kernel of layer 'n1_lstm'",
    ),
    "kernels of both directions in litert": (
        ("several", "litert", "float16"),
        exchange_inputs("FULLY_CONNECTED", 1, 0, 1),
        "kernel of layer",
    ),
    "kernels of two Dense in tflm": (
        ("tflm", "float32"),
        exchange_inputs("FULLY_CONNECTED", 1, -1, -2),
        "kernel of layer 'n6_dense', kernel of layer 'n7_dense'",
    ),
    "gates of two LSTMs in tflm": (
        ("tflm", "float32"),
        exchange_inputs("UNIDIRECTIONAL_SEQUENCE_LSTM", 6),
        "recurrent_kernel of layer 'n1_lstm', recurrent_kernel of layer 'n2_lstm'",
    ),
    # honest arrays that nothing reads
    "unread kernel in onnx": (
        ("sensors", "onnx", "float32"),
        read_another("GRU", 1),
        "kernel of layer",
    ),
    "unread int8 kernel in onnx": (
        ("text", "onnx", "dynamic-int8"),
        read_another("DynamicQuantizeLSTM", 2),
        "recurrent_kernel of layer 'lstm'",
    ),
    "unread bias in onnx": (
        ("onnx", "float32"),
        read_another("Gemm", 2),
        "bias of layer 'n5_dense'",
    ),
    "unread kernel in litert": (
        ("sensors", "litert", "float32"),
        read_another("FULLY_CONNECTED", 1),
        "kernel of layer",
    ),
    "unread int8 kernel in a loop of litert": (
        ("text", "litert", "dynamic-int8"),
        read_another("FULLY_CONNECTED", 1, inside=True),
        "recurrent_kernel of layer",
    ),
    "unread kernel in one of several steps of litert": (
        ("sensors", "litert", "float32"),
        read_another("FULLY_CONNECTED", 1, inside=True, last=True),
        "recurrent_kernel of layer",
    ),
    "unread gate in tflm": (
        ("tflm", "float32"),
        read_another("UNIDIRECTIONAL_SEQUENCE_LSTM", 2),
        "kernel of layer 'n1_lstm'",
    ),
    # shifted biases
    "shifted bias in onnx": (
        ("sensors", "onnx", "float32"),
        read_another("Gemm", 2),
        "bias of layer 'dense",
    ),
    "shifted bias in litert": (
        ("sensors", "litert", "float32"),
        read_another("FULLY_CONNECTED", 2, last=True),
        "bias of layer 'dense",
    ),
    "shifted bias in tflm": (
        ("tflm", "float32"),
        read_another("FULLY_CONNECTED", 2, last=True),
        "bias of layer 'n7_dense'",
    ),
}


def write(what: tuple[str, ...], path: Path) -> tuple[str, StoredFile]:
    name, target, scheme = ("", *what)[-3:]
    return golden(name, target, scheme) if name else twins(target, scheme, path)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_an_operator_reads_is_what_counts(fault: str, tmp_path: Path) -> None:
    what, edit, named = FAULTS[fault]
    found = check(*edited(write(what, tmp_path / "right"), edit, tmp_path / "wrong"))
    assert found.verdict == "fail" and named in found.note, found


@pytest.mark.parametrize(
    ("sums", "factors", "verdict"), [(-3.0, 0.5, "pass"), (-3.0, 0.6, "fail"), (-2.0, 0.5, "fail")]
)
def test_a_factor_of_one_that_the_converter_left_out_is_not_read_from_another(
    sums: float, factors: float, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = {
        "first.scale": np.ones(1),
        "first.shift": np.full(1, -3.0),
        "second.scale": np.full(1, 0.5),
        "second.shift": np.zeros(1),
        "dense.kernel": np.random.default_rng(3).normal(0, 1, (U, U)),
    }
    weights = {n: Tensor("F32", a.shape, a.astype("<f4").tobytes()) for n, a in arrays.items()}
    nodes, value = [], "features"
    for name, op in (("first", "Affine"), ("second", "Affine"), ("dense", "Dense")):
        roles = {one.split(".")[1]: one for one in arrays if one.startswith(f"{name}.")}
        nodes.append(Node(name, op, (value,), (name,), ((None, U),), roles))
        value = name
    taken = GraphInput("features", "float32", (None, U))
    graph = Graph((taken,), tuple(nodes), ("dense",), weights)
    program = Program(
        (
            Operator("Add", ("x", "sums"), ("moved",)),
            Operator("Mul", ("moved", "factors"), ("scaled",)),
            Operator("FULLY_CONNECTED", ("scaled", "kernel"), ("made",)),
        ),
        {
            "sums": Stored("sums", np.full(1, sums, np.float32)),
            "factors": Stored("factors", np.full(1, factors, np.float32)),
            "kernel": Stored("kernel", arrays["dense.kernel"].astype(np.float32).T),
        },
        ("made",),
        {"x": "features"},
    )
    monkeypatch.setitem(READERS, "litert", lambda file: scope_by_dataflow(program, file.graph))
    found = check("litert", StoredFile(Path("none"), graph))
    assert found.verdict == verdict, found
    assert verdict == "fail" or found.note == "3 of 3 tensors"
