"""What is element by element in full-int8: close to float, and the oracle's bits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.integers import integer_refusal
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.parity.computes.integers import run_integers
from gatelet.convert.parity.stored.file import StoredFile
from gatelet.convert.parity.stored.match import check_weights, match_weights
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.c_builds import build
from tests.convert.exporters.onnx_graphs import GraphMaker

F, U = 3, 6
Make = Callable[[GraphMaker, str, str], str]


def joined(op: str, *, n: int = 2) -> Make:
    def make(maker: GraphMaker, h: str, y: str) -> str:
        return maker.one(op, [h, y, h][:n], (None, U))

    return make


def activated(name: str, **parameters: float) -> Make:
    def make(maker: GraphMaker, h: str, y: str) -> str:
        return maker.one("Activation", [y], (None, U), activation=name, **parameters)

    return make


def affine(maker: GraphMaker, h: str, y: str) -> str:
    weights = {"scale": maker.weight(U) * np.float32(9), "shift": maker.weight(U)}
    return maker.one("Affine", [y], (None, U), weights=weights)


def reshaped(maker: GraphMaker, h: str, y: str) -> str:
    twice = maker.one("RepeatVector", [y], (None, 2, U), n=2)
    return maker.one("Reshape", [twice], (None, 2 * U), target_shape=[2 * U])


MAKES: dict[str, Make] = {
    "Add": joined("Add"),
    "Add of three": joined("Add", n=3),
    "Average of three": joined("Average", n=3),
    "Subtract": joined("Subtract"),
    "Multiply": joined("Multiply"),
    "Affine": affine,
    "RepeatVector, Reshape": reshaped,
    "relu6": activated("relu6"),
    "elu": activated("elu", alpha=0.5),
    "leaky_relu": activated("leaky_relu", negative_slope=0.3),
    "relu with a slope": activated("relu", negative_slope=0.1),
    "leaky_relu that is none": activated("leaky_relu", negative_slope=0.0),
    "gelu": activated("gelu"),
}


def graph_of(make: Make) -> Graph:
    """Feed features through a Normalization, an LSTM and a Dense to what is made of both."""
    maker = GraphMaker(seed=2)
    x = maker.input("features", None, None, F)
    spread = {
        "scale": np.array([0.5, 1.0, 2.0], np.float32),
        "shift": np.array([-500.0, 0.1, 3.0], np.float32),
    }
    z = maker.one("Affine", [x], (None, None, F), weights=spread)
    (h,) = maker.recurrence("LSTM", [z], features=F, units=U)
    weights = {"kernel": maker.weight(U, U) * np.float32(20), "bias": maker.weight(U)}
    return maker.finish(make(maker, h, maker.one("Dense", [h], (None, U), weights=weights)))


@pytest.mark.parametrize("name", MAKES)
def test_elements_have_the_oracles_bits_and_are_close_to_float(name: str, tmp_path: Path) -> None:
    graph, rng = graph_of(MAKES[name]), np.random.default_rng(4)
    rows = rng.normal((1000, 0, -1.5), (2, 1, 0.5), size=(40, 7, F)).astype(np.float32)
    model = Exportable(
        graph, graph, name="m", calibration=Calibration({"features": rows[:30]}, "test")
    )
    written, library = build(model, tmp_path, scheme="full-int8")
    (tmp_path / "w").write_bytes(written.weights)
    backend = CBackend(open_library(library), tmp_path / "w", engine="c")
    (output,) = graph.outputs
    found = backend.run({"features": rows})[output]
    oracle = run_integers(graph, written.observed, {"features": rows})[output]
    exact = ReferenceBackend(graph).run({"features": rows})[output]
    assert (found == oracle).all()
    assert np.abs(found - exact).max() < 0.02 * np.ptp(exact) and np.ptp(exact) > 0.3
    far = np.full((1, 7, F), 1e30, np.float32)
    wild = {"features": np.concatenate([far, -far])}
    assert (backend.run(wild)[output] == run_integers(graph, written.observed, wild)[output]).all()


def test_parity_reads_the_factors_of_an_affine(tmp_path: Path) -> None:
    graph = graph_of(affine)
    rows = np.random.default_rng(4).normal(size=(9, 7, F)).astype(np.float32)
    calibration = Calibration({"features": rows}, "test")
    written = write_model(
        Exportable(graph, graph, name="m", calibration=calibration), SCHEMES["full-int8"]
    )
    (tmp_path / "w").write_bytes(written.weights)
    file = StoredFile(tmp_path / "w", graph, sections=written.sections)
    found = check_weights("c", match_weights("c", file))
    assert found.verdict == "pass" and "not checked" not in found.note


@pytest.mark.parametrize(
    ("op", "shapes", "said"),
    [
        ("Add", ((None, U), (None, 1)), "Add of several shapes"),
        ("Multiply", ((None, U),) * 3, "Multiply of 3 values"),
    ],
)
def test_what_integers_do_not_join_is_refused(op: str, shapes: Any, said: str) -> None:
    maker = GraphMaker()
    x = maker.input("features", None, F)
    weights = [{"kernel": maker.weight(F, shape[-1])} for shape in shapes]
    values = [
        maker.one("Dense", [x], shape, weights=one)
        for shape, one in zip(shapes, weights, strict=True)
    ]
    graph = maker.finish(maker.one(op, values, (None, U)))
    assert f"c full-int8 has no {said}: use --scheme" in integer_refusal(graph)
    maker = GraphMaker()
    x = maker.input("features", None, F)
    mixed = maker.finish(maker.one("Add", [x, x], (None, F)))
    assert "c full-int8 has no Add of features" in integer_refusal(mixed)
