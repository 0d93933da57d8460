"""The range of features that an artifact in integers was calibrated for, as the manifest says it.

Not the counting of values outside it, which is `gatelet.runtime.predictor.ranges`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from reprlib import repr as show

from gatelet.runtime.records import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RANGES = "input_range"
"""The field of an artifact."""


@dataclass(frozen=True)
class InputRange:
    """The range of one input.

    Args:
        name: Of the graph input.
        largest: The largest magnitude of each feature, [F].
        padding: A value that counts as none: timesteps of it are masked; None of most models.
    """

    name: str
    largest: tuple[float, ...]
    padding: float | None = None

    def to_manifest(self) -> dict[str, Any]:
        """Return the entry of the manifest."""
        told: dict[str, Any] = {"largest": list(self.largest)}
        return told if self.padding is None else {**told, "padding": self.padding}


def parse_ranges(entry: Mapping[str, Any]) -> tuple[InputRange, ...]:
    """Read the ranges from an artifact's entry in the manifest; () where it has none.

    Raises:
        ValueError: They are not what docs/bundle.md says.
    """
    listed = entry.get(RANGES, {})
    if not isinstance(listed, dict):
        raise ValueError(f"'{RANGES}' is {show(listed)}, expected an object")
    return tuple(_range(name, one) for name, one in listed.items())


def _range(name: str, entry: Any) -> InputRange:
    largest = entry.get("largest") if isinstance(entry, dict) else None
    if not isinstance(largest, list) or not all(_is_number(one) and one > 0 for one in largest):
        raise ValueError(
            f"'{RANGES}' of {show(name)} is {show(entry)}, expected 'largest', numbers above 0"
        )
    padding = entry.get("padding")
    if padding is not None and not _is_number(padding):
        raise ValueError(f"'padding' of '{RANGES}' is {show(padding)}, expected a number")
    return InputRange(name, tuple(map(float, largest)), None if padding is None else float(padding))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 2**128 and math.isfinite(value)
