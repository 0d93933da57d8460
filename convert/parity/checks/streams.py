"""Streams against whole sequences: what an artifact's streaming file must give.

Not the limits, which the judge knows.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.checks.costs import check_alike
from gatelet.convert.parity.checks.spread import Spread
from gatelet.convert.parity.limits import Bounds
from gatelet.convert.parity.report import Check
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.convert.tolerances import TYPICAL_DIFFERENCE
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.streamable import STEPS, follow_steps, has_time
from gatelet.runtime.predictor.predictor import Predictor
from gatelet.runtime.predictor.stream import Stream

STREAM_ROWS = 16
STREAM_TIMESTEPS = 128
_FACTOR = 3.0
"""Of what a scheme costs these rows: rounding one by one differs from rounding together as much."""

Array = NDArray[Any]


def check_stream(
    predictor: Predictor, graph: Graph, inputs: Rows, bounds: Bounds, *, spread: Spread
) -> Check:
    """Compare two streams, fed in turn, with their whole sequences.

    Each gets half of its timesteps at once and the others one by one; both are compared after the
    first half and at the end. A float32 stream is held to what the Graph gives, a rounded one, and
    any of C, to what its own artifact gives for the whole: what a scheme costs is another question.

    Args:
        predictor: Of an artifact with a streaming file.
        graph: The model.
        inputs: Some of these rows are fed.
        bounds: The limits.
        spread: The unit of differences.
    """
    rows = _first(inputs[:STREAM_ROWS], graph, STREAM_TIMESTEPS)
    timesteps = _timesteps(rows, graph)
    cuts = [0, max(1, timesteps // 2), *range(max(1, timesteps // 2) + 1, timesteps + 1)]
    pools = (rows, rows[np.arange(len(rows))[::-1]])
    streams = [predictor.stream() for _ in pools]
    kinds = follow_steps(graph)
    seen: list[list[Mapping[str, Array]]] = [[], []]
    apart = []
    for start, end in pairwise(cuts):
        for stream, pool, parts in zip(streams, pools, seen, strict=True):
            parts.append(_step(stream, graph, pool, slice(start, end)))
            if end == timesteps or (start == 0 and _open(graph)):
                found = side_by_side(_so_far(parts, kinds))
                whole, typical = _first(pool, graph, end), TYPICAL_DIFFERENCE
                expected = side_by_side(ReferenceBackend(graph, dtype=np.float64).run(whole.feed))
                if bounds.one_answer or not bounds.is_exact:
                    expected, exact = side_by_side(predictor.scores(whole.given)), expected
                    own = float(np.median(spread.difference(expected, exact)))
                    typical = max(typical, _FACTOR * own)
                apart.append(
                    check_alike("stream", found, expected, spread, bounds, typical=typical)
                )
    return max(apart, key=_share_of_limit)


def _share_of_limit(check: Check) -> float:
    if check.figure is None or not check.limit:
        return 0.0 if check.verdict == "pass" else np.inf
    return check.figure / check.limit


def _open(graph: Graph) -> bool:
    return all(one.shape[1] is None for one in graph.inputs if has_time(one))


def _timesteps(rows: Rows, graph: Graph) -> int:
    return min(int(rows.feed[one.name].shape[1]) for one in graph.inputs if has_time(one))


def _first(rows: Rows, graph: Graph, timesteps: int) -> Rows:
    """Keep the first timesteps, where the model takes any number of them."""
    if not _open(graph):
        return rows
    timed = {one.name for one in graph.inputs if has_time(one)}
    return Rows({n: a[:, :timesteps] if n in timed else a for n, a in rows.feed.items()})


def _step(stream: Stream, graph: Graph, rows: Rows, steps: slice) -> Mapping[str, Array]:
    timed = {one.name for one in graph.inputs if has_time(one)}
    given = {n: array[:, steps] if n in timed else array for n, array in rows.feed.items()}
    found = stream.step(given)
    return found if isinstance(found, Mapping) else {graph.outputs[0]: np.asarray(found)}


def _so_far(parts: list[Mapping[str, Array]], kinds: Mapping[str, str]) -> dict[str, Array]:
    """Return outputs with a time axis for all timesteps so far, others as after the last."""
    return {
        name: np.concatenate([part[name] for part in parts], axis=1)
        if kinds[name] == STEPS
        else last
        for name, last in parts[-1].items()
    }
