"""The bytes that are told before there is an artifact, held to those of real ones."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.exported import Exportable, Exported
from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.exporters.stored_bytes import file_bytes
from gatelet.convert.exporters.targets import EXPORTERS, TARGETS
from gatelet.convert.gates.gates import check_exported
from gatelet.convert.passes.pad_skip import skip_padding
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.bundle.storage import BYTES_OF
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.convert.exporters.onnx_graphs import GraphMaker


def graph_of(op: str, *, vocabulary: int = 1000, features: int = 24, **settings: Any) -> Graph:
    """Return an embedding, a recurrence of 40 units, and two Dense layers."""
    maker = GraphMaker(scale=0.3)
    ids = maker.input("ids", None, None, vocabulary=vocabulary)
    table = {"embeddings": maker.weight(vocabulary, features)}
    x = maker.one("Embedding", [ids], (None, None, features), weights=table)
    h = maker.recurrence(op, [x], features=features, units=40, **settings)[0]
    h = maker.one("Dense", [h], (None, 48), weights={"kernel": maker.weight(40, 48)})
    return maker.finish(maker.one("Dense", [h], (None, 3), weights={"kernel": maker.weight(48, 3)}))


def raw_graph() -> Graph:
    """Return the same behind a convolution of fed features, which are not rounded."""
    maker = GraphMaker(scale=0.3)
    x = maker.input("x", None, 30, 20)
    kernel = {"kernel": maker.weight(3, 20, 40), "bias": maker.weight(40)}
    more = {"strides": 1, "padding": "same", "dilation_rate": 1, "groups": 1}
    x = maker.one("Conv1D", [x], (None, 30, 40), weights=kernel, **more)
    x = maker.one("Reverse", [x], (None, 30, 40))
    (h,) = maker.recurrence("LSTM", [x], features=40, units=40)
    return maker.finish(h)


@pytest.mark.parametrize("scheme", TARGETS["c"])
@pytest.mark.parametrize("op", ["LSTM", "GRU", "SimpleRNN", "old GRU"])
def test_c_is_told_within_two_percent_and_passes_its_gate(op: str, scheme: str) -> None:
    graph = graph_of("GRU", reset_after=False) if op == "old GRU" else graph_of(op)
    skipping = skip_padding(graph, timesteps=200)
    assert any(node.op == "PadState" for node in skipping.nodes)
    rows = {"ids": np.arange(200, dtype=np.int32).reshape(10, 20)}
    model = Exportable(graph, skipping, name="small", calibration=Calibration(rows, "test"))
    written = write_model(model, SCHEMES[scheme]).weights
    told = file_bytes(skipping, "c", SCHEMES[scheme])
    assert told == pytest.approx(len(written), rel=0.02)
    check_exported("c", SCHEMES[scheme], Exported(written, ()), graph, skipping=skipping)


def fed_states_graph() -> Graph:
    """Return a decoder whose states are fed: what meets its kernel is computed all the same."""
    maker = GraphMaker(scale=0.3)
    ids = maker.input("ids", None, None, vocabulary=500)
    table = {"embeddings": maker.weight(500, 40)}
    x = maker.one("Embedding", [ids], (None, None, 40), weights=table)
    states = [maker.input(f"features_{index}", None, 40) for index in range(2)]
    (h,) = maker.recurrence("LSTM", [x, *states], features=40, units=40)
    return maker.finish(h)


@pytest.mark.parametrize("graph", [raw_graph(), fed_states_graph()], ids=["features", "states"])
@pytest.mark.parametrize(
    "scheme", [one for one in TARGETS["c"] if SCHEMES[one].activations == "float32"]
)
def test_c_is_told_within_two_percent_of_what_is_fed(scheme: str, graph: Graph) -> None:
    written = write_model(Exportable(graph, graph, name="small"), SCHEMES[scheme]).weights
    told = file_bytes(graph, "c", SCHEMES[scheme])
    assert told == pytest.approx(len(written), rel=0.02)


@pytest.mark.parametrize("scheme", TARGETS["onnx-text"])
def test_onnx_text_is_told_with_its_words(scheme: str) -> None:
    graph = graph_of("LSTM", vocabulary=3000, features=8)
    words = [f"wörd-{number:x}" for number in range(2990)]
    vectorizer = Vectorizer.fit([" ".join(words)], num_words=3000, maxlen=9, filters="")
    written = export_onnx(graph, SCHEMES[scheme], vectorizer=vectorizer).data
    told = file_bytes(graph, "onnx-text", SCHEMES[scheme], vectorizer=vectorizer)
    assert told == pytest.approx(len(written), rel=0.05)


@pytest.mark.parametrize("name", ["float32", "full-int8"])
def test_a_table_that_lies_beside_a_file_is_not_told_as_a_part_of_it(name: str) -> None:
    graph = graph_of("LSTM")
    beside = SCHEMES[f"{name}-features"]
    table = 1000 * 24 * BYTES_OF[beside.embedding_type]
    told = file_bytes(graph, "tflm", SCHEMES[name]) - file_bytes(graph, "tflm", beside)
    assert told == table


@pytest.mark.parametrize("weights", ["float32", "float16"])
@pytest.mark.parametrize("target", ["c", "onnx"])
def test_a_table_of_4_bits_is_told_whatever_the_other_weights_are(
    target: str, weights: str
) -> None:
    scheme = replace(SCHEMES["dynamic-int8-emb4"], name="odd", weights=weights)
    graph = graph_of("LSTM")
    if EXPORTERS[target].lacks(scheme):
        assert (target, weights) == ("c", "float16")
        return
    model = Exportable(graph, graph, name="small")
    written = (
        write_model(model, scheme).weights if target == "c" else export_onnx(graph, scheme).data
    )
    told = file_bytes(graph, target, scheme)
    assert told == pytest.approx(len(written), rel=0.02 if target == "c" else 0.06)
