"""Masks: which timesteps count.

Not what a recurrence does at a masked timestep: that is in `recurrent`.
"""

import numpy as np

from gatelet.runtime.backends.reference.operation import Array, Call


def mask_ids(call: Call) -> list[Array]:
    """Run a `MaskIds` node: true where the id is not 0."""
    return [call.inputs[0] != 0]


def mask_features(call: Call) -> list[Array]:
    """Run a `MaskFeatures` node: true where some feature is not mask_value."""
    x = call.inputs[0]
    return [np.any(x != x.dtype.type(call.attributes["mask_value"]), axis=-1)]


def mask_all(call: Call) -> list[Array]:
    """Run a `MaskAll` node: true everywhere."""
    return [np.ones(call.inputs[0].shape[:2], bool)]


def apply_mask(call: Call) -> list[Array]:
    """Run an `ApplyMask` node: zero where masked."""
    x = call.inputs[0]
    return [np.where(_over(call.mask, x), x, 0)]


def select(call: Call) -> list[Array]:
    """Run a `Select` node: the first value where the mask is true, the second elsewhere."""
    x, other = call.inputs
    return [np.where(_over(call.mask, x), x, other)]


def _over(mask: Array | None, x: Array) -> Array:
    assert mask is not None, "lowering gives these nodes a mask"
    return mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim))
