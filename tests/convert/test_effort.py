"""Made-up rows are as many, and as long, as a bounded processor time and memory allow."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from gatelet.cli import main
from gatelet.convert import proving
from gatelet.convert.parity.checks import blame
from gatelet.convert.parity.oracles import ask, effort
from gatelet.convert.parity.oracles.ask import Question, ask_oracles
from gatelet.convert.parity.oracles.effort import FEWEST_ROWS, Size, affordable
from gatelet.convert.rows.drawn import RANDOM_ROWS, random_inputs, random_rows, random_texts
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.graph import width
from gatelet.runtime.graph.graph import Graph, GraphInput
from gatelet.runtime.graph.width import width_of
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.convert.exporters.onnx_graphs import GraphMaker
from tests.fixture_types import WriteBundle

BUDGET_S = 30.0
DECLARED = 4096


class Alone(effort._Pace):
    """An engine that is given the compared rows and nothing beside."""

    def seconds(self, rows: int, timesteps: int) -> float:
        return rows * timesteps * self.row_s


def sized(
    monkeypatch: pytest.MonkeyPatch, *, row_s: float, call_s: float = 0.0, is_open: bool = True
) -> Size:
    """Choose for an engine whose rows and calls of 4,096 timesteps take so long."""

    def paces(*ignored: object) -> list[Any]:
        """Return one that does nothing beside, so that a row is a row."""
        return [Alone(call_s / DECLARED, row_s / DECLARED, 64)]

    monkeypatch.setattr(effort, "_paces", paces)
    bundle: Any = None
    draw: Any = None
    return affordable(bundle, draw, declared=DECLARED, is_open=is_open, budget_s=BUDGET_S)


def test_as_many_rows_as_usual_where_they_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sized(monkeypatch, row_s=0.01) == Size(RANDOM_ROWS, None, "")


def test_fewer_rows_where_they_cost_much(monkeypatch: pytest.MonkeyPatch) -> None:
    size = sized(monkeypatch, row_s=0.2)
    assert FEWEST_ROWS <= size.rows < RANDOM_ROWS
    assert size.timesteps is None
    assert size.rows * 0.2 <= BUDGET_S
    assert f"{size.rows} made-up rows are compared, not 256: more would take over 30 s" in size.note
    assert "--data" in size.note


def test_shorter_pieces_before_fewer_than_32_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    size = sized(monkeypatch, row_s=5.0)
    assert size.rows >= FEWEST_ROWS
    assert size.timesteps is not None
    assert size.timesteps < DECLARED
    assert size.rows * 5.0 * size.timesteps / DECLARED <= BUDGET_S
    assert f"of {size.timesteps:,} timesteps (the model has 4,096)" in size.note


@pytest.mark.parametrize(("row_s", "rows"), [(0.9, FEWEST_ROWS), (1.1, 16), (100.0, 1)])
def test_fewer_than_32_only_where_one_takes_more_than_a_second(
    monkeypatch: pytest.MonkeyPatch, row_s: float, rows: int
) -> None:
    size = sized(monkeypatch, row_s=row_s, is_open=False)
    assert size.timesteps is None
    assert size.rows == rows


def long_model() -> Graph:
    maker = GraphMaker(scale=0.3)
    ids = maker.input("ids", None, None, vocabulary=20)
    table = {"embeddings": maker.weight(20, 8)}
    x = maker.one("Embedding", [ids], (None, None, 8), weights=table)
    (h,) = maker.recurrence("LSTM", [x], features=8, units=8)
    return maker.finish(h)


class Draft:
    """As much of a bundle as the oracles ask for."""

    manifest: ClassVar[dict[str, Any]] = {}
    artifacts = ()

    def __init__(self, graph: Graph, vectorizer: Vectorizer | None = None) -> None:
        self._graph, self._vectorizer = graph, vectorizer

    def graph(self) -> Graph:
        return self._graph

    def vectorizer(self) -> Vectorizer | None:
        return self._vectorizer


def test_what_is_run_beside_the_compared_rows_is_counted() -> None:
    artifact = effort._Pace(0.0, 1.0, 64)
    assert artifact.seconds(5, 1) == 5 + 7 * 5 + 11 + 5 + 10 + 3 * 5
    oracle = effort._Pace(0.0, 1.0, 64, is_oracle=True)
    # by the Graph in float64 and five times in float32, and by Keras
    assert oracle.seconds(256, 1) == 7 * 256 + 16 + 2 * 11
    calls = effort._Pace(1.0, 0.0, 64, is_oracle=True)
    assert calls.seconds(256, 10) == 10 * 29


def test_the_choice_is_told_and_the_pace_is_measured() -> None:
    """With next to no time, a model of 2,000 timesteps is compared on the shortest pieces."""
    bundle: Any = Draft(long_model())
    question = Question(timesteps={"ids": 2000}, budget_s=1e-3)
    said: list[str] = []
    oracle = ask_oracles(bundle, question, None, progress=said.append)
    assert oracle.inputs.feed["ids"].shape == (FEWEST_ROWS, 64)
    assert any("32 made-up rows of 64 timesteps (the model has 2,000)" in one for one in said)
    assert any("32 made-up rows" in note for note in oracle.notes)


def test_rows_of_the_user_are_all_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*ignored: object, **more: object) -> None:
        raise AssertionError("nothing is chosen among the rows of a user")

    monkeypatch.setattr(ask, "affordable", never)
    bundle: Any = Draft(long_model())
    rows = Arrays(name="mine.npz", inputs=(np.ones((300, 9), np.int32),), targets=None)
    question = Question(rows, budget_s=1e-3)
    oracle = ask_oracles(bundle, question, None, progress=lambda text: None)
    assert len(oracle.inputs) == 300


def test_texts_of_the_user_are_all_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "affordable", lambda *ignored, **more: pytest.fail("rows are chosen"))
    words = [f"w{number}" for number in range(12)]
    vectorizer = Vectorizer.fit([" ".join(words)], num_words=20, maxlen=5)
    bundle: Any = Draft(long_model(), vectorizer)
    question = Question([words[i % 12] for i in range(300)], budget_s=1e-3)
    oracle = ask_oracles(bundle, question, None, progress=lambda text: None)
    assert len(oracle.inputs) == len(oracle.texts) == 300


def test_features_given_on_the_command_line_are_all_run(
    write_bundle: WriteBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_bundle(
        tmp_path / "b", features=3, with_vectorizer=False, artifacts=(("onnx", "float32"),)
    )
    rows = np.random.default_rng(2).normal(0, 1, (300, 7, 3)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=rows)
    assert main(["parity", str(bundle), "--data", str(tmp_path / "rows.npz"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["made_up"]) == (300, False)


class QuestionSeen(Exception):
    """Ends what would ask the oracles."""


@pytest.mark.parametrize(("exports_s", "budget_s"), [(0.0, 30.0), (10.0, 30.0), (40.0, 80.0)])
def test_made_up_rows_may_cost_twice_the_exports(
    exports_s: float, budget_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def see(bundle: Any, question: Question, *ignored: Any, **more: Any) -> None:
        assert question.budget_s == budget_s
        raise QuestionSeen

    monkeypatch.setattr(proving, "ask_oracles", see)
    keras_model = SimpleNamespace(inputs=[SimpleNamespace(shape=(None, None))])
    source = SimpleNamespace(
        labels=(),
        named=False,
        test=None,
        vectorizer=None,
        keras_file=None,
        takes_texts=False,
        model=keras_model,
    )
    model: Any = SimpleNamespace(source=source, rows=None, graph=long_model())
    writer: Any = SimpleNamespace(draft=lambda: SimpleNamespace(labels=(), decisions=()))
    settings: Any = SimpleNamespace(progress=lambda text: None, asks_keras=False)
    worker: Any = None
    with pytest.raises(QuestionSeen):
        proving.ask_draft(writer, model, settings, worker, exports_s=exports_s)


def test_texts_are_as_many_as_rows() -> None:
    words = [f"w{number}" for number in range(12)]
    vectorizer = Vectorizer.fit([" ".join(words)], num_words=20, maxlen=5)
    assert len(random_texts(vectorizer, rows=7)) == 7


def images(timesteps: int = 4, size: int = 16) -> Graph:
    """Return a convolution of each timestep's image, and a recurrence over them."""
    maker = GraphMaker(scale=0.3)
    x = maker.input("x", None, timesteps, size, size, 3)
    merged = maker.one("MergeTime", [x], (None, size, size, 3))
    weights = {"kernel": maker.weight(3, 3, 3, 8), "bias": maker.weight(8)}
    more = {"strides": [1, 1], "padding": "same", "dilation_rate": [1, 1], "groups": 1}
    made = maker.one("Conv2D", [merged], (None, size, size, 8), weights=weights, **more)
    mean = maker.one("ReduceMean", [made], (None, 8), axes=[1, 2], keepdims=False)
    split = maker.one("SplitTime", [mean, x], (None, timesteps, 8))
    (h,) = maker.recurrence("LSTM", [split], features=8, units=8)
    return maker.finish(h)


