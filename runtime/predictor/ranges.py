"""Counts features outside the range that an artifact in integers was calibrated for.

Not a refusal: such values are cut, and what comes of it may be near or far. Artifacts in floats
have no such range, and nothing here is loaded for them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from gatelet.errors import BundleDamaged
from gatelet.runtime.backends.forks import renew_after_fork
from gatelet.runtime.bundle.ranges import InputRange
from gatelet.runtime.graph.graph import GraphInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SAME = 1e-6
"""Relative: padding in float32, or as it was written."""


class RangeWatch:
    """How many features lay outside since an artifact was opened; any number of threads count.

    Args:
        ranges: Of the artifact.
        inputs: What the model takes.
        name: The bundle's, for messages.

    Raises:
        BundleDamaged: The ranges are not those of the model's inputs.
    """

    def __init__(
        self, ranges: Sequence[InputRange], inputs: Sequence[GraphInput], *, name: str
    ) -> None:
        widths = {one.name: one.shape[-1] for one in inputs if one.dtype == "float32"}
        for one in ranges:
            if widths.get(one.name, 0) not in (None, len(one.largest)):
                raise BundleDamaged(
                    f"bundle '{name}' is damaged: its calibrated range of '{one.name}' is none of "
                    "the model's inputs: convert it again"
                )
        self._ranges = tuple(ranges)
        self._least = tuple((one, min(one.largest, default=0.0)) for one in ranges)
        self._names = tuple(one.name for one in inputs)
        self.outside = 0
        """How many values so far."""
        self._lock = threading.Lock()
        renew_after_fork(self)

    def renew(self) -> None:
        """See `Renewable`: another thread may have been counting."""
        self._lock = threading.Lock()

    def look(self, given: Any) -> int:
        """Count the values of inputs that the model has taken, and add them to the others.

        Args:
            given: As for `Predictor.scores`, but no texts.

        Returns:
            How many of these lie outside.
        """
        named = self._by_input(given)
        if all(_lies_within(named[one.name], least) for one, least in self._least):
            return 0
        found = sum(self.by_row(named))
        with self._lock:
            self.outside += found
        return found

    def by_row(self, given: Any) -> list[int]:
        """Count the values of each row outside, [B], without adding them; as `look`."""
        named = self._by_input(given)
        counts = [_by_row(named[one.name], one) for one in self._ranges]
        return [sum(row) for row in zip(*counts, strict=True)]

    def _by_input(self, given: Any) -> Mapping[str, Any]:
        if isinstance(given, Mapping):
            return given
        several = given if len(self._names) > 1 else (given,)
        return dict(zip(self._names, several, strict=True))


def _lies_within(values: Any, least: float) -> bool:
    """Return whether all values lie where no feature is outside: most do, and it is quick."""
    if isinstance(values, list | tuple):
        if values and isinstance(values[0], list | tuple):
            return all(_lies_within(one, least) for one in values)
        return not values or (max(values) <= least and min(values) >= -least)
    if not hasattr(values, "__array__"):
        return False
    import numpy as np

    array = np.asarray(values)
    return not array.size or bool(array.max() <= least and array.min() >= -least)


def _by_row(values: Any, known: InputRange) -> list[int]:
    """Count the values of each row of one input [B, ..., F] outside its range."""
    if hasattr(values, "__array__"):
        import numpy as np

        array = np.asarray(values)
        if not len(array):
            return []
        most = np.array(known.largest)
        outside = (array > most) | (array < -most)
        if known.padding is not None:
            outside &= np.abs(array - known.padding) > _SAME * abs(known.padding)
        counts: list[int] = outside.reshape(len(array), -1).sum(axis=1).tolist()
        return counts
    if isinstance(values, memoryview):
        values = values.tolist()
    return [_count(row, known) for row in values]


def _count(values: Any, known: InputRange) -> int:
    """Count the values of nested lists [..., F] outside."""
    if len(values) and hasattr(values[0], "__len__"):
        return sum(_count(one, known) for one in values)
    return sum(
        not -most <= value <= most and not _is_padding(value, known.padding)
        for value, most in zip(values, known.largest, strict=True)
    )


def _is_padding(value: float, padding: float | None) -> bool:
    return padding is not None and abs(value - padding) <= _SAME * abs(padding)


def say_outside(values: int, name: str) -> str:
    """Say how many values lie outside what an artifact was calibrated for.

    Args:
        values: How many.
        name: The artifact's target and scheme.
    """
    lie = "value lies" if values == 1 else "values lie"
    return (
        f"{values:,} {lie} outside the range that {name} was calibrated for, and may be cut: "
        "convert again with --data ROWS like these"
    )
