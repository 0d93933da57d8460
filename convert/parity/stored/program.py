"""A file's operators in the order in which they run, and the constants that reach each of them.

Not the reading of a format, and not the Graph: readers translate a file into this, and `match`
asks which operator reads a weight. What an engine makes of constants before it uses them (a cast,
a product with scales, a look-up of rows) is followed, so a constant is what an operator reads.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from gatelet.convert.layouts import INT4_MIDDLE
from gatelet.convert.parity.stored.file import Array, Stored, cut_off_levels

_LEVELS = 16


@dataclass(frozen=True)
class Operator:
    """An operator of a file.

    Args:
        kind: ONNX' name where TensorFlow Lite has the same, else the format's own.
        inputs: Values by names that are unique in the file, '' for one that is left out.
        outputs: What it makes.
        settings: Of the operator, as far as they are needed.
        name: What the file calls it, or what it makes.
        loop: The loop in whose body it is; '' outside of loops.
        scope: The Graph's node that it belongs to; '' where that is not known.
        copy: Tells apart the operators of a node that runs more than once.
        behind: Where names tell nothing: the products, loops and look-ups that it depends on
            directly.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    loop: str = ""
    scope: str = ""
    copy: str = ""
    behind: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Program:
    """What a file runs.

    Args:
        operators: In order; those of a loop's body before the loop.
        constants: What the file stores, by value.
        outputs: The values that it gives.
        inputs: The Graph's inputs by the values that are fed.
        beside: Tables that lie beside the file, by the name of the input that takes their rows.
    """

    operators: tuple[Operator, ...]
    constants: Mapping[str, Stored]
    outputs: tuple[str, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, Stored] = field(default_factory=dict)

    @cached_property
    def live(self) -> tuple[Operator, ...]:
        """The operators that an output needs, in order."""
        needed, found = set(self.outputs), []
        for one in reversed(self.operators):
            if not needed.isdisjoint(one.outputs) or not one.outputs:
                found.append(one)
                needed.update(one.inputs)
        return tuple(reversed(found))

    @cached_property
    def known(self) -> Mapping[str, Stored]:
        """Every value that constants alone decide, and every row that a look-up may give."""
        known = dict(self.constants)
        positive: set[str] = set()
        for one in self.live:
            if one.kind in _NEVER_NEGATIVE or (
                one.kind in _TAKES_SOME and one.inputs[0] in positive
            ):
                positive.update(one.outputs)
            if _is_zero(one, known, positive):
                known[one.outputs[0]] = Stored("", np.zeros((), np.float32))
            follow = FOLLOWED.get(one.kind)
            if follow is None or one.settings.get("activation"):
                continue
            if not any(name in known for name in one.inputs):
                continue
            try:
                made = follow(one, [known.get(name) for name in one.inputs])
            except (LookupError, TypeError, ValueError):  # of shapes that do not fit: not followed
                continue
            if made is not None:
                known.update(zip(one.outputs, made, strict=False))
        return known

    @cached_property
    def lookups(self) -> tuple[tuple[Operator, Stored], ...]:
        """The tables whose rows are looked up, as the operators behind the look-up take them."""
        taken = set(self.outputs)
        for one in self.live:
            if not any(name in self.known for name in one.outputs):
                taken.update(one.inputs)
        return tuple(
            (one, self.known[one.outputs[0]])
            for one in self.live
            if one.outputs
            and one.outputs[0] in taken
            and one.outputs[0] in self.known
            and self.known[one.outputs[0]].rows_by
        )

    def constant(self, operator: Operator, place: int) -> Stored | None:
        """Return the constant that an operator reads.

        Args:
            operator: One of these.
            place: Of its inputs; -1 for whichever of two is a constant.
        """
        if place < 0:
            found = [self.known.get(name) for name in operator.inputs]
            only = [one for one in found if one is not None and not one.rows_by]
            return only[0] if len(only) == 1 and len(found) == 2 else None
        if place >= len(operator.inputs):
            return None
        one = self.known.get(operator.inputs[place])
        return None if one is None or one.rows_by else one


