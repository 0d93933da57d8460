"""The steps of LSTM, GRU and SimpleRNN; the input's projection is computed before the loop.

Not the loop, which is in `loop`, and not ConvLSTM2D, which is in `convolution`.
"""

from gatelet.convert.exporters.litert.activations import activations_of
from gatelet.convert.exporters.litert.int8 import input_kernel, recurrent_kernel
from gatelet.convert.exporters.litert.loop import States, run_loop
from gatelet.convert.exporters.litert.step import Step, TfTensor, product


def lstm(step: Step) -> list[TfTensor]:
    """Export an `LSTM` node."""
    tf, kernel = step.tf, recurrent_kernel(step)
    act, gate = activations_of(step)

    def advance(projected: TfTensor, states: States) -> States:
        h, c = states
        i, f, g, o = tf.split(projected + tf.matmul(h, kernel), 4, axis=1)
        c = gate(f) * c + gate(i) * act(g)
        return gate(o) * act(c), c

    return run_loop(step, _project(step, step.weights.get("bias")), advance, states=2)


def gru(step: Step) -> list[TfTensor]:
    """Export a `GRU` node, with the reset gate after or before the recurrent product."""
    tf, U = step.tf, step.units
    act, gate = activations_of(step)
    kernel, bias = recurrent_kernel(step), step.weights.get("bias")
    of_gates, of_candidate = kernel[:, : 2 * U], kernel[:, 2 * U :]

    def advance_after(projected: TfTensor, states: States) -> States:
        (h,) = states
        inner = tf.matmul(h, kernel)
        if bias is not None:
            inner += bias[1]
        x_z, x_r, x_h = tf.split(projected, 3, axis=1)
        h_z, h_r, h_h = tf.split(inner, 3, axis=1)
        z, r = gate(x_z + h_z), gate(x_r + h_r)
        return (z * h + (1.0 - z) * act(x_h + r * h_h),)

    def advance_before(projected: TfTensor, states: States) -> States:
        (h,) = states
        x_z, x_r, x_h = tf.split(projected, 3, axis=1)
        h_z, h_r = tf.split(tf.matmul(h, of_gates), 2, axis=1)
        z, r = gate(x_z + h_z), gate(x_r + h_r)
        candidate = act(x_h + tf.matmul(r * h, of_candidate))
        return (z * h + (1.0 - z) * candidate,)

    if not step.attributes["reset_after"]:
        return run_loop(step, _project(step, bias), advance_before, states=1)
    projected = _project(step, None if bias is None else bias[0])
    return run_loop(step, projected, advance_after, states=1)


def simple_rnn(step: Step) -> list[TfTensor]:
    """Export a `SimpleRNN` node."""
    tf, kernel = step.tf, recurrent_kernel(step)
    act, _ = activations_of(step)

    def advance(projected: TfTensor, states: States) -> States:
        return (act(projected + tf.matmul(states[0], kernel)),)

    return run_loop(step, _project(step, step.weights.get("bias")), advance, states=1)


def _project(step: Step, bias: TfTensor | None) -> TfTensor:
    """Return x @ kernel + bias for all timesteps, time first: [T, B, ...]."""
    x = step.tf.transpose(step.inputs[0], [1, 0, 2])
    return product(step.tf, x, input_kernel(step), bias, is_made_here=True)
