"""The oracle of c's full-int8: the same integers in NumPy, from which no bit may differ.

Not the float schemes' oracle, which is `oracle`. The arithmetic is that of kernels/integer.c: 8-bit
weights, 16-bit values with a scale each, states of 2^-15, activations of 2^-31. A factor is an
integer of 24 bits and a shift; halves are rounded up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from gatelet.convert.parity.computes.integer_elements import (
    LOOKED_UP,
    add,
    affine,
    looked_up,
    multiply,
)
from gatelet.convert.parity.computes.integer_numbers import (
    HEADROOM,
    LARGEST,
    Given,
    Scaled,
    factors,
    integers_of,
    narrow,
    scale_of,
    shifted,
)
from gatelet.convert.parity.computes.roundings import Array
from gatelet.runtime.backends.reference import OPERATIONS, array_of
from gatelet.runtime.backends.reference.operation import Call
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.operations import VECTOR_RECURRENCES

_UNIT, _Z_BITS = 2.0**-15, 16
_LARGEST_Z, _LARGEST_CELL = 2**30 - 1, 2**30 - 1
_TAIL = np.rint(2.0**31 / (1.0 + np.exp(np.arange(513) / 32.0))).astype(np.int64)
_EXPONENTIAL = np.rint(np.exp(-np.arange(1025) / 64.0) * 2**15).astype(np.int64)


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
        given = Given(node, taken, weights, mask, observed, dict(feed))
        made = _OPERATIONS.get(node.op, _move)(given)
        values.update(zip(node.outputs, made, strict=True))
    return {name: _as_floats(values[name]) for name in graph.outputs}


def _fed(x: Array, largest: Array | None) -> Scaled:
    """Round features, each by its own scale; ids and what nobody rounds stay."""
    if largest is None or x.dtype.kind != "f":
        return Scaled(x)
    scales = np.where(largest > 0, largest, 1.0) * HEADROOM * HEADROOM / LARGEST
    return Scaled(integers_of(x, (1.0 / scales).astype(np.float32), LARGEST), scales)


def _as_floats(value: Scaled) -> Array:
    if value.values.dtype.kind == "f" or not isinstance(value.scale, float) or not value.scale:
        return value.values.astype(np.float32)
    return (value.values >> value.unused).astype(np.float32) * np.float32(value.scale)


def _product(kernel: Array, x_scale: float | Array, scale: float) -> Callable[[Array], Array]:
    """Return what multiplies integers with a kernel [K, N], rounded for their scale."""
    scales = np.broadcast_to(np.asarray(x_scale, np.float64), (len(kernel),))
    scaled = kernel.astype(np.float64) * scales[:, None]
    largest = np.abs(scaled).max(axis=0, initial=0.0)
    multipliers, shift = factors(largest / 127 / scale, np.ceil)
    multipliers = np.maximum(multipliers, 1)
    steps = multipliers * 2.0**-shift * scale
    weights = np.clip(np.rint(scaled / steps), -127, 127)
    # in float64, which holds all sums of such integers
    return lambda x: shifted((x.astype(np.float64) @ weights).astype(np.int64) * multipliers, shift)


def _bias(weights: Mapping[str, Array], scale: float, row: int | None = None) -> Array | int:
    if "bias" not in weights:
        return 0
    bias = weights["bias"] if row is None else weights["bias"][row]
    exact = np.rint(bias.astype(np.float64) / scale)
    return np.clip(exact, -(2**30), 2**30).astype(np.int64)


def _tail(a: Array, bits: int) -> Array:
    """Return s(-a), between the entries of the table on a line."""
    index, part = np.minimum(a >> (bits - 5), 512), (a << (37 - bits)) & 0xFFFFFFFF
    step = _TAIL[index] - _TAIL[np.minimum(index + 1, 512)]
    return np.asarray(np.where(index == 512, _TAIL[512], _TAIL[index] - ((step * part) >> 32)))


def _sigmoid(z: Array, bits: int) -> Array:
    small = _tail(np.abs(z), bits)
    return np.where(z < 0, small, 2**31 - small)


def _hard(part: int) -> Callable[[Array, int], Array]:
    return lambda z, bits: np.clip(((z * part) >> (bits + 1)) + 2**30, 0, 2**31 - 1)


_ACTIVATIONS: dict[str, Callable[[Array, int], Array]] = {
    "sigmoid": _sigmoid,
    "tanh": lambda z, bits: 2 * _sigmoid(z, bits - 1) - 2**31,
    "hard_sigmoid": _hard(715827883),
    "hard_sigmoid_keras2": _hard(858993459),
}


_USUAL = ("activation", "axis")


def _activate(name: str, z: Array, bits: int) -> Array:
    """Return an activation, of scale 2^-31, of z of scale 2^-bits."""
    return np.asarray(_ACTIVATIONS[name](z, bits))


def _embedding(given: Given) -> list[Scaled]:
    table = given.weights["embeddings"]
    unit = (float(given.observed[given.node.output][0]) or 1.0) / 127 * 256 / 65535
    largest = np.abs(table).max(axis=1, keepdims=True).astype(np.float64)
    multipliers = np.clip(np.ceil(largest / 127 * 256 / unit), 1, 65535)
    integers = np.clip(np.rint(table / (multipliers * unit / 256)), -127, 127)
    rows = narrow(shifted(integers.astype(np.int64) * multipliers.astype(np.int64), 8))
    return [Scaled(rows[given.x.values.astype(np.int64)], unit)]


def _dense(given: Given) -> list[Scaled]:
    scale = scale_of(given)
    product = _product(given.weights["kernel"], given.x.scale, scale)
    return [Scaled(narrow(product(given.x.values) + _bias(given.weights, scale)), scale)]


def _activation(given: Given) -> list[Scaled]:
    name, x = given.node.attributes["activation"], given.x
    if name == "linear":
        return [x]
    assert isinstance(x.scale, float)
    parameters = {k: v for k, v in given.node.attributes.items() if k not in _USUAL}
    if name in LOOKED_UP and (name != "relu" or any(parameters.values())):
        return [looked_up(name, x.values, x.scale, parameters)]
    if name == "relu":
        return [Scaled(np.maximum(x.values, 0), x.scale)]
    multipliers, shift = factors(np.array([x.scale * 2.0**_Z_BITS]))
    if name == "softmax":
        return [Scaled(_softmax(x.values, int(multipliers[0]), shift), _UNIT)]
    z = _clipped(shifted(x.values * multipliers[0], shift))
    return [Scaled(narrow(shifted(_activate(name, z, _Z_BITS), 16)), _UNIT)]


def _softmax(x: Array, multiplier: int, shift: int) -> Array:
    below = shifted((x.max(axis=-1, keepdims=True) - x) * multiplier, shift)
    index, rest = np.minimum(below >> 10, 1023), below & 1023
    low = _EXPONENTIAL[index]
    line = low + shifted((_EXPONENTIAL[index + 1] - low) * rest, 10)
    weights = np.where(below >= 16 << 16, 0, line)
    whole = np.minimum(weights.sum(axis=-1, keepdims=True), 2**31 - 1)
    return narrow(((weights << 15) + whole // 2) // whole)


def _recurrence(given: Given) -> list[Scaled]:
    """Walk over time, as the reference does; states are words of 32 bits between calls."""
    node, x = given.node, given.x
    attributes, kernel = node.attributes, given.weights["kernel"]
    bits = _input_bits(given.weights, x.scale)
    step, row = _STEPS[node.op](given, bits)
    project = _product(kernel, x.scale, 2.0**-bits)
    z = _clipped(project(x.values) + _bias(given.weights, 2.0**-bits, row))
    B, T = x.values.shape[:2]
    units, kinds = len(given.weights["recurrent_kernel"]), _WORDS[node.op]
    words = [np.zeros((B, units), np.int64) for _ in kinds]
    for index, (name, one) in enumerate(zip(node.inputs[1:], given.inputs[1:], strict=True)):
        # a state that is fed is not rounded as features are
        words[index] = kinds[index].taken(replace(one, values=given.feed.get(name, one.values)))
    states = _OPENED[node.op](words)
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
        pairs = zip(kinds, _CLOSED[node.op](states), strict=True)
        found += [Scaled(words, kind.unit, kind.unused) for kind, words in pairs]
    return found


@dataclass(frozen=True)
class _Word:
    """What 32 bits of a state stand for: multiples of a unit, behind some bits of a remainder."""

    unit: float
    limit: int
    unused: int = 0

    def taken(self, value: Scaled) -> Array:
        """Return a state as such words: as they are, or of floats."""
        if value.values.dtype.kind == "i" and value.scale in (0.0, self.unit):
            return value.values.astype(np.int64)
        return integers_of(_as_floats(value), 1.0 / self.unit, self.limit) << self.unused


_HALF = _Word(_UNIT, LARGEST, 16)
_CELL, _WIDE = _Word(2.0**-16, _LARGEST_CELL), _Word(2.0**-29, 2**29 - 1)
_WORDS = {"LSTM": (_HALF, _CELL), "GRU": (_WIDE,), "SimpleRNN": (_HALF,)}
# what a step knows: h, then an LSTM's c and remainder, or a GRU's wide h
_OPENED: dict[str, Callable[[list[Array]], list[Array]]] = {
    "LSTM": lambda words: [words[0] >> 16, words[1], words[0] & 0xFFFF],
    "GRU": lambda words: [_saturated(shifted(words[0], 14), LARGEST), words[0]],
    "SimpleRNN": lambda words: [words[0] >> 16],
}
_CLOSED: dict[str, Callable[[list[Array]], list[Array]]] = {
    "LSTM": lambda states: [states[0] << 16 | states[2], states[1]],
    "GRU": lambda states: [states[1]],
    "SimpleRNN": lambda states: [states[0] << 16],
}


def _input_bits(weights: Mapping[str, Array], scale: float | Array) -> int:
    """Return how many bits behind the point x W + b and h W + b have: they hold 31 in all."""
    kernel, recurrent = (weights[one].astype(np.float64) for one in ("kernel", "recurrent_kernel"))
    x = np.broadcast_to(np.asarray(scale, np.float64), (len(kernel),)) * 2**15
    largest = max((np.abs(kernel).T @ x).max(), np.abs(recurrent).sum(axis=0).max())
    largest += np.abs(weights["bias"]).max() if "bias" in weights else 0.0
    return int(np.clip(np.floor(30 - np.log2(1.01 * largest)), 16, 24))


_Step = Callable[[Array, list[Array]], list[Array]]


def _settings(given: Given) -> tuple[str, str]:
    attributes = given.node.attributes
    return attributes["activation"], attributes.get("recurrent_activation", "")


def _clipped(z: Array) -> Array:
    return np.clip(z, -_LARGEST_Z, _LARGEST_Z)


def _saturated(x: Array, most: int) -> Array:
    """Cut as a processor does: below by one more than above."""
    return np.clip(x, -most - 1, most)


def _lstm(given: Given, bits: int) -> tuple[_Step, int | None]:
    """Return an LSTM's step: c' = c - (1 - f) c + i g, with 16 bits behind c's last one."""
    act, gate = _settings(given)
    product = _product(given.weights["recurrent_kernel"], _UNIT, 2.0**-bits)

    def step(z: Array, states: list[Array]) -> list[Array]:
        h, c, rest = states
        i, f, g, o = np.split(z + _clipped(product(h)), 4, axis=-1)
        total = (c << 32) + (rest << 16) + 0x8000
        total += (_activate(gate, i, bits) * _activate(act, g, bits)) >> 14
        total -= _activate(gate, -f, bits) * 2 * c
        c = _saturated(total >> 32, _LARGEST_CELL)
        high = (_activate(gate, o, bits) * _activate(act, c, 16)) >> 32
        return [_saturated(shifted(high, 15), LARGEST), c, (total >> 16) & 0xFFFF]

    return step, None


