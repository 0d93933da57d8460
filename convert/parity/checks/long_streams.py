"""Streams as long as a model's memory: five of its slowest time constants, one row, in blocks.

A state that stops short, or is cut off, shows only after as many steps as its unit remembers. Not
the check `stream`, which compares pieces with whole sequences of a few steps.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.time_constants import CONSTANTS, steps_of
from gatelet.convert.parity.report import Check
from gatelet.convert.parity.stored.match import StoredWeight
from gatelet.convert.rows.rows import Rows
from gatelet.convert.tolerances import FLOAT32_FACTOR
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import Tensor
from gatelet.runtime.graph.streamable import STEPS, follow_steps, has_time
from gatelet.runtime.graph.streaming import streaming_refusal, to_stream

LIMIT = 0.01
"""Of the output's span: how far nine tenths of a stream may be from float with the same weights."""
BUDGET_S = 10.0
"""Of processor time, for the oracle: then the stream ends."""
LEAST_BLOCKS = 4
"""Whatever the time is."""
_SHARE = 0.9
_BLOCK_STEPS = 250
_BLOCKS = 16
"""A stream has so many pieces at least: an output that comes once shows its span by them."""
_FEW_STEPS, _ENDS = 6400, 8
"""Where an artifact takes whole rows, one ends after each piece of a stream of so many steps; of a
longer one so many are run, each half as long as the one before."""
_LEAST_SPAN = 0.01

Array = NDArray[Any]


class Streamed(Protocol):
    """What runs an artifact: a `Predictor`."""

    def stream(self) -> Any:
        """Start a stream."""

    def scores(self, inputs: Any) -> Any:
        """Run whole sequences."""


def takes_any_steps(graph: Graph) -> bool:
    """Return whether a row may be as long as a stream, and shows what a stream gives."""
    is_open = all(one.shape[1] is None for one in graph.inputs if has_time(one))
    return is_open and not streaming_refusal(graph)


def check_long_stream(
    predictor: Streamed,
    graph: Graph,
    inputs: Rows,
    *,
    weights: Sequence[StoredWeight] | None,
    exact: float | None,
    streams: bool,
) -> Check | None:
    """Compare a long stream with what float makes of it, with the weights that the file has.

    Args:
        predictor: Runs the artifact.
        graph: The model.
        inputs: They follow each other in the stream.
        weights: Of the file; None where it cannot be read.
        exact: The float32 limit of a scheme that is held to it; None for others.
        streams: The artifact takes pieces; else a row has any number of steps.

    Returns:
        The check; None where a model forgets soon.
    """
    wanted = steps_of(graph, inputs.feed)
    if not wanted:
        return None
    parts = _parts(graph, _joined(graph, inputs, wanted), wanted)
    expected = _oracle(_with_weights(graph, weights), parts, budget_s=BUDGET_S)
    parts = parts[: len(expected)]
    done = sum(_steps(graph, part) for part in parts)
    compared, spans = expected, _spans(graph, expected)
    if streams:
        stream = predictor.stream()
        found = [_by_name(graph, stream.step(part.feed)) for part in parts]
    else:
        found, compared = _of_rows(predictor, graph, parts, expected)
    limit = LIMIT
    if exact is not None:
        own = _oracle(graph, parts, dtype=np.float32)
        lost = _figure(own, expected, spans, 1.0)
        limit = max(exact, FLOAT32_FACTOR * lost if np.isfinite(lost) else 0.0)
    figure = _figure(found, compared, spans, _SHARE if exact is None else 1.0)
    note = f"{done:,} steps, the slowest unit's time constant is about {wanted // CONSTANTS:,}"
    if done < wanted:
        note += f"; {wanted:,} would take over {BUDGET_S:.0f} s of processor time"
    verdict = "pass" if figure <= limit else "fail"
    return Check("long_stream", figure, limit, verdict, "span", note=note, question="computes")


def _joined(graph: Graph, inputs: Rows, steps: int) -> Rows:
    """Return one row of all rows' timesteps, in turn."""
    timed = _timed(graph)
    made = {}
    for name, array in inputs.feed.items():
        made[name] = array[:1]
        if name in timed:
            flat = array.reshape(-1, *array.shape[2:])
            made[name] = flat[np.arange(steps) % len(flat)][None]
    return Rows(made)


