"""What is made of the Graph's own answers: the float32 limit, and golden rows of a bounded size."""

import json
from typing import Any, ClassVar

import numpy as np

from gatelet.convert.parity.checks.spread import spread_of
from gatelet.convert.parity.oracles.golden import GOLDEN_VALUES, golden_vectors
from gatelet.convert.parity.oracles.oracle import DISTURBED_RUNS, Oracle, ask_graph, float32_limit
from gatelet.convert.rows.rows import Rows
from gatelet.convert.tolerances import FLOAT32_FLOOR
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.onnx_graphs import GraphMaker


def test_a_sum_that_cancels_is_measured_with_other_roundings_too() -> None:
    """float32 happens to be exact here, and an engine that folds constants is not."""
    maker = GraphMaker()
    x = maker.input("x", None, 2)
    shift, ones = np.array([4096.0, 0.0], np.float32), np.ones(2, np.float32)
    y = maker.one("Affine", [x], (None, 2), weights={"scale": ones, "shift": shift})
    y = maker.one("Affine", [y], (None, 2), weights={"scale": ones, "shift": -shift})
    graph = maker.finish(y)
    rows = Rows({"x": np.random.default_rng(0).integers(-9, 9, (64, 2)).astype(np.float32)})
    double = ask_graph(graph, rows)
    spread = spread_of(graph, double)
    assert float32_limit(graph, rows, double, spread) == FLOAT32_FLOOR
    measured = float32_limit(graph, rows, double, spread, disturbed=DISTURBED_RUNS)
    assert 4 * 2**-12 / 5.5 < measured < 16 * 2**-10


class Draft:
    """As much of a bundle as golden rows ask for."""

    manifest: ClassVar[dict[str, Any]] = {}
    labels: ClassVar[tuple[str, ...]] = ()
    decisions: ClassVar[tuple[Any, ...]] = ()
    threshold = 0.5

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def graph(self) -> Graph:
        return self._graph

    def vectorizer(self) -> None:
        return None


def test_a_golden_row_of_many_scores_is_cut() -> None:
    maker = GraphMaker(scale=0.3)
    x = maker.input("x", None, None, 4)
    (y,) = maker.recurrence("SimpleRNN", [x], features=4, units=64, return_sequences=True)
    graph = maker.finish(y)
    rows = Rows({"x": np.random.default_rng(0).normal(size=(2, 2000, 4)).astype(np.float32)})
    bundle: Any = Draft(graph)
    made = json.loads(golden_vectors(bundle, Oracle.of(graph, rows), (), keep_texts=False))
    outputs = np.array(made["outputs"][graph.outputs[0]])
    assert outputs.shape == (1, 937, 64)
    assert outputs.size <= GOLDEN_VALUES
    assert np.array_equal(made["inputs"]["x"], rows.feed["x"][:1, -937:])
