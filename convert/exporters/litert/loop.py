"""The while loop over timesteps that all recurrences share: masks, directions, sequences, states.

Not the step of any recurrence. See docs/decisions/0002-litert-while-loop.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gatelet.convert.exporters.litert.step import Step, Tf, TfTensor, over, sizes_of

States = tuple[TfTensor, ...]
Advance = Callable[[TfTensor, States], States]

BLOCK_STEPS = 4
"""Steps between two writes to a sequence: each write copies the whole sequence."""


def run_loop(step: Step, projected: TfTensor, advance: Advance, *, states: int) -> list[TfTensor]:
    """Take the steps of a recurrence.

    Args:
        step: The node; its inputs after the first are the states to start from.
        projected: The input's part of each step, [T, B, ...].
        advance: Gives the next states from projected [B, ...] and the states; the first state is
            what a step outputs.
        states: How many there are.

    Returns:
        The node's outputs.
    """
    loop = _Loop(
        step.tf,
        projected,
        mask=None if step.mask is None else step.tf.transpose(step.mask),
        advance=advance,
        backwards=bool(step.attributes.get("go_backwards")),
    )
    start = tuple(step.inputs[1:]) or (_zero_state(step, projected),) * states
    y, last = loop.run(start, with_sequence=bool(step.attributes["return_sequences"]))
    y = _outputs_where_masked(step, y)
    return [y, *last] if step.attributes.get("return_state") else [y]


@dataclass(frozen=True)
class _Loop:
    """A walk over timesteps.

    Its counter is the first step not yet taken or, backwards, the number of steps left, so that
    either direction costs one scalar operation a step.

    Args:
        tf: TensorFlow.
        projected: [T, B, ...].
        mask: bool [T, B], or None.
        advance: The step.
        backwards: Whether it starts at the last timestep.
    """

    tf: Tf
    projected: TfTensor
    mask: TfTensor | None
    advance: Advance
    backwards: bool

    def run(self, start: States, *, with_sequence: bool) -> tuple[TfTensor, States]:
        """Return y [B, T, ...] or the last step's [B, ...], and the last states."""
        tf = self.tf
        T, B = sizes_of(tf, self.projected)[:2]
        counter = T if self.backwards else 0
        if not with_sequence:
            _, *last = self._steps((counter, *start), None, at_once=1)
            return last[0], tuple(last)
        # where the batch is fixed, the engine checks that a block fits in before it takes any step
        may_be_short = isinstance(B, int) and not isinstance(T, int)
        rows = tf.maximum(T, BLOCK_STEPS) if may_be_short else T
        sequence = tf.zeros(tf.stack([rows, B, *sizes_of(tf, start[0])[1:]]))
        values = (counter, *start, sequence)
        if not isinstance(T, int) or T >= BLOCK_STEPS:
            values = self._steps(values, sequence, at_once=BLOCK_STEPS)
        _, *last, sequence = self._steps(values, sequence, at_once=1)
        if may_be_short:
            sequence = sequence[:T]
        order = [1, 0, *range(2, sequence.shape.rank)]
        return tf.transpose(sequence, order), tuple(last)

    def _steps(self, values: States, sequence: TfTensor | None, *, at_once: int) -> States:
        """Loop while there are `at_once` steps left.

        Args:
            values: Counter, states, and the sequence if there is one.
            sequence: That sequence [T, B, ...], or None.
            at_once: The steps in the loop's body.
        """
        tf = self.tf
        limit = sizes_of(tf, self.projected)[0] - at_once

        def goes_on(counter: TfTensor, *_: TfTensor) -> TfTensor:
            return counter >= at_once if self.backwards else counter <= limit

        def body(counter: TfTensor, *values: TfTensor) -> States:
            first = counter - at_once if self.backwards else counter
            states = values[: len(values) - (sequence is not None)]
            outputs: list[TfTensor] = [None] * at_once
            rows = self._rows(self.projected, first, at_once)
            counts = [None] * at_once
            if self.mask is not None:
                counts = self._rows(self.mask, first, at_once)
            for t in reversed(range(at_once)) if self.backwards else range(at_once):
                states = self._take(rows[t], counts[t], states)
                outputs[t] = states[0]
            following = first if self.backwards else counter + at_once
            if sequence is None:
                return following, *states
            return following, *states, _write_rows(tf, values[-1], tf.stack(outputs), first)

        B = self.projected.shape[1]
        shapes = [tf.TensorShape([B, *value.shape[1:]]) for value in values[1:]]
        if sequence is not None:
            shapes[-1] = tf.TensorShape([None, B, *sequence.shape[2:]])
        invariants = (tf.TensorShape([]), *shapes)
        return tuple(tf.while_loop(goes_on, body, values, shape_invariants=invariants))

    def _take(self, projected: TfTensor, counts: TfTensor | None, old: States) -> States:
        new = self.advance(projected, old)
        if counts is None:
            return new
        counts = over(self.tf, counts, new[0])
        return tuple(self.tf.where(counts, n, o) for n, o in zip(new, old, strict=True))

    def _rows(self, values: TfTensor, first: TfTensor, count: int) -> list[TfTensor]:
        """Return rows `first`, `first + 1`, ... of values with time first."""
        tf = self.tf
        if count == 1:
            return [tf.gather(values, first)]
        others = values.shape.rank - 1
        rows = tf.slice(values, tf.stack([first, *[0] * others]), [count, *[-1] * others])
        return list(tf.unstack(rows, num=count))


def _write_rows(tf: Tf, sequence: TfTensor, rows: TfTensor, first: TfTensor) -> TfTensor:
    """Return the sequence with rows from `first` on, by one DYNAMIC_UPDATE_SLICE.

    TensorFlow's public API has no such operator; tf.tensor_scatter_nd_update takes twice as long
    here and ten times in tflite-runtime, and a TensorArray needs a fixed batch.
    """
    from tensorflow.compiler.tf2xla.ops import gen_xla_ops

    indices = tf.stack([first, *[0] * (sequence.shape.rank - 1)])
    return gen_xla_ops.xla_dynamic_update_slice(sequence, rows, indices)


def _zero_state(step: Step, projected: TfTensor) -> TfTensor:
    """Return zeros [B, ..., U]: as projected, with the units in place of its last size."""
    sizes = sizes_of(step.tf, projected)
    return step.tf.zeros(step.tf.stack([*sizes[1:-1], step.units]))


def _outputs_where_masked(step: Step, y: TfTensor) -> TfTensor:
    """Return what is output at masked steps, where that is not the state.

    With `zero_output_for_mask` it is zero. Otherwise it is the previous output, which is the
    state, except that it is zero, not a given initial state, before the first step that counts,
    unless `output_initial_state` is set.
    """
    tf, mask = step.tf, step.mask
    if mask is None:
        return y
    backwards = bool(step.attributes.get("go_backwards"))
    if step.attributes.get("zero_output_for_mask"):
        counts = mask if step.attributes["return_sequences"] else mask[:, 0 if backwards else -1]
    elif len(step.inputs) == 1 or step.attributes.get("output_initial_state"):
        return y
    elif step.attributes["return_sequences"]:
        counts = tf.cumsum(tf.cast(mask, tf.int32), axis=1, reverse=backwards) > 0
    else:
        counts = tf.reduce_any(mask, axis=1)
    return tf.where(over(tf, counts, y), y, 0.0)
