"""Projections that steps take along: the sums are those of the projection by itself, to the bit.

Only one row at a time goes ahead, and only where the processor has AVX-512; several rows are
projected between the steps. Not the cases' values: see tests/conformance/test_conformance_c.py.
"""

import ctypes
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from gatelet.convert.exporters.c.build import kernel_object, run_compiler
from gatelet.convert.exporters.c.source import kernel_headers_text
from gatelet.convert.exporters.exported import Exportable
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.c_builds import LIBRARY, STRICT, build
from tests.convert.exporters.onnx_graphs import GraphMaker, mask_of

NATIVE = ("-O2", "-march=native")
LENGTHS = (1, 8, 9, 15, 16, 17, 23, 24, 40, 41)


def graph_of(op: str, features: int, units: int, *, backwards: bool, masked: bool) -> Graph:
    maker = GraphMaker(scale=0.3)
    x = maker.input("x", None, None, features)
    mask = None
    if masked:
        (mask,) = maker.node("MaskFeatures", [x], (None, None), mask_value=0.0)
    (y,) = maker.recurrence(
        op,
        [x],
        features=features,
        units=units,
        use_bias=not masked,
        mask=mask,
        go_backwards=backwards,
        return_sequences=True,
    )
    return maker.finish(y)


@pytest.mark.parametrize("masked", (False, True))
@pytest.mark.parametrize("backwards", (False, True))
@pytest.mark.parametrize(
    ("op", "features", "units"),
    [
        ("LSTM", 48, 53),
        ("LSTM", 64, 64),
        ("LSTM", 95, 70),
        ("GRU", 24, 5),
        ("GRU", 64, 33),
        ("GRU", 33, 64),
        ("SimpleRNN", 32, 12),
    ],
)
def test_one_row_gives_what_it_gives_among_others(
    op: str, features: int, units: int, backwards: bool, masked: bool, tmp_path: Path
) -> None:
    graph = graph_of(op, features, units, backwards=backwards, masked=masked)
    written, library = build(Exportable(graph, graph, name="m"), tmp_path, flags=NATIVE)
    (tmp_path / "weights").write_bytes(written.weights)
    backend = CBackend(open_library(library), tmp_path / "weights", engine="c")
    for T, seed in zip(LENGTHS, count()):
        x = np.random.default_rng(seed).normal(size=(3, T, features)).astype(np.float32)
        if masked:
            x *= mask_of("random", 3, T)[..., None]
        together = backend.run({"x": x})[graph.outputs[0]]
        for row in range(3):
            alone = backend.run({"x": x[row : row + 1]})[graph.outputs[0]]
            assert (alone[0] == together[row]).all()


WALK = """
static int32_t most;
static void note(const struct gatelet_recurrence *r, const struct gatelet_step *s) {
    (void)r;
    most = s->ahead->pieces > most ? s->ahead->pieces : most;
}
int32_t pieces_of(int32_t rows, int32_t timesteps, int32_t features, int32_t least_features) {
    static float floats[1 << 16];
    struct gatelet_recurrence r = {.rows = rows, .timesteps = timesteps, .features = features};
    const struct gatelet_matrix w = {.floats = floats, .rows = features, .tiles = 1, .tile = 16};
    r.units = 16;
    r.x = floats;
    r.kernel = r.recurrent = &w;
    r.y = floats + (1 << 15);
    r.work = r.y + 16 * rows;
    most = 0;
    gatelet_walk(&r, note, 0, least_features);
    return most;
}
"""


def test_only_what_gains_is_taken_along(tmp_path: Path) -> None:
    source, library = tmp_path / "walk.c", tmp_path / "walk.so"
    source.write_text(kernel_headers_text() + WALK)
    kernels = kernel_object(["gcc"], (*NATIVE, *STRICT))
    run_compiler(["gcc", *NATIVE, *STRICT, *LIBRARY, "-o", str(library), str(source), str(kernels)])
    pieces_of = ctypes.CDLL(str(library)).pieces_of
    wide = "avx512f" in Path("/proc/cpuinfo").read_text()
    assert pieces_of(1, 16, 48, 48) == (2 if wide else 0)
    assert pieces_of(1, 15, 48, 48) == 0  # all of them are projected at once
    assert pieces_of(1, 16, 47, 48) == 0
    assert pieces_of(1, 16, 48, 0) == 0  # by a step that takes none
    assert pieces_of(2, 16, 48, 48) == 0
