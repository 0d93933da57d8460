"""Which rows go to an engine together: rows of like length, so that none pays for another.

Not the skipping itself: the artifacts drop the padding that all rows of a batch share.
"""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from gatelet.runtime.graph import Graph

__all__ = ["ROWS_AT_ONCE", "Batches", "in_batches", "skipped_input"]

ROWS_AT_ONCE = 64

# What a batch costs, in rows x timesteps: each timestep about one row more, each call 32 of them;
# measured with litert and onnx on LSTM(64), see docs/runtime.md.
_ROWS_A_STEP = 1
_STEPS_A_CALL = 32
_LOOK_BACK = 64

_READS_ACROSS_TIME = ("Conv", "Pooling", "Reduce", "Reshape", "Reverse", "Transpose", "Time")


class Batches:
    """Rows in batches, and the way back.

    Args:
        parts: Each with every input.
        order: The number that each row had, in the order of the parts; None where it is the same.
    """

    def __init__(self, parts: list[dict[str, Any]], order: list[int] | None = None) -> None:
        self.parts = parts
        self.order = order

    def join(self, results: list[Any]) -> Any:
        """Give one value, its rows as the caller had them.

        Args:
            results: Of one output, an array or list a part.
        """
        if not results:
            return []
        if hasattr(results[0], "dtype"):
            return self._join_arrays(results)
        rows = [row for part in results for row in part]
        if self.order is None:
            return results[0] if len(results) == 1 else rows
        placed = dict(zip(self.order, rows, strict=True))
        return [placed[number] for number in range(len(rows))]

    def _join_arrays(self, results: list[Any]) -> Any:
        if len(results) == 1 and self.order is None:
            return results[0]
        import numpy as np

        joined = np.concatenate(results)
        if self.order is None:
            return joined
        placed = np.empty_like(joined)
        placed[self.order] = joined
        return placed


def skipped_input(graph: Graph) -> str | None:
    """Give the input of ids whose padding artifacts of this Graph skip; None where they do not.

    A wrong guess costs time, never a result: see `gatelet.convert.passes.pad_skip`.
    """
    ids = [one for one in graph.inputs if one.dtype == "int32" and one.shape == (None, None)]
    across = any(word in node.op for node in graph.nodes for word in _READS_ACROSS_TIME)
    masked = any(node.op == "MaskIds" for node in graph.nodes)
    backwards = any(node.attributes.get("go_backwards") for node in graph.nodes)
    return ids[0].name if len(ids) == 1 and not across and (masked or not backwards) else None


def in_batches(rows: Mapping[str, Any], *, ids: str | None, most: int = ROWS_AT_ONCE) -> Batches:
    """Divide rows.

    Args:
        rows: By input, arrays or lists of N rows each.
        ids: The input whose padding is skipped; None to keep the order.
        most: Rows of a batch.
    """
    count = len(next(iter(rows.values())))
    if count <= 1 or ids is None:
        return Batches([_slice(rows, at, at + most) for at in range(0, count, most)])
    lengths = _lengths(rows[ids])
    order = sorted(range(count), key=lengths.__getitem__, reverse=True)
    cuts = _cuts([lengths[number] for number in order], most)
    if cuts == [0]:
        return Batches([dict(rows)])
    taken = {name: _take(one, order) for name, one in rows.items()}
    return Batches(
        [_slice(taken, at, end) for at, end in zip(cuts, [*cuts[1:], count], strict=True)], order
    )


def _lengths(ids: Any) -> list[int]:
    """Give how many timesteps of each row are not padding, at least 1."""
    if hasattr(ids, "dtype"):
        return [max(int(count), 1) for count in (ids != 0).sum(axis=1)]
    return [max(len(row) - row.count(0), 1) for row in ids]


def _cuts(lengths: list[int], most: int) -> list[int]:
    """Give where batches start, so that all of them together cost the least.

    Args:
        lengths: Of each row, falling.
        most: Rows of a batch.
    """
    runs = [(length, len(list(same))) for length, same in groupby(lengths)]
    ends = [0]
    for _, rows in runs:
        ends.append(ends[-1] + rows)
    best: list[tuple[int, int]] = [(0, 0)]  # the cost up to each run, and where its batch starts
    for last in range(1, len(ends)):
        best.append(
            min(
                (best[first][0] + _cost(runs[first][0], ends[last] - ends[first], most), first)
                for first in range(max(0, last - _LOOK_BACK), last)
            )
        )
    starts: list[int] = []
    last = len(runs)
    while last:
        first = best[last][1]
        starts = [*range(ends[first], ends[last], most), *starts]
        last = first
    return starts


def _cost(length: int, rows: int, most: int) -> int:
    calls = -(-rows // most)
    return length * (rows + calls * _ROWS_A_STEP) + calls * _STEPS_A_CALL


def _slice(rows: Mapping[str, Any], start: int, end: int) -> dict[str, Any]:
    return {name: one[start:end] for name, one in rows.items()}


def _take(rows: Any, order: list[int]) -> Any:
    return rows[order] if hasattr(rows, "dtype") else [rows[number] for number in order]