def test_a_row_is_as_wide_as_the_images_of_all_its_timesteps() -> None:
    found = width_of(images())
    assert (found.fixed, found.each) == (4 * 16 * 16 * 8, 0)


def test_the_reference_backend_runs_in_blocks_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = images()
    rows = random_rows(graph, None, {}, rows=9).feed
    (whole,) = ReferenceBackend(graph).run(rows).values()
    monkeypatch.setattr(width, "NUMBERS_AT_ONCE", 2 * 4 * 16 * 16 * 8)
    seen: list[int] = []
    backend = ReferenceBackend(graph)

    def noted(count: Callable[[int], int]) -> Callable[[int], int]:
        def at_once(timesteps: int) -> int:
            seen.append(count(timesteps))
            return seen[-1]

        return at_once

    monkeypatch.setattr(backend._width, "rows_at_once", noted(backend._width.rows_at_once))
    (parts,) = backend.run(rows).values()
    assert seen == [2]
    np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_drawn_rows_fit_into_memory() -> None:
    graph = images(timesteps=100, size=128)
    rows = random_rows(graph, None, {}).feed["x"]
    assert rows.size <= 2**25
    assert len(rows) < RANDOM_ROWS


def test_a_single_row_is_no_padding_alone() -> None:
    taken = GraphInput("ids", "int32", (None, None), 30)
    (row,) = random_inputs(taken, timesteps=6, rows=1)
    assert (row > 0).all()


