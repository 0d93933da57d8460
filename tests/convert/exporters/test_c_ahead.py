"""Projections that steps take along: the sums are those of the projection by itself, to the bit.

Only one row at a time goes ahead, and only where the processor has AVX-512; several rows are
projected between the steps. Not the cases' values: see tests/conformance/test_conformance_c.py.
"""

from itertools import count
from pathlib import Path

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exportable
from gatelet.runtime.backends.c import CBackend, open_library
from gatelet.runtime.graph import Graph
from tests.convert.exporters.c_builds import build
from tests.convert.exporters.onnx_graphs import GraphMaker

NATIVE = ("-O2", "-march=native")
LENGTHS = (1, 7, 8, 9, 15, 16, 17, 24, 40, 41)


def graph_of(op: str, features: int, units: int, *, backwards: bool, bias: bool) -> Graph:
    maker = GraphMaker(scale=0.3)
    x = maker.input("x", None, None, features)
    (y,) = maker.recurrence(
        op,
        [x],
        features=features,
        units=units,
        use_bias=bias,
        go_backwards=backwards,
        return_sequences=True,
    )
    return maker.finish(y)


@pytest.mark.parametrize("bias", (True, False))
@pytest.mark.parametrize("backwards", (False, True))
@pytest.mark.parametrize(
    ("op", "features", "units"),
    [
        ("LSTM", 16, 5),
        ("LSTM", 33, 40),
        ("LSTM", 64, 64),
        ("LSTM", 70, 16),
        ("GRU", 17, 20),
        ("GRU", 64, 33),
        ("SimpleRNN", 32, 12),
    ],
)
def test_one_row_gives_what_it_gives_among_others(
    op: str, features: int, units: int, backwards: bool, bias: bool, tmp_path: Path
) -> None:
    graph = graph_of(op, features, units, backwards=backwards, bias=bias)
    written, library = build(Exportable(graph, graph, name="m"), tmp_path, flags=NATIVE)
    (tmp_path / "weights").write_bytes(written.weights)
    backend = CBackend(open_library(library), tmp_path / "weights", engine="c")
    for T, seed in zip(LENGTHS, count()):
        x = np.random.default_rng(seed).normal(size=(3, T, features)).astype(np.float32)
        together = backend.run({"x": x})[graph.outputs[0]]
        for row in range(3):
            alone = backend.run({"x": x[row : row + 1]})[graph.outputs[0]]
            assert (alone[0] == together[row]).all()
