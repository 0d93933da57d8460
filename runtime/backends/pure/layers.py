"""Products, normalisations, reductions, masks, and the operations that combine or rearrange.

Not recurrences and convolutions, which have files of their own.
"""

import math
from array import array
from collections.abc import Callable, Iterable
from functools import reduce
from itertools import chain
from operator import add
from typing import Any

from gatelet.errors import ModelError
from gatelet.runtime.backends.pure.activations import activate
from gatelet.runtime.backends.pure.array import (
    Array,
    along,
    check_width,
    checked_count,
    chunks,
    divide,
    dot,
    expand,
    gather,
    strides_of,
    transpose,
)
from gatelet.runtime.backends.pure.operation import Call, Operation


def embedding(call: Call) -> list[Array]:
    """Run an `Embedding` node: ids [...] to [..., F]; only the rows that occur are read."""
    ids, table = call.inputs[0], call.weights["embeddings"]
    numbers = list(map(int, ids.data))
    shape = (*ids.shape, *table.shape[1:])
    checked_count(shape)
    rows = {number: table.row(number) for number in set(numbers)}
    data = list(chain.from_iterable(rows[number] for number in numbers))
    return [Array(shape, data, pads=_leading_zeros(ids) if len(ids.shape) == 2 else ())]


def _leading_zeros(ids: Array) -> tuple[int, ...]:
    rows = chunks(ids.data, ids.shape[1])
    return tuple(next((t for t, i in enumerate(row) if i), len(row)) for row in rows)


def dense(call: Call) -> list[Array]:
    """Run a `Dense` node: x [..., F] to [..., U]."""
    x, columns = call.inputs[0], call.weights["kernel"].columns
    check_width(x, call.weights["kernel"])
    bias = call.weights["bias"].values if "bias" in call.weights else [0.0] * len(columns)
    data = [
        dot(row, column) + b
        for row in chunks(x.data, x.shape[-1])
        for column, b in zip(columns, bias, strict=True)
    ]
    return [Array((*x.shape[:-1], len(columns)), data)]


def activation(call: Call) -> list[Array]:
    """Run an `Activation` node."""
    parameters = dict(call.attributes)
    return [activate(parameters.pop("activation"), call.inputs[0], parameters)]


def prelu(call: Call) -> list[Array]:
    """Run a `PReLU` node. Source: He et al. 2015."""
    x = call.inputs[0]
    alpha = expand(call.weights["alpha"].array, x.shape)
    return [Array(x.shape, [v if v > 0 else a * v for v, a in zip(x.data, alpha, strict=True)])]


def affine(call: Call) -> list[Array]:
    """Run an `Affine` node: x * scale + shift."""
    scaled = _join(call.inputs[0], call.weights["scale"].array, lambda a, b: a * b)
    return [_join(scaled, call.weights["shift"].array, add)]


def layer_normalization(call: Call) -> list[Array]:
    """Run a `LayerNormalization` node. Source: Ba, Kiros & Hinton 2016, equation 3."""

    def normalize(run: list[float]) -> list[float]:
        mean = sum(run) / len(run)
        centred = [value - mean for value in run]
        variance = dot(centred, centred) / len(run)
        deviation = math.sqrt(variance + call.attributes["epsilon"])
        return [divide(value, deviation) for value in centred]

    y = along(call.inputs[0], call.attributes["axes"], normalize)
    if "gamma" in call.weights:
        y = _join(y, call.weights["gamma"].array, lambda a, b: a * b)
    return [_join(y, call.weights["beta"].array, add) if "beta" in call.weights else y]


def global_average_pooling_1d(call: Call) -> list[Array]:
    """Run a `GlobalAveragePooling1D` node: x [B, T, C] to [B, C]; all masked gives 0/0."""
    x = call.inputs[0]
    B, T, C = x.shape
    counts = call.mask.data if call.mask else [True] * (B * T)
    data: list[float] = []
    for b in range(B):
        steps = [t for t in range(b * T, (b + 1) * T) if counts[t]]
        columns = (sum(x.data[t * C + channel] for t in steps) for channel in range(C))
        data += [divide(total, len(steps)) for total in columns]
    return [Array((B, 1, C) if call.attributes.get("keepdims") else (B, C), data)]


def reduction(function: Callable[[list[float]], float]) -> Operation:
    """Return the operation that reduces axes by a function of their numbers."""

    def run(call: Call) -> list[Array]:
        x, axes = call.inputs[0], call.attributes["axes"]
        y = along(x, axes, lambda run: [function(run)], keep=False)
        if not call.attributes.get("keepdims"):
            return [y]
        gone = {axis % len(x.shape) for axis in axes}
        return [Array(tuple(1 if a in gone else n for a, n in enumerate(x.shape)), y.data)]

    return run


def concatenate(call: Call) -> list[Array]:
    """Run a `Concatenate` node."""
    first, axis = call.inputs[0].shape, call.attributes["axis"] % len(call.inputs[0].shape)
    outer = math.prod(first[:axis])
    runs = [list(chunks(x.data, math.prod(x.shape[axis:]))) for x in call.inputs]
    data = [value for at in range(outer) for run in runs if run for value in run[at]]
    width = sum(x.shape[axis] for x in call.inputs)
    return [Array((*first[:axis], width, *first[axis + 1 :]), data)]


def fold(function: Callable[[Any, Any], Any]) -> Operation:
    """Return the operation that joins n values by a function of two, from the left."""
    return lambda call: [reduce(lambda a, b: _join(a, b, function), call.inputs)]


