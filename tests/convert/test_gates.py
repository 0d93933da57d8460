"""Each gate refuses what was planted for it, by name; and a conversion then leaves nothing."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert import convert
from gatelet.convert.exporters import targets as table
from gatelet.convert.exporters.exported import Companion, Exportable, Exported
from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.exporters.stored_bytes import weight_bytes
from gatelet.convert.exporters.targets import TARGETS
from gatelet.convert.exporters.tflm import export_tflm
from gatelet.convert.gates.gates import (
    Budget,
    check_bytes,
    check_exported,
    check_operators,
    check_outputs,
)
from gatelet.convert.gates.operators import FileFacts, read_litert_facts, read_onnx_facts
from gatelet.convert.parity.stored.file import StoredFile
from gatelet.convert.parity.stored.match import check_stored, check_weights, match_weights
from gatelet.convert.rows.calibration import choose_rows
from gatelet.convert.schemes import SCHEMES, Scheme
from gatelet.errors import ConversionError
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.onnx_graphs import GraphMaker

FLOAT32 = SCHEMES["float32"]


@pytest.fixture(scope="module")
def graph() -> Graph:
    """Return Embedding(3000, 16), LSTM(16), Dense(1): 49,681 parameters."""
    maker = GraphMaker(scale=0.3)
    ids = maker.input("ids", None, None, vocabulary=3000)
    weights = {"embeddings": maker.weight(3000, 16)}
    x = maker.one("Embedding", [ids], (None, None, 16), weights=weights)
    (h,) = maker.recurrence("LSTM", [x], features=16, units=16, return_sequences=False)
    return maker.finish(maker.one("Dense", [h], (None, 1), weights={"kernel": maker.weight(16, 1)}))


@pytest.fixture(scope="module")
def with_a_loop(graph: Graph) -> bytes:
    """Return that model's file with a Loop inside an If in it."""
    import onnx
    from onnx import TensorProto, helper

    def value(name: str, kind: int) -> Any:
        return helper.make_tensor_value_info(name, kind, [])

    def constant(name: str, kind: int) -> Any:
        tensor = helper.make_tensor(name, kind, [], [1])
        return helper.make_node("Constant", [], [name], value=tensor)

    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [value("i", TensorProto.INT64), value("go", TensorProto.BOOL)],
        [value("on", TensorProto.BOOL)],
    )
    branch = helper.make_graph(
        [
            constant("n", TensorProto.INT64),
            constant("c", TensorProto.BOOL),
            helper.make_node("Loop", ["n", "c"], [], body=body),
            constant("z", TensorProto.BOOL),
        ],
        "branch",
        [],
        [value("z", TensorProto.BOOL)],
    )
    model = onnx.load_from_string(export_onnx(graph, FLOAT32).data)
    model.graph.node.append(constant("yes", TensorProto.BOOL))
    model.graph.node.append(
        helper.make_node("If", ["yes"], ["z_"], then_branch=branch, else_branch=branch)
    )
    return bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def litert() -> Callable[..., bytes]:
    """Return a function that converts a tf.Module's `run` of float32 [2, 2]."""
    import tensorflow as tf

    def make(module: Any, *, flex: bool = False) -> bytes:
        spec = tf.TensorSpec([2, 2], tf.float32)
        concrete = tf.function(module.run).get_concrete_function(spec)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
        if flex:
            ops = tf.lite.OpsSet
            converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS, ops.SELECT_TF_OPS]
        return bytes(converter.convert())

    return make


def test_a_flex_operator_is_refused(litert: Callable[..., bytes], graph: Graph) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.run = tf.linalg.det
    facts = read_litert_facts(litert(module, flex=True))
    assert facts.custom_ops == ("FlexMatrixDeterminant",)
    with pytest.raises(ConversionError, match="gate 'operators': the operator 'FlexMatrixDet"):
        check_operators("litert", facts, graph)


def test_a_resource_variable_is_refused(litert: Callable[..., bytes], graph: Graph) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.total = tf.Variable(tf.zeros([2, 2]))
    module.run = lambda x: module.total.assign_add(x)
    facts = read_litert_facts(litert(module))
    assert "ASSIGN_VARIABLE" in facts.resources
    with pytest.raises(ConversionError, match="gate 'variables': the operator 'VAR_HANDLE'"):
        check_operators("litert", facts, graph)


