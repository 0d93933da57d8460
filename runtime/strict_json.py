"""JSON that has exactly one reading: UTF-8, no key twice, no number beyond float64.

Not a schema: what the values mean is checked where they are used.
"""

from __future__ import annotations

import json
import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def parse_json(data: bytes | str) -> Any:
    """Parse JSON.

    Args:
        data: The whole document; bytes are UTF-8 without a byte order mark.

    Raises:
        ValueError: It is not JSON, or other readers could read it otherwise.
    """
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value
