"""The scheme full-int8 of c: what it computes, that no float is in it, and what it refuses.

Not the conformance cases, which it runs too: see tests/conformance/test_conformance_c.py.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gatelet.convert.exporters.c import export_c
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.integers import integer_refusal
from gatelet.convert.exporters.c.source import KERNELS
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import refusal
from gatelet.convert.parity.stored.file import StoredFile
from gatelet.convert.parity.stored.match import check_weights, match_weights
from gatelet.convert.passes import skip_padding
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.errors import ConversionError
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.backends.reference import ReferenceBackend, array_of
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import Tensor
from tests.convert.exporters.c_builds import build, small_graph
from tests.convert.exporters.onnx_graphs import GraphMaker

FULL_INT8 = SCHEMES["full-int8"]


def ids_of(seed: int, rows: int = 60, timesteps: int = 12) -> Any:
    ids = np.random.default_rng(seed).integers(1, 50, (rows, timesteps)).astype(np.int32)
    ids[::3, :5] = 0
    return ids


def model_of(graph: Graph) -> Exportable:
    return Exportable(
        graph,
        skip_padding(graph, timesteps=12),
        name="m",
        calibration=Calibration({"ids": ids_of(1)}, "test"),
    )


def run(graph: Graph, folder: Path, *flags: str) -> Any:
    folder.mkdir()
    written, library = build(model_of(graph), folder, scheme="full-int8", flags=flags)
    weights = folder / "weights.bin"
    weights.write_bytes(written.weights)
    backend = CBackend(open_library(library), weights, engine="c")
    return backend.run({"ids": ids_of(2)})[graph.outputs[0]]


def opened(graph: Graph, rows: NDArray[Any], folder: Path) -> CBackend:
    """Return a model of features that is calibrated by some rows, in integers."""
    calibration = Calibration({"features": rows}, "test")
    model = Exportable(graph, graph, name="m", calibration=calibration)
    written, library = build(model, folder, scheme="full-int8")
    (folder / "w").write_bytes(written.weights)
    return CBackend(open_library(library), folder / "w", engine="c")


def test_every_build_gives_the_same_bits_close_to_float(tmp_path: Path) -> None:
    graph = small_graph(units=40)
    found = run(graph, tmp_path / "a", "-O1", "-march=native")
    plain = run(graph, tmp_path / "b", "-O0", "-DGATELET_PLAIN")
    exact = ReferenceBackend(graph).run({"ids": ids_of(2)})[graph.outputs[0]]
    assert (found == plain).all()
    assert 1e-6 < np.abs(found - exact).max() < 0.06 and np.abs(found - exact).mean() < 0.01
    assert np.ptp(exact) > 0.2


def test_no_float_is_between_the_borders() -> None:
    files = ("fixed.h", "integer.c", "integer_elements.c")
    text = "\n".join((KERNELS / one).read_text() for one in files)
    functions = re.split(r"\n(?=(?:GATELET_\w+|static) )", text)
    with_float = {
        found.group(1)
        for one in functions
        if re.search(r"\bfloat\b|\d\.\d", one) and (found := re.search(r"(\w+)\(", one))
    }
    assert with_float == {
        "q_integer_of",  # of a float
        "gatelet_integers_of_features",
        "gatelet_integers_of_affine",
        "gatelet_floats_of_integers",
        "gatelet_words_of_floats",  # states of other layers
        "gatelet_floats_of_words",
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"activation": "relu"},
            "c full-int8 has no activation 'relu' in LSTM: use --",
        ),
        ({"recurrent_activation": "softsign"}, "has no recurrent_activation 'softsign' in LSTM"),
        ({"recurrent_activation": "tanh"}, "has no recurrent_activation 'tanh' in LSTM"),
    ],
)
def test_other_activations_are_refused(changes: dict[str, str], said: str) -> None:
    graph = small_graph()
    nodes = [
        replace(node, attributes={**node.attributes, **changes}) if node.op == "LSTM" else node
        for node in graph.nodes
    ]
    changed = replace(graph, nodes=tuple(nodes))
    assert re.search(said, refusal(changed, "c", FULL_INT8))
    assert not refusal(changed, "c", SCHEMES["dynamic-int8"])


def test_other_layers_are_refused_and_the_way_out_is_named() -> None:
    maker = GraphMaker()
    x = maker.input("features", None, None, 3)
    graph = maker.finish(maker.one("ReduceMax", [x], (None, 3), axes=[1]))
    said = integer_refusal(graph)
    assert said.startswith("layer '")
    assert said.endswith(
        "c full-int8 has no ReduceMax, which reduces an axis: use --scheme dynamic-int8 or float32"
    )


def test_features_are_concatenated_behind_a_layer_and_not_as_they_are_fed() -> None:
    maker = GraphMaker()
    x = maker.input("features", None, None, 3)
    raw = maker.finish(maker.one("Concatenate", [x, x], (None, None, 6), axis=-1))
    assert "full-int8 has no Concatenate of features" in integer_refusal(raw)
    maker = GraphMaker()
    x = maker.input("features", None, None, 3)
    turned = maker.one("Reverse", [x], (None, None, 3))
    (h,) = maker.recurrence("GRU", [turned], features=3, units=4)
    y = maker.one("Dense", [h], (None, 2), weights={"kernel": maker.weight(4, 2)})
    assert not integer_refusal(maker.finish(maker.one("Concatenate", [h, y], (None, 6), axis=-1)))


def test_parts_with_other_scales_are_concatenated(tmp_path: Path) -> None:
    maker = GraphMaker()
    x = maker.input("features", None, None, 3)
    turned = maker.one("Reverse", [x], (None, None, 3))
    (h,) = maker.recurrence("GRU", [turned], features=3, units=4)
    large = {"kernel": maker.weight(4, 2) * np.float32(30)}
    y = maker.one("Dense", [h], (None, 2), weights=large)
    graph = maker.finish(maker.one("Concatenate", [h, y, h], (None, 10), axis=-1))
    rows = np.random.default_rng(4).normal(size=(40, 7, 3)).astype(np.float32)
    backend = opened(graph, rows, tmp_path)
    found = backend.run({"features": rows})[graph.outputs[0]]
    exact = ReferenceBackend(graph).run({"features": rows})[graph.outputs[0]]
    off, largest = np.abs(found - exact), np.abs(exact).max()
    assert largest > 5 and off.max() < 0.01 * largest and off[:, :4].max() < 0.02
    assert (found[:, :4] == found[:, 6:]).all()


def test_without_calibration_rows_it_is_refused() -> None:
    graph = small_graph()
    with pytest.raises(ConversionError, match="full-int8 needs calibration rows"):
        export_c(Exportable(graph, graph, name="m"), FULL_INT8)


def test_parity_reads_the_integers_and_sees_others(tmp_path: Path) -> None:
    graph = small_graph(units=40)
    (lstm,) = (node for node in graph.nodes if node.op == "LSTM")
    name = lstm.weights["kernel"]
    i, f, g, o = np.split(array_of(graph.weights[name]), 4, axis=1)
    swapped = np.concatenate([i, o, g, f], axis=1).astype("<f4")
    tensor = Tensor("F32", swapped.shape, swapped.tobytes())
    other = replace(graph, weights={**graph.weights, name: tensor})
    right, wrong = (write_model(model_of(one), FULL_INT8) for one in (graph, other))
    path = tmp_path / "w.bin"

    def check(data: bytes, sections: Any) -> Any:
        path.write_bytes(data)
        file = StoredFile(path, graph, sections=sections)
        return check_weights("c", match_weights("c", file))

    found = check(right.weights, right.sections)
    assert found.verdict == "pass" and "not checked" not in found.note
    found = check(wrong.weights, wrong.sections)
    assert found.verdict == "fail" and "kernel of layer" in found.note
    one_byte = bytearray(right.weights)
    one_byte[64 + 6 * 9 + 2] ^= 0x20  # in row 9 of the embedding
    found = check(bytes(one_byte), right.sections)
    assert found.verdict == "fail" and "embeddings" in found.note
    assert check(right.weights, None).verdict == "not checked"
    twice = [{**one, "step": 2.0} if "step" in one else one for one in right.sections]
    assert check(right.weights, twice).verdict == "fail"


def test_a_row_and_a_column_of_zeros_cost_the_others_nothing(tmp_path: Path) -> None:
    graph = small_graph(units=40)
    weights = dict(graph.weights)
    for node in graph.nodes:
        for role, index in (("embeddings", 0), ("recurrent_kernel", (slice(None), 3))):
            if role in node.weights:
                array = array_of(weights[node.weights[role]]).copy() * np.float32(0.01)
                array[index] = 0
                tensor = Tensor("F32", array.shape, array.astype("<f4").tobytes())
                weights[node.weights[role]] = tensor
    graph = replace(graph, weights=weights)
    exact = ReferenceBackend(graph).run({"ids": ids_of(2)})[graph.outputs[0]]
    assert np.abs(run(graph, tmp_path / "a", "-O1") - exact).max() < 1e-3


def test_values_beyond_what_was_observed_saturate(tmp_path: Path) -> None:
    maker = GraphMaker()
    x = maker.input("features", None, None, 3)
    (h,) = maker.recurrence("LSTM", [x], features=3, units=8, return_sequences=False)
    graph = maker.finish(maker.one("Dense", [h], (None, 1), weights={"kernel": maker.weight(8, 1)}))
    rows = np.random.default_rng(3).normal(size=(30, 9, 3)).astype(np.float32)
    backend = opened(graph, rows, tmp_path)
    output = graph.outputs[0]
    exact = ReferenceBackend(graph).run({"features": rows})[output]
    assert np.abs(backend.run({"features": rows})[output] - exact).max() < 0.02
    far = np.full((1, 9, 3), 3e38, np.float32)
    for odd in (far, -far, far * np.float32(np.nan)):
        assert np.isfinite(backend.run({"features": odd})[output]).all()
