"""The recurrences in plain Python: LSTM, GRU, SimpleRNN and ConvLSTM2D, and the walk over time.

Not the definition of their equations, which is the reference backend's.
"""

import math
from collections.abc import Callable, Sequence
from operator import add, mul

from gatelet.runtime.backends.pure.activations import vector_activation
from gatelet.runtime.backends.pure.array import Array, Weight, check_width, chunks, dot
from gatelet.runtime.backends.pure.convolution import convolve
from gatelet.runtime.backends.pure.operation import Call

Vector = list[float]
States = tuple[Vector, ...]
Step = Callable[[Vector, States], States]


def lstm(call: Call) -> list[Array]:
    """Run an `LSTM` node: x [B, T, F], (h, c [B, U])."""
    kernel, bias = call.weights["kernel"].columns, _bias(call, "bias")
    recurrent_kernel = call.weights["recurrent_kernel"].columns
    activation, gate = _activations(call)

    def step(x: Vector, states: States) -> States:
        h, c = states
        sums = [dot(x, k) + dot(h, r) for k, r in zip(kernel, recurrent_kernel, strict=True)]
        return _lstm_states(list(map(add, sums, bias)), c, activation, gate)

    return _walk(call, step, count=2)


def gru(call: Call) -> list[Array]:
    """Run a `GRU` node: x [B, T, F], (h [B, U])."""
    kernel, recurrent = call.weights["kernel"].columns, call.weights["recurrent_kernel"].columns
    activation, gate = _activations(call)
    U, reset_after = len(recurrent) // 3, call.attributes["reset_after"]
    bias, recurrent_bias = _bias(call, "bias"), [0.0] * (3 * U)
    if "bias" in call.weights and reset_after:
        bias, recurrent_bias = bias[: 3 * U], bias[3 * U :]

    def step(x: Vector, states: States) -> States:
        (h,) = states
        x_zrh = [dot(x, k) + b for k, b in zip(kernel, bias, strict=True)]
        used = recurrent if reset_after else recurrent[: 2 * U]
        inner = [dot(h, k) + b for k, b in zip(used, recurrent_bias, strict=False)]
        zr = list(map(add, x_zrh[: 2 * U], inner[: 2 * U]))
        z, r = gate(zr[:U]), gate(zr[U:])
        if reset_after:
            h_h = list(map(mul, r, inner[2 * U :]))
        else:
            reset = list(map(mul, r, h))
            h_h = [dot(reset, k) for k in recurrent[2 * U :]]
        candidate = activation(list(map(add, x_zrh[2 * U :], h_h)))
        return ([a * b + (1 - a) * c for a, b, c in zip(z, h, candidate, strict=True)],)

    return _walk(call, step, count=1)


def simple_rnn(call: Call) -> list[Array]:
    """Run a `SimpleRNN` node: x [B, T, F], (h [B, U])."""
    kernel, bias = call.weights["kernel"].columns, _bias(call, "bias")
    recurrent_kernel = call.weights["recurrent_kernel"].columns
    activation, _ = _activations(call)

    def step(x: Vector, states: States) -> States:
        (h,) = states
        sums = [dot(x, k) + dot(h, r) for k, r in zip(kernel, recurrent_kernel, strict=True)]
        return (activation(list(map(add, sums, bias))),)

    return _walk(call, step, count=1)


