"""The recurrences over [B, T, F]: LSTM, GRU and SimpleRNN, and the walk over time they share.

Not ConvLSTM2D, which is in `convolution_recurrent` and takes the same walk.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from gatelet.runtime.backends.reference.activations import activate
from gatelet.runtime.backends.reference.operation import Array, Call
from gatelet.runtime.backends.reference.tables import TABLE

States = tuple[Array, ...]
Projection = Callable[[int], Array]
Step = Callable[[Array, States], States]
Activation = Callable[[Array], Array]


def run_steps(project: Projection, states: States, step: Step, call: Call) -> list[Array]:
    """Take the steps of a recurrence.

    At a masked timestep the states stay, and the output is the previous step's (zero before the
    first, or the initial state with `output_initial_state`), or zero with `zero_output_for_mask`.

    Args:
        project: Gives the input's part of a step, [B, ...], for its timestep.
        states: At the start, each [B, ...]; the first is what a step outputs.
        step: Gives the next states from projected [B, ...] and the states.
        call: For its input [B, T, ...], its mask and its attributes go_backwards,
            return_sequences, return_state and zero_output_for_mask.

    Returns:
        y [B, T, ...], aligned with x whatever the direction, or [B, ...]; then the last states
        with `return_state`.
    """
    T, attributes = call.inputs[0].shape[1], call.attributes
    y = states[0] if attributes.get("output_initial_state") else np.zeros_like(states[0])
    sequence = [y] * T
    for t in reversed(range(T)) if attributes.get("go_backwards") else range(T):
        following = step(project(t), states)
        if call.mask is None:
            y, states = following[0], following
        else:
            counts = call.mask[:, t].reshape(-1, *[1] * (y.ndim - 1))
            instead = np.zeros_like(y) if attributes.get("zero_output_for_mask") else y
            y = np.where(counts, following[0], instead)
            states = tuple(
                np.where(counts, new, old) for new, old in zip(following, states, strict=True)
            )
        sequence[t] = y
    if attributes["return_sequences"]:
        # zero timesteps have nothing to stack
        y = np.stack(sequence, axis=1) if T else y[:, None][:, :0]
    return [y, *states] if attributes.get("return_state") else [y]


def activations_of(call: Call) -> tuple[Activation, Activation]:
    """Return a recurrence's activation and recurrent activation as functions."""

    def bind(setting: str) -> Activation:
        name = call.attributes.get(setting, "linear")
        parameters: dict[str, Any] = call.attributes.get(f"{setting}_parameters", {})
        return lambda x: activate(name, x, **parameters)

    return bind("activation"), bind("recurrent_activation")


def lstm_step(
    projected: Array,
    h: Array,
    c: Array,
    *,
    recurrent_kernel: Array,
    activation: str | Activation = "tanh",
    recurrent_activation: str | Activation = "sigmoid",
) -> tuple[Array, Array]:
    """Advance an LSTM by one timestep.

    Gates lie i, f, g, o along the last axis, as Keras stores them.

    Args:
        projected: x @ kernel + bias of this timestep, [B, 4U].
        h: Hidden state, [B, U].
        c: Cell state, [B, U].
        recurrent_kernel: [U, 4U].
        activation: Of the candidate g and of the cell state; a name or a function.
        recurrent_activation: Of the gates i, f and o.

    Returns:
        The next (h, c), each [B, U].

    Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.
    """
    act, gate = _function(activation), _function(recurrent_activation)
    i, f, g, o = np.split(projected + h @ recurrent_kernel, 4, axis=-1)
    c = gate(f) * c + gate(i) * act(g)
    return gate(o) * act(c), c


