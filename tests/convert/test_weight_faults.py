"""A changed weight in an artifact, or in the Graph that judges it, turns parity red."""

import dataclasses
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.parity.report import ParityReport
from gatelet.convert.proving import prove
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import encode
from tests.convert.faults import ALL, Array, Change, EditPart, keep_only, onnx_recurrence, reds
from tests.convert.planted_files import in_blob

GATES = "ifgo"
ONNX_ORDER = "iofg"
SCORES = {"scores_max"}
# a batch reads padding that a single row skips, by states that were computed from right weights
SAFE_FROM_WEIGHTS = {"ids", "graph_golden", "state_leak"}

Gates = dict[str, Array]


@pytest.fixture
def graph(quickstart: Any) -> Graph:
    return open_bundle(quickstart.bundle).graph()


def in_onnx_gates(role: str, change: Callable[[Gates], Gates]) -> Change:
    """Change the gates of a kernel, or of its scales where it is quantized."""

    def edit(data: bytes) -> bytes:
        import onnx

        model, node, tensors = onnx_recurrence(data)
        quantized = node.op_type == "DynamicQuantizeLSTM"
        place = {"kernel": (1, 8), "recurrent_kernel": (2, 10)}[role][quantized]
        tensor = tensors[node.input[place]]
        array = onnx.numpy_helper.to_array(tensor)  # [1, 4U, F], or scales [1, 4U]
        gates = dict(zip(ONNX_ORDER, np.split(array, 4, axis=1), strict=True))
        changed = np.concatenate([change(gates)[gate] for gate in ONNX_ORDER], axis=1)
        tensor.CopyFrom(onnx.numpy_helper.from_array(changed.astype(array.dtype), tensor.name))
        return bytes(model.SerializeToString())

    return edit


def in_litert_gates(graph: Graph, role: str, change: Callable[[Gates], Gates]) -> Change:
    """Change the gates of a kernel, or of its scales where it is quantized.

    The kernel is found by its numbers: a LiteRT file gives constants names of its own.
    """
    kernel = next(array_of(t) for name, t in graph.weights.items() if name.endswith(f".{role}"))

    def edit(data: bytes) -> bytes:
        from ai_edge_litert import schema_py_generated as schema

        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data), 0))
        stored = kernel.T  # [4U, F]
        found = 0
        for tensor in (one for subgraph in model.subgraphs for one in subgraph.tensors):
            buffer = model.buffers[tensor.buffer]
            if buffer.data is None or tuple(tensor.shape) != stored.shape:
                continue
            raw = np.asarray(buffer.data, np.uint8)
            scales = None if tensor.quantization is None else tensor.quantization.scale
            if raw.nbytes == stored.nbytes:
                values = raw.view(np.float32).reshape(stored.shape)
                if np.array_equal(values, stored):
                    buffer.data = np.frombuffer(_change_rows(values, change).tobytes(), np.uint8)
                    found += 1
            elif raw.nbytes == stored.size and scales is not None and len(scales) == len(stored):
                steps = raw.view(np.int8).reshape(stored.shape)
                if np.abs(steps * scales[:, None] - stored).max() < 0.02 * np.abs(stored).max():
                    tensor.quantization.scale = _change_rows(np.asarray(scales), change)
                    found += 1
        assert found == 1, f"{role} was found {found} times"
        builder = importlib.import_module("flatbuffers").Builder(len(data))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    return edit


def _change_rows(array: Array, change: Callable[[Gates], Gates]) -> Array:
    gates = dict(zip(GATES, np.split(array, 4, axis=0), strict=True))
    return np.concatenate([change(gates)[gate] for gate in GATES]).astype(array.dtype)


def scaled(gate: str, factor: float) -> Callable[[Gates], Gates]:
    return lambda gates: gates | {gate: gates[gate] * factor}


def swapped(a: str, b: str) -> Callable[[Gates], Gates]:
    return lambda gates: gates | {a: gates[b], b: gates[a]}


def planted(graph: Graph, target: str, role: str, change: Callable[[Gates], Gates]) -> Change:
    if target == "onnx":
        return in_onnx_gates(role, change)
    return in_litert_gates(graph, role, change)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("role", ["kernel", "recurrent_kernel"])
