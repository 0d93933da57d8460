"""The oracle of c's full-int8: the same integers in NumPy, from which no bit may differ.

Not the float schemes' oracle, which is `oracle`. The arithmetic is that of kernels/integer.c: 8-bit
weights, 16-bit values with a scale each, gates and states of 2^-15, what goes into an activation of
2^-16. A factor is an integer of 24 bits and a shift; halves are rounded up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gatelet.convert.parity.computes.roundings import Array
from gatelet.runtime.backends.reference import OPERATIONS, array_of
from gatelet.runtime.backends.reference.operation import Call
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import OPERATIONS as TABLE
from gatelet.runtime.graph.operations import VECTOR_RECURRENCES

_ONE, _UNIT, _Z_UNIT = 1 << 15, 2.0**-15, 2.0**-16
_LARGEST_Z, _LARGEST_CELL, _LARGEST = 32 << 16, 1 << 30, 32767
_HEADROOM, _MULTIPLIER_BITS = 2.0, 24
_SIGMOID = np.rint(2**15 / (1.0 + np.exp(-np.arange(513) / 32.0))).astype(np.int64)
_EXPONENTIAL = np.rint(np.exp(-np.arange(1025) / 64.0) * 2**15).astype(np.int64)


@dataclass(frozen=True)
class Scaled:
    """Integers, and what they are multiples of: a scale, or one for each feature."""

    values: Array
    scale: float | Array = 0.0


def run_integers(
    graph: Graph, observed: Mapping[str, Array], feed: Mapping[str, Array]
) -> dict[str, Array]:
    """Run a Graph in integers.

    Args:
        graph: The model, as it was exported.
        observed: The largest magnitudes from which the scales were computed, as the manifest has.
        feed: By graph input.

    Returns:
        The outputs, float32.
    """
    values: dict[str, Scaled] = {}
    for one in graph.inputs:
        values[one.name] = _fed(np.asarray(feed[one.name]), observed.get(one.name))
    for node in graph.nodes:
        weights = {role: array_of(graph.weights[name]) for role, name in node.weights.items()}
        taken = [values[name] for name in node.inputs]
        mask = values[node.mask].values if node.mask else None
        given = _Given(node, taken, weights, mask, observed, dict(feed))
        made = _OPERATIONS.get(node.op, _move)(given)
        values.update(zip(node.outputs, made, strict=True))
    return {name: _as_floats(values[name]) for name in graph.outputs}


@dataclass(frozen=True)
class _Given:
    node: Node
    inputs: list[Scaled]
    weights: Mapping[str, Array]
    mask: Array | None
    observed: Mapping[str, Array]
    feed: Mapping[str, Array]

    @property
    def x(self) -> Scaled:
        return self.inputs[0]


def _fed(x: Array, largest: Array | None) -> Scaled:
    """Round features, each by its own scale; ids and what nobody rounds stay."""
    if largest is None or x.dtype.kind != "f":
        return Scaled(x)
    scales = np.where(largest > 0, largest, 1.0) * _HEADROOM * _HEADROOM / _LARGEST
    return Scaled(_integers_of(x, (1.0 / scales).astype(np.float32), _LARGEST), scales)


def _integers_of(x: Array, unit: Array | float, limit: int) -> Array:
    found = x.astype(np.float32) * np.asarray(unit, np.float32)
    half = np.where(found < 0, np.float32(-0.5), np.float32(0.5))
    return np.clip(np.trunc(found + half), -limit, limit).astype(np.int64)


def _as_floats(value: Scaled) -> Array:
    if value.values.dtype.kind == "f" or not isinstance(value.scale, float) or not value.scale:
        return value.values.astype(np.float32)
    return value.values.astype(np.float32) * np.float32(value.scale)


def _shifted(x: Array, shift: int) -> Array:
    return (x + (1 << (shift - 1))) >> shift if shift > 0 else x


def _narrow(x: Array) -> Array:
    return np.clip(x, -_LARGEST, _LARGEST)


def _factors(exact: Array, rounded: Callable[[Array], Array] = np.rint) -> tuple[Array, int]:
    """Return factors as integers of at most 24 bits, and the shift that they share."""
    largest = float(np.max(exact, initial=0.0)) or 1.0
    shift = int(np.clip(_MULTIPLIER_BITS - 1 - np.floor(np.log2(largest)) - 1, 0, 62))
    integers = rounded(np.asarray(exact, np.float64) * 2.0**shift)
    return np.clip(integers, 0, 2**_MULTIPLIER_BITS - 1).astype(np.int64), shift


def _product(kernel: Array, x_scale: float | Array, scale: float) -> Callable[[Array], Array]:
    """Return what multiplies integers with a kernel [K, N], rounded for their scale."""
    scales = np.broadcast_to(np.asarray(x_scale, np.float64), (len(kernel),))
    scaled = kernel.astype(np.float64) * scales[:, None]
    largest = np.abs(scaled).max(axis=0, initial=0.0)
    multipliers, shift = _factors(largest / 127 / scale, np.ceil)
    multipliers = np.maximum(multipliers, 1)
    steps = multipliers * 2.0**-shift * scale
    weights = np.clip(np.rint(scaled / steps), -127, 127)
    # in float64, which holds all sums of such integers
    return lambda x: _shifted(
        (x.astype(np.float64) @ weights).astype(np.int64) * multipliers, shift
    )


def _bias(weights: Mapping[str, Array], scale: float, row: int | None = None) -> Array | int:
    if "bias" not in weights:
        return 0
    bias = weights["bias"] if row is None else weights["bias"][row]
    exact = np.rint(bias.astype(np.float64) / scale)
    return np.clip(exact, -(2**30), 2**30).astype(np.int64)


def _look_up(table: Array, at: Array, bits: int) -> Array:
    """Return a table's value at some steps, between its entries on a line."""
    index, rest = at >> bits, at & ((1 << bits) - 1)
    low = table[np.minimum(index, len(table) - 1)]
    high = table[np.minimum(index + 1, len(table) - 1)]
    return np.asarray(low + _shifted((high - low) * rest, bits))


