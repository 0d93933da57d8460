"""Which units of a stream 8-bit weights or words of 32 bits cannot hold, told from the weights.

Rows of calibration are short beside a slow unit, so nothing that is measured on them shows it. Not
the arithmetic, which adds less than 0.1 % of the output's span (kernels/integer.c). Source of the
limits: docs/decisions/0021-integer-states.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from reprlib import repr as show

import numpy as np

from gatelet.convert.exporters.c.integer_values import WAY_OUT
from gatelet.convert.exporters.c.writer import Array
from gatelet.convert.exporters.time_constants import (
    HARD_SLOPES,
    LEAKS,
    bias_of,
    slow,
    steps_to_forget,
)
from gatelet.runtime.backends.reference import ReferenceBackend, array_of
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import GATES

STREAM_LIMIT = 0.003
"""Of the layer's span, what 8-bit weights may change in a stream: other inputs cost thrice that."""
_CONSTANTS, _MOST_STEPS, _BLOCK_STEPS = 3, 60_000, 1000
"""A stream has so many of the slowest time constants, and at most so many steps."""
_LARGEST_CELL, _LARGEST_CONSTANT = 2.0**14, 2.0**28 / 1000
_States = tuple[Array, Array]


@dataclass(frozen=True)
class _Layer:
    """A recurrence in float and as it is stored.

    Args:
        node: The recurrence.
        bias: [gates, U], in all.
        weights: kernel and recurrent kernel, [F + U, gates, U].
        stored: What their integers stand for.
    """

    node: Node
    bias: Array
    weights: Array
    stored: Array

    @property
    def slope(self) -> float:
        """Of a hard sigmoid 1 / its slope; 0 of the logistic function."""
        return HARD_SLOPES.get(self.node.attributes["recurrent_activation"], 0.0)

    @property
    def constants(self) -> Array:
        """Time constants [U] in steps."""
        return steps_to_forget(self.node, self.bias[LEAKS[self.node.op]])

    def gate(self, z: Array) -> Array:
        """Return what a gate lets through."""
        if self.slope:
            return np.asarray(np.clip(z / self.slope + 0.5, 0.0, 1.0))
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)))


def slow_unit_refusal(
    graph: Graph,
    carried: frozenset[str],
    rows: Mapping[str, Array],
    rounded: Mapping[tuple[str, int], Array],
) -> str:
    """Say which unit of a stream integers get wrong; '' where nothing is known against them.

    Args:
        graph: The model.
        carried: The names of the nodes whose states a stream carries.
        rows: Of calibration, by graph input.
        rounded: What the integers of kernels stand for, by weight and first column.
    """
    for node in graph.nodes:
        if node.name not in carried or node.op not in LEAKS:
            continue
        layer = _layer(graph, node, rounded)
        timesteps = max(array.shape[1] for array in rows.values() if array.ndim > 1)
        is_slow = slow(layer.constants, timesteps)
        if not is_slow.any():
            continue
        name = node.inputs[0]
        x = rows.get(name)
        if x is None:
            x = ReferenceBackend(Graph(graph.inputs, graph.nodes, (name,), graph.weights)).run(
                rows
            )[name]
        why = next(_reasons(layer, is_slow, x.astype(np.float64)), "")
        if why:
            return f"layer {show(node.source or node.name)}: {why}: {WAY_OUT}"
    return ""


def _layer(graph: Graph, node: Node, rounded: Mapping[tuple[str, int], Array]) -> _Layer:
    gates = GATES[node.op]
    names = [node.weights[role] for role in ("kernel", "recurrent_kernel")]
    stored = [
        np.concatenate([rounded[key] for key in sorted(rounded) if key[0] == name], axis=1)
        for name in names
    ]
    weights, back = (
        np.vstack(parts).astype(np.float64).reshape(-1, gates, stored[1].shape[0])
        for parts in ([array_of(graph.weights[name]) for name in names], stored)
    )
    return _Layer(node, bias_of(graph, node), weights, back)


