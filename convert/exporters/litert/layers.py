"""Products, normalisations, reductions, and the operations that combine or rearrange values.

Not recurrences, convolutions and masks, which have files of their own.
"""

import math
from collections.abc import Callable
from functools import reduce

import numpy as np

from gatelet.convert.exporters.litert.int8 import gather_integers, input_kernel
from gatelet.convert.exporters.litert.step import (
    Step,
    Tf,
    TfTensor,
    apart,
    over,
    product,
    sizes_of,
)
from gatelet.convert.exporters.quantize import quantize_int4, to_integers
from gatelet.convert.layouts import INT4_MIDDLE, pack_int4


def embedding(step: Step) -> TfTensor:
    """Export an `Embedding` node."""
    tf, table = step.tf, step.weights["embeddings"]
    ids = tf.cast(step.inputs[0], tf.int32)
    if step.scheme.embedding_type == "int4":
        return _embedding_int4(step, ids)
    if not step.quantized:
        return tf.gather(table, ids)
    # a scale for each row: one scale for the whole table makes most of the int8 error
    multiples, unit = to_integers(np.abs(table).max(axis=1, keepdims=True) / 127, np.int16)
    scales = np.maximum(multiples, 1) * unit
    values = np.clip(np.rint(table / scales), -127, 127).astype(np.int8)
    return tf.cast(tf.gather(values, ids), tf.float32) * gather_integers(tf, multiples, unit, ids)


def _embedding_int4(step: Step, ids: TfTensor) -> TfTensor:
    """Gather two levels in a byte, and take them apart in float, which every engine can."""
    tf, table = step.tf, step.weights["embeddings"]
    levels, multiples, unit = quantize_int4(table)
    both = tf.cast(tf.gather(pack_int4(levels), ids), tf.float32)
    high = tf.floor(both * (1 / 16))
    rows = tf.concat([both - 16.0 * high, high], axis=-1)[..., : table.shape[1]]
    return (rows - INT4_MIDDLE) * gather_integers(tf, multiples, unit, ids)


def dense(step: Step) -> TfTensor:
    """Export a `Dense` node."""
    return product(step.tf, step.inputs[0], input_kernel(step), step.weights.get("bias"))


def prelu(step: Step) -> TfTensor:
    """Export a `PReLU` node."""
    tf, x = step.tf, step.inputs[0]
    return tf.nn.relu(x) - step.weights["alpha"] * tf.nn.relu(-x)


def affine(step: Step) -> TfTensor:
    """Export an `Affine` node."""
    return step.inputs[0] * step.weights["scale"] + step.weights["shift"]


def layer_normalization(step: Step) -> TfTensor:
    """Export a `LayerNormalization` node."""
    tf, x, axes = step.tf, step.inputs[0], list(step.attributes["axes"])
    centred = x - tf.reduce_mean(x, axis=axes, keepdims=True)
    # the mean of what is far from zero is off by its rounding: take out what was left in
    centred -= tf.reduce_mean(centred, axis=axes, keepdims=True)
    variance = tf.reduce_mean(centred * centred, axis=axes, keepdims=True)
    y = centred / tf.sqrt(variance + step.attributes["epsilon"])
    if "gamma" in step.weights:
        y *= step.weights["gamma"]
    return y + step.weights["beta"] if "beta" in step.weights else y


def global_average_pooling_1d(step: Step) -> TfTensor:
    """Export a `GlobalAveragePooling1D` node; a row that is all masked gives 0/0."""
    tf, x = step.tf, step.inputs[0]
    keepdims = bool(step.attributes.get("keepdims"))
    if step.mask is None:
        return tf.reduce_mean(x, axis=1, keepdims=keepdims)
    counts = over(tf, step.mask, x)
    total = tf.reduce_sum(tf.where(counts, x, 0.0), axis=1, keepdims=keepdims)
    return total / tf.reduce_sum(tf.cast(counts, x.dtype), axis=1, keepdims=keepdims)


