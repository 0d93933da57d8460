"""The table of sections: where an artifact's file holds which weight. See docs/bundle.md.

Not a part of opening a bundle: who reads weights back checks the table first.
"""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import repr as show

from gatelet.runtime.bundle.manifest import entries, take, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LARGEST_STEP = 1e300


def check_sections(entry: Mapping[str, Any]) -> None:
    """Check the table of what an artifact's file holds, if it has one.

    Raises:
        ValueError: It is no such table; whether it fits the file is not looked at.
    """
    for section in entries(entry, "sections", default=[]):
        take(section, "weight", str)
        take(section, "order", str)
        whole({"gates": 0, **section}, "gates")
        _check_array(section)
        for key in ("rows", "columns"):
            ends = {key: [0, 0], **section}
            _check_wholes(ends, key)
            if len(ends[key]) != 2:
                raise ValueError(f"'{key}' is {show(ends[key])}, expected two integers")
        step = section.get("step", 1)
        for one in step if type(step) is list else [step]:
            if not 0 < take({"step": one}, "step", float, int) <= LARGEST_STEP:
                raise ValueError(f"'step' is {show(one)}, expected a number above 0")
        for scales in entries({"scales": [], **section}, "scales"):
            take(scales, "along", str)
            _check_array(scales)
            if "codes" in scales:
                _check_array(take(scales, "codes", dict))


def _check_array(entry: Mapping[str, Any]) -> None:
    take(entry, "dtype", str)
    whole(entry, "offset")
    _check_wholes(entry, "shape")


def _check_wholes(entry: Mapping[str, Any], key: str) -> None:
    for one in take(entry, key, list):
        whole({key: one}, key)
