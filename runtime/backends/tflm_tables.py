"""Embedding tables that lie beside a tflm file: a row for each id, as the file's input takes it.

Not the file, which `gatelet.runtime.backends.tflm` runs; docs/tflm.md has the layout of a row.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.errors import BackendError

Array = NDArray[Any]


class Table:
    """A table, read once.

    Args:
        facts: What the file says of it: rows, columns, and the scale of integers.
        data: The companion's bytes.

    Raises:
        BackendError: They are not as many as the file says.
    """

    def __init__(self, facts: Mapping[str, Any], data: bytes) -> None:
        rows, columns = facts["rows"], facts["columns"]
        in_integers = facts["scale"] is not None
        expected = rows * (1 + columns if in_integers else 4 * columns)
        if len(data) != expected:
            raise BackendError(
                f"the companion '{facts['companion']}' has {len(data):,} bytes, and the file says "
                f"{rows:,} rows of {columns:,}, which take {expected:,}: convert the model again",
                target="tflm",
            )
        self._multipliers: Array | None = None
        self._values: Array
        if in_integers:
            self._multipliers = np.frombuffer(data, np.uint8).reshape(rows, 1 + columns)[:, :1]
            self._values = np.frombuffer(data, np.int8).reshape(rows, 1 + columns)[:, 1:]
        else:
            self._values = np.frombuffer(data, "<f4").reshape(rows, columns)

    @property
    def multipliers(self) -> Array | None:
        """The multiplier of each row [V, 1], uint8; None where rows are floats."""
        return self._multipliers

    def look_up(self, ids: Array) -> Array:
        """Return the rows of ids [T]: int16 or float32 [T, F]."""
        values = self._values[ids]
        if self._multipliers is None:
            return values
        return values.astype(np.int16) * self._multipliers[ids].astype(np.int16)


def tables_of(
    contract: Mapping[str, Any], companions: Mapping[str, bytes]
) -> tuple[Table | None, ...]:
    """Return the table that each of a file's inputs takes rows of; None for other inputs.

    Raises:
        BackendError: A companion is missing, or has another length.
    """
    found: list[Table | None] = []
    for one in contract["inputs"]:
        facts = one.get("table")
        if facts is None:
            found.append(None)
            continue
        if facts["companion"] not in companions:
            raise BackendError(
                f"the file takes rows of the companion '{facts['companion']}', which is not here: "
                "open it by its bundle",
                target="tflm",
            )
        found.append(Table(facts, companions[facts["companion"]]))
    return tuple(found)