def reduction(name: str) -> Callable[[Step], TfTensor]:
    """Return the operation that reduces axes by a TensorFlow function."""

    def export(step: Step) -> TfTensor:
        axes, keepdims = list(step.attributes["axes"]), bool(step.attributes.get("keepdims"))
        return getattr(step.tf, name)(step.inputs[0], axis=axes, keepdims=keepdims)

    return export


def concatenate(step: Step) -> TfTensor:
    """Export a `Concatenate` node."""
    return step.tf.concat(list(step.inputs), axis=step.attributes["axis"])


def fold(name: str) -> Callable[[Step], TfTensor]:
    """Return the operation that joins n values by a TensorFlow function of two, from the left."""
    return lambda step: reduce(getattr(step.tf, name), step.inputs)


def maximum(step: Step) -> TfTensor:
    """Export a `Maximum` node."""
    return reduce(lambda a, b: _unless_nan(step, a, b, a >= b), step.inputs)


def minimum(step: Step) -> TfTensor:
    """Export a `Minimum` node."""
    return reduce(lambda a, b: _unless_nan(step, a, b, a <= b), step.inputs)


def average(step: Step) -> TfTensor:
    """Export an `Average` node."""
    return reduce(step.tf.add, step.inputs) / float(len(step.inputs))


def repeat_vector(step: Step) -> TfTensor:
    """Export a `RepeatVector` node: x [B, F] to [B, n, F]."""
    return step.tf.tile(step.inputs[0][:, None], [1, step.attributes["n"], 1])


def reshape(step: Step) -> TfTensor:
    """Export a `Reshape` node: at most one size is -1, and B stays open."""
    tf, x, target = step.tf, step.inputs[0], list(step.attributes["target_shape"])
    known = x.shape.as_list()[1:]
    if -1 in target and None not in known:
        rest = math.prod(size for size in target if size != -1)
        target[target.index(-1)] = math.prod(known) // rest
    if -1 not in target:
        found = tf.reshape(x, [-1, *target])
        return apart(tf, found) if step.takes_raw_features else found
    if target[0] == -1 and None not in known[1:] and math.prod(known[1:]) == math.prod(target[1:]):
        return _reshape_timesteps(tf, x, target[1:])
    return tf.reshape(x, tf.stack([tf.shape(x)[0], *target]))


def _reshape_timesteps(tf: Tf, x: TfTensor, sizes: list[int]) -> TfTensor:
    """Reshape [B, T, ...] to [B, T, *sizes]."""
    if x.shape.as_list()[2:] == sizes:
        return x
    rows = apart(tf, tf.reshape(x, [-1, *sizes]))
    return tf.reshape(rows, tf.stack([*sizes_of(tf, x)[:2], *sizes]))


def transpose(step: Step) -> TfTensor:
    """Export a `Transpose` node."""
    return step.tf.transpose(step.inputs[0], list(step.attributes["perm"]))


def reverse(step: Step) -> TfTensor:
    """Export a `Reverse` node: along time."""
    return step.tf.reverse(step.inputs[0], [1])


def merge_time(step: Step) -> TfTensor:
    """Export a `MergeTime` node: [B, T, ...] to [B*T, ...]."""
    sizes = sizes_of(step.tf, step.inputs[0])
    return apart(step.tf, step.tf.reshape(step.inputs[0], step.tf.stack([-1, *sizes[2:]])))


def split_time(step: Step) -> TfTensor:
    """Export a `SplitTime` node: x [B*T, ...] and like [B, T, ...] to [B, T, ...]."""
    rows, like = step.inputs
    sizes = [*sizes_of(step.tf, like)[:2], *sizes_of(step.tf, rows)[1:]]
    if rows.op.type == "Reshape":  # nothing was computed since the timesteps were merged
        rows = apart(step.tf, rows)
    return step.tf.reshape(rows, step.tf.stack(sizes))


def _unless_nan(step: Step, a: TfTensor, b: TfTensor, first: TfTensor) -> TfTensor:
    """Return a where `first` or where it is NaN, else b: TFLite's own operators pass over NaN."""
    tf = step.tf
    return tf.where(tf.logical_or(first, tf.not_equal(a, a)), a, b)
