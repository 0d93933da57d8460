"""The ladder keeps the smallest scheme that is good enough, and tells what it left out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gatelet.convert.bundle.writer import BundleWriter
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import EXPORTERS
from gatelet.convert.ladder import Making, climb
from gatelet.convert.parity import judge
from gatelet.convert.parity.costs import excess
from gatelet.convert.parity.oracles.oracle import Oracle
from gatelet.convert.parity.report import LeftOut, ParityReport
from gatelet.convert.rows.rows import Rows
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.worker.worker import Worker
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import encode
from tests.convert.exporters.onnx_graphs import GraphMaker

ROWS, TIMESTEPS, VOCABULARY, UNITS = 600, 24, 300, 40
LABELS = ("a", "b", "c")
RUINED = (
    *(("relu", 1, seed) for seed in (0, 2, 3, 4, 5)),
    *(("grows", 1, seed) for seed in (1, 2)),
    *(("logits", 3, seed) for seed in (0, 1, 2, 3, 4)),
)
"""Kinds, outputs and seeds of models whose int8 files are not good enough."""


def graph_of(kind: str, *, seed: int = 3, outputs: int = 3, vocabulary: int = VOCABULARY) -> Graph:
    """Make a recurrence over ids that rounding does not hurt ('sound') or ruins.

    Args:
        kind: 'sound'; 'relu' of a cell without bounds; 'grows' of states that do; 'logits' of a
            softmax that a small difference turns over.
        seed: Of the weights.
        outputs: Of the last layer: one is a regression.
        vocabulary: Rows of the embedding.
    """
    maker = GraphMaker(seed=seed, scale=0.25)
    ids = maker.input("ids", None, None, vocabulary=vocabulary)
    table = {"embeddings": maker.weight(vocabulary, 32)}
    x = maker.one("Embedding", [ids], (None, None, 32), weights=table)
    settings: dict[str, Any] = {"relu": {"activation": "relu"}, "grows": {"activation": "linear"}}
    op = "SimpleRNN" if kind in settings else "LSTM"
    maker.scale = {"sound": 0.15, "relu": 0.25, "grows": 0.19, "logits": 0.6}[kind]
    (h,) = maker.recurrence(op, [x], features=32, units=UNITS, **settings.get(kind, {}))
    maker.scale = {"sound": 0.5, "relu": 0.3, "grows": 0.3, "logits": 12.0}[kind]
    weights = {"kernel": maker.weight(UNITS, outputs)}
    y = maker.one("Dense", [h], (None, outputs), weights=weights)
    if outputs > 1:
        y = maker.one("Activation", [y], (None, outputs), activation="softmax")
    return maker.finish(y)


def rows_of(vocabulary: int = VOCABULARY) -> Rows:
    rng = np.random.default_rng(1)
    return Rows({"ids": rng.integers(1, vocabulary, (ROWS, TIMESTEPS)).astype(np.int32)})


@pytest.fixture
def convert_graph(
    tmp_path: Path,
) -> Callable[..., tuple[tuple[LeftOut, ...], ParityReport, BundleWriter]]:
    """Return a function that climbs for a Graph as a conversion does, and judges what is kept."""

    def climbed(
        graph: Graph,
        *,
        target: str = "onnx",
        oracle: Oracle,
        rungs: tuple[str, ...] = (),
        named: tuple[str, ...] = (),
    ) -> tuple[tuple[LeftOut, ...], ParityReport, BundleWriter]:
        labels = list(LABELS[: graph.shape_of(graph.outputs[0])[-1] or 0])
        facts = {"name": "small", "labels": labels if len(labels) > 1 else [], "threshold": 0.5}
        writer = BundleWriter(tmp_path, facts)
        writer.add_part("graph", "graph", ".json", graph.to_json().encode())
        writer.add_part("weights", "weights", ".safetensors", encode(graph.weights))
        with Worker() as worker:
            model = Exportable(graph, graph, name="small", scratch=tmp_path)
            making = Making(writer, model, worker, optional=False, progress=lambda text: None)
            making.make([(target, SCHEMES[name]) for name in ("float32", *named)])
            names = () if named else rungs or EXPORTERS[target].rungs
            left_out = climb(making, [(target, SCHEMES[name]) for name in names], oracle)
        if left_out:
            writer.facts["left_out"] = [one.to_dict() for one in left_out]
        return left_out, judge(writer.draft(), oracle), writer

    return climbed


def oracle_of(graph: Graph, *, made_up: bool = False, labelled: bool = False) -> Oracle:
    """Ask the Graph; the truth is what it says itself, so that each change is a loss."""
    known: dict[str, Any] = {"made_up": made_up, "over": "made-up rows" if made_up else "rows"}
    inputs = rows_of(graph.inputs[0].vocabulary or 0)
    oracle = Oracle.of(graph, inputs, **known)
    if not labelled:
        return oracle
    truth: NDArray[Any] = oracle.scores.argmax(axis=-1)
    if oracle.scores.shape[-1] == 1:
        truth = oracle.scores
    return Oracle.of(graph, inputs, truth=truth, **known)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("outputs", [3, 1])
@pytest.mark.parametrize("target", ["onnx", "c"])
def test_a_sound_model_keeps_the_smallest_rung(
    convert_graph: Any, target: str, outputs: int, labelled: bool
) -> None:
    graph = graph_of("sound", outputs=outputs)
    left_out, report, _ = convert_graph(
        graph, target=target, oracle=oracle_of(graph, labelled=labelled)
    )
    assert left_out == ()
    assert [one.scheme for one in report.artifacts] == ["float32", "dynamic-int8"]
    assert not report.is_failure(strict=False)


@pytest.mark.parametrize(("kind", "outputs", "seed"), RUINED)
def test_a_model_that_int8_ruins_gets_another_rung(
    convert_graph: Any, kind: str, outputs: int, seed: int
) -> None:
    graph = graph_of(kind, outputs=outputs, seed=seed)
    oracle = oracle_of(graph, labelled=outputs > 1)
    left_out, report, _ = convert_graph(graph, oracle=oracle)
    assert left_out[0].scheme == "dynamic-int8"
    assert all(one.figure > one.limit and one.rows == ROWS for one in left_out)
    whole, *kept = report.artifacts
    assert whole.scheme == "float32" and whole.verdict == "pass"
    for one in kept:
        costs = [check for check in one.checks if check.question == "costs"]
        assert max(excess(check) for check in costs) <= 1
        assert one.verdict != "fail"
    assert any("left out onnx dynamic-int8: it " in note for note in report.notes)


def test_over_made_up_rows_the_same_figures_choose_a_rung_and_fail_nothing(
    convert_graph: Any,
) -> None:
    graph = graph_of("relu", outputs=1, seed=0)
    oracle = oracle_of(graph, made_up=True)
    left_out, report, _ = convert_graph(graph, oracle=oracle)
    assert [one.scheme for one in left_out] == ["dynamic-int8", "dynamic-int8-rec32"]
    assert [one.scheme for one in report.artifacts] == ["float32", "float16"]
    assert report.made_up and not report.is_failure(strict=True)


def test_a_target_whose_rungs_all_cost_too_much_has_float32_alone(convert_graph: Any) -> None:
    graph = graph_of("relu", outputs=1, seed=0)
    left_out, report, writer = convert_graph(
        graph, oracle=oracle_of(graph), rungs=("dynamic-int8",)
    )
    assert [one.scheme for one in report.artifacts] == ["float32"]
    (one,) = left_out
    told = writer.facts["left_out"]
    assert told == [
        {
            "target": "onnx",
            "scheme": "dynamic-int8",
            "check": "spread_p99",
            "figure": one.figure,
            "limit": 0.1,
            "rows": ROWS,
        }
    ]
    assert report.to_dict()["left_out"] == told
    names = {path.name for path in writer.stage.iterdir()}
    assert not any("int8" in name for name in names)


@pytest.mark.parametrize(("units", "vocabulary"), [(8, 30), (16, 30), (8, 60)])
def test_a_scheme_that_saves_less_than_a_fifth_is_left_out(
    convert_graph: Any, units: int, vocabulary: int
) -> None:
    maker = GraphMaker(scale=0.2)
    ids = maker.input("ids", None, None, vocabulary=vocabulary)
    table = {"embeddings": maker.weight(vocabulary, 4)}
    x = maker.one("Embedding", [ids], (None, None, 4), weights=table)
    (h,) = maker.recurrence("SimpleRNN", [x], features=4, units=units)
    graph = maker.finish(h)
    left_out, report, _ = convert_graph(graph, target="c", oracle=oracle_of(graph))
    ((one,), (kept,)) = left_out, report.artifacts
    assert (one.check, one.rows, one.limit, kept.scheme) == ("bytes", 0, 0.8, "float32")
    assert one.figure > 0.8
    assert "saves less than a fifth" in report.notes[-1]


@pytest.mark.parametrize(("kind", "outputs", "seed"), [("relu", 1, 0), ("logits", 3, 0)])
def test_a_scheme_that_is_named_is_kept_and_fails_on_the_users_rows_only(
    convert_graph: Any, kind: str, outputs: int, seed: int
) -> None:
    graph = graph_of(kind, outputs=outputs, seed=seed)
    for made_up, verdict in ((False, "fail"), (True, "undecided")):
        oracle = oracle_of(graph, made_up=made_up)
        left_out, report, _ = convert_graph(graph, oracle=oracle, named=("dynamic-int8",))
        assert left_out == ()
        assert [one.scheme for one in report.artifacts] == ["float32", "dynamic-int8"]
        told = report.artifacts[1].verdict
        assert told == verdict or (kind, told) == ("logits", "undecided")
        assert report.artifacts[0].verdict == "pass"
