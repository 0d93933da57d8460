"""How slowly the units of a recurrence forget: from its weights alone.

Not what integers do to a slow unit: each exporter that computes in them knows its own.
"""

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


def slow(constants: Array, timesteps: int) -> Array:
    """Return which units, bool [U], rows of so many timesteps are too short for."""
    return np.asarray(constants > max(FEWEST_STEPS, timesteps / 10))