_NEVER_NEGATIVE, _TAKES_SOME = ("SHAPE", "SQUARE"), ("Reshape", "STRIDED_SLICE", "Slice")


def _is_zero(operator: Operator, known: Mapping[str, Stored], positive: Set[str]) -> bool:
    """Return whether an operator makes a zero that the converter could not know.

    The exporter adds one to a kernel that is to stay float: see `recurrent_kernel` of litert.
    """
    if operator.kind not in ("LESS", "MINIMUM") or operator.inputs[0] not in positive:
        return False
    bound = known.get(operator.inputs[1])
    if bound is None or bound.rows_by:
        return False
    return bool((bound.values < 0 if operator.kind == "LESS" else bound.values == 0).all())


_Args = Sequence[Stored | None]
_Made = list[Stored] | None


def _moved(one: Stored, move: Callable[[Array], Array]) -> Stored:
    """Return a constant whose elements lie elsewhere."""
    return replace(
        one,
        values=move(one.values),
        steps=None if one.steps is None else move(one.steps),
        cut_off=None if one.cut_off is None else move(one.cut_off),
    )


def _same(operator: Operator, args: _Args) -> _Made:
    return [args[0]] if args[0] is not None else None


def _pair(args: _Args) -> tuple[Stored, Stored, str] | None:
    """Return two constants and by what their rows are looked up, where both can be joined."""
    known = [one for one in args if one is not None]
    if len(known) != 2:
        return None
    a, b = known
    if a.rows_by and b.rows_by and a.rows_by != b.rows_by:
        return None
    if (a.rows_by or b.rows_by) and not (a.rows_by and b.rows_by):
        constant = b if a.rows_by else a
        if constant.values.ndim > 1:  # it would meet other axes than that of the rows
            constant = _moved(constant, np.squeeze)
        if constant.values.ndim > 1:
            return None
        a, b = (a, constant) if a.rows_by else (constant, b)
    return a, b, a.rows_by or b.rows_by


def _multiply(operator: Operator, args: _Args) -> _Made:
    pair = _pair(args)
    if pair is None:
        return None
    a, b, by = pair
    values = a.values.astype(np.float64) * b.values
    if a.steps is None and b.steps is None:
        return [Stored("", values.astype(np.float32), rows_by=by)]
    # integers meet their scales: the finer table has the steps, the other is exact
    if a.steps is None or (b.steps is not None and b.values.size > a.values.size):
        a, b = b, a
    assert a.steps is not None
    steps = np.abs(np.broadcast_to(a.steps * b.values, values.shape))
    cut_off = None if a.cut_off is None else np.broadcast_to(a.cut_off, values.shape)
    return [Stored("", values, steps, cut_off, rows_by=by)]


def _add(sign: int) -> Callable[[Operator, _Args], _Made]:
    def follow(operator: Operator, args: _Args) -> _Made:
        pair = _pair(args)
        if pair is None:
            return None
        a, b, by = pair
        values = a.values.astype(np.float64) + sign * b.values.astype(np.float64)
        if a.steps is None:
            return [Stored("", values.astype(np.float32), rows_by=by)]
        return [Stored("", values, np.broadcast_to(a.steps, values.shape), _ends(a, b), rows_by=by)]

    return follow


def _ends(levels: Stored, middle: Stored) -> Array | None:
    """Return which levels of 4 bits stand for all beyond them too; None where these are none."""
    if middle.values.size != 1 or float(middle.values.reshape(-1)[0]) != INT4_MIDDLE:
        return None
    inside = (levels.values >= 0) & (levels.values < _LEVELS)
    return cut_off_levels(levels.values) if inside.all() else None


def _floor(operator: Operator, args: _Args) -> _Made:
    (one,) = args
    if one is None:
        return None
    values = np.floor(one.values.astype(np.float64))
    return [replace(one, values=values, steps=np.ones_like(values))]


