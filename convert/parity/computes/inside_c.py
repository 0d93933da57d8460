"""What a C library holds after each step: its step library takes and gives the states.

Not the comparison, which is in `steps`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gatelet.convert.parity.computes.oracle import Seen
from gatelet.convert.parity.computes.roundings import Array
from gatelet.runtime.backends.backend import open_backend, used_companions
from gatelet.runtime.bundle.opening import Artifact, Bundle
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.operations import VECTOR_RECURRENCES
from gatelet.runtime.graph.states import State
from gatelet.runtime.graph.streamable import has_time

_NONE: Mapping[str, Array] = {}


class Runs(Protocol):
    """What runs the streaming form of a model."""

    def run(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run rows; see `Backend.run`."""
        ...


@dataclass(frozen=True)
class Stepped:
    """Timesteps of rows, each from the states that the file itself had before it.

    Args:
        feed: Of the streaming form, all timesteps of all rows as rows of one timestep.
        held: What the file gave: outputs and states, by name.
        seen: What of it replaces the oracle's own values.
    """

    feed: dict[str, Array]
    held: dict[str, Array]
    seen: Seen


def open_steps(bundle: Bundle, artifact: Artifact) -> Runs:
    """Open the step library of a C artifact."""
    beside = used_companions(artifact.target, artifact.companions)
    return open_backend(
        artifact.target,
        bundle.path / artifact.path,
        companions={role: bundle.path / path for role, path in beside.items()},
        steps=True,
    )


def step_through(
    library: Runs, graph: Graph, states: Sequence[State], rows: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Take the timesteps of rows one by one.

    Returns:
        The outputs, and the states after each step by their input's name, [T, B, ...].
    """
    timed = [one.name for one in graph.inputs if has_time(one)]
    count = len(next(iter(rows.values())))
    held = {one.input: np.zeros((count, *one.shape), np.float32) for one in states}
    outputs, kept = [], []
    for t in range(rows[timed[0]].shape[1]):
        now = {n: one[:, t : t + 1] if n in timed else one for n, one in rows.items()}
        made = library.run({**now, **held})
        held = {one.input: np.array(made[one.output]) for one in states}
        outputs.append({name: np.array(made[name]) for name in graph.outputs})
        kept.append(held)
    return _stacked(outputs), _stacked(kept)


def _stacked(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}


def as_rows(
    graph: Graph,
    streaming: Graph,
    states: Sequence[State],
    rows: Mapping[str, Array],
    taken: tuple[dict[str, Array], dict[str, Array]],
    tables: Mapping[str, Array] = _NONE,
) -> Stepped:
    """Make each timestep of each row a row of its own.

    Args:
        graph: The model.
        streaming: Its streaming form.
        states: That it carries.
        rows: What was stepped through.
        taken: What `step_through` returned.
        tables: Of the file, by state: its states after 0, 1 ... pads, [n, U], which it takes
            where a row has had nothing else.
    """
    outputs, after = taken
    timesteps = len(next(iter(after.values())))
    feed = {}
    for one in graph.inputs:
        value = rows[one.name]
        if has_time(one):
            feed[one.name] = np.moveaxis(value, 1, 0).reshape(-1, 1, *value.shape[2:])
        else:
            feed[one.name] = np.concatenate([value] * timesteps)
    given = {}
    for state in states:
        held = after[state.input]
        before = np.concatenate([np.zeros_like(held[:1]), held[:-1]])
        if state.input in tables:
            before = _after_pads(before, tables[state.input], _padded_ids(graph, rows))
        feed[state.input] = before.reshape(-1, *state.shape)
        given[state.output] = held.reshape(-1, *state.shape)
    compared = dict(given)
    for node in streaming.nodes:  # what reads a recurrence reads the file's h
        is_h = node.op in VECTOR_RECURRENCES and node.outputs[1:]
        if is_h and node.outputs[1] in given and node.mask is None:
            h = given[node.outputs[1]]
            given[node.output] = h[:, None] if node.attributes["return_sequences"] else h
    for name, value in outputs.items():
        compared[name] = value.reshape(-1, *value.shape[2:])
    return Stepped(feed, compared, Seen(given))


def _padded_ids(graph: Graph, rows: Mapping[str, Array]) -> Array:
    return next(rows[one.name] for one in graph.inputs if one.dtype == "int32")


def _after_pads(before: Array, table: Array, ids: Array) -> Array:
    """Return states [T, B, U] before each step, those of a table where all ids so far are pads."""
    pads = np.arange(len(before))[:, None]
    so_far = np.cumsum(ids.T != 0, axis=0) - (ids.T != 0)
    stored = (so_far == 0) & (pads < len(table))
    return np.where(stored[..., None], table[np.minimum(pads, len(table) - 1)], before)