def _sigmoid(z: Array) -> Array:
    found = _look_up(_SIGMOID, np.abs(z), 11)
    return np.where(z < 0, _ONE - found, found)


def _hard(part: int) -> Callable[[Array], Array]:
    # C's division rounds towards zero
    return lambda z: np.clip(np.sign(z) * (np.abs(z) // part) + _ONE // 2, 0, _ONE)


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": _sigmoid,
    "tanh": lambda z: 2 * _sigmoid(2 * z) - _ONE,
    "hard_sigmoid": _hard(12),
    "hard_sigmoid_keras2": _hard(10),
}


def _activate(name: str, z: Array) -> Array:
    return _ACTIVATIONS[name](np.clip(z, -_LARGEST_Z, _LARGEST_Z))


def _embedding(given: _Given) -> list[Scaled]:
    table = given.weights["embeddings"]
    unit = (float(given.observed[given.node.output][0]) or 1.0) / 127 * 256 / 65535
    largest = np.abs(table).max(axis=1, keepdims=True).astype(np.float64)
    multipliers = np.clip(np.ceil(largest / 127 * 256 / unit), 1, 65535)
    integers = np.clip(np.rint(table / (multipliers * unit / 256)), -127, 127)
    rows = _narrow(_shifted(integers.astype(np.int64) * multipliers.astype(np.int64), 8))
    return [Scaled(rows[given.x.values.astype(np.int64)], unit)]


def _dense(given: _Given) -> list[Scaled]:
    scale = (float(given.observed[given.node.output][0]) or 1.0) * _HEADROOM / _LARGEST
    product = _product(given.weights["kernel"], given.x.scale, scale)
    return [Scaled(_narrow(product(given.x.values) + _bias(given.weights, scale)), scale)]


def _activation(given: _Given) -> list[Scaled]:
    name, x = given.node.attributes["activation"], given.x
    if name == "linear":
        return [x]
    assert isinstance(x.scale, float)
    if name == "relu":
        return [Scaled(np.maximum(x.values, 0), x.scale)]
    multipliers, shift = _factors(np.array([x.scale / _Z_UNIT]))
    if name == "softmax":
        return [Scaled(_softmax(x.values, int(multipliers[0]), shift), _UNIT)]
    z = _shifted(x.values * multipliers[0], shift)
    return [Scaled(_narrow(_activate(name, z)), _UNIT)]


def _softmax(x: Array, multiplier: int, shift: int) -> Array:
    below = _shifted((x.max(axis=-1, keepdims=True) - x) * multiplier, shift)
    weights = np.where(below >= 16 << 16, 0, _look_up(_EXPONENTIAL, np.minimum(below, 1 << 21), 10))
    whole = np.minimum(weights.sum(axis=-1, keepdims=True), 2**31 - 1)
    return _narrow(((weights << 15) + whole // 2) // whole)


def _recurrence(given: _Given) -> list[Scaled]:
    """Walk over time, as the reference does; h is of 2^-15, an LSTM's c of 2^-16."""
    node, x = given.node, given.x
    attributes, kernel = node.attributes, given.weights["kernel"]
    step, row = _STEPS[node.op](given)
    project = _product(kernel, x.scale, _Z_UNIT)
    z = project(x.values) + _bias(given.weights, _Z_UNIT, row)
    z = np.clip(z, -_LARGEST_CELL, _LARGEST_CELL)
    B, T = x.values.shape[:2]
    units = len(given.weights["recurrent_kernel"])
    states = [np.zeros((B, units), np.int64) for _ in TABLE[node.op].states]
    for index, (name, one) in enumerate(zip(node.inputs[1:], given.inputs[1:], strict=True)):
        unit, limit = ((32768.0, _LARGEST), (65536.0, _LARGEST_CELL))[index]
        # a state that is fed is not rounded as features are
        states[index] = _integers_of(given.feed.get(name, one.values), unit, limit)
    y = states[0] if attributes.get("output_initial_state") else np.zeros_like(states[0])
    sequence = [y] * T
    for t in reversed(range(T)) if attributes.get("go_backwards") else range(T):
        counts = np.ones((B, 1), bool) if given.mask is None else given.mask[:, t, None]
        following = step(z[:, t], states)
        states = [np.where(counts, a, b) for a, b in zip(following, states, strict=True)]
        instead = np.zeros_like(y) if attributes.get("zero_output_for_mask") else y
        y = np.where(counts, states[0], instead)
        sequence[t] = y
    made = np.stack(sequence, axis=1) if attributes["return_sequences"] else y
    found = [Scaled(made, _UNIT)]
    if attributes.get("return_state"):
        scales = (np.float32(1 / 32768.0), np.float32(1 / 65536.0))
        pairs = zip(states, scales, strict=False)
        found += [Scaled(one.astype(np.float32) * scale) for one, scale in pairs]
    return found


_Step = Callable[[Array, list[Array]], list[Array]]


def _settings(given: _Given) -> tuple[str, str]:
    attributes = given.node.attributes
    return attributes["activation"], attributes.get("recurrent_activation", "")


def _clipped(z: Array) -> Array:
    return np.clip(z, -_LARGEST_CELL, _LARGEST_CELL)


def _lstm(given: _Given) -> tuple[_Step, int | None]:
    act, gate = _settings(given)
    product = _product(given.weights["recurrent_kernel"], _UNIT, _Z_UNIT)

    def step(z: Array, states: list[Array]) -> list[Array]:
        h, c = states
        i, f, g, o = np.split(z + _clipped(product(h)), 4, axis=-1)
        kept = _shifted(_activate(gate, f) * c, 15)
        added = _shifted(_activate(gate, i) * _activate(act, g), 14)
        c = _clipped(kept + added)
        return [_narrow(_shifted(_activate(gate, o) * _activate(act, c), 15)), c]

    return step, None


def _gru(given: _Given) -> tuple[_Step, int | None]:
    act, gate = _settings(given)
    kernel, units = given.weights["recurrent_kernel"], len(given.weights["recurrent_kernel"])
    after = bool(given.node.attributes["reset_after"])
    row = 0 if after and "bias" in given.weights else None
    bias = _bias(given.weights, _Z_UNIT, 1) if row == 0 else 0
    product = _product(kernel if after else kernel[:, : 2 * units], _UNIT, _Z_UNIT)
    candidate = product if after else _product(kernel[:, 2 * units :], _UNIT, _Z_UNIT)

    def step(z: Array, states: list[Array]) -> list[Array]:
        (h,) = states
        inner = _clipped(product(h) + bias)
        keep, reset = np.split(
            _activate(gate, z[:, : 2 * units] + inner[:, : 2 * units]), 2, axis=-1
        )
        if after:
            again = _shifted(reset * inner[:, 2 * units :], 15)
        else:
            again = _clipped(candidate(_narrow(_shifted(reset * h, 15))))
        new = _activate(act, z[:, 2 * units :] + again)
        return [_narrow(_shifted(keep * h + (_ONE - keep) * new, 15))]

    return step, row


def _simple_rnn(given: _Given) -> tuple[_Step, int | None]:
    act, _ = _settings(given)
    product = _product(given.weights["recurrent_kernel"], _UNIT, _Z_UNIT)

    def step(z: Array, states: list[Array]) -> list[Array]:
        return [_narrow(_activate(act, z + _clipped(product(states[0]))))]

    return step, None


_STEPS: dict[str, Callable[[_Given], tuple[_Step, int | None]]] = {
    "LSTM": _lstm,
    "GRU": _gru,
    "SimpleRNN": _simple_rnn,
}


def _concatenate(given: _Given) -> list[Scaled]:
    if given.x.values.dtype.kind == "b" or not given.x.scale:
        return _move(given)
    widest = max(float(one.scale) for one in given.inputs)
    alike = []
    for one in given.inputs:
        multipliers, shift = _factors(np.array([one.scale / widest]))
        scaled = _narrow(_shifted(one.values * multipliers[0], shift))
        alike.append(one.values if one.scale == widest else scaled)
    return [Scaled(np.concatenate(alike, axis=given.node.attributes["axis"]), widest)]


def _move(given: _Given) -> list[Scaled]:
    """Do what the reference does: nothing is computed, or masks and padding are looked for."""
    node = given.node
    inputs = [one.values for one in given.inputs]
    if node.op == "MaskFeatures":  # C looks at the features themselves
        inputs = [given.feed[node.inputs[0]]]
    weights = {role: one.astype(np.float32) for role, one in given.weights.items()}
    made = OPERATIONS[node.op](Call(inputs, weights, node.attributes, given.mask))
    return [Scaled(one, given.x.scale if one.dtype.kind != "b" else 0.0) for one in made]


_OPERATIONS: dict[str, Callable[[_Given], list[Scaled]]] = {
    **dict.fromkeys(VECTOR_RECURRENCES, _recurrence),
    "Embedding": _embedding,
    "Dense": _dense,
    "Activation": _activation,
    "Concatenate": _concatenate,
}
"""What computes; all others move values."""
