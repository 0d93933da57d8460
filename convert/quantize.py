"""Symmetric int8 quantization of weights.

Not calibration of activations: the schemes that use this compute activations in float.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["quantize_int8"]


def quantize_int8(
    weights: NDArray[Any], *, axis: int, limit: int = 127
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantize so that `weights` is about `values * scales`.

    Args:
        weights: Float array.
        axis: The axis whose every index gets a scale of its own.
        limit: The largest magnitude used: 127, or 64 where sums of products must fit 16 bits.

    Returns:
        values int8 of the same shape, and scales float32 with size 1 in every other axis.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis % weights.ndim)
    largest = np.abs(weights).max(axis=others, keepdims=True)
    scales = np.where(largest > 0, largest / limit, 1).astype(np.float32)
    values = np.clip(np.rint(weights / scales), -limit, limit).astype(np.int8)
    return values, scales