def _gather(operator: Operator, args: _Args) -> _Made:
    table, indices = args
    if table is None or table.rows_by or operator.settings.get("axis", 0) != 0:
        return None
    if indices is not None:
        places = indices.values.astype(np.int64)
        return None if indices.rows_by else [_moved(table, lambda array: array[places])]
    if operator.settings.get("is_scalar") and len(table.values) == 1:
        return [_moved(table, lambda array: array[0])]  # no other index exists
    return [replace(table, rows_by=operator.inputs[1])]


def _transpose(operator: Operator, args: _Args) -> _Made:
    one = args[0]
    order = operator.settings.get("perm")
    if order is None and len(args) > 1 and args[1] is not None:
        order = args[1].values.astype(np.int64).tolist()
    if one is None or one.rows_by or (len(args) > 1 and order is None):
        return None
    return [_moved(one, lambda array: array.transpose(order))]


def _reshape(operator: Operator, args: _Args) -> _Made:
    one, shape = args[0], args[1] if len(args) > 1 else None
    if one is None or one.rows_by or shape is None:
        return None
    sizes = shape.values.astype(np.int64).reshape(-1).tolist()
    return [_moved(one, lambda array: array.reshape(sizes))]


def _concatenate(operator: Operator, args: _Args) -> _Made:
    parts = [one for one in args if one is not None]
    if not parts or len(parts) < len(args) or len({one.rows_by for one in parts}) > 1:
        return None
    if any((one.steps is None) != (parts[0].steps is None) for one in parts):
        return None
    # rows that are looked up are joined along their own axis, the last
    axis = -1 if parts[0].rows_by else operator.settings["axis"]
    values = np.concatenate([one.values for one in parts], axis=axis)
    steps = [one.steps for one in parts if one.steps is not None]
    joined = np.concatenate(steps, axis=axis) if steps else None
    return [Stored("", values, joined, rows_by=parts[0].rows_by)]


def _slice(operator: Operator, args: _Args) -> _Made:
    """Take a part of a constant, or the same columns of all rows that are looked up."""
    one, starts, ends, *steps = args
    if one is None or starts is None or ends is None or "begin" not in operator.settings:
        return None
    if any(step is None or (step.values != 1).any() for step in steps):
        return None
    taken: tuple[Any, ...] = tuple(
        slice(
            None if operator.settings["begin"] >> axis & 1 else int(start),
            None if operator.settings["end"] >> axis & 1 else int(end),
        )
        for axis, (start, end) in enumerate(zip(starts.values, ends.values, strict=True))
    )
    if one.rows_by:  # which rows there are is not known here
        if any(part.start or part.stop for part in taken[:-1]):
            return None
        return [_moved(one, lambda array: array[..., taken[-1]])]
    return [_moved(one, lambda array: array[taken])]


def _scale(operator: Operator, args: _Args) -> _Made:
    """Take the zero points from integers, and multiply them by scales."""
    integers, scales = args[0], args[1]
    if integers is None or scales is None or integers.steps is None:
        return None
    values = integers.values
    if len(args) > 2 and args[2] is not None:
        values = values - _over(args[2].values, values)
    steps = np.broadcast_to(_over(scales.values.astype(np.float64), values), values.shape)
    return [Stored("", values * steps, np.abs(steps))]


def _over(scales: Array, values: Array) -> Array:
    """Put the scales of columns over each direction's matrix."""
    return scales[:, None] if values.ndim == scales.ndim + 1 == 3 else scales


FOLLOWED: dict[str, Callable[[Operator, _Args], _Made]] = {
    "Add": _add(1),
    "Cast": _same,
    "Concat": _concatenate,
    "Floor": _floor,
    "Gather": _gather,
    "Identity": _same,
    "Mul": _multiply,
    "Reshape": _reshape,
    "Scale": _scale,
    "Slice": _slice,
    "Sub": _add(-1),
    "Transpose": _transpose,
}
"""By kind: what an operator makes of constants; of another it is not known."""
