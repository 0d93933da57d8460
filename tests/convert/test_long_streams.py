"""Long streams in parity: how long they are, and that a state which stops is seen."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.time_constants import steps_of
from gatelet.convert.parity.checks import long_streams
from gatelet.convert.parity.checks.long_streams import check_long_stream, takes_any_steps
from gatelet.convert.rows.rows import Rows
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.streaming import to_stream
from tests.convert.exporters.slow_graphs import signals, slow_graph

pytestmark = pytest.mark.ci

ROWS = Rows({"features": signals(400, 3)["sines"].reshape(8, 50, 2)})


class Stepped:
    """A stream whose states are rounded after each step, to a unit; 0 for none."""

    def __init__(self, graph: Graph, unit: float, *, dtype: Any = np.float64) -> None:
        self.form, self.unit, self.dtype = to_stream(graph), unit, dtype

    def stream(self) -> "Stepped":
        self.carried: dict[str, Any] = {
            one.input: np.zeros((1, *one.shape), self.dtype) for one in self.form.states
        }
        self.backend = ReferenceBackend(self.form.graph, dtype=self.dtype)
        return self

    def step(self, feed: Any) -> Any:
        x, made = feed["features"], []
        for t in range(x.shape[1]):
            found = self.backend.run({"features": x[:, t : t + 1], **self.carried})
            for one in self.form.states:
                value = found[one.output]
                rounded = np.rint(value / self.unit) * self.unit if self.unit else value
                self.carried[one.input] = rounded.astype(self.dtype)
            made.append(found[self.form.graph.outputs[0]])
        return np.concatenate(made, axis=1) if made[0].ndim == 3 else made[-1]

    def scores(self, inputs: Any) -> Any:
        raise AssertionError("it streams")


def judged(graph: Graph, unit: float, *, exact: float | None = None) -> Any:
    dtype = np.float64 if exact is None else np.float32
    stepped = Stepped(graph, unit, dtype=dtype)
    return check_long_stream(stepped, graph, ROWS, weights=None, exact=exact, streams=True)


def test_a_stream_has_five_time_constants_and_at_most_100_000_steps() -> None:
    shorter = steps_of(slow_graph("chrono", 2, 1, taus=(10.0, 400.0)), ROWS.feed)
    assert 5 * 400 < shorter < 25 * 400
    assert steps_of(slow_graph("gru", 2, 1, taus=(10.0, 60000.0)), ROWS.feed) == 100_000
    assert steps_of(slow_graph("gru", 2, 1, taus=(3.0,)), ROWS.feed) == 0


def test_a_state_that_stops_fails_and_one_that_does_not_passes() -> None:
    graph = slow_graph("chrono", 2, 1, taus=(10.0, 150.0))
    found = judged(graph, 2.0**-9)
    assert found.verdict == "fail" and found.name == "long_stream" and found.question == "computes"
    fine = judged(graph, 2.0**-16)
    assert fine.verdict == "pass" and 0 < fine.figure < 1e-3 and "steps, the slowest" in fine.note


def test_an_exact_stream_is_held_to_what_float32_itself_loses() -> None:
    graph = slow_graph("gru", 2, 1, taus=(10.0, 60.0))
    assert judged(graph, 0.0, exact=1e-6).verdict == "pass"
    assert judged(graph, 2.0**-12, exact=1e-6).verdict == "fail"


def test_a_stream_ends_when_the_time_is_up_and_the_note_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(long_streams, "BUDGET_S", -1.0)
    monkeypatch.setattr(long_streams, "LEAST_BLOCKS", 2)
    found = judged(slow_graph("gru", 2, 1, taus=(10.0, 1000.0)), 0.0)
    assert found.note.startswith("500 steps, ") and "would take over" in found.note


@pytest.mark.parametrize("unit", [0.0, 2.0**-9])
@pytest.mark.parametrize("sequences", [True, False])
def test_a_stream_that_ends_early_has_the_verdict_of_what_ran(
    monkeypatch: pytest.MonkeyPatch, unit: float, sequences: bool
) -> None:
    monkeypatch.setattr(long_streams, "BUDGET_S", -1.0)
    graph = slow_graph("gru", 2, 1, taus=(10.0, 1000.0), return_sequences=sequences)
    found = judged(graph, unit, exact=1e-6)
    assert found.note.startswith("1,000 steps, ") and found.limit < 1e-3
    assert found.verdict == ("fail" if unit else "pass")


def test_a_stream_that_float32_cannot_hold_loosens_no_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph, oracle = slow_graph("gru", 2, 1, taus=(10.0, 60.0)), long_streams._oracle

    def overflow(*given: Any, dtype: Any = np.float64, **named: Any) -> Any:
        found = oracle(*given, dtype=dtype, **named)
        return (
            [{n: a * np.inf for n, a in one.items()} for one in found]
            if dtype == np.float32
            else found
        )

    monkeypatch.setattr(long_streams, "_oracle", overflow)
    found = judged(graph, 2.0**-12, exact=1e-6)
    assert found.limit == 1e-6 and found.verdict == "fail"


def test_a_model_of_a_fixed_length_has_no_longer_row() -> None:
    graph = slow_graph("gru", 2, 1)
    (one,) = graph.inputs
    fixed = replace(graph, inputs=(replace(one, shape=(None, 50, 2)),))
    assert takes_any_steps(graph) and not takes_any_steps(fixed)


class Whole:
    """What takes whole rows, and gives one output for each; it is off by a share of its span."""

    def __init__(self, graph: Graph, off: float) -> None:
        self.backend, self.name, self.off = ReferenceBackend(graph), graph.outputs[0], off
        self.steps: list[int] = []

    def stream(self) -> Any:
        raise AssertionError("it takes whole rows")

    def scores(self, inputs: Any) -> Any:
        x = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
        self.steps.append(np.shape(x)[1])
        return self.backend.run({"features": np.asarray(x)})[self.name] + self.off


@pytest.mark.parametrize(("off", "verdict"), [(0.0005, "pass"), (0.05, "fail")])
def test_an_output_that_comes_once_is_measured_by_what_it_spans_over_the_stream(
    off: float, verdict: str
) -> None:
    graph = slow_graph("chrono", 2, 1, taus=(10.0, 150.0), return_sequences=False)
    whole = Whole(graph, off)
    found = check_long_stream(whole, graph, ROWS, weights=None, exact=None, streams=False)
    assert found is not None and found.verdict == verdict
    # one number has no span of its own: a hundredth of it would stand in for that
    assert found.figure is not None and off < found.figure < 30 * off
    # each ends where a piece does, which is 60 steps long but for the last
    assert whole.steps == [*range(60, 956, 60), 956]
