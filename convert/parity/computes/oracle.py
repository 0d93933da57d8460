"""Runs a Graph as a file of a scheme should: the reference's equations, with that scheme's numbers.

Not which numbers those are: see `table`. Nothing here is an exporter's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gatelet.convert.parity.computes.roundings import Array, Rounding
from gatelet.convert.parity.computes.weights import Matrix, Plan
from gatelet.runtime.backends.reference import OPERATIONS
from gatelet.runtime.backends.reference.convolution import convolve, windows
from gatelet.runtime.backends.reference.convolution_recurrent import conv_lstm_2d
from gatelet.runtime.backends.reference.operation import Call
from gatelet.runtime.backends.reference.recurrent import (
    States,
    activations_of,
    gru_step,
    lstm_step,
    run_steps,
    simple_rnn_step,
)
from gatelet.runtime.backends.reference.run import DType
from gatelet.runtime.graph.graph import Node
from gatelet.runtime.graph.operations import CONVOLUTIONS, VECTOR_RECURRENCES
from gatelet.runtime.graph.operations import OPERATIONS as TABLE

_PRODUCTS = ("kernel", "recurrent_kernel")
_EMPTY: Mapping[str, Array] = {}


@dataclass(frozen=True)
class Noise:
    """What another engine's float32 may differ by from float64.

    Args:
        seed: Of the draw.
        absolute: The most that a number moves.
        share: The most that it moves besides, of itself.
    """

    seed: int
    absolute: float = 2e-7
    share: float = 3e-7

    def drawn(self) -> Rounding:
        """Return what moves numbers, another draw each time; zeros stay."""
        random = np.random.default_rng(self.seed)

        def disturb(x: Array) -> Array:
            size = self.absolute * (x != 0) + self.share * np.abs(x)
            return np.asarray(x + size * random.uniform(-1, 1, x.shape))

        return disturb


@dataclass(frozen=True)
class Seen:
    """What a file was found to hold while it ran.

    Args:
        values: By name in the Graph: they replace what a node made, before others read it.
        before: By recurrence, its state h before each step, [B, T, U].
    """

    values: Mapping[str, Array] = field(default_factory=dict)
    before: Mapping[str, Array] = field(default_factory=dict)


NOTHING = Seen()


@dataclass(frozen=True)
class Run:
    """A run.

    Args:
        made: All values, as each node made them.
        blurred: Those that depend on a rounding of numbers that the file did not show: of such a
            number the file may have a neighbour on the other side of a tie.
    """

    made: Mapping[str, Array]
    blurred: frozenset[str]


def run(
    plan: Plan,
    feed: Mapping[str, Array],
    *,
    seen: Seen = NOTHING,
    noise: Noise | None = None,
    dtype: DType = np.float64,
) -> Run:
    """Run a plan.

    Args:
        plan: The Graph and its weights.
        feed: By graph input.
        seen: What the file holds: each node, and each step, is then judged by itself.
        noise: Moves what the file did not show, before it is rounded.
        dtype: The type to compute in.
    """
    values = {name: _typed(one, dtype) for name, one in feed.items()}
    made, blurred, unsure = dict(values), set[str](), set[str]()
    exact = plan.facts.exact | set(seen.values)
    disturb = None if noise is None else noise.drawn()
    for node in plan.graph.nodes:
        call = _call_of(plan, node, values, _Typing(dtype, exact, disturb))
        forced = seen.before.get(node.name)
        with np.errstate(all="ignore"):
            results = _results(node, call, forced, disturb)
        taken = (*node.inputs, *((node.mask,) if node.mask else ()))
        is_blurred = not unsure.isdisjoint(taken) or _rounds_unseen(call, node, exact, forced)
        for name, one in zip(node.outputs, results, strict=True):
            made[name] = one
            values[name] = _typed(seen.values[name], dtype) if name in seen.values else one
            if is_blurred:
                blurred.add(name)
                if name not in seen.values:
                    unsure.add(name)
    return Run(made, frozenset(blurred))


def outputs_of(plan: Plan, found: Run) -> dict[str, Array]:
    """Return the outputs of the Graph."""
    return {name: found.made[name] for name in plan.graph.outputs}


@dataclass(frozen=True)
class _Typing:
    dtype: DType
    exact: set[str] | frozenset[str]
    disturb: Rounding | None


def _typed(array: Array, dtype: DType) -> Array:
    return array.astype(dtype, copy=False) if array.dtype.kind == "f" else array


def _call_of(plan: Plan, node: Node, values: Mapping[str, Array], typing: _Typing) -> Call:
    """Return what a node is given; kernels of products that round are matrices that do so."""
    # a Matrix stands in for an array in `x @ kernel`: nodes of _ROUNDING do nothing else with it
    weights: dict[str, Any] = {}
    for role, matrix in plan.weights[node.name].items():
        before = None if node.inputs[0] in typing.exact and role == "kernel" else typing.disturb
        if role in _PRODUCTS and node.op in _ROUNDING:
            weights[role] = replace(matrix, before=before)
        else:
            weights[role] = _typed(matrix.values, typing.dtype)
    return Call(
        inputs=[values[name] for name in node.inputs],
        weights=weights,
        attributes=node.attributes,
        mask=values[node.mask] if node.mask else None,
    )


_ROUNDING = VECTOR_RECURRENCES | CONVOLUTIONS | {"Dense"}


def _rounds_unseen(
    call: Call, node: Node, exact: set[str] | frozenset[str], forced: Array | None
) -> bool:
    kernel, recurrent = (call.weights.get(role) for role in _PRODUCTS)
    if isinstance(kernel, Matrix) and kernel.rounds and node.inputs[0] not in exact:
        return True
    if not isinstance(recurrent, Matrix) or not recurrent.rounds:
        return False
    if node.op == "GRU" and not node.attributes["reset_after"]:
        return True  # what is reset is multiplied, and nobody sees it
    is_one_step = call.inputs[0].shape[1] == 1 and exact.issuperset(node.inputs[1:])
    return forced is None and not is_one_step


def _results(node: Node, call: Call, forced: Array | None, disturb: Rounding | None) -> list[Array]:
    if node.op in VECTOR_RECURRENCES:
        return _recurrence(node, call, forced, disturb)
    if node.op in CONVOLUTIONS:
        return _convolution(node, call)
    return OPERATIONS[node.op](call)


def _convolution(node: Node, call: Call) -> list[Array]:
    """Convolve as each kernel does; a ConvLSTM2D is given its input's part as it is."""
    kernel, recurrent = (call.weights.get(role) for role in _PRODUCTS)
    assert isinstance(kernel, Matrix)
    x = call.inputs[0]
    frames = x if recurrent is None else x.reshape(-1, *x.shape[2:])
    projected = _convolved(frames, kernel, call.attributes)
    if "bias" in call.weights:
        projected = projected + call.weights["bias"]
    if recurrent is None:
        return [projected]
    assert isinstance(recurrent, Matrix)
    gates = projected.shape[-1]
    plain = {
        "kernel": np.eye(gates, dtype=x.dtype)[None, None],
        "recurrent_kernel": recurrent.values.astype(x.dtype),
    }
    inputs = [projected.reshape(*x.shape[:2], *projected.shape[1:]), *call.inputs[1:]]
    given = Call(inputs, plain, {**call.attributes, **_PLAIN}, call.mask)
    same = {**_PLAIN, "padding": "same"}
    return conv_lstm_2d(given, recurrent=lambda h: _convolved(h, recurrent, same))


