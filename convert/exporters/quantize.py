"""Quantization of weights for exporters: what they share with training, and int8 as a type.

Not calibration of activations: the schemes that use this compute activations in float.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.runtime.data.rounding import (
    coded_rows,
    quantize,
    quantize_int4,
    quantize_levels,
    to_integers,
)

__all__ = [
    "coded_rows",
    "quantize",
    "quantize_int4",
    "quantize_int8",
    "quantize_levels",
    "to_integers",
]


def quantize_int8(
    weights: NDArray[Any], *, axis: int, limit: int = 127
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantize as `quantize` does; the values are int8."""
    values, scales = quantize(weights, axis=axis, limit=limit)
    return values.astype(np.int8), scales