def test_a_tensor_that_keeps_its_value_is_refused_but_not_on_tflm(
    litert: Callable[..., bytes], graph: Graph
) -> None:
    import tensorflow as tf
    from tensorflow.lite.tools import flatbuffer_utils

    module = tf.Module()
    module.run = tf.nn.relu
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(litert(module)))
    tensor = model.subgraphs[0].tensors[-1]
    tensor.isVariable, tensor.name = True, b"kept"
    facts = read_litert_facts(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    assert facts.variables == ("kept",)
    with pytest.raises(ConversionError, match="gate 'variables': the tensor 'kept' keeps"):
        check_operators("litert", facts, graph)
    check_operators("tflm", facts, graph)


def test_a_loop_deep_inside_is_refused_where_the_operator_serves(
    graph: Graph, with_a_loop: bytes
) -> None:
    facts = read_onnx_facts(with_a_loop)
    assert facts.loops == ("Loop", "Loop")  # in both branches
    with pytest.raises(ConversionError, match=r"gate 'operators': it has 2 loops .* LSTM serves"):
        check_operators("onnx", facts, graph)
    check_operators("onnx", facts, None)  # a converter was given the Keras model itself


@pytest.mark.parametrize("folder", ["text", "sensors", "several"])
def test_weights_that_are_not_aligned_are_refused_and_found(folder: str, tmp_path: Path) -> None:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    bundle = Path(__file__).parent.parent / "golden" / folder / "bundle"
    for honest in sorted(bundle.glob("litert-*.tflite")):
        data = honest.read_bytes()
        assert read_litert_facts(data).alignment_bytes == 16
        builder = flatbuffers.Builder(len(data))  # Python's own aligns bytes at bytes
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data), 0))
        builder.Finish(model.Pack(builder), b"TFL3")
        path = tmp_path / honest.name
        path.write_bytes(bytes(builder.Output()))
        assert read_litert_facts(path.read_bytes()).alignment_bytes == 4
        moved = FileFacts(alignment_bytes=2)
        with pytest.raises(ConversionError, match="multiples of 2 bytes, where numbers"):
            check_operators("litert", moved, None)
        for file, verdict in ((honest, "not checked"), (path, "fail")):
            found = check_stored("litert", None, file, is_of_today=True)
            assert found.verdict == verdict, found


def test_an_operator_without_a_stock_kernel_is_refused(graph: Graph) -> None:
    import onnx

    model = onnx.load_from_string(export_onnx(graph, FLOAT32).data)
    model.graph.node[0].domain = "ai.onnx.contrib"
    facts = read_onnx_facts(model.SerializeToString())
    with pytest.raises(ConversionError, match=r"operator 'ai.onnx.contrib.\w+' is custom"):
        check_operators("onnx", facts, graph)