def _reasons(layer: _Layer, is_slow: Array, x: Array) -> Iterator[str]:
    """Say what is wrong, the cheapest first."""
    t, is_lstm = layer.constants, layer.node.op == "LSTM"
    reach = np.concatenate([np.abs(x).max(axis=(0, 1)), np.ones(len(t))])
    off = (layer.stored - layer.weights) * reach[:, None, None]
    size = np.sqrt((off**2).sum(axis=0))
    leak = size[LEAKS[layer.node.op]] * (t / layer.slope if layer.slope else 1.0)
    gain = t * layer.gate(layer.bias[0]) if is_lstm else np.ones(len(t))
    for figures, limit, said in (
        (leak, 0.03, "8-bit weights change it by {:.1%} (limit {:.0%})"),
        (gain * size[2], 0.25, "8-bit weights move its state by {:.2f} (limit {})"),
        (gain * is_lstm, _LARGEST_CELL, "its cell may reach {:,.0f} (limit {:,.0f})"),
        # what 31 bits of a hard sigmoid, or 29 of a state, lose in each step
        (
            gain * bool(layer.slope),
            0.01 * 2**25,
            "its gate has 31 bits (gain {:,.0f}, limit {:,.0f})",
        ),
        (t * (not is_lstm), _LARGEST_CONSTANT, "its state has 29 bits ({:,.0f}, limit {:,.0f})"),
    ):
        figures = np.where(is_slow, figures, 0.0)
        unit = int(figures.argmax())
        if figures[unit] > limit:
            yield f"{_unit(layer, unit)}; {said.format(figures[unit], limit)}"
    steps = int(min(_CONSTANTS * t.max(), _MOST_STEPS))
    figure = _difference(layer, _streams(x, steps))
    if figure > STREAM_LIMIT:
        yield (
            f"{_unit(layer, int(t.argmax()))}; over {steps:,} steps 8-bit weights change the "
            f"layer's output by {figure:.2%} of its span (limit {STREAM_LIMIT:.1%})"
        )


def _unit(layer: _Layer, unit: int) -> str:
    return f"unit {unit} has a time constant of {layer.constants[unit]:,.0f} steps"


def _streams(x: Array, steps: int) -> Array:
    """Return streams [4, steps, F]: the rows in turn, their averages, one of all, then silence."""
    flat, t = x.reshape(-1, x.shape[-1]), np.arange(steps)
    in_turn = flat[t % len(flat)]
    by_row = x.mean(axis=1)[t * len(x) // steps]
    held = np.broadcast_to(flat.mean(axis=0), in_turn.shape)
    ending = np.where(t[:, None] < steps / 3, in_turn, 0.0)
    return np.stack([in_turn, by_row, held, ending])


def _difference(layer: _Layer, x: Array) -> float:
    """Return the largest difference that stored weights make, as a share of a stream's span."""
    features, units = x.shape[2], len(layer.constants)
    both = np.stack([layer.weights, layer.stored]).reshape(2, -1, layer.bias.size)
    recurrent, bias = both[:, features:], layer.bias.reshape(-1)
    h = c = np.zeros((2, len(x), units))
    step, (low, high, apart) = _STEPS[layer.node.op], np.zeros((3, len(x)))
    for start in range(0, x.shape[1], _BLOCK_STEPS):
        part = x[:, start : start + _BLOCK_STEPS]
        z = np.einsum("stf,wfg->twsg", part, both[:, :features]) + bias
        made = np.empty((len(z), *h.shape))
        for t in range(len(z)):
            h, c = step(layer, z[t], h @ recurrent, (h, c))
            made[t] = h
        low = np.minimum(low, made[:, 0].min(axis=(0, 2)))
        high = np.maximum(high, made[:, 0].max(axis=(0, 2)))
        apart = np.maximum(apart, np.abs(made[:, 1] - made[:, 0]).max(axis=(0, 2)))
    # a stream that hardly moves is no measure of its own
    span = np.maximum(high - low, 0.1 * (high.max() - low.min()) + 1e-9)
    return float((apart / span).max())


def _lstm_step(layer: _Layer, z: Array, zh: Array, states: _States) -> _States:
    z, n = z + zh, z.shape[-1] // 4
    c = layer.gate(z[..., n : 2 * n]) * states[1]
    c += layer.gate(z[..., :n]) * np.tanh(z[..., 2 * n : 3 * n])
    return layer.gate(z[..., 3 * n :]) * np.tanh(c), c


def _gru_step(layer: _Layer, z: Array, zh: Array, states: _States) -> _States:
    """Take a step with the reset gate after the product, which is near enough for either kind."""
    n, h = z.shape[-1] // 3, states[0]
    gates = layer.gate(z[..., : 2 * n] + zh[..., : 2 * n])
    new = np.tanh(z[..., 2 * n :] + gates[..., n:] * zh[..., 2 * n :])
    return new + gates[..., :n] * (h - new), h


_STEPS = {"LSTM": _lstm_step, "GRU": _gru_step}
