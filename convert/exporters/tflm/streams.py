"""Long streams that are hard for a slow unit, made of the timesteps that calibration saw.

Not what becomes of them: see `long_streams`. Each timestep is one that was seen, or lies between
two of them, so that the range of features together is that of calibration.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gatelet.convert.exporters.tflm.step import Array
from gatelet.convert.exporters.time_constants import (
    CONSTANTS,
    LEAKS,
    LONGEST,
    SHORTEST,
    constants_on,
    steps_of,
    time_constants,
)
from gatelet.runtime.backends.reference import ReferenceBackend, array_of
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import GATES
from gatelet.runtime.graph.streamable import has_time

_CANDIDATE = {"LSTM": 2, "GRU": 2}
_SEED = 20_000


@dataclass(frozen=True)
class SlowUnit:
    """The unit of a recurrence that forgets most slowly on rows of calibration.

    Args:
        node: The recurrence.
        unit: Which.
        constant: In steps.
        places: Of timesteps, among those of all rows: where its gate is most open, and where its
            candidate is largest and smallest.
    """

    node: Node
    unit: int
    constant: float
    places: tuple[int, int, int]


def slow_units(graph: Graph, rows: Mapping[str, Array]) -> list[SlowUnit]:
    """Return the slowest unit of each recurrence of LEAKS, the slowest first."""
    nodes = [one for one in graph.nodes if one.op in LEAKS]
    names = {one.inputs[0] for one in nodes} - set(rows)
    known = dict(rows)
    if names:
        before = Graph(graph.inputs, graph.nodes, tuple(names), graph.weights)
        known.update(ReferenceBackend(before).run(rows))
    found = [_slowest(graph, node, known[node.inputs[0]]) for node in nodes]
    return sorted(found, key=lambda one: -one.constant)


def _slowest(graph: Graph, node: Node, x: Array) -> SlowUnit:
    constants = np.maximum(constants_on(graph, node, x), time_constants(graph, node))
    unit = int(constants.argmax())
    kernel = array_of(graph.weights[node.weights["kernel"]]).astype(np.float64)
    z = x.reshape(-1, len(kernel)) @ kernel.reshape(len(kernel), GATES[node.op], -1)[..., unit]
    leak, candidate = z[:, LEAKS[node.op]], z[:, _CANDIDATE[node.op]]
    places = int(leak.argmax()), int(candidate.argmax()), int(candidate.argmin())
    return SlowUnit(node, unit, float(constants[unit]), places)


@dataclass(frozen=True)
class _Seen:
    """What streams are made of.

    Args:
        count: How many timesteps were seen.
        steps: How many a stream has.
        slowest: Its unit.
        quiet: The place of a timestep that is as near to zeros as any.
    """

    count: int
    steps: int
    slowest: SlowUnit
    quiet: int


_Mixed = tuple[Array, Array, Array]
"""Of each timestep: two places, and the share of the second."""


def _held(place: int) -> Callable[[_Seen, np.random.Generator], _Mixed]:
    def make(seen: _Seen, rng: np.random.Generator) -> _Mixed:
        return _single(np.full(seen.steps, seen.slowest.places[place]))

    return make


def _single(places: Array) -> _Mixed:
    return places, places, np.zeros(len(places))


def _in_turn(seen: _Seen, rng: np.random.Generator) -> _Mixed:
    return _single(np.arange(seen.steps) % seen.count)


def _noise(seen: _Seen, rng: np.random.Generator) -> _Mixed:
    return _single(rng.integers(seen.count, size=seen.steps))


def _any(seen: _Seen, rng: np.random.Generator) -> _Mixed:
    """Hold a timestep that was seen: such a stream may move little, and a stop then weighs most."""
    return _single(np.full(seen.steps, int(rng.integers(seen.count))))


def _quiet(seen: _Seen, rng: np.random.Generator) -> _Mixed:
    return _single(np.full(seen.steps, seen.quiet))


def _sines(seen: _Seen, rng: np.random.Generator) -> _Mixed:
    """Swing between the largest and the smallest candidate, slowly at first."""
    _, high, low = seen.slowest.places
    share = 0.5 + 0.5 * np.sin(2 * np.pi * 8 * (np.arange(seen.steps) / seen.steps) ** 2)
    return np.full(seen.steps, low), np.full(seen.steps, high), share


def _bursts(seen: _Seen, rng: np.random.Generator) -> _Mixed:
    """Hold a timestep for up to a time constant, then be quiet; five times."""
    made = np.full(seen.steps, seen.quiet)
    for start in range(0, seen.steps, max(1, seen.steps // 5)):
        end = start + int(rng.integers(1, max(2, seen.steps // 8)))
        made[start:end] = rng.choice([*seen.slowest.places, int(rng.integers(seen.count))])
    return _single(made)


IN_TURN = "the rows in turn"
STREAMS: dict[str, Callable[[_Seen, np.random.Generator], _Mixed]] = {
    IN_TURN: _in_turn,
    "an open gate": _held(0),
    "the largest candidate": _held(1),
    "the smallest candidate": _held(2),
    "silence": _quiet,
    "a held timestep": _any,
    "another held timestep": _any,
    "a third held timestep": _any,
    "a fourth held timestep": _any,
    "sines": _sines,
    "noise": _noise,
    "bursts": _bursts,
}


def streams_of(
    graph: Graph, rows: Mapping[str, Array], slowest: SlowUnit
) -> Iterator[tuple[str, dict[str, Array]]]:
    """Give each stream's name and its inputs, of one row.

    Args:
        graph: The model.
        rows: Of calibration, by graph input.
        slowest: Its slowest unit, which says how long streams are.
    """
    steps = int(min(max(SHORTEST, CONSTANTS * slowest.constant), LONGEST))
    timed = {one.name for one in graph.inputs if has_time(one)}
    flat = {name: rows[name].reshape(-1, *rows[name].shape[2:]) for name in timed}
    first = next(iter(flat.values())).astype(np.float64)
    quiet = int(np.abs(first.reshape(len(first), -1)).sum(axis=1).argmin())
    for place, (name, make) in enumerate(STREAMS.items()):
        # parity's stream, in which the gate may be more open than it was on these rows
        longer = steps_of(graph, rows) if name == IN_TURN else 0
        seen = _Seen(len(first), max(steps, longer), slowest, quiet)
        low, high, share = make(seen, np.random.default_rng(_SEED + place))
        yield (
            name,
            {
                one: _mixed(flat[one], low, high, share) if one in timed else array[:1]
                for one, array in rows.items()
            },
        )


def _mixed(flat: Array, low: Array, high: Array, share: Array) -> Array:
    """Return a row of timesteps between two of those that were seen; of ids the nearer one."""
    if flat.dtype.kind == "i" or not share.any():
        return flat[np.where(share < 0.5, low, high)][None]
    part = share.reshape(-1, *(1,) * (flat.ndim - 1))
    mixed = flat[low] * (1 - part) + flat[high] * part
    return np.asarray(mixed[None], flat.dtype)
