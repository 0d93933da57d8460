"""`step` and `reset` in C: pieces of sequences give what the whole gives, in whatever turn.

Not every case of the conformance matrix: see tests/conformance/test_conformance_c.py.
"""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.passes import skip_padding
from gatelet.convert.passes.streaming import streaming_beside
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.c_builds import build, small_graph
from tests.convert.exporters.onnx_graphs import GraphMaker

OK, BAD_ARGUMENT, BAD_ID = 0, 1, 2
LIMITS = {"float32": 1e-6, "dynamic-int8": 1e-2}


class Steps:
    """The C functions of a model called 'm', in the caller's memory."""

    def __init__(self, graph: Graph, folder: Path, scheme: str = "float32") -> None:
        model = Exportable(
            graph,
            skip_padding(graph, timesteps=9),
            name="m",
            streaming=streaming_beside(graph, wanted=None),
        )
        written, library = build(model, folder, scheme=scheme)
        self.header = render(written, model, SCHEMES[scheme])["companions"][1].data.decode()
        self.loaded = ctypes.CDLL(str(library))
        self.weights = ctypes.create_string_buffer(written.weights, len(written.weights))
        sizes = (ctypes.c_int32 * 1)(64)
        self.loaded.m_step_scratch_bytes.restype = ctypes.c_size_t
        bytes_needed = self.loaded.m_step_scratch_bytes(64, sizes)
        self.scratch = ctypes.create_string_buffer(bytes_needed + 64)

    def start(self, rows: int, floats: int) -> Any:
        state = np.full((rows, floats), 7.0, np.float32)
        self.loaded.m_reset(state.ctypes.data_as(ctypes.c_void_p), rows)
        assert not state.any()
        return state

    def step(self, ids: Any, state: Any) -> tuple[int, Any]:
        given = np.ascontiguousarray(ids, np.int32)
        scores = np.full(len(given), np.nan, np.float32)
        address = ctypes.addressof(self.scratch)
        status = self.loaded.m_step(
            self.weights,
            given.ctypes.data_as(ctypes.c_void_p),
            *given.shape,
            scores.ctypes.data_as(ctypes.c_void_p),
            None if state is None else state.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_void_p(address + -address % 64),
        )
        return status, scores


@pytest.mark.parametrize("scheme", LIMITS)
def test_streams_of_several_rows_in_turn_give_what_whole_sequences_give(
    scheme: str, tmp_path: Path
) -> None:
    graph = small_graph(units=24)
    steps = Steps(graph, tmp_path, scheme)
    rng = np.random.default_rng(3)
    sequences = [rng.integers(0, 50, (rows, 12)).astype(np.int32) for rows in (1, 20)]
    states = [steps.start(len(ids), 49) for ids in sequences]
    found: list[Any] = [None, None]
    for start, end in ((0, 1), (1, 6), (6, 7), (7, 12)):
        for index, ids in enumerate(sequences):
            status, found[index] = steps.step(ids[:, start:end], states[index])
            assert status == OK
    for ids, scores in zip(sequences, found, strict=True):
        whole = ReferenceBackend(graph).run({"ids": ids})[graph.outputs[0]][:, 0]
        assert np.abs(scores - whole).max() < LIMITS[scheme]


def test_a_refused_step_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    steps = Steps(small_graph(), tmp_path)
    state = steps.start(2, 17)
    steps.step([[1, 2], [3, 4]], state)
    before = state.copy()
    assert steps.step([[1, 50], [3, 4]], state)[0] == BAD_ID
    assert steps.step([[-1], [3]], state)[0] == BAD_ID
    assert steps.step(np.zeros((2, 0)), state)[0] == BAD_ARGUMENT
    assert steps.step([[1], [3]], None)[0] == BAD_ARGUMENT
    assert (state == before).all() and before.any()


def test_the_header_gives_the_bytes_of_a_state_as_a_constant(tmp_path: Path) -> None:
    header = Steps(small_graph(units=24), tmp_path).header
    assert "#define M_STATE_FLOATS 49\n" in header
    assert "int m_step(const void *weights, const int32_t *ids, int32_t rows," in header
    assert "ids [rows, timesteps]" in header and "M_STEP_SCRATCH_BYTES(rows, timesteps)" in header


def test_a_model_that_looks_ahead_has_no_step(tmp_path: Path) -> None:
    maker = GraphMaker()
    x = maker.input("features", None, None, 3)
    (h,) = maker.recurrence(
        "LSTM", [x], features=3, units=4, return_sequences=False, go_backwards=True
    )
    graph = maker.finish(h)
    assert streaming_beside(graph, wanted=None) is None
    model = Exportable(graph, graph, name="m")
    written = write_model(model, SCHEMES["float32"])
    assert written.steps is None
    assert "m_step(" not in render(written, model, SCHEMES["float32"])["source"]
