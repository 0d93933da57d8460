"""A row has the same bits in C alone, in any batch and order, in threads, and by `step`."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c import export_c
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import TARGETS
from gatelet.convert.passes import skip_padding
from gatelet.convert.passes.streaming import streaming_beside
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.errors import BackendError
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.backends.host import host_platform
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.states import STREAM_ROLE
from tests.convert.exporters.c_builds import build
from tests.convert.exporters.onnx_graphs import GraphMaker

V, T, LIMIT = 60, 40, 30
"""Rows may have more pads in front than there are states after: 30."""
BATCHES = (3, 64)
PIECES = (1, 1, 2, 7, 1, 16, 12)

Array = np.ndarray
Layer = tuple[str, int, dict[str, Any]]
"""Its operation, units, and settings."""
Run = Callable[[Array], Array]


def of_ids(*layers: Layer, mask: bool = False) -> Graph:
    """Make ids -> Embedding -> recurrences -> three scores."""
    maker = GraphMaker(scale=0.4)
    ids = maker.input("ids", None, None, vocabulary=V)
    table = {"embeddings": maker.weight(V, 24)}
    x = maker.one("Embedding", [ids], (None, None, 24), weights=table)
    counts = maker.one("MaskIds", [ids], (None, None)) if mask else None
    return stacked(maker, x, 24, layers, counts)


def of_features(*layers: Layer, features: int = 7) -> Graph:
    """Make features, of which rows of -1 do not count -> recurrences -> three scores."""
    maker = GraphMaker(scale=0.4)
    x = maker.input("features", None, None, features)
    counts = maker.one("MaskFeatures", [x], (None, None), mask_value=-1.0)
    return stacked(maker, x, features, layers, counts)


def stacked(
    maker: GraphMaker,
    x: str,
    features: int,
    layers: tuple[Layer, ...],
    mask: str | None,
) -> Graph:
    for index, (op, units, settings) in enumerate(layers):
        (x,) = maker.recurrence(
            op,
            [x],
            features=features,
            units=units,
            mask=mask,
            return_sequences=index < len(layers) - 1,
            **settings,
        )
        features = units
    weights = {"kernel": maker.weight(features, 3), "bias": maker.weight(3)}
    y = maker.one("Dense", [x], (None, 3), weights=weights)
    return maker.finish(maker.one("Activation", [y], (None, 3), activation="softmax"))


LSTM: Layer = ("LSTM", 24, {})
GRU: Layer = ("GRU", 20, {})
MODELS = {
    "lstm": of_ids(LSTM),
    "gru": of_ids(GRU),
    "stack": of_ids(LSTM, GRU),
    "reset before": of_ids(("GRU", 24, {"reset_after": False})),
    "hard": of_ids(("LSTM", 24, {"recurrent_activation": "hard_sigmoid"})),
    "simple": of_ids(("SimpleRNN", 40, {})),
    "masked": of_ids(LSTM, GRU, mask=True),
    "features": of_features(LSTM, GRU),
    # enough of them that the kernel is stored in 8 bits, and multiplied in floats
    "many features": of_features(("GRU", 40, {"reset_after": False}), GRU, features=32),
}
SAMPLE = [
    *((name, "dynamic-int8") for name in MODELS),
    *(("stack", scheme) for scheme in TARGETS["c"] if scheme != "dynamic-int8"),
]


def rows_of(graph: Graph, count: int) -> Array:
    """Return rows with 0 to T pads in front, some with pads within; masked features behind too."""
    rng = np.random.default_rng(4)
    pads = rng.integers(0, T + 1, count)
    is_pad = np.arange(T) < pads[:, None]
    is_pad[::5] |= rng.random((len(is_pad[::5]), T)) < 0.2
    if graph.inputs[0].dtype == "int32":
        return np.where(is_pad, 0, rng.integers(1, V, (count, T))).astype(np.int32)
    features = rng.normal(size=(count, T, graph.inputs[0].shape[-1] or 1)).astype(np.float32)
    features[is_pad] = -1.0
    return features


def model_of(graph: Graph) -> Exportable:
    rows = {graph.inputs[0].name: rows_of(graph, 50)}
    return Exportable(
        graph,
        skip_padding(graph, timesteps=LIMIT),
        name="m",
        calibration=Calibration(rows, "test"),
        streaming=streaming_beside(graph, wanted=None),
    )


class Opened:
    """A model, by its whole sequences and by its steps."""

    def __init__(self, graph: Graph, library: Path, weights: Path, level: int = 0) -> None:
        self.name = graph.inputs[0].name
        self.output = graph.outputs[0]
        opened = (open_library(library, level=level, steps=steps) for steps in (False, True))
        self.whole, self.steps = (CBackend(one, weights, engine="c") for one in opened)

    def run(self, rows: Array) -> Array:
        return np.asarray(self.whole.run({self.name: rows})[self.output])

    def stepped(self, rows: Array, states: list[dict[str, Any]]) -> Array:
        held = {one["input"]: np.zeros((len(rows), *one["shape"][1:]), "<f4") for one in states}
        scores, at = np.empty(0), 0
        for size in PIECES:
            made = self.steps.run({self.name: rows[:, at : at + size], **held})
            held = {one["input"]: made[one["output"]] for one in states}
            scores, at = made[self.output], at + size
        assert at == rows.shape[1]
        return scores


def in_batches(run: Run, rows: Array, size: int) -> Array:
    return np.concatenate([run(rows[at : at + size]) for at in range(0, len(rows), size)])


def in_threads(run: Run, rows: Array) -> Array:
    """Give each of four threads a quarter of the rows, three at a time."""
    parts, found = np.array_split(rows, 4), [np.empty(0)] * 4

    def work(index: int) -> None:
        found[index] = in_batches(run, parts[index], 3)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return np.concatenate(found)


def ways(model: Opened, rows: Array, states: list[dict[str, Any]]) -> Iterator[tuple[str, Array]]:
    for size in BATCHES:
        yield f"{size} at a time", in_batches(model.run, rows, size)
    order = np.random.default_rng(5).permutation(len(rows))
    shuffled = np.empty((len(rows), 3), np.float32)
    shuffled[order] = in_batches(model.run, rows[order], 64)
    yield "shuffled", shuffled
    yield "in threads", in_threads(model.run, rows)
    yield "by steps", in_batches(lambda part: model.stepped(part, states), rows, 64)
    yield "one by steps", in_batches(lambda part: model.stepped(part, states), rows[:20], 1)


def differing(model: Opened, rows: Array, states: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many rows have other bits than alone, by the way in which they were run."""
    alone = in_batches(model.run, rows, 1)
    assert np.isfinite(alone).all()
    assert len(np.unique(alone[:, 0])) > len(rows) // 3
    found = {}
    for way, scores in ways(model, rows, states):
        same = scores.view("<u4") == alone[: len(scores)].view("<u4")
        found[way] = int((~same.all(axis=1)).sum())
    return {way: count for way, count in found.items() if count}


