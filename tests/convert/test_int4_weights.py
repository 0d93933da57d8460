"""Parity reads tables of 4 bits out of the files, and does not acquit what it cannot read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import export
from gatelet.convert.layouts import pack_int4, unpack_int4
from gatelet.convert.parity.checks.blame import blame
from gatelet.convert.parity.oracles.oracle import ask_graph
from gatelet.convert.parity.stored.file import StoredFile
from gatelet.convert.parity.stored.match import StoredWeight, check_weights, match_weights
from gatelet.convert.rows.rows import Rows
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.worker.worker import Worker
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import Tensor
from tests.convert.exporters.onnx_graphs import GraphMaker

V = 40


def embedding_model(features: int) -> Graph:
    maker = GraphMaker()
    ids = maker.input("ids", None, None, vocabulary=V)
    x = maker.one(
        "Embedding",
        [ids],
        (None, None, features),
        weights={"embeddings": maker.weight(V, features)},
    )
    (h,) = maker.recurrence("LSTM", [x], features=features, units=6)
    y = maker.one("Dense", [h], (None, 1), weights={"kernel": maker.weight(6, 1)})
    return maker.finish(maker.one("Activation", [y], (None, 1), activation="sigmoid"))


def with_table(graph: Graph, table: np.ndarray) -> Graph:
    name = next(n.weights["embeddings"] for n in graph.nodes if n.op == "Embedding")
    tensor = Tensor("F32", table.shape, table.astype("<f4").tobytes())
    return replace(graph, weights={**graph.weights, name: tensor})


def table_of(weights: tuple[StoredWeight, ...] | None) -> StoredWeight:
    assert weights is not None
    return next(one for one in weights if one.role == "embeddings")


@pytest.mark.parametrize("columns", [1, 4, 5])
def test_levels_come_back_from_their_bytes(columns: int) -> None:
    levels = np.random.default_rng(3).integers(0, 16, (7, columns)).astype(np.uint8)
    assert np.array_equal(unpack_int4(pack_int4(levels), columns), levels)


@pytest.mark.parametrize("target", ["litert", "onnx"])
@pytest.mark.parametrize("features", [5, 8])
def test_a_table_of_4_bits_is_held_against_the_graph(
    target: str, features: int, tmp_path: Path
) -> None:
    graph = embedding_model(features)
    with Worker() as worker:
        made = export(Exportable(graph, graph), target, SCHEMES["dynamic-int8-emb4"], worker)
    path = tmp_path / "model"
    path.write_bytes(made.data)
    weights = match_weights(target, StoredFile(path, graph))
    read = table_of(weights)
    assert weights is not None and read.found is not None and 0 < read.steps_off <= 0.501
    assert check_weights(target, weights).verdict == "pass"
    assert np.abs(read.found - array_of(graph.weights[read.weight])).max() > 0

    table = array_of(graph.weights[read.weight])
    for other in (np.roll(table, 1, axis=0), table * 1.2, np.where(table < 0, table * 0.5, table)):
        judging = with_table(graph, other)
        found = check_weights(target, match_weights(target, StoredFile(path, judging)))
        assert found.verdict == "fail" and "embeddings" in found.note


def test_a_tensor_that_could_not_be_read_is_not_acquitted() -> None:
    graph = embedding_model(8)
    ids = np.random.default_rng(4).integers(1, V, (20, 6)).astype(np.int32)
    rows = Rows({graph.inputs[0].name: ids})
    weights = [
        StoredWeight(node, role, name, array_of(graph.weights[name]))
        for node in graph.nodes
        for role, name in node.weights.items()
    ]
    table = table_of(tuple(weights))
    spoilt = with_table(graph, array_of(graph.weights[table.weight]) * -1)
    expected, found = ask_graph(graph, rows), ask_graph(spoilt, rows)

    (all_read,) = blame(graph, rows, expected, found, weights, failed=["scores_max"])
    assert "the weights are not to blame" in all_read
    some = [replace(one, found=None) if one is table else one for one in weights]
    (said,) = blame(graph, rows, expected, found, some, failed=["scores_max"])
    assert "not to blame" not in said
    assert f"{table.where} could not be read from the file and may be to blame" in said
