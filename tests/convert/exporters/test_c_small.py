"""The form of C models for small memories gives the bits of the other one, in less memory."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c.build import run_compiler
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.passes import skip_padding
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.streaming import to_stream
from tests.convert.exporters.c_builds import LIBRARY, STRICT, small_graph
from tests.convert.exporters.onnx_graphs import GraphMaker

pytestmark = pytest.mark.ci  # 4 s each: whole sources are compiled, twice
ROUNDED = ("skips padding", "lstm", "gru")


def recurrent_graph(op: str, **settings: Any) -> Graph:
    """Feed ids [B, T] to an Embedding, two recurrences over time and a Dense of one score."""
    maker = GraphMaker()
    ids = maker.input("ids", None, None, vocabulary=50)
    mask = maker.one("MaskIds", [ids], (None, None)) if settings.pop("masked", False) else None
    table = {"embeddings": maker.weight(50, 20)}
    x = maker.one("Embedding", [ids], (None, None, 20), weights=table)
    given = {"features": 20, "units": 33, "mask": mask, "return_sequences": True, **settings}
    (x,) = maker.recurrence(op, [x], **given)
    (x,) = maker.recurrence(op, [x], **{**given, "features": 33, "return_sequences": False})
    return maker.finish(maker.one("Dense", [x], (None, 1), weights={"kernel": maker.weight(33, 1)}))


GRAPHS = {
    "skips padding": small_graph(units=40),
    "lstm": recurrent_graph("LSTM"),
    "gru": recurrent_graph("GRU"),
    "gru, any": recurrent_graph("GRU", recurrent_activation="hard_sigmoid"),
    "gru, reset before": recurrent_graph("GRU", reset_after=False),
    "rnn": recurrent_graph("SimpleRNN"),
    "masked": recurrent_graph("LSTM", masked=True),
    "masked, zeros": recurrent_graph("GRU", masked=True, zero_output_for_mask=True),
    "backwards": recurrent_graph("LSTM", go_backwards=True, recurrent_activation="hard_sigmoid"),
}


@pytest.mark.parametrize(
    ("name", "scheme"),
    [*((name, "float32") for name in GRAPHS), *((name, "dynamic-int8") for name in ROUNDED)],
)
def test_small_memories_give_the_same_bits(name: str, scheme: str, tmp_path: Path) -> None:
    graph = GRAPHS[name]
    ids = np.random.default_rng(5).integers(1, 50, (9, 21)).astype(np.int32)
    ids[::2, :7] = 0
    ids[3, 10:] = 0
    model = Exportable(
        graph,
        skip_padding(graph, timesteps=21),
        name="m",
        calibration=Calibration({"ids": ids}, "test"),
    )
    found, scratch = [], []
    for is_small in (0, 1):
        library = from_one_source(model, scheme, tmp_path, f"-DM_SMALL={is_small}")
        opened = open_library(library)
        backend = CBackend(opened, tmp_path / "weights.bin", engine="c")
        found.append(backend.run({"ids": ids})[graph.outputs[0]])
        scratch.append(opened.scratch_bytes(1, (ctypes.c_int32 * 1)(21)))
    assert np.ptp(found[0]) > 1e-3 and (found[0] == found[1]).all()
    assert scratch[1] < 0.6 * scratch[0]


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8", "full-int8"])
def test_steps_in_small_memories_change_the_states_where_the_caller_has_them(
    scheme: str, cell: str, tmp_path: Path
) -> None:
    maker = GraphMaker(seed=3, scale=0.3)
    x = maker.input("features", None, None, 9)
    (h,) = maker.recurrence(cell, [x], features=9, units=32)
    graph = maker.finish(
        maker.one("Dense", [h], (None, 1), weights={"kernel": maker.weight(32, 1)})
    )
    rows = np.random.default_rng(5).normal(size=(3, 8, 9)).astype(np.float32)
    calibration = Calibration({"features": rows}, "test")
    model = Exportable(graph, graph, name="m", calibration=calibration, streaming=to_stream(graph))
    library = from_one_source(model, scheme, tmp_path, "-DM_SMALL=1")
    backend = CBackend(open_library(library), tmp_path / "weights.bin", engine="c")
    whole = backend.run({"features": rows})[graph.outputs[0]][:, 0]
    loaded = ctypes.CDLL(str(library))
    loaded.m_step_scratch_bytes.restype = ctypes.c_size_t
    words = loaded.m_step_scratch_bytes(1, (ctypes.c_int32 * 1)(1)) // 4
    gates = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}[cell]
    columns = gates * 32 * (2 if cell == "GRU" else 1) + (32 if cell == "SimpleRNN" else 0)
    assert words < columns + 3 * 32, "gates, and of three states no more"
    weights = np.frombuffer((tmp_path / "weights.bin").read_bytes() + bytes(4), np.int32).copy()
    scratch, state = np.empty(words + 16, np.int32), np.zeros((2, 3, 32), np.int32)
    scores = np.empty(3, np.float32)
    for first, last in ((0, 1), (1, 6), (6, 8)):
        given = np.ascontiguousarray(rows[:, first:last])
        places = [one.ctypes.data_as(ctypes.c_void_p) for one in (weights, given, scores, state)]
        own = ctypes.c_void_p(scratch.ctypes.data + -scratch.ctypes.data % 64)
        assert loaded.m_step(*places[:2], 3, last - first, *places[2:], own) == 0
    assert (scores == whole).all() and np.ptp(scores) > 1e-3


def from_one_source(model: Exportable, scheme: str, folder: Path, flag: str) -> Path:
    """Compile what is shipped as one file."""
    written = write_model(model, SCHEMES[scheme])
    (folder / "weights.bin").write_bytes(written.weights)
    (folder / "whole.c").write_text(render(written, model, SCHEMES[scheme])["source"])
    library = folder / f"whole{flag}.so"
    made = ["-o", str(library), str(folder / "whole.c")]
    run_compiler(["gcc", *STRICT, "-O1", "-march=x86-64-v2", flag, *LIBRARY, *made])
    return library