def average(call: Call) -> list[Array]:
    """Run an `Average` node: the mean of n values."""
    total = reduce(lambda a, b: _join(a, b, add), call.inputs)
    return [Array(total.shape, [value / len(call.inputs) for value in total.data])]


def largest(a: float, b: float) -> float:
    """Return the larger one; NaN if one is."""
    return a if a != a or a >= b else b


def smallest(a: float, b: float) -> float:
    """Return the smaller one; NaN if one is."""
    return a if a != a or a <= b else b


def _join(a: Array, b: Array, function: Callable[[Any, Any], Any]) -> Array:
    """Apply a function to two values, broadcast to one shape."""
    rank = max(len(a.shape), len(b.shape))
    sizes = [(1,) * (rank - len(x.shape)) + x.shape for x in (a, b)]
    shape = tuple(m if n == 1 else n for n, m in zip(*sizes, strict=True))
    return Array(shape, list(map(function, expand(a, shape), expand(b, shape))))


def repeat_vector(call: Call) -> list[Array]:
    """Run a `RepeatVector` node: x [B, F] to [B, n, F]."""
    (B, F), n = call.inputs[0].shape, call.attributes["n"]
    checked_count((B, n, F))
    data = [value for row in chunks(call.inputs[0].data, F) for value in row * n]
    return [Array((B, n, F), data)]


def reshape(call: Call) -> list[Array]:
    """Run a `Reshape` node."""
    x, target = call.inputs[0], list(call.attributes["target_shape"])
    if -1 in target:
        rest = math.prod(size for size in target if size != -1)
        target[target.index(-1)] = math.prod(x.shape[1:]) // rest
    return [_shaped(x.data, (x.shape[0], *target))]


def transposed(call: Call) -> list[Array]:
    """Run a `Transpose` node."""
    return [transpose(call.inputs[0], call.attributes["perm"])]


def reverse(call: Call) -> list[Array]:
    """Run a `Reverse` node: along time."""
    x = call.inputs[0]
    axes = list(zip(x.shape, strides_of(x.shape), strict=True))
    (T, stride), last = axes[1], (x.shape[1] - 1) * axes[1][1]
    places = gather([axes[0], (T, -stride), *axes[2:]], start=last)
    return [Array(x.shape, [x.data[place] for place in places])]


def merge_time(call: Call) -> list[Array]:
    """Run a `MergeTime` node: [B, T, ...] to [B*T, ...]."""
    x = call.inputs[0]
    return [Array((x.shape[0] * x.shape[1], *x.shape[2:]), x.data)]


def split_time(call: Call) -> list[Array]:
    """Run a `SplitTime` node: x [B*T, ...] and like [B, T, ...] to [B, T, ...]."""
    x, like = call.inputs
    return [_shaped(x.data, (*like.shape[:2], *x.shape[1:]))]


def mask_ids(call: Call) -> list[Array]:
    """Run a `MaskIds` node: true where the id is not 0."""
    x = call.inputs[0]
    return [Array(x.shape, [value != 0 for value in x.data])]


def mask_features(call: Call) -> list[Array]:
    """Run a `MaskFeatures` node: true where some feature is not mask_value, in float32."""
    x = call.inputs[0]
    (value,) = array("f", [call.attributes["mask_value"]])
    data = array("f", x.data).tolist()
    return [Array(x.shape[:-1], [any(v != value for v in f) for f in chunks(data, x.shape[-1])])]


def mask_all(call: Call) -> list[Array]:
    """Run a `MaskAll` node: true everywhere."""
    shape = call.inputs[0].shape[:2]
    return [Array(shape, [True] * math.prod(shape))]


def apply_mask(call: Call) -> list[Array]:
    """Run an `ApplyMask` node: zero where masked."""
    x = call.inputs[0]
    return [Array(x.shape, [v if m else 0.0 for v, m in zip(x.data, _over(call), strict=True)])]


def select(call: Call) -> list[Array]:
    """Run a `Select` node: the first value where the mask is true, the second elsewhere."""
    x, other = call.inputs
    values = zip(x.data, other.data, _over(call), strict=True)
    return [Array(x.shape, [a if m else b for a, b, m in values])]


def _over(call: Call) -> Iterable[bool]:
    """Return the mask for each element of the first input."""
    assert call.mask is not None, "lowering gives these nodes a mask"
    each = math.prod(call.inputs[0].shape[len(call.mask.shape) :])
    return [counts for counts in call.mask.data for _ in range(each)]


def trim_padding(call: Call) -> list[Array]:
    """Run a `TrimPadding` node: ids without the columns that are 0 in every row, and `start`."""
    (ids,) = call.inputs
    B, T = ids.shape
    used = [t for t in range(T) if any(ids.data[t::T])]
    last = T - 1
    start = used[0] if used else last
    if call.attributes["limit"] is not None:
        start = min(start, call.attributes["limit"])
    end = used[-1] if call.attributes["trailing"] and used else last
    stop = max(end, start) + 1
    data = [value for row in chunks(ids.data, T) for value in row[start:stop]]
    return [Array((B, stop - start), data), Array((), [start])]


def pad_state(call: Call) -> list[Array]:
    """Run a `PadState` node: row `start` of the table, for each row of the ids."""
    start, ids = call.inputs
    row = call.weights["table"].row(start.data[0])
    return [Array((ids.shape[0], len(row)), row * ids.shape[0])]


def _shaped(data: list[Any], shape: tuple[int, ...]) -> Array:
    if math.prod(shape) != len(data):
        raise ModelError(f"{len(data):,} numbers do not fit the shape {list(shape)}")
    return Array(shape, data)