@pytest.mark.parametrize("target", ["onnx", "litert"])
def test_a_gate_of_a_float32_kernel_off_by_one_percent(
    trained: Path,
    few: Dataset,
    graph: Graph,
    edit_part: EditPart,
    target: str,
    role: str,
    gate: str,
) -> None:
    keep_only(trained, (target, "float32"))
    edit_part(trained, f"{target} float32", planted(graph, target, role, scaled(gate, 1.01)))
    (found,) = reds(prove(open_bundle(trained), few, with_keras=False)).values()
    assert found >= {"scores_max", "golden", "golden_texts", "as_converted"}
    assert not found & SAFE_FROM_WEIGHTS


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("role", ["kernel", "recurrent_kernel"])
@pytest.mark.parametrize("target", ["onnx", "litert"])
def test_a_gate_of_a_quantized_kernel_off_by_a_tenth(
    trained: Path,
    few: Dataset,
    graph: Graph,
    edit_part: EditPart,
    target: str,
    role: str,
    gate: str,
) -> None:
    keep_only(trained, (target, "dynamic-int8"))
    edit_part(trained, f"{target} dynamic-int8", planted(graph, target, role, scaled(gate, 1.1)))
    (found,) = reds(prove(open_bundle(trained), few, with_keras=False)).values()
    assert "as_converted" in found
    assert not found & SAFE_FROM_WEIGHTS


@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
@pytest.mark.parametrize("target", ["onnx", "litert"])
def test_two_gates_swapped(
    trained: Path, few: Dataset, graph: Graph, edit_part: EditPart, target: str, scheme: str
) -> None:
    keep_only(trained, (target, scheme))
    for role in ("kernel", "recurrent_kernel"):
        edit_part(trained, f"{target} {scheme}", planted(graph, target, role, swapped("i", "o")))
    (found,) = reds(prove(open_bundle(trained), few, with_keras=False)).values()
    assert "as_converted" in found
    # in a quantized file only the scales of the gates are swapped: a smaller fault
    assert scheme == "dynamic-int8" or found >= SCORES | {"golden"}
    assert not found & SAFE_FROM_WEIGHTS


def edit_artifacts(bundle: Path, **fields: Any) -> None:
    """Change, or with None take out, fields of every artifact."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_bytes())
    for artifact in manifest["artifacts"]:
        artifact |= fields
        for key in [key for key, value in fields.items() if value is None]:
            del artifact[key]
    path.write_text(json.dumps(manifest), "utf-8")


def weights_of(report: ParityReport) -> dict[str, str]:
    return {
        one.target: check.verdict
        for one in report.artifacts
        for check in one.checks
        if check.name == "weights"
    }


def test_a_fault_in_a_file_of_another_revision_is_left_to_the_other_checks(
    trained: Path, few: Dataset, graph: Graph, edit_part: EditPart
) -> None:
    keep_only(trained, ("onnx", "float32"))
    change = in_onnx_gates("kernel", scaled("f", 1.1))
    edit_part(trained, "onnx float32", change)
    assert weights_of(prove(open_bundle(trained), few, with_keras=False)) == {"onnx": "fail"}
    for revision in (None, 2):
        edit_artifacts(trained, revision=revision)
        report = prove(open_bundle(trained), few, with_keras=False)
        assert weights_of(report) == {"onnx": "not checked"}
        assert report.verdict == "fail"


def test_a_c_artifact_is_held_to_its_table_in_any_revision(
    trained: Path, few: Dataset, graph: Graph, edit_part: EditPart
) -> None:
    keep_only(trained, ("c", "dynamic-int8"))
    edit_artifacts(trained, revision=None)
    report = prove(open_bundle(trained), few, with_keras=False)
    # a few rows do not say what int8 costs
    assert (report.verdict, weights_of(report)) == ("undecided", {"c": "pass"})
    change = in_blob(graph, "dynamic-int8", "kernel", lambda array: array * np.float32(1.02))
    edit_part(trained, "c dynamic-int8", change)
    assert weights_of(prove(open_bundle(trained), few, with_keras=False)) == {"c": "fail"}
    edit_artifacts(trained, sections=None)
    report = prove(open_bundle(trained), few, with_keras=False)
    assert weights_of(report) == {"c": "not checked"}


def test_a_fault_in_one_artifact_leaves_the_others_green(
    trained: Path, rows: Dataset, edit_part: EditPart
) -> None:
    edit_part(trained, "onnx float32", in_onnx_gates("kernel", scaled("f", 1.1)))
    report = prove(open_bundle(trained), rows, with_keras=False)
    found = reds(report)
    assert found.pop(("onnx", "float32")) >= SCORES
    assert found == {key: set() for key in ALL - {("onnx", "float32")}}
    assert report.verdict == "fail"


def test_the_weights_of_the_graph_itself(
    trained: Path, few: Dataset, graph: Graph, edit_part: EditPart
) -> None:
    (name,) = (name for name in graph.weights if name.endswith("recurrent_kernel"))
    tensor = graph.weights[name]
    changed = array_of(tensor) * np.float32(1.001)
    weights = {**graph.weights, name: dataclasses.replace(tensor, data=changed.tobytes())}
    edit_part(trained, "weights", lambda data: encode(weights))
    found = reds(prove(open_bundle(trained), few, with_keras=False))
    for (_, scheme), names in found.items():
        assert "graph_golden" in names
        assert ("scores_max" in names) == (scheme == "float32")
        assert not names & {"ids", "state_leak", "batch", "as_converted"}
