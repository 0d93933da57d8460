"""Which rows go to an engine together: rows of like length, so that none pays for another.

Not the skipping itself: the artifacts drop the padding that all rows of a batch share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain, groupby

from gatelet.runtime.backends.targets import ROWS_AT_ONCE
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.predictor.call_cost import Cost, timestep_us

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gatelet.runtime.vectorizer.opening import AnyVectorizer

_TYPICAL = Cost()
READS_ACROSS_TIME = ("Conv", "Pooling", "Reduce", "Reshape", "Reverse", "Transpose", "Time")


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
        """Return one value, its rows as the caller had them.

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
        rows = joined(results)
        if self.order is None:
            return rows
        placed = rows.copy()
        placed[self.order] = rows
        return placed


def joined(parts: list[Any]) -> Any:
    """Return arrays of rows as one."""
    import numpy as np

    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def skipped_input(graph: Graph) -> str | None:
    """Return the input of ids whose padding artifacts of this Graph skip; None where they do not.

    A wrong guess costs time, never a result: see `gatelet.convert.passes.pad_skip`.
    """
    ids = [one for one in graph.inputs if one.dtype == "int32" and one.shape == (None, None)]
    across = any(word in node.op for node in graph.nodes for word in READS_ACROSS_TIME)
    masked = any(node.op == "MaskIds" for node in graph.nodes)
    backwards = any(node.attributes.get("go_backwards") for node in graph.nodes)
    return ids[0].name if len(ids) == 1 and not across and (masked or not backwards) else None


def starts_at_stored_states(graph: Graph, scheme: str) -> bool:
    """Return whether a row's scores may depend on the padding that its batch has in common.

    What is skipped there leads to states that are stored, and those are exact: the steps that are
    taken instead are rounded. Masked steps change nothing, and float32 rounds nothing.
    """
    return not scheme.startswith("float32") and all(node.op != "MaskIds" for node in graph.nodes)


def in_batches(
    rows: Mapping[str, Any],
    *,
    ids: str | None,
    most: int = ROWS_AT_ONCE,
    cost: Cost = _TYPICAL,
    apart: bool = False,
) -> Batches:
    """Divide rows.

    Args:
        rows: By input, arrays or lists of N rows each.
        ids: The input whose padding is skipped; None to keep the order.
        most: Rows of a batch.
        cost: Of a call, by which they are divided.
        apart: Rows of a batch have as many pads in front: see `starts_at_stored_states`.
    """
    count = len(next(iter(rows.values())))
    if count <= 1 or ids is None:
        return Batches([_slice(rows, at, at + most) for at in range(0, count, most)])
    lengths = _behind_front(rows[ids]) if apart else _lengths(rows[ids])
    order = sorted(range(count), key=lengths.__getitem__, reverse=True)
    sorted_lengths = [lengths[number] for number in order]
    cuts = _by_length(sorted_lengths, most) if apart else _cuts(sorted_lengths, most, cost)
    if cuts == [0]:
        return Batches([dict(rows)])
    taken = {name: _take(one, order) for name, one in rows.items()}
    return Batches(
        [_slice(taken, at, end) for at, end in zip(cuts, [*cuts[1:], count], strict=True)], order
    )


def text_batches(
    vectorizer: AnyVectorizer,
    texts: Sequence[str],
    *,
    ids: str,
    skips: bool,
    most: int = ROWS_AT_ONCE,
    cost: Cost = _TYPICAL,
    apart: bool = False,
) -> Batches:
    """Divide texts, as `in_batches` does the rows that `pad` gives for them, with less work.

    Args:
        vectorizer: That of the bundle.
        texts: At least one.
        ids: The model's only input.
        skips: Whether its padding is skipped.
        most: Rows of a batch.
        cost: Of a call, by which they are divided.
        apart: As of `in_batches`.
    """
    found = [vectorizer.ids(text) for text in texts]
    lengths = list(map(len, found))
    if not skips:
        rows = {ids: _padded(vectorizer, found, lengths)}
        return Batches([_slice(rows, at, at + most) for at in range(0, len(texts), most)])
    order = sorted(range(len(texts)), key=lengths.__getitem__, reverse=True)
    lengths = [lengths[number] for number in order]
    rows = {ids: _padded(vectorizer, [found[number] for number in order], lengths)}
    lengths = [length or 1 for length in lengths]
    in_front = apart and getattr(vectorizer, "padding", "post") == "pre"
    cuts = _by_length(lengths, most) if in_front else _cuts(lengths, most, cost)
    ends = [*cuts[1:], len(texts)]
    return Batches([_slice(rows, at, end) for at, end in zip(cuts, ends, strict=True)], order)