_PLAIN: Mapping[str, Any] = {"strides": (1, 1), "padding": "valid", "dilation_rate": (1, 1)}


def _convolved(x: Array, kernel: Matrix, attributes: Mapping[str, Any]) -> Array:
    """Convolve, where the kernel rounds what it meets image by image or window by window."""
    *sizes, channels, _ = kernel.shape
    axes, groups = len(sizes), int(attributes.get("groups", 1))
    strides, dilation = (_by_axis(attributes[one], axes) for one in ("strides", "dilation_rate"))
    padding = attributes["padding"]
    if not kernel.rounds or kernel.spans_images:
        values = kernel.values.astype(x.dtype, copy=False)
        return convolve(
            kernel.over_images(x),
            values,
            strides=strides,
            padding=padding,
            dilation_rate=dilation,
            groups=groups,
        )
    seen = np.stack([*windows(x, sizes, strides, padding, dilation)], axis=-2)
    apart = seen.reshape(*seen.shape[:-1], groups, channels)
    made = []
    for group, part in enumerate(kernel.parts):
        rows = apart[..., group, :].reshape(*seen.shape[:-2], -1)
        matrix = part.values.reshape(-1, part.values.shape[-1])
        columns = slice(0, matrix.shape[-1])
        made.append(rows @ Matrix((replace(part, columns=columns, values=matrix),), kernel.before))
    return np.concatenate(made, axis=-1)


