"""Weights are finite numbers: NaN and infinity are damage.

Not a check of what a model gives, which may be infinite.
"""

import sys
from collections.abc import Mapping

from gatelet.errors import BundleDamaged
from gatelet.runtime.graph.safetensors import Tensor

_FLOATS = {"F32": "<f4", "F16": "<f2"}


def check_finite(weights: Mapping[str, Tensor], *, name: str) -> None:
    """Refuse weights that are not finite, where NumPy is at hand.

    Where it is not, the pure backend checks each number that it uses.

    Args:
        weights: Of a Graph.
        name: The bundle's, for the message.

    Raises:
        BundleDamaged: One is not.
    """
    if "numpy" not in sys.modules:
        return
    import numpy as np

    for key, tensor in weights.items():
        kind = _FLOATS.get(tensor.dtype)
        if kind and not np.isfinite(np.frombuffer(tensor.data, kind)).all():
            raise BundleDamaged(
                f"bundle '{name}' is damaged: its weight '{key}' holds numbers that are not "
                "finite: convert it again",
                weight=key,
            )