def test_only_a_table_beside_a_file_counts_for_the_weights_in_it(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_operators = dataclasses.replace(table.EXPORTERS["tflm"], suffix=".bin")
    monkeypatch.setitem(table.EXPORTERS, "tflm", without_operators)
    tables = sum(
        4 * math.prod(graph.weights[node.weights["embeddings"]].shape)
        for node in graph.nodes
        if node.op == "Embedding"
    )
    rest = bytes(4 * graph.parameters - tables)
    beside = (Companion("c_array", "m", ".cc", bytes(10**7)),)
    small = Exported(rest, ("GATHER",), companions=beside)
    with pytest.raises(ConversionError, match="holds too little to contain its weights"):
        check_exported("tflm", SCHEMES["float32-features"], small, graph)
    table_beside = Companion("embedding", "m", ".bin", bytes(tables))
    whole = dataclasses.replace(small, companions=(*beside, table_beside))
    check_exported("tflm", SCHEMES["float32-features"], whole, graph)


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("scheme", TARGETS["tflm"])
@pytest.mark.parametrize("both_ways", [False, True])
def test_files_for_microcontrollers_pass_with_every_recurrence(
    cell: str, scheme: str, both_ways: bool, tmp_path: Path
) -> None:
    maker = GraphMaker(scale=0.3)
    ids = maker.input("ids", None, None, vocabulary=3000)
    x = maker.one(
        "Embedding", [ids], (None, None, 8), weights={"embeddings": maker.weight(3000, 8)}
    )
    found = [*maker.recurrence(cell, [x], features=8, units=8)]
    if both_ways:  # of which both read the table, which the file has once
        found += maker.recurrence(cell, [x], features=8, units=8, go_backwards=True)
    graph = maker.finish(*found)
    rows = np.random.default_rng(2).integers(1, 300, (16, 9)).astype(np.int32)
    model = Exportable(graph, graph, calibration=choose_rows({"ids": rows}, source="drawn"))
    made = export_tflm(model, SCHEMES[scheme])
    # the operator of an LSTM has its own state; integers have states as inputs and outputs
    with_variables = scheme.startswith("float32") and cell != "LSTM"
    assert ("VAR_HANDLE" in made.ops) == with_variables
    check_exported("tflm", SCHEMES[scheme], made, graph)
    path = tmp_path / "model.tflite"
    path.write_bytes(made.data)
    stored = check_weights("tflm", match_weights("tflm", StoredFile(path, graph)))
    assert stored.verdict == "pass", stored


@pytest.mark.parametrize(
    ("scheme", "bytes_", "what"),
    [
        ("float32", 12_000, "holds too little to contain its weights"),
        ("float32", 400_000, "is too large"),
        ("dynamic-int8", 200_000, "is too large"),
        ("dynamic-int8", 30_000, "holds too little"),
    ],
)
def test_a_file_of_another_size_than_its_weights_is_refused(
    graph: Graph, scheme: str, bytes_: int, what: str
) -> None:
    with pytest.raises(ConversionError, match=f"gate 'bytes': the {scheme} file {what}"):
        check_exported("c", SCHEMES[scheme], Exported(bytes(bytes_), ()), graph)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_has_plausible_bytes(graph: Graph, scheme: str) -> None:
    target = next(target for target, schemes in TARGETS.items() if scheme in schemes)
    known = weight_bytes(graph, target, SCHEMES[scheme])
    held_to: dict[str, Any] = {"parameters": graph.parameters, "expected": known, "beside": 0}
    check_bytes(target, SCHEMES[scheme], known, Budget(**held_to))
    with pytest.raises(ConversionError, match="gate 'bytes'"):
        check_bytes(target, SCHEMES[scheme], 1000, Budget(**held_to))


def test_outputs_that_no_right_model_gives_are_refused() -> None:
    right = np.linspace(0, 1, 8).reshape(4, 2)
    check_outputs("litert", right, right)
    with pytest.raises(ConversionError, match="gate 'outputs': the output is NaN in row 2"):
        check_outputs("litert", np.where(right == right[2, 1], np.nan, right), right)
    with pytest.raises(ConversionError, match="is the same for 4 different rows"):
        check_outputs("litert", np.full((4, 2), 0.5), right)
    all_nan = np.full((4, 2), np.nan)
    check_outputs("litert", all_nan, all_nan)  # as the model itself
    check_outputs("litert", np.full((4, 2), 0.5), np.full((4, 2), 0.5))


@pytest.mark.usefixtures("no_tensorflow")
@pytest.mark.parametrize(
    ("plant", "gate"),
    [
        ("loop", "operators"),
        ("truncated weights", "bytes"),
        ("not quantized", "bytes"),
        ("constant", "outputs"),
        ("NaN", "outputs"),
    ],
)
def test_a_conversion_stops_at_the_gate_and_leaves_nothing(
    small_run: Path,
    with_a_loop: bytes,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    plant: str,
    gate: str,
) -> None:
    def exports(model: Exportable, scheme: Scheme) -> Exported:
        made = export_onnx(model.skipping, FLOAT32 if plant == "not quantized" else scheme)
        if plant == "loop":
            return dataclasses.replace(made, data=with_a_loop)
        if plant == "truncated weights":
            return dataclasses.replace(made, data=without_embedding(made.data))
        if plant in ("constant", "NaN"):
            return dataclasses.replace(made, data=_ending_in(made.data, plant))
        return made

    (out := tmp_path / "out").mkdir()
    onnx_exporter = dataclasses.replace(table.EXPORTERS["onnx"], function=exports)
    monkeypatch.setitem(table.EXPORTERS, "onnx", onnx_exporter)
    scheme = "dynamic-int8" if plant == "not quantized" else "float32"
    with pytest.raises(ConversionError, match=f"the onnx file was refused by the gate '{gate}'"):
        convert(small_run, out / "demo", targets=["onnx"], schemes=[scheme])
    assert not list(out.iterdir())


def without_embedding(data: bytes) -> bytes:
    """Put one row in the place of an embedding's."""
    import onnx

    model = onnx.load_from_string(data)
    largest = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    row = onnx.numpy_helper.to_array(largest)[:1]
    largest.CopyFrom(onnx.numpy_helper.from_array(row, largest.name))
    return bytes(model.SerializeToString())


def _ending_in(data: bytes, what: str) -> bytes:
    """Multiply the output by 0, or by NaN."""
    import onnx
    from onnx import helper

    model = onnx.load_from_string(data)
    (output,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["before" if name == output.name else name for name in node.output]
    factor = np.array(0.0 if what == "constant" else np.nan, np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(factor, "factor"))
    model.graph.node.append(helper.make_node("Mul", ["before", "factor"], [output.name]))
    return bytes(model.SerializeToString())