def conv_lstm_2d(call: Call) -> list[Array]:
    """Run a `ConvLSTM2D` node: x [B, T, H, W, C], (h, c [B, H', W', U])."""
    x, *given = call.inputs
    B, T, *frame = x.shape
    projected = convolve(
        Array((B * T, *frame), x.data),
        call.weights["kernel"],
        strides=call.attributes["strides"],
        padding=call.attributes["padding"],
        dilation_rate=call.attributes["dilation_rate"],
    )
    width = projected.shape[-1]
    if "bias" in call.weights:
        bias = call.weights["bias"].values
        rows = (map(add, part, bias) for part in chunks(projected.data, width))
        projected = Array(projected.shape, [value for row in rows for value in row])
    places = (*projected.shape[1:-1], width // 4)
    each_place = [_each(function, width // 4) for function in _activations(call)]

    def step(projected_x: Vector, states: States) -> States:
        h, c = states
        recurrent = convolve(
            Array((1, *places), h),
            call.weights["recurrent_kernel"],
            strides=(1, 1),
            padding="same",
            dilation_rate=(1, 1),
        )
        sums = list(map(add, projected_x, recurrent.data))
        return _lstm_states(_by_gate(sums, width), c, *each_place)

    frames = Array((B, T, *projected.shape[1:]), projected.data)
    return _walk(call, step, count=2, x=frames, places=places, given=given)


def _lstm_states(
    sums: Vector,
    c: Vector,
    activation: Callable[[Vector], Vector],
    gate: Callable[[Vector], Vector],
) -> States:
    """Return the next (h, c) from the sums of the gates i, f, g, o.

    Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.
    """
    n = len(c)
    i, f, o = gate(sums[:n]), gate(sums[n : 2 * n]), gate(sums[3 * n :])
    g = activation(sums[2 * n : 3 * n])
    c = [f_ * c_ + i_ * g_ for f_, c_, i_, g_ in zip(f, c, i, g, strict=True)]
    return list(map(mul, o, activation(c))), c


def _walk(
    call: Call,
    step: Step,
    *,
    count: int,
    x: Array | None = None,
    places: tuple[int, ...] = (),
    given: Sequence[Array] | None = None,
) -> list[Array]:
    """Take the steps of each row; a masked timestep costs nothing, nor does padding in front.

    Args:
        call: The node's.
        step: Gives the next states of one row; the first is what it outputs.
        count: Of states.
        x: What the steps take, [B, T, ...]; the node's first input by default.
        places: The shape of a state without B; [U] by default.
        given: The initial states; the node's further inputs by default.

    Returns:
        As the reference backend's `run_steps`.
    """
    x = call.inputs[0] if x is None else x
    given = call.inputs[1:] if given is None else given
    places = places or (call.weights["recurrent_kernel"].shape[0],)
    B, T = x.shape[:2]
    size, state_size = math.prod(x.shape[2:]), math.prod(places)
    if len(places) == 1:
        check_width(x, call.weights["kernel"])
    starts = [list(chunks(state.data, state_size)) for state in given]
    pads = () if given or call.mask or call.attributes.get("go_backwards") else x.pads
    outputs: list[Vector] = []
    last: list[States] = []
    for b in range(B):
        row = x.data[b * T * size : (b + 1) * T * size]
        states = tuple(start[b] for start in starts) or ([0.0] * state_size,) * count
        counts = call.mask.data[b * T : (b + 1) * T] if call.mask else None
        y, states = _walk_row(
            call, step, row, T, states, counts=counts, pads=pads[b] if pads else 0
        )
        outputs.append(y)
        last.append(states)
    shape = (B, T, *places) if call.attributes["return_sequences"] else (B, *places)
    results = [Array(shape, [value for y in outputs for value in y], pads=pads)]
    if call.attributes.get("return_state"):
        for each in range(count):
            data = [value for states in last for value in states[each]]
            results.append(Array((B, *places), data))
    return results


def _walk_row(
    call: Call,
    step: Step,
    row: Vector,
    T: int,
    states: States,
    *,
    counts: list[bool] | None,
    pads: int,
) -> tuple[Vector, States]:
    attributes = call.attributes
    zero = [0.0] * len(states[0])
    y = states[0] if attributes.get("output_initial_state") else zero
    sequence = [y] * T
    size = len(row) // T if T else 0
    times = reversed(range(T)) if attributes.get("go_backwards") else range(pads, T)
    if pads:
        trajectory = _trajectory(call.start, step, row[: pads * size], states, pads)
        sequence[:pads] = [after[0] for after in trajectory[1 : pads + 1]]
        states = trajectory[pads]
        y = states[0]
    for t in times:
        if counts is None or counts[t]:
            states = step(row[t * size : (t + 1) * size], states)
            y = states[0]
        elif attributes.get("zero_output_for_mask"):
            y = zero
        sequence[t] = y
    if attributes["return_sequences"]:
        return [value for one in sequence for value in one], states
    return y, states


def _trajectory(
    known: list[States], step: Step, row: Vector, states: States, steps: int
) -> list[States]:
    """Return the states after 0, 1, ... timesteps of padding, each computed once.

    Threads may do so at the same time: each extends a copy of its own.
    """
    found = list(known) or [states]
    if len(found) <= steps:
        size = len(row) // steps
        while len(found) <= steps:
            t = len(found) - 1
            found.append(step(row[t * size : (t + 1) * size], found[-1]))
        known[:] = found
    return found


def _activations(call: Call) -> tuple[Callable[[Vector], Vector], Callable[[Vector], Vector]]:
    def bind(setting: str) -> Callable[[Vector], Vector]:
        name = call.attributes.get(setting, "linear")
        return vector_activation(name, call.attributes.get(f"{setting}_parameters", {}))

    return bind("activation"), bind("recurrent_activation")


def _bias(call: Call, role: str) -> Vector:
    weight: Weight | None = call.weights.get(role)
    return weight.values if weight else [0.0] * call.weights["kernel"].shape[-1]


def _each(function: Callable[[Vector], Vector], size: int) -> Callable[[Vector], Vector]:
    """Return a function of vectors [U] for all places of [H, W, U]."""
    return lambda data: [value for part in chunks(data, size) for value in function(part)]


def _by_gate(sums: Vector, width: int) -> Vector:
    """Reorder [H, W, 4U] to [4, H, W, U]."""
    U = width // 4
    starts = range(0, len(sums), width)
    return [v for g in range(4) for at in starts for v in sums[at + g * U : at + (g + 1) * U]]
