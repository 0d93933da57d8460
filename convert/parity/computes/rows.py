"""Chooses the rows that are looked at: few, short, and no larger than memory and time allow.

Not where rows come from: the user's, or drawn ones.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from gatelet.convert.parity.computes.roundings import Array
from gatelet.convert.rows.rows import Rows
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.streamable import has_time

MOST_ROWS, MOST_TIMESTEPS = 32, 128
_MOST_NUMBERS = 2**23
"""Of all values of a run together, in float64."""
_MOST_PRODUCTS = 10**8
"""Multiplications of a run."""
_LENGTHS = 4
"""How many numbers of pads there are among rows that run together."""


def few_rows(graph: Graph, inputs: Rows, *, timesteps: int = MOST_TIMESTEPS) -> Rows:
    """Return some of the rows, their last timesteps where the model takes fewer.

    Args:
        graph: The model.
        inputs: The rows that are judged.
        timesteps: The most that are kept.
    """
    feed = dict(inputs.feed)
    if all(one.shape[1] is None for one in graph.inputs if has_time(one)):
        for one in graph.inputs:
            if has_time(one):
                feed[one.name] = feed[one.name][:, -timesteps:]
    steps = max((feed[one.name].shape[1] for one in graph.inputs if has_time(one)), default=1)
    numbers, products = _costs(graph, steps)
    most = min(MOST_ROWS, _MOST_NUMBERS // max(numbers, 1), _MOST_PRODUCTS // max(products, 1))
    count = max(1, min(most, len(inputs)))
    chosen = np.unique(np.linspace(0, len(inputs) - 1, count).astype(int))
    return Rows(feed)[chosen]


def _costs(graph: Graph, timesteps: int) -> tuple[int, int]:
    """Return the numbers of all values of a row, and the multiplications that they take."""
    numbers, products = 0, 0
    for node in graph.nodes:
        sizes = [
            (timesteps if axis == 1 else 1) if size is None else size
            for axis, size in enumerate(node.shape)
        ]
        made = math.prod(sizes[1:]) if len(sizes) > 1 else 1
        numbers += made
        for role, name in node.weights.items():
            if "kernel" in role:
                kernel = math.prod(graph.weights[name].shape)
                places = math.prod(sizes[1:-1]) if len(sizes) > 2 else 1
                if "recurrent" in role or len(graph.shape_of(node.inputs[0])) == 3:
                    places = max(places, timesteps)
                products += kernel * places
    return numbers, products


def by_padding(rows: Rows, ids: str | None) -> Iterator[Mapping[str, Array]]:
    """Return rows that have as many pads in front, together; all of them where none is skipped.

    Of few lengths each is as good as any: rows become a little shorter, so that there are not more.

    Args:
        rows: The rows.
        ids: The input whose padding the file skips; None where it skips none.
    """
    if ids is None:
        yield rows.feed
        return
    values = rows.feed[ids].copy()
    pads = np.where((values != 0).any(axis=1), (values != 0).argmax(axis=1), values.shape[1])
    levels = np.unique(np.quantile(pads, np.arange(1, _LENGTHS + 1) / _LENGTHS, method="higher"))
    pads = levels[np.searchsorted(levels, pads)]
    values[np.arange(values.shape[1]) < pads[:, None]] = 0
    shorter = Rows({**rows.feed, ids: values})
    for count in levels:
        yield shorter[np.flatnonzero(pads == count)].feed


def without_shared_padding(rows: Rows, ids: str | None) -> Rows:
    """Drop the timesteps in front that are padding in all rows: a file takes none of them.

    Args:
        rows: The rows.
        ids: The input whose padding the file skips; None where it skips none.
    """
    if ids is None:
        return rows
    counts = (rows.feed[ids] != 0).any(axis=0)
    shared = int(counts.argmax()) if counts.any() else 0
    return Rows({**rows.feed, ids: rows.feed[ids][:, shared:]})


def skipped_input(graph: Graph) -> str | None:
    """Return the input whose padding a Graph skips; None where it skips none."""
    trims = [node.inputs[0] for node in graph.nodes if node.op == "TrimPadding"]
    return trims[0] if trims else None


def one_by_one(rows: Rows) -> Iterator[Mapping[str, Array]]:
    """Return each row by itself."""
    for row in range(len(rows)):
        yield rows[row : row + 1].feed