def test_the_guilty_layer_is_sought_on_rows_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = images()
    rows = random_rows(graph, None, {}, rows=9)
    assert blame._rows_that_fit(graph, rows) > 9
    monkeypatch.setattr(width, "NUMBERS_AT_ONCE", 2 * 4 * 16 * 16 * 8)
    assert blame._rows_that_fit(graph, rows) == 2


def long_sequences(k: Any) -> Any:
    ids = k.Input((8801,), dtype="int32")
    both = k.layers.Bidirectional(k.layers.GRU(64))
    layers = [k.layers.Embedding(64, 64), both, k.layers.Dense(5, activation="softmax")]
    return k.Sequential([ids, *layers])


def images_over_time(k: Any) -> Any:
    layers = k.layers
    each = [
        *(layers.Conv2D(16, 3, padding="same", activation="relu"), layers.MaxPooling2D(4)),
        *(layers.Conv2D(32, 3, padding="same", activation="relu"), layers.MaxPooling2D(4)),
        layers.Flatten(),
    ]
    over_time = [layers.TimeDistributed(one) for one in each]
    last = [layers.LSTM(32), layers.Dense(4, activation="softmax")]
    return k.Sequential([k.Input((10, 128, 128, 3)), *over_time, *last])


def conv_lstm(k: Any) -> Any:
    layers = k.layers
    first = layers.ConvLSTM2D(8, 3, padding="same")
    last = (layers.GlobalAveragePooling2D(), layers.Dense(4, activation="softmax"))
    return k.Sequential([k.Input((10, 64, 64, 3)), first, *last])


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("build", [long_sequences, images_over_time, conv_lstm])
def test_no_process_of_a_conversion_takes_more_than_two_gigabytes(
    build: Callable[[Any], Any], keras: Any, tmp_path: Path
) -> None:
    build(keras).save(tmp_path / "model.keras")
    command = [sys.executable, "-m", "gatelet", "convert", str(tmp_path / "model.keras")]
    with subprocess.Popen([*command, "--out", str(tmp_path / "b")]) as child:
        _, status, used = os.wait4(child.pid, 0)  # of it and of the processes that it waited for
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = used.ru_utime + used.ru_stime
    print(f"{build.__name__}: {used.ru_maxrss / 2**20:.2f} GB, {seconds:.0f} s")
    assert child.returncode == 0
    assert used.ru_maxrss * 1024 <= 2 * 2**30
