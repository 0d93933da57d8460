"""What an operation of the reference backend is.

Not an operation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Call:
    """What a node gives its operation.

    Args:
        inputs: The values of the node's inputs.
        weights: By role, in the type that is computed in.
        attributes: The node's.
        mask: The value of the node's mask, bool [B, T]; None without one.
    """

    inputs: list[Array]
    weights: Mapping[str, Array]
    attributes: Mapping[str, Any]
    mask: Array | None = None


Operation = Callable[[Call], list[Array]]
"""Gives the values of the node's outputs."""