def _by_axis(setting: int | Sequence[int], axes: int) -> tuple[int, ...]:
    return (setting,) * axes if isinstance(setting, int) else tuple(setting)


def _recurrence(
    node: Node, call: Call, forced: Array | None, disturb: Rounding | None
) -> list[Array]:
    """Walk over time; with `forced` each step starts from the h that the file had."""
    x, kernel, recurrent = call.inputs[0], call.weights["kernel"], call.weights["recurrent_kernel"]
    assert isinstance(kernel, Matrix)
    assert isinstance(recurrent, Matrix)
    bias, kinds = _settings(node, call)
    projected = _over_sequence(x, kernel, call.mask) @ kernel
    if bias is not None:
        projected = projected + bias
    states = TABLE[node.op].states
    zeros = np.zeros((len(x), recurrent.shape[0]), x.dtype)
    start = tuple(call.inputs[1:]) or (zeros,) * len(states)
    is_seen = forced is not None or (x.shape[1] == 1 and len(call.inputs) > 1)
    kinds["recurrent_kernel"] = replace(recurrent, before=None if is_seen else disturb)
    at: list[int] = []

    def project(t: int) -> Array:
        at.append(t)
        return np.asarray(projected[:, t])

    def step(z: Array, held: States) -> States:
        h = held[0] if forced is None else forced[:, at[-1]].astype(x.dtype, copy=False)
        if node.op == "LSTM":
            return lstm_step(z, h, held[1], **kinds)
        made = (gru_step if node.op == "GRU" else simple_rnn_step)(z, h, **kinds)
        return (made,)

    return run_steps(project, start, step, call)


def _settings(node: Node, call: Call) -> tuple[Array | None, dict[str, Any]]:
    """Return the bias of a recurrence's input, and what else its step is told."""
    activation, recurrent_activation = activations_of(call)
    kinds: dict[str, Any] = {"activation": activation}
    bias = call.weights.get("bias")
    if node.op != "SimpleRNN":
        kinds["recurrent_activation"] = recurrent_activation
    if node.op == "GRU":
        kinds["reset_after"] = node.attributes["reset_after"]
        if bias is not None and kinds["reset_after"]:
            bias, kinds["recurrent_bias"] = bias
    return bias, kinds


def _over_sequence(x: Array, kernel: Matrix, mask: Array | None) -> Array:
    """Round all timesteps that count together, where a kernel is met that way."""
    rounded = kernel.over_sequence
    if rounded is None:
        return x
    counts = np.ones(x.shape[:2], bool) if mask is None else mask
    taken = x if kernel.before is None else kernel.before(x)
    made = np.zeros_like(x)
    made[counts] = rounded(taken[counts])
    return made


def noises(count: int, noise: Noise) -> Iterator[Noise]:
    """Return the same noise, drawn so many times."""
    return (replace(noise, seed=seed) for seed in range(count))