def _padded(vectorizer: AnyVectorizer, ids: list[list[int]], lengths: list[int]) -> Any:
    """Return ids of real tokens as int32 [B, maxlen], as `pad` pads them."""
    import numpy as np

    counts, places = np.array(lengths)[:, None], np.arange(vectorizer.maxlen)
    pre = getattr(vectorizer, "padding", "post") == "pre"
    is_real = places >= vectorizer.maxlen - counts if pre else places < counts
    rows = np.full(is_real.shape, getattr(vectorizer, "pad_value", 0), np.int32)
    rows[is_real] = np.fromiter(chain.from_iterable(ids), np.int32, sum(lengths))
    return rows


def _lengths(ids: Any) -> list[int]:
    """Return how many timesteps of each row are not padding, at least 1."""
    if hasattr(ids, "dtype"):
        return [max(int(count), 1) for count in (ids != 0).sum(axis=1)]
    return [max(len(row) - row.count(0), 1) for row in ids]


def _behind_front(ids: Any) -> list[int]:
    """Return how many timesteps of each row are behind its padding in front, at least 1."""
    if hasattr(ids, "dtype"):
        real = ids != 0
        real[:, -1] = True
        return [ids.shape[1] - int(first) for first in real.argmax(axis=1)]
    return [len(row) - next((at for at, one in enumerate(row) if one), len(row) - 1) for row in ids]


def _by_length(lengths: list[int], most: int) -> list[int]:
    """Return where batches start whose rows have one length."""
    return _runs(lengths, most)[1][:-1]


def _cuts(lengths: list[int], most: int, cost: Cost) -> list[int]:
    """Return where batches start, so that all of them together cost the least.

    Dynamic programming over the runs of rows of one length, which stay together. Of batches that
    end later the cheapest starts no earlier: what two of them cost obeys the quadrangle inequality,
    for the rows only get shorter (nearly so where kernels take several rows at once).

    Args:
        lengths: Of each row, falling.
        most: Rows of a batch.
        cost: Of a call.

    Source: Yao, Efficient dynamic programming using quadrangle inequalities, 1980.
    """
    longest, ends = _runs(lengths, most)
    a_timestep = timestep_us(cost, most)
    best, starts = [0.0], []  # the cost up to each run, and where the batch starts that ends there
    first = 0
    for last, end in enumerate(ends[1:]):
        while end - ends[first] > most:
            first += 1
        least = math.inf
        for start in range(last, first - 1, -1):
            found = best[start] + longest[start] * a_timestep[end - ends[start]]
            if found < least:
                least, chosen = found, start
        first = chosen
        best.append(least + cost.call)
        starts.append(chosen)
    cuts: list[int] = []
    last = len(longest)
    while last:
        last = starts[last - 1]
        cuts.append(ends[last])
    return cuts[::-1]


def _runs(lengths: list[int], most: int) -> tuple[list[int], list[int]]:
    """Return the length of each run, at most `most` rows, and where the runs end, after a 0."""
    longest, ends = [], [0]
    for length, same in groupby(lengths):
        rows = len(list(same))
        while rows > 0:
            longest.append(length)
            ends.append(ends[-1] + min(rows, most))
            rows -= most
    return longest, ends


def _slice(rows: Mapping[str, Any], start: int, end: int) -> dict[str, Any]:
    return {name: one[start:end] for name, one in rows.items()}


def _take(rows: Any, order: list[int]) -> Any:
    return rows[order] if hasattr(rows, "dtype") else [rows[number] for number in order]
