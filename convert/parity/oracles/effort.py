"""How many made-up rows, of how many timesteps, a bounded processor time allows.

Not for rows that a user gives: those are all run. One row and a few are run, by the Graph and by
each artifact, and what more of them would take is reckoned from that.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatelet.convert.parity.checks.behaviour import BATCH_ROWS, CALLS_A_THREAD
from gatelet.convert.parity.oracles.golden import GOLDEN_ROWS
from gatelet.convert.parity.oracles.oracle import DISTURBED_RUNS
from gatelet.convert.rows.drawn import RANDOM_ROWS
from gatelet.convert.rows.rows import Rows
from gatelet.errors import GateletError
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.backends.targets import ROWS_AT_ONCE
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.graph.width import Width, width_of
from gatelet.runtime.predictor.loading import open_artifact
from gatelet.runtime.predictor.predictor import Predictor

BUDGET_S = 30.0
"""Processor time that made-up rows may cost, or twice that of the exports where it is more."""
FEWEST_ROWS = 32
LONGEST_ROW_S = 1.0
"""Where a row costs more, fewer than those have to do."""
_SHARE = 0.6
"""Of the time, that is handed out: what is reckoned may be more."""
_SHORTEST_TIMESTEPS = 64
_PILOT_ROWS = 4
_ODD_ROWS = 11
_ORACLES = 3 + DISTURBED_RUNS
"""The Graph in float64 and some times in float32, and Keras, which takes about as long."""
_KERAS_S = 8.0
"""That Keras takes for any row: it is imported, and loads the model."""

Draw = Callable[[int, int | None], Rows]


@dataclass(frozen=True)
class Size:
    """How many rows are made up.

    Args:
        rows: N.
        timesteps: T; None for as many as the model declares.
        note: What was chosen, where it is not the usual; ''.
    """

    rows: int = RANDOM_ROWS
    timesteps: int | None = None
    note: str = ""


@dataclass(frozen=True)
class _Pace:
    """What an engine takes.

    Args:
        call_s: For a timestep of any call.
        row_s: For a timestep of a row.
        rows_at_once: Of a call, at most.
        is_oracle: The Graph, which stands for Keras too; else an artifact, which is also run in
            other company, order, turn and thread.
    """

    call_s: float
    row_s: float
    rows_at_once: int
    is_oracle: bool = False

    def seconds(self, rows: int, timesteps: int) -> float:
        """Return what compared rows take, with all that is run beside them."""
        some, golden = min(rows, BATCH_ROWS), min(rows, GOLDEN_ROWS)
        if self.is_oracle:
            together, alone = _ORACLES * rows + golden + 2 * _ODD_ROWS, 0
        else:
            together = rows + 7 * some + _ODD_ROWS
            alone = some + min(2 * CALLS_A_THREAD, 2 * some) + 3 * golden
        calls = math.ceil(together / self.rows_at_once) + alone
        return timesteps * (calls * self.call_s + (together + alone) * self.row_s)


def affordable(
    bundle: Bundle,
    draw: Draw,
    *,
    declared: int,
    is_open: bool,
    budget_s: float,
    asks_keras: bool = False,
) -> Size:
    """Choose how many rows to make up: 256, unless they would cost too much.

    Args:
        bundle: With the artifacts that are to run them.
        draw: Makes so many rows of so many timesteps; None for the declared ones.
        declared: T.
        is_open: Rows may have fewer timesteps.
        budget_s: Processor time.
        asks_keras: Keras is to answer too.
    """
    short = min(declared, _SHORTEST_TIMESTEPS) if is_open else declared
    paces = _paces(bundle, draw, short if is_open else None, short)

    def seconds(rows: int, timesteps: int) -> float:
        return sum(one.seconds(rows, timesteps) for one in paces)

    limit_s = _SHARE * (budget_s - (_KERAS_S if asks_keras else 0.0))
    rows, timesteps = _most(seconds, limit_s, declared), declared
    while rows < FEWEST_ROWS and is_open and timesteps > short:
        timesteps = max(short, timesteps // 2)
        rows = _most(seconds, limit_s, timesteps)
    if rows < FEWEST_ROWS and seconds(FEWEST_ROWS, timesteps) <= LONGEST_ROW_S * FEWEST_ROWS:
        rows = FEWEST_ROWS
    if (rows, timesteps) == (RANDOM_ROWS, declared):
        return Size()
    pieces = f" of {timesteps:,} timesteps (the model has {declared:,})"
    note = (
        f"{rows} made-up rows{pieces if timesteps < declared else ''} are compared, not "
        f"{RANDOM_ROWS}: more would take over {budget_s:.0f} s of processor time; give --data to "
        "compare on rows of your own, all of which are run"
    )
    return Size(rows, timesteps if timesteps < declared else None, note)


def _most(seconds: Callable[[int, int], float], limit_s: float, timesteps: int) -> int:
    """Return the most rows that stay within a time, 1 at least."""
    low, high = 1, RANDOM_ROWS
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if seconds(middle, timesteps) <= limit_s else (low, middle - 1)
    return low


def _paces(bundle: Bundle, draw: Draw, given: int | None, timesteps: int) -> list[_Pace]:
    """Run a row, and a few, by the Graph and by each artifact that an engine here runs."""
    graph = bundle.graph()
    width = width_of(graph)
    few = min(_PILOT_ROWS, width.rows_at_once(timesteps))
    rows = draw(few, given)
    backend = ReferenceBackend(graph, dtype=np.float64)
    oracle = _timed(lambda part: backend.run(part.feed), rows, timesteps)
    size = _size(width, timesteps)
    found = [_Pace(*oracle, size, is_oracle=True)]
    for artifact in bundle.artifacts:
        try:
            predictor = open_artifact(bundle, artifact)
            if predictor.takes_texts:
                continue
            pace = _timed(_giving(predictor), rows, timesteps)
        except GateletError:  # no engine here; or the judge tells how it fails
            continue
        most = 1 if artifact.max_batch == 1 else size
        found.append(_Pace(*pace, most))
    return found


def _giving(predictor: Predictor) -> Callable[[Rows], Any]:
    return lambda part: predictor.scores(part.given)


def _size(width: Width, timesteps: int) -> int:
    return min(ROWS_AT_ONCE, width.rows_at_once(timesteps))


def _timed(run: Callable[[Rows], Any], rows: Rows, timesteps: int) -> tuple[float, float]:
    """Return the processor time of a timestep: of any call, and of each of its rows."""
    run(rows[:1])  # the first call makes room
    one_s, all_s = _processor_s(run, rows[:1]), _processor_s(run, rows)
    more = len(rows) - 1
    row_s = max(0.0, (all_s - one_s) / more) if more else one_s
    return max(0.0, one_s - row_s) / timesteps, row_s / timesteps


def _processor_s(run: Callable[[Rows], Any], rows: Rows) -> float:
    start_s = time.process_time()
    run(rows)
    return time.process_time() - start_s