def _parts(graph: Graph, row: Rows, steps: int) -> list[Rows]:
    """Cut a row into the pieces of a stream."""
    size = min(_BLOCK_STEPS, -(-steps // _BLOCKS))
    timed = _timed(graph)
    return [
        Rows({n: a[:, at : at + size] if n in timed else a for n, a in row.feed.items()})
        for at in range(0, steps, size)
    ]


def _steps(graph: Graph, row: Rows) -> int:
    return max(int(row.feed[name].shape[1]) for name in _timed(graph))


def _timed(graph: Graph) -> set[str]:
    return {one.name for one in graph.inputs if has_time(one)}


def _with_weights(graph: Graph, weights: Sequence[StoredWeight] | None) -> Graph:
    known = {one.weight: one.found for one in weights or () if one.found is not None}
    tensors = {
        name: Tensor("F32", found.shape, found.astype("<f4").tobytes())
        for name, found in known.items()
        if found.shape == graph.weights[name].shape and np.isfinite(found).all()
    }
    return replace(graph, weights={**graph.weights, **tensors})


def _oracle(
    graph: Graph, parts: Sequence[Rows], *, dtype: Any = np.float64, budget_s: float = np.inf
) -> list[Mapping[str, Array]]:
    """Run the streaming form over pieces until the time is up; return the outputs of each."""
    form = to_stream(graph)
    backend = ReferenceBackend(form.graph, dtype=dtype)
    carried = {one.input: np.zeros((1, *one.shape), dtype) for one in form.states}
    start_s = time.process_time()
    made: list[Mapping[str, Array]] = []
    for part in parts:
        if len(made) >= LEAST_BLOCKS and time.process_time() - start_s > budget_s:
            break
        found = backend.run({**part.feed, **carried})
        carried.update((one.input, found[one.output]) for one in form.states)
        made.append({name: found[name] for name in graph.outputs})
    return made


def _by_name(graph: Graph, made: Any) -> Mapping[str, Array]:
    return made if isinstance(made, Mapping) else {graph.outputs[0]: np.asarray(made)}


def _whole(parts: Sequence[Mapping[str, Array]], name: str, kinds: Mapping[str, str]) -> Array:
    """Return an output of a stream as that of one sequence."""
    if kinds[name] == STEPS:
        return np.concatenate([part[name] for part in parts], axis=1)
    return np.asarray(parts[-1][name])


def _of_rows(
    predictor: Streamed,
    graph: Graph,
    parts: Sequence[Rows],
    expected: Sequence[Mapping[str, Array]],
) -> tuple[list[Mapping[str, Array]], list[Mapping[str, Array]]]:
    """Run whole rows that end where blocks do, and return what they give and what they should.

    An output that comes once is one number a row, so several rows are run; else one shows all.
    """
    kinds, blocks = follow_steps(graph), len(expected)
    steps, timed = sum(_steps(graph, part) for part in parts), _timed(graph)
    is_once = any(kinds[name] != STEPS for name in graph.outputs)
    halves = {blocks >> place for place in range(_ENDS if is_once else 1)} - {0}
    ends = range(1, blocks + 1) if is_once and steps <= _FEW_STEPS else halves
    found: list[Mapping[str, Array]] = []
    compared: list[Mapping[str, Array]] = []
    for end in sorted(ends):
        row = {
            name: np.concatenate([part.feed[name] for part in parts[:end]], axis=1)
            if name in timed
            else array
            for name, array in parts[0].feed.items()
        }
        found.append(_by_name(graph, predictor.scores(Rows(row).given)))
        compared.append({n: _whole(expected[:end], n, kinds) for n in graph.outputs})
    return found, compared


def _spans(graph: Graph, expected: Sequence[Mapping[str, Array]]) -> dict[str, float]:
    """Return the span of each output, over a whole stream."""
    spans = {}
    for name in graph.outputs:
        parts = [np.asarray(part[name], np.float64) for part in expected]
        low, high = min(one.min() for one in parts), max(one.max() for one in parts)
        spans[name] = max(high - low, _LEAST_SPAN * max(abs(low), abs(high)), 1e-9)
    return spans


def _figure(
    found: Sequence[Mapping[str, Array]],
    expected: Sequence[Mapping[str, Array]],
    spans: Mapping[str, float],
    share: float,
) -> float:
    """Return how far a share of the steps is off at most, in spans of the output."""
    worst = 0.0
    for name, span in spans.items():
        width = np.shape(expected[0][name])[-1]
        right, had = (
            np.concatenate([np.asarray(one[name], np.float64).reshape(-1, width) for one in parts])
            for parts in (expected, found)
        )
        if right.shape != had.shape or not np.isfinite(had).all():
            return np.inf
        off = np.abs(had - right).max(axis=1) / span
        worst = max(worst, float(np.quantile(off, share, method="lower")))
    return worst
