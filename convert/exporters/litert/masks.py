"""Masks, which say what timesteps count, and the padding that passes skip.

Not what a recurrence does at a masked timestep: that is in `loop`.
"""

import numpy as np

from gatelet.convert.exporters.litert.int8 import gather_integers
from gatelet.convert.exporters.litert.step import Step, TfTensor, over
from gatelet.convert.exporters.quantize import to_integers


def mask_ids(step: Step) -> TfTensor:
    """Export a `MaskIds` node: true where the id is not 0."""
    return step.tf.not_equal(step.inputs[0], 0)


def mask_features(step: Step) -> TfTensor:
    """Export a `MaskFeatures` node: true where some feature is not mask_value."""
    differs = step.tf.not_equal(step.inputs[0], float(step.attributes["mask_value"]))
    return step.tf.reduce_any(differs, axis=-1)


def mask_all(step: Step) -> TfTensor:
    """Export a `MaskAll` node: true everywhere."""
    return step.tf.fill(step.tf.shape(step.inputs[0])[:2], True)


def apply_mask(step: Step) -> TfTensor:
    """Export an `ApplyMask` node: zero where masked."""
    x = step.inputs[0]
    return step.tf.where(over(step.tf, step.mask, x), x, 0.0)


def select(step: Step) -> TfTensor:
    """Export a `Select` node: the first value where the mask is true, the second elsewhere."""
    x, other = step.inputs
    return step.tf.where(over(step.tf, step.mask, x), x, other)


def trim_padding(step: Step) -> list[TfTensor]:
    """Export a `TrimPadding` node: ids without the columns that are 0 in every row, and `start`."""
    tf, ids, limit = step.tf, step.inputs[0], step.attributes["limit"]
    T = tf.shape(ids)[1]
    # 1-based places of the columns that hold a token; 0 where there is none
    used = tf.reduce_max(tf.cast(tf.not_equal(ids, 0), tf.int32), axis=0)
    places = used * (tf.range(T) + 1)
    first = tf.reduce_min(tf.where(used > 0, places, T)) - 1
    start = first if limit is None else tf.minimum(first, limit)
    end = tf.maximum(tf.reduce_max(places), start + 1) if step.attributes["trailing"] else T
    trimmed = tf.slice(ids, tf.stack([0, start]), tf.stack([-1, end - start]))
    return [trimmed, start]


def pad_state(step: Step) -> TfTensor:
    """Export a `PadState` node: row `start` of the table, for each row of the ids."""
    tf = step.tf
    start, ids = step.inputs
    table, start = step.weights["table"], tf.reshape(start, [1])
    # the converter's own int8 is too coarse for cell states, which are not bounded by 1
    if step.quantized:
        row = gather_integers(tf, *to_integers(table, np.int16, rounded=np.rint), start)
    else:
        row = tf.gather(table, start)
    return tf.tile(row, tf.stack([tf.shape(ids)[0], 1]))