def gru_step(
    projected: Array,
    h: Array,
    *,
    recurrent_kernel: Array,
    recurrent_bias: Array | None = None,
    reset_after: bool = True,
    activation: str | Activation = "tanh",
    recurrent_activation: str | Activation = "sigmoid",
) -> Array:
    """Advance a GRU by one timestep.

    Gates lie z, r, h along the last axis, as Keras stores them.

    Args:
        projected: x @ kernel + bias of this timestep, [B, 3U].
        h: Hidden state, [B, U].
        recurrent_kernel: [U, 3U].
        recurrent_bias: [3U], with reset_after only.
        reset_after: Whether the reset gate meets h after the matrix product (Keras 2 and 3, cuDNN)
            or before it (Keras 1).
        activation: Of the candidate.
        recurrent_activation: Of the gates z and r.

    Returns:
        The next h, [B, U].

    Source: Cho et al. 2014; with reset_after the variant of its version 1 and of cuDNN.
    """
    act, gate = _function(activation), _function(recurrent_activation)
    U = h.shape[-1]
    x_z, x_r, x_h = np.split(projected, 3, axis=-1)
    if reset_after:
        inner = h @ recurrent_kernel
        if recurrent_bias is not None:
            inner = inner + recurrent_bias
        h_z, h_r, h_h = np.split(inner, 3, axis=-1)
        z, r = gate(x_z + h_z), gate(x_r + h_r)
        candidate = act(x_h + r * h_h)
    else:
        h_z, h_r = np.split(h @ recurrent_kernel[:, : 2 * U], 2, axis=-1)
        z, r = gate(x_z + h_z), gate(x_r + h_r)
        candidate = act(x_h + (r * h) @ recurrent_kernel[:, 2 * U :])
    return np.asarray(z * h + (1 - z) * candidate)


def simple_rnn_step(
    projected: Array,
    h: Array,
    *,
    recurrent_kernel: Array,
    activation: str | Activation = "tanh",
) -> Array:
    """Advance a simple recurrent network by one timestep.

    Args:
        projected: x @ kernel + bias of this timestep, [B, U].
        h: Hidden state, [B, U].
        recurrent_kernel: [U, U].
        activation: Of the sum.

    Returns:
        The next h, [B, U].

    Source: Elman 1990.
    """
    return _function(activation)(projected + h @ recurrent_kernel)


def lstm(call: Call) -> list[Array]:
    """Run an `LSTM` node: x [B, T, F], (h, c [B, U])."""
    recurrent_kernel = call.weights["recurrent_kernel"]
    activation, recurrent_activation = activations_of(call)

    def step(projected: Array, states: States) -> States:
        return lstm_step(
            projected,
            *states,
            recurrent_kernel=recurrent_kernel,
            activation=activation,
            recurrent_activation=recurrent_activation,
        )

    projected = _project(call, call.weights.get("bias"))
    return run_steps(projected, _initial(call, count=2), step, call)


def gru(call: Call) -> list[Array]:
    """Run a `GRU` node: x [B, T, F], (h [B, U])."""
    activation, recurrent_activation = activations_of(call)
    reset_after = call.attributes["reset_after"]
    bias, recurrent_bias = call.weights.get("bias"), None
    if bias is not None and reset_after:
        bias, recurrent_bias = bias

    def step(projected: Array, states: States) -> States:
        return (
            gru_step(
                projected,
                states[0],
                recurrent_kernel=call.weights["recurrent_kernel"],
                recurrent_bias=recurrent_bias,
                reset_after=reset_after,
                activation=activation,
                recurrent_activation=recurrent_activation,
            ),
        )

    return run_steps(_project(call, bias), _initial(call, count=1), step, call)


def simple_rnn(call: Call) -> list[Array]:
    """Run a `SimpleRNN` node: x [B, T, F], (h [B, U])."""
    activation, _ = activations_of(call)

    def step(projected: Array, states: States) -> States:
        kernel = call.weights["recurrent_kernel"]
        h = simple_rnn_step(projected, states[0], recurrent_kernel=kernel, activation=activation)
        return (h,)

    projected = _project(call, call.weights.get("bias"))
    return run_steps(projected, _initial(call, count=1), step, call)


def _function(activation: str | Activation) -> Activation:
    if callable(activation):
        return activation
    name = activation
    return lambda x: activate(name, x)


def _project(call: Call, bias: Array | None) -> Projection:
    """Return the input's part of a step: at its timestep, so that it is still in the cache."""
    if TABLE in call.weights:
        table, ids = call.weights[TABLE], call.inputs[0].astype(np.int64)
        return lambda t: np.asarray(table[ids[:, t]])
    x, kernel = call.inputs[0], call.weights["kernel"]

    def project(t: int) -> Array:
        projected = x[:, t] @ kernel
        if bias is not None:
            projected += bias
        return np.asarray(projected)

    return project


def _initial(call: Call, *, count: int) -> States:
    x, *given = call.inputs
    if given:
        return tuple(given)
    recurrent_kernel = call.weights["recurrent_kernel"]
    U, dtype = len(recurrent_kernel), recurrent_kernel.dtype
    return tuple(np.zeros((len(x), U), dtype) for _ in range(count))
