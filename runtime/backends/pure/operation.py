"""What an operation of the pure backend is.

Not an operation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gatelet.runtime.backends.pure.array import Array, Weight


@dataclass(frozen=True)
class Call:
    """What a node gives its operation.

    Args:
        inputs: The values of the node's inputs.
        weights: By role.
        attributes: The node's.
        mask: The value of the node's mask, bool [B, T]; None without one.
        start: Of a recurrence: the outputs and states after 0, 1, ... timesteps of padding alone,
            which grow as longer paddings come. They belong to the model as its weights do.
    """

    inputs: list[Array]
    weights: Mapping[str, Weight]
    attributes: Mapping[str, Any]
    mask: Array | None
    start: list[Any]


Operation = Callable[[Call], list[Array]]
"""Gives the values of the node's outputs."""
