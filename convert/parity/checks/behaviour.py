"""Compares calls of an artifact with each other, and looks at inputs of unusual length.

Neither an earlier call, nor a row beside, nor another thread may matter. Not the scores of the
user's rows, which `judge` compares.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.checks.costs import check_alike
from gatelet.convert.parity.checks.scores import check_equal
from gatelet.convert.parity.checks.spread import Spread
from gatelet.convert.parity.limits import Bounds
from gatelet.convert.parity.report import Check
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.operations import WINDOWED

BATCH_ROWS = 64
SHORT_TIMESTEPS = 2
BEYOND_TIMESTEPS = 8
CALLS_A_THREAD = 8

Array = NDArray[Any]
Scores = Callable[[Any], Any]


def check_behaviour(
    scores: Scores, inputs: Rows, bounds: Bounds, *, spread: Spread, short: Rows | None
) -> tuple[Check, ...]:
    """Run the same rows in other company, order, turn and thread.

    Args:
        scores: Gives the artifact's scores for rows.
        inputs: Rows [N, ...].
        bounds: The limits.
        spread: The unit of differences.
        short: The rows cut to few timesteps; None where the model does not take them.
    """

    def run(rows: Rows) -> Array:
        return side_by_side(scores(rows.given))

    first = inputs[: min(BATCH_ROWS, len(inputs))]
    together = run(first)
    again = run(first)
    singles = [run(first[i : i + 1]) for i in range(len(first))]
    backwards = run(first[::-1])[::-1]
    return (
        _check_state_leak(run, inputs, short),
        check_equal("repeat", again, together),
        check_alike("batch", together, np.concatenate(singles), spread, bounds),
        check_alike("row_order", backwards, together, spread, bounds),
        _check_threads(run, first, singles),
    )


def _check_state_leak(run: Callable[[Rows], Array], inputs: Rows, short: Rows | None) -> Check:
    """Run A, B, A: of few timesteps too, for over many a state that was left over is forgotten."""
    befores, afters = [], []
    for pool, rows in ((inputs, 1), (inputs, BATCH_ROWS), (short, 1)):
        if pool is None:
            continue
        first = pool[:rows]
        start = int(pool.differs_from_first().argmax())
        other = pool[(np.arange(len(first)) + start) % len(pool)]
        befores.append(run(first).ravel())
        run(other)
        afters.append(run(first).ravel())
    return check_equal("state_leak", np.concatenate(afters), np.concatenate(befores))


def _check_threads(run: Callable[[Rows], Array], rows: Rows, alone: list[Array]) -> Check:
    """Run single rows in two threads at once, each its own, and ask for what they gave alone."""
    turns = min(CALLS_A_THREAD, len(rows))
    barrier = Barrier(2)

    def work(number: int) -> list[tuple[int, Array]]:
        barrier.wait()
        chosen = [(turn * 2 + number) % len(rows) for turn in range(turns)]
        return [(row, run(rows[row : row + 1])) for row in chosen]

    with ThreadPoolExecutor(2) as pool:
        found = [one for part in pool.map(work, range(2)) for one in part]
    together = np.concatenate([scores.ravel() for _, scores in found])
    expected = np.concatenate([alone[row].ravel() for row, _ in found])
    return check_equal("threads", together, expected)


def takes_few_timesteps(graph: Graph) -> bool:
    """Return whether a model takes any number of timesteps, one too; a window may need more."""
    return all(len(one.shape) > 1 and one.shape[1] is None for one in graph.inputs) and not any(
        node.op in WINDOWED for node in graph.nodes
    )


def odd_lengths(
    graph: Graph, inputs: Rows, *, padding: Mapping[str, Any] = MappingProxyType({})
) -> list[Rows]:
    """Make rows of no real timestep, of one, of some, of all, and of more than all.

    Args:
        graph: The model.
        inputs: Real rows [N, T, ...]; what they hold is cut, padded and strung together.
        padding: What stands where there is no real timestep, by input; else zeros.

    Returns:
        Rows that have the same number of timesteps each: padded in front and behind, then, where
        the model takes them, a single timestep and more than T.
    """
    timed = [name for name, array in inputs.feed.items() if array.ndim > 1]
    if not timed or not all(len(one.shape) > 1 for one in graph.inputs):
        return []
    nothings = {
        name: np.broadcast_to(padding.get(name, 0.0), inputs.feed[name].shape[1:]) for name in timed
    }
    full = {name: _long_row(inputs.feed[name], nothings[name]) for name in timed}
    padded: dict[str, Array] = {}
    for name in timed:
        T = inputs.feed[name].shape[1]
        rows = []
        for count in sorted({0, 1, T // 2, T}):
            nothing = nothings[name][: T - count].astype(full[name].dtype)
            rows.append(np.concatenate([nothing, full[name][:count]]))
            rows.append(np.concatenate([full[name][:count], nothing]))
        padded[name] = np.stack(rows)
    found = [Rows(padded)] if len({len(one) for one in padded.values()}) == 1 else []
    if takes_few_timesteps(graph):
        found.append(Rows({name: one[None, :1] for name, one in full.items()}))
        found.append(Rows({name: one[None] for name, one in full.items()}))
    return found


def _long_row(array: Array, nothing: Array) -> Array:
    """String the real timesteps of rows together, to a few more than a row has."""
    some = array[:64]
    is_real = (some != nothing.astype(some.dtype)).reshape(*some.shape[:2], -1).any(axis=2)
    steps = some.reshape(-1, *array.shape[2:])
    real = steps[is_real.ravel()]
    wanted = array.shape[1] + BEYOND_TIMESTEPS
    if not len(real):
        real = steps
    return np.resize(real, (wanted, *array.shape[2:]))