def _gru(given: Given, bits: int) -> tuple[_Step, int | None]:
    """Return a GRU's step: h' = h + (1 - z) (n - h) in 32 bits, rounded towards n."""
    act, gate = _settings(given)
    kernel, units = given.weights["recurrent_kernel"], len(given.weights["recurrent_kernel"])
    after = bool(given.node.attributes["reset_after"])
    row, unit = 0 if after and "bias" in given.weights else None, 2.0**-bits
    bias = _bias(given.weights, unit, 1) if row == 0 else 0
    product = _product(kernel if after else kernel[:, : 2 * units], _UNIT, unit)
    candidate = product if after else _product(kernel[:, 2 * units :], _UNIT, unit)

    def step(z: Array, states: list[Array]) -> list[Array]:
        h, wide = states
        inner = _clipped(product(h) + bias)
        leak = _activate(gate, -(z[:, :units] + inner[:, :units]), bits)
        reset = _activate(gate, z[:, units : 2 * units] + inner[:, units : 2 * units], bits)
        if after:
            again = shifted(reset * inner[:, 2 * units :], 31)
        else:
            again = _clipped(candidate(shifted(reset * h, 31)))
        far = (_activate(act, z[:, 2 * units :] + again, bits) >> 1) - 2 * wide
        wide = wide + ((leak * far + np.where(far < 0, 0, 0xFFFFFFFF)) >> 32)
        return [_saturated(shifted(wide, 14), LARGEST), wide]

    return step, row