@pytest.mark.parametrize(("name", "scheme"), SAMPLE)
def test_a_row_has_the_same_bits_in_whatever_way_it_runs(
    name: str, scheme: str, tmp_path: Path
) -> None:
    graph = MODELS[name]
    exportable = model_of(graph)
    written, library = build(
        exportable, tmp_path, scheme=scheme, flags=("-O2", "-march=native", "-ffp-contract=fast")
    )
    (tmp_path / "w").write_bytes(written.weights)
    states = [one.to_manifest() for one in written.states]
    model = Opened(graph, library, tmp_path / "w")
    assert differing(model, rows_of(graph, 200), states) == {}


@pytest.mark.full
@pytest.mark.parametrize("scheme", TARGETS["c"])
@pytest.mark.parametrize("name", MODELS)
def test_ten_thousand_rows_have_the_same_bits_at_each_level(
    name: str, scheme: str, tmp_path: Path
) -> None:
    graph = MODELS[name]
    made = export_c(model_of(graph), SCHEMES[scheme])
    role = f"library:{host_platform()}"
    (tmp_path / "w").write_bytes(made.data)
    library = tmp_path / "library.so"
    library.write_bytes(next(one.data for one in made.companions if one.role == role))
    facts = made.facts[STREAM_ROLE]
    assert isinstance(facts, dict)
    rows, judged = rows_of(graph, 10_000), 0
    for level in (0, 1, 2, 3):
        try:
            model = Opened(graph, library, tmp_path / "w", level)
        except BackendError:
            continue  # this processor has it not
        assert differing(model, rows, facts["states"]) == {}, level
        judged += 1
    assert judged > 1
