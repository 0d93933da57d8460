"""What a tflm file is: its operators, its arena, its states, and the C++ beside it."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exportable, Exported
from gatelet.convert.exporters.tflm import export_tflm
from gatelet.convert.exporters.tflm.companions import add_method
from gatelet.convert.exporters.tflm.file import schema
from gatelet.convert.rows.calibration import choose_rows
from gatelet.convert.schemes import SCHEMES
from gatelet.errors import BackendError, ConversionError
from gatelet.runtime.backends import open_backend
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.onnx_graphs import GraphMaker

V, T = 50, 12
IDS = np.random.default_rng(1).integers(1, V, (20, T)).astype(np.int32)


def lstm_graph(*, units: int = 8, scale: float = 0.3, embedding: float = 1.0, **kind: Any) -> Graph:
    maker = GraphMaker(scale=scale)
    ids = maker.input("ids", None, None, vocabulary=V)
    table = maker.weight(V, 6) * np.float32(embedding)
    x = maker.one("Embedding", [ids], (None, None, 6), weights={"embeddings": table})
    (h,) = maker.recurrence("LSTM", [x], features=6, units=units, return_sequences=False, **kind)
    weights = {"kernel": maker.weight(units, 1), "bias": maker.weight(1)}
    y = maker.one("Dense", [h], (None, 1), weights=weights)
    return maker.finish(maker.one("Activation", [y], (None, 1), activation="sigmoid"))


def exported(graph: Graph, scheme: str = "float32", ids: Any = IDS) -> Exported:
    calibration = choose_rows({"ids": ids}, source="test")
    return export_tflm(Exportable(graph, graph, calibration=calibration), SCHEMES[scheme])


def run(made: Exported, folder: Path, ids: Any = IDS) -> Any:
    path = folder / "model.tflite"
    path.write_bytes(made.data)
    (found,) = open_backend("tflm", path).run({"ids": ids}).values()
    return found


def expected(graph: Graph, ids: Any = IDS) -> Any:
    (found,) = ReferenceBackend(graph, dtype=np.float64).run({"ids": ids}).values()
    return found


def test_an_lstm_is_one_fused_operator() -> None:
    assert exported(lstm_graph()).ops == (
        "FULLY_CONNECTED",
        "GATHER",
        "LOGISTIC",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
    )


def test_cells_beyond_ten_are_not_clipped(tmp_path: Path) -> None:
    # every step adds nearly 1 to the cells, and the sigmoid gates stay open
    graph = lstm_graph(scale=3.0)
    ids = np.ones((1, 60), np.int32)
    assert np.abs(run(exported(graph), tmp_path, ids) - expected(graph, ids)).max() < 1e-5
    model = schema().ModelT.InitFromObj(schema().Model.GetRootAs(exported(graph).data, 0))
    fused = [one for one in model.subgraphs[0].operators if len(one.inputs) == 24]
    assert [one.builtinOptions.cellClip for one in fused] == [0.0]


def test_rows_start_at_zero_states_whatever_ran_before(tmp_path: Path) -> None:
    made = exported(lstm_graph())
    together = run(made, tmp_path)
    apart = [run(made, tmp_path, IDS[i : i + 1])[0] for i in reversed(range(len(IDS)))]
    assert np.array_equal(together, np.array(apart[::-1]))


@pytest.mark.parametrize("scheme", ["float32", "full-int8"])
def test_the_file_opens_in_the_arena_that_is_told_and_in_no_less(scheme: str) -> None:
    from tflite_micro import runtime

    made = exported(lstm_graph(), scheme)
    arena = made.facts["arena_bytes"]
    assert arena % 16 == 0
    interpreter = runtime.Interpreter.from_bytes(made.data, arena_size=arena)
    interpreter.set_input(np.array([[1]], np.int32), 0)
    interpreter.invoke()
    # in less the library may crash, so it is tried in another process
    script = (
        "import sys; from tflite_micro import runtime; "
        "runtime.Interpreter.from_bytes(sys.stdin.buffer.read(), arena_size=int(sys.argv[1]))"
    )
    less = subprocess.run(
        [sys.executable, "-c", script, str(arena - 64)], input=made.data, capture_output=True
    )
    assert less.returncode != 0


def test_weights_lie_at_multiples_of_sixteen() -> None:
    data = exported(lstm_graph(), "full-int8").data
    model = schema().Model.GetRootAs(data, 0)
    lengths = 0
    for index in range(model.BuffersLength()):
        values = model.Buffers(index).DataAsNumpy()
        if isinstance(values, np.ndarray) and len(values):
            start = values.ctypes.data - np.frombuffer(data, np.uint8).ctypes.data
            assert start % 16 == 0
            lengths += len(values)
    assert lengths > V * 6


def test_full_int8_is_near_and_names_the_tensors_that_lose_most(tmp_path: Path) -> None:
    graph = lstm_graph(units=16)
    made = exported(graph, "full-int8")
    assert np.abs(run(made, tmp_path) - expected(graph)).max() < 0.01
    losses = made.facts["calibration"]["losses"]
    assert losses[0]["relative_error"] >= losses[-1]["relative_error"] > 0
    assert made.facts["calibration"]["rows"] == len(IDS)


def test_integers_need_no_kernel_that_keeps_a_state(tmp_path: Path) -> None:
    graph = lstm_graph(units=16)
    made = exported(graph, "full-int8")
    right = run(made, tmp_path)
    assert np.array_equal(run_forgetting(made), right)
    assert np.abs(right - expected(graph)).max() < 0.01
    # the test can see it: floats keep their states in the library, whose float kernel keeps them
    floats = exported(graph)
    assert np.abs(run_forgetting(floats) - run(floats, tmp_path)).max() > 0.01


@pytest.mark.parametrize("kind", ["GRU", "SimpleRNN", "Bidirectional"])
def test_no_recurrence_in_integers_keeps_a_state(kind: str, tmp_path: Path) -> None:
    maker = GraphMaker(scale=0.5)
    x = maker.input("ids", None, None, vocabulary=V)
    table = {"embeddings": maker.weight(V, 6)}
    x = maker.one("Embedding", [x], (None, None, 6), weights=table)
    if kind == "Bidirectional":
        both = [maker.recurrence("LSTM", [x], features=6, units=5, go_backwards=b) for b in (0, 1)]
        made = maker.one("Concatenate", [one[0] for one in both], (None, 10), axis=-1)
    else:
        (made,) = maker.recurrence(kind, [x], features=6, units=5)
    files = exported(maker.finish(made), "full-int8")
    assert files.facts["resource_variables"] == 0
    assert len(files.facts["steps"]["states"]) == {"Bidirectional": 4}.get(kind, 1)
    assert np.array_equal(run_forgetting(files), run(files, tmp_path))


def run_forgetting(made: Exported) -> Any:
    """Run a file by kernels that lose what they keep: variables are reset before each call.

    That is what the LSTM kernel of CMSIS-NN does in integers.
    """
    from gatelet.runtime.backends.tflm import TflmBackend

    backend = TflmBackend(made.data, engine="forgets")
    opened = backend._opens

    class Forgets:
        def __init__(self) -> None:
            self._interpreter = opened()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._interpreter, name)

        def invoke(self) -> None:
            self._interpreter.reset()
            self._interpreter.invoke()

    backend._interpreter = Forgets()
    (found,) = backend.run({"ids": IDS}).values()
    return found


def test_a_reader_of_before_refuses_a_file_whose_states_it_would_not_feed() -> None:
    from gatelet.runtime.backends.tflm import CONTRACT, STATES_CONTRACT

    names = {}
    for scheme in ("float32", "full-int8"):
        model = schema().Model.GetRootAs(exported(lstm_graph(), scheme).data, 0)
        names[scheme] = {model.Metadata(i).Name() for i in range(model.MetadataLength())}
    # it looks for the first name alone
    assert CONTRACT.encode() in names["float32"] and STATES_CONTRACT != CONTRACT
    assert CONTRACT.encode() not in names["full-int8"]
    assert STATES_CONTRACT.encode() in names["full-int8"]


def test_rows_of_an_embedding_that_differ_much_have_scales_of_their_own(tmp_path: Path) -> None:
    graph = lstm_graph(scale=0.2)
    (node,) = (node for node in graph.nodes if node.op == "Embedding")
    name = node.weights["embeddings"]
    table = np.frombuffer(graph.weights[name].data, "<f4").reshape(V, 6).copy()
    table[7] *= 60
    weights = {**graph.weights, name: type(graph.weights[name])("F32", (V, 6), table.tobytes())}
    graph = Graph(graph.inputs, graph.nodes, graph.outputs, weights)
    made = exported(graph, "full-int8")
    assert "MUL" in made.ops
    assert np.abs(run(made, tmp_path) - expected(graph)).max() < 0.01


def test_small_columns_beside_large_ones_are_not_lost_before_they_are_normalized(
    tmp_path: Path,
) -> None:
    maker = GraphMaker(scale=0.5)
    size = np.array([1e-3, 1.0, 5000.0], np.float32)
    given = np.random.default_rng(8).normal(size=(20, T, 3)).astype(np.float32) * size
    x = maker.input("features", None, None, 3)
    scale = maker.weight(3) * 0 + 1 / size
    x = maker.one("Affine", [x], (None, None, 3), weights={"scale": scale, "shift": 0 * scale})
    graph = maker.finish(*maker.recurrence("LSTM", [x], features=3, units=5))
    calibration = choose_rows({"features": given}, source="test")
    model = Exportable(graph, graph, calibration=calibration)
    path = tmp_path / "model.tflite"
    path.write_bytes(export_tflm(model, SCHEMES["full-int8"]).data)
    (found,) = open_backend("tflm", path).run({"features": given}).values()
    (wanted,) = ReferenceBackend(graph).run({"features": given}).values()
    assert np.abs(found - wanted).max() < 0.01


def test_the_same_graph_gives_the_same_bytes() -> None:
    assert exported(lstm_graph(), "full-int8").data == exported(lstm_graph(), "full-int8").data


def test_a_file_of_another_tool_is_refused(tmp_path: Path) -> None:
    from gatelet.convert.exporters.tflm.file import FileWriter

    writer = FileWriter()
    x = writer.tensor("x", (1, 1), "float32")
    y = writer.tensor("y", (1, 1), "float32")
    writer.operator("LOGISTIC", [x], [y])
    (tmp_path / "other.tflite").write_bytes(writer.finish([x], [y], description=""))
    with pytest.raises(BackendError, match="does not say how its steps are fed"):
        open_backend("tflm", tmp_path / "other.tflite")


def test_a_model_whose_outputs_need_no_input_is_refused() -> None:
    maker = GraphMaker()
    maker.input("ids", None, None, vocabulary=V)
    features = maker.input("features", None, None, 4, 4)
    with pytest.raises(ConversionError, match="axes a timestep"):
        exported(maker.finish(features))


def test_a_missing_package_tells_the_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatelet.convert.exporters.tflm.export.find_spec", lambda name: None)
    with pytest.raises(ConversionError, match=r"pip install 'gatelet\[tflm\]'"):
        exported(lstm_graph())


STUB = """
#include <cstddef>
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
#define TF_LITE_ENSURE_STATUS(a) do { if ((a) != kTfLiteOk) return kTfLiteError; } while (0)
namespace tflite {
template <unsigned N> struct MicroMutableOpResolver {
  unsigned used = 0;
  TfLiteStatus Add() { return ++used > N ? kTfLiteError : kTfLiteOk; }
%s
};
}  // namespace tflite
"""
MAIN = """
#include <cstdio>
#include "ops.h"
extern const unsigned char gatelet_model[];
extern const unsigned int gatelet_model_bytes;
int main() {
  tflite::MicroMutableOpResolver<gatelet::kOps> resolver;
  if (gatelet::AddOps(resolver) != kTfLiteOk) return 1;
  if (resolver.used != gatelet::kOps || reinterpret_cast<size_t>(gatelet_model) % 16) return 2;
  return fwrite(gatelet_model, 1, gatelet_model_bytes, stdout) != gatelet_model_bytes;
}
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_the_sources_beside_it_compile_and_hold_its_operators_and_bytes(tmp_path: Path) -> None:
    made = exported(lstm_graph(), "full-int8")
    header, source = made.companions
    assert (header.role, source.role) == ("op_resolver", "c_array")
    methods = "\n".join(f"  TfLiteStatus {add_method(op)}() {{ return Add(); }}" for op in made.ops)
    include = tmp_path / "tensorflow/lite/micro"
    include.mkdir(parents=True)
    (include / "micro_mutable_op_resolver.h").write_text(STUB % methods)
    (tmp_path / "ops.h").write_bytes(header.data)
    (tmp_path / "model.cc").write_bytes(source.data)
    (tmp_path / "main.cc").write_text(MAIN)
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}"]
    files = [str(tmp_path / name) for name in ("main.cc", "model.cc")]
    subprocess.run(["g++", *flags, *files, "-o", str(tmp_path / "main")], check=True)
    shown = subprocess.run([str(tmp_path / "main")], check=True, capture_output=True)
    assert shown.stdout == made.data


def test_the_methods_are_those_of_the_library() -> None:
    assert add_method("UNIDIRECTIONAL_SEQUENCE_LSTM") == "AddUnidirectionalSequenceLSTM"
    assert add_method("FULLY_CONNECTED") == "AddFullyConnected"
    assert add_method("VAR_HANDLE") == "AddVarHandle"