def _simple_rnn(given: Given, bits: int) -> tuple[_Step, int | None]:
    act, _ = _settings(given)
    product = _product(given.weights["recurrent_kernel"], _UNIT, 2.0**-bits)

    def step(z: Array, states: list[Array]) -> list[Array]:
        y = _activate(act, z + _clipped(product(states[0])), bits)
        return [_saturated(shifted(y >> 1, 15), LARGEST)]

    return step, None


_STEPS: dict[str, Callable[[Given, int], tuple[_Step, int | None]]] = {
    "LSTM": _lstm,
    "GRU": _gru,
    "SimpleRNN": _simple_rnn,
}


def _concatenate(given: Given) -> list[Scaled]:
    if given.x.values.dtype.kind == "b" or not given.x.scale:
        return _move(given)
    widest = max(float(one.scale) for one in given.inputs)
    alike = []
    for one in given.inputs:
        multipliers, shift = factors(np.array([one.scale / widest]))
        scaled = narrow(shifted(one.values * multipliers[0], shift))
        alike.append(one.values if one.scale == widest else scaled)
    return [Scaled(np.concatenate(alike, axis=given.node.attributes["axis"]), widest)]


def _move(given: Given) -> list[Scaled]:
    """Do what the reference does: nothing is computed, or masks and padding are looked for."""
    node = given.node
    inputs = [one.values for one in given.inputs]
    if node.op == "MaskFeatures":  # C looks at the features themselves
        inputs = [given.feed[node.inputs[0]]]
    weights = {role: one.astype(np.float32) for role, one in given.weights.items()}
    made = OPERATIONS[node.op](Call(inputs, weights, node.attributes, given.mask))
    return [Scaled(one, given.x.scale if one.dtype.kind != "b" else 0.0) for one in made]


_OPERATIONS: dict[str, Callable[[Given], list[Scaled]]] = {
    **dict.fromkeys(VECTOR_RECURRENCES, _recurrence),
    "Embedding": _embedding,
    "Dense": _dense,
    "Activation": _activation,
    "Affine": affine,
    "Concatenate": _concatenate,
    "Multiply": multiply,
    **dict.fromkeys(("Add", "Average", "Subtract"), add),
}
"""What computes; all others move values."""
