"""Products, normalisations, reductions, and the operations that combine or rearrange values.

Not recurrences, convolutions and masks, which have files of their own.
"""

import math
from collections.abc import Callable
from functools import reduce

import numpy as np

from gatelet.runtime.backends.reference.activations import activate
from gatelet.runtime.backends.reference.operation import Array, Call, Operation


def embedding(call: Call) -> list[Array]:
    """Run an `Embedding` node: ids [...] to [..., F]."""
    return [call.weights["embeddings"][call.inputs[0].astype(np.int64)]]


def dense(call: Call) -> list[Array]:
    """Run a `Dense` node: x [..., F] to [..., U]."""
    y = call.inputs[0] @ call.weights["kernel"]
    return [y + call.weights["bias"] if "bias" in call.weights else y]


def activation(call: Call) -> list[Array]:
    """Run an `Activation` node."""
    parameters = dict(call.attributes)
    return [activate(parameters.pop("activation"), call.inputs[0], **parameters)]


def prelu(call: Call) -> list[Array]:
    """Run a `PReLU` node. Source: He et al. 2015."""
    x = call.inputs[0]
    return [np.where(x > 0, x, call.weights["alpha"] * x)]


def affine(call: Call) -> list[Array]:
    """Run an `Affine` node: x * scale + shift."""
    return [call.inputs[0] * call.weights["scale"] + call.weights["shift"]]


def layer_normalization(call: Call) -> list[Array]:
    """Run a `LayerNormalization` node. Source: Ba, Kiros & Hinton 2016, equation 3."""
    x, axes = call.inputs[0], tuple(call.attributes["axes"])
    centred = x - x.mean(axis=axes, keepdims=True)
    variance = (centred * centred).mean(axis=axes, keepdims=True)
    y = centred / np.sqrt(variance + call.attributes["epsilon"])
    if "gamma" in call.weights:
        y = y * call.weights["gamma"]
    return [y + call.weights["beta"] if "beta" in call.weights else y]


def global_average_pooling_1d(call: Call) -> list[Array]:
    """Run a `GlobalAveragePooling1D` node: x [B, T, C] to [B, C]; all masked gives 0/0."""
    x, keepdims = call.inputs[0], bool(call.attributes.get("keepdims"))
    counts = np.ones(x.shape[:2], bool) if call.mask is None else call.mask
    total = np.where(counts[..., None], x, 0).sum(axis=1, keepdims=keepdims)
    number = counts[..., None].sum(axis=1, keepdims=keepdims).astype(x.dtype)
    return [np.asarray(total / number)]


def reduction(function: Callable[..., Array]) -> Operation:
    """Return the operation that reduces axes by a function of NumPy: `ReduceMax`, `ReduceMean`."""

    def run(call: Call) -> list[Array]:
        axes, keepdims = tuple(call.attributes["axes"]), bool(call.attributes.get("keepdims"))
        return [function(call.inputs[0], axis=axes, keepdims=keepdims)]

    return run


def concatenate(call: Call) -> list[Array]:
    """Run a `Concatenate` node."""
    return [np.concatenate(call.inputs, axis=call.attributes["axis"])]


def fold(function: Callable[[Array, Array], Array]) -> Operation:
    """Return the operation that joins n values by a function of two, from the left."""
    return lambda call: [reduce(function, call.inputs)]


def average(call: Call) -> list[Array]:
    """Run an `Average` node: the mean of n values."""
    return [reduce(np.add, call.inputs) / len(call.inputs)]


def repeat_vector(call: Call) -> list[Array]:
    """Run a `RepeatVector` node: x [B, F] to [B, n, F]."""
    return [np.repeat(call.inputs[0][:, None], call.attributes["n"], axis=1)]


def reshape(call: Call) -> list[Array]:
    """Run a `Reshape` node."""
    x, target = call.inputs[0], list(call.attributes["target_shape"])
    if -1 in target:
        # not left to NumPy, which cannot tell for zero rows
        rest = math.prod(size for size in target if size != -1)
        target[target.index(-1)] = math.prod(x.shape[1:]) // rest
    return [x.reshape(len(x), *target)]


def transpose(call: Call) -> list[Array]:
    """Run a `Transpose` node."""
    return [np.transpose(call.inputs[0], call.attributes["perm"])]


def reverse(call: Call) -> list[Array]:
    """Run a `Reverse` node: along time."""
    return [np.flip(call.inputs[0], axis=1)]


def merge_time(call: Call) -> list[Array]:
    """Run a `MergeTime` node: [B, T, ...] to [B*T, ...]."""
    x = call.inputs[0]
    return [x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])]


def split_time(call: Call) -> list[Array]:
    """Run a `SplitTime` node: x [B*T, ...] and like [B, T, ...] to [B, T, ...]."""
    x, like = call.inputs
    return [x.reshape(*like.shape[:2], *x.shape[1:])]
