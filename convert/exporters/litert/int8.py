"""What the converter's int8 gets wrong, and what is done instead.

A quantized operator rounds each row of its input to 8 bits: a column of features in a small range
is lost beside one in a large range, and NaN becomes a number. A float table becomes int8 with a
single scale.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.litert.step import Step, Tf, TfTensor
from gatelet.convert.exporters.quantize import quantize_int8
from gatelet.convert.exporters.raw import RAW_STAYS_RAW
from gatelet.runtime.bundle.storage import SMALL_ELEMENTS
from gatelet.runtime.graph.graph import Graph, Node

# what leaves a column of features in a range of its own
_RAW_STAYS_RAW = RAW_STAYS_RAW | {"Affine"}


def raw_values(graph: Graph) -> frozenset[str]:
    """Return the values that are float inputs of the graph, or those rearranged."""
    found = {one.name for one in graph.inputs if one.dtype == "float32"}
    for node in graph.nodes:
        # of the second input, SplitTime takes the sizes only
        taken = node.inputs[:1] if node.op == "SplitTime" else node.inputs
        if node.op in _RAW_STAYS_RAW and not found.isdisjoint(taken):
            found.update(node.outputs)
    return frozenset(found)


def input_kernel(step: Step) -> Any:
    """Return a node's kernel: where it meets raw features, int8 that is made float in the graph."""
    tf, kernel = step.tf, step.weights["kernel"]
    # smaller ones the converter leaves alone
    if not (step.quantized and step.takes_raw_features) or kernel.size < SMALL_ELEMENTS:
        return kernel
    values, scales = quantize_int8(kernel, axis=-1)
    return tf.cast(tf.gather(values[None], _unknown_zero(step)), tf.float32) * scales


def recurrent_kernel(step: Step) -> Any:
    """Return a node's recurrent kernel: where it stays float, as a sum that is not known before."""
    tf, kernel = step.tf, step.weights["recurrent_kernel"]
    if step.scheme.recurrent != "float32" or not step.quantized or kernel.size < SMALL_ELEMENTS:
        return kernel
    # what a matrix product takes as it is becomes int8; what a sum takes does not
    return kernel + tf.cast(_unknown_zero(step), tf.float32)


def _unknown_zero(step: Step) -> TfTensor:
    """Return an index of 0 that the converter cannot know, or it would fold what is looked up."""
    tf, x = step.tf, step.inputs[0]
    if x.shape[0] is None:
        return tf.minimum(tf.shape(x)[0], 0)
    return tf.cast(tf.square(tf.reshape(x, [-1])[0]) < -1.0, tf.int32)


def values_that_may_be_nan(graph: Graph) -> frozenset[str]:
    """Return the values that are NaN where a row's timesteps are all masked."""
    found: set[str] = set()
    for node in graph.nodes:
        starts = node.op == "GlobalAveragePooling1D" and node.mask is not None
        if starts or not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return frozenset(found)


def keep_nan(step: Step, made: list[TfTensor], values: Mapping[str, TfTensor]) -> list[TfTensor]:
    """Make an operator's outputs NaN where its inputs are, as the float operator does.

    Args:
        step: The node.
        made: Its outputs.
        values: The inputs that may be NaN, by name.
    """
    if not values or not step.quantized or "kernel" not in step.weights:
        return made
    for x in values.values():
        made = [_nan_where(step.tf, step.node, x, y) for y in made]
    return made


def _nan_where(tf: Tf, node: Node, x: TfTensor, y: TfTensor) -> TfTensor:
    # a Dense mixes its last axis only; the others mix time or space, so the row as a whole
    axes = [-1] if node.op == "Dense" else list(range(1, x.shape.rank))
    found = tf.reduce_any(tf.not_equal(x, x), axis=axes, keepdims=node.op == "Dense")
    if node.op != "Dense":
        found = tf.reshape(found, [-1, *[1] * (y.shape.rank - 1)])
    return tf.where(found, math.nan, y)


def gather_integers(
    tf: Tf, integers: NDArray[Any], unit: np.float32, indices: TfTensor
) -> TfTensor:
    """Return rows of a table that is stored as integers times a unit.

    The converter would store a float table of a quantized model as int8 with a single scale.
    """
    return tf.cast(tf.gather(integers, indices), tf.float32) * unit
