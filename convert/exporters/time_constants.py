"""How slowly the units of a recurrence forget: from its weights alone.

Not what integers do to a slow unit: each exporter that computes in them knows its own.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import GATES

LEAKS = {"LSTM": 1, "GRU": 0}
"""The gate that keeps the state, of the layers whose units can be slow."""
HARD_SLOPES = {"hard_sigmoid": 6.0, "hard_sigmoid_keras2": 5.0}
FEWEST_STEPS = 100
"""A unit that is faster than these, or a tenth of a row, has shown on rows what it does."""
NEVER = 1e12
"""Of a unit that forgets nothing."""
CONSTANTS, LONGEST, SHORTEST = 5, 100_000, 128
"""A stream has so many of the slowest time constants, and at most so many steps."""

Array = NDArray[Any]


def bias_of(graph: Graph, node: Node) -> Array:
    """Return the bias of a recurrence's gates in all, float64 [gates, U]."""
    units = graph.weights[node.weights["recurrent_kernel"]].shape[0]
    if "bias" not in node.weights:
        return np.zeros((GATES[node.op], units))
    bias = array_of(graph.weights[node.weights["bias"]]).astype(np.float64)
    return np.asarray(bias.reshape(-1, GATES[node.op], units).sum(axis=0))


def steps_to_forget(node: Node, z: Array) -> Array:
    """Return the time constants 1 / (1 - f) in steps, of what goes into the gate f."""
    slope = HARD_SLOPES.get(node.attributes["recurrent_activation"], 0.0)
    if slope:
        return np.asarray(1.0 / np.maximum(0.5 - z / slope, 1.0 / NEVER))
    return np.asarray(np.minimum(1.0 + np.exp(np.minimum(z, 100.0)), NEVER))


def time_constants(graph: Graph, node: Node) -> Array:
    """Return the time constants [U] of a recurrence of LEAKS at the bias of its gate."""
    return steps_to_forget(node, bias_of(graph, node)[LEAKS[node.op]])


def constants_on(graph: Graph, node: Node, x: Array) -> Array:
    """Return the time constants [U] of a recurrence of LEAKS on inputs that follow each other.

    Args:
        graph: The model.
        node: The recurrence.
        x: What it takes, [..., F].
    """
    gate, bias = LEAKS[node.op], bias_of(graph, node)
    part = slice(gate * bias.shape[1], (gate + 1) * bias.shape[1])
    kernel = array_of(graph.weights[node.weights["kernel"]]).astype(np.float64)[:, part]
    z = x.reshape(-1, len(kernel)) @ kernel + bias[gate]
    # a state is multiplied by all gates in turn: one that is shut at times forgets everything
    kept = -np.log1p(-1.0 / np.maximum(steps_to_forget(node, z), 1.0 + 1e-9)).mean(axis=0)
    return np.asarray(1.0 / np.maximum(kept, 1.0 / NEVER))


def steps_of(graph: Graph, rows: Mapping[str, Array]) -> int:
    """Return how many steps show what a model remembers; 0 where the usual ones do.

    Args:
        graph: The model.
        rows: What its gates are fed, by graph input.
    """
    slowest = [0.0]
    for node in graph.nodes:
        if node.op in LEAKS and not node.attributes.get("go_backwards"):
            slowest.append(_slowest(graph, node, rows))
    steps = min(CONSTANTS * max(slowest), LONGEST)
    return int(steps) if steps > SHORTEST else 0


def _slowest(graph: Graph, node: Node, rows: Mapping[str, Array]) -> float:
    """Return the largest time constant, with the gate as open as inputs and states make it."""
    gate = LEAKS[node.op]
    z = bias_of(graph, node)
    units = z.shape[1]
    kernel, recurrent = (
        array_of(graph.weights[node.weights[role]]).astype(np.float64)
        for role in ("kernel", "recurrent_kernel")
    )
    fed = rows.get(node.inputs[0])
    reach = np.ones(len(kernel)) if fed is None else np.abs(fed).max(axis=(0, 1))
    part = slice(gate * units, (gate + 1) * units)
    # what numbers that vary on their own reach together
    moved = ((kernel[:, part] * reach[:, None]) ** 2).sum(axis=0)
    moved += (recurrent[:, part] ** 2).sum(axis=0)
    return float(steps_to_forget(node, z[gate] + np.sqrt(moved)).max())


def slow(constants: Array, timesteps: int) -> Array:
    """Return which units, bool [U], rows of so many timesteps are too short for."""
    return np.asarray(constants > max(FEWEST_STEPS, timesteps / 10))
