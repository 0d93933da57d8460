"""Does a model say itself in which range the features lie that it is fed?

Not the ranges that are observed: those of rows that somebody gave are known without the model.
"""

import numpy as np

from gatelet.convert.reading.source import SourceModel
from gatelet.convert.rows.likely import NORMAL, STATE, Likely, likely_inputs
from gatelet.runtime.graph.graph import Graph

DRAWN = (0.0, 1.0)
"""The mean and deviation of what is drawn where nothing is known: from them nothing is learnt."""


def inputs_of_unknown_range(model: SourceModel, graph: Graph) -> tuple[str, ...]:
    """Name the inputs of features of which nothing in the model tells the range.

    It is told where a Normalization, a Rescaling or the statistics of a BatchNormalization stand
    first, of every feature, and of the states of a bounded recurrence. Ids need no range: each row
    of an Embedding is known. That an input is as wide as a vocabulary is a guess, and does not do.

    Args:
        model: As read.
        graph: What it was lowered to.
    """
    likely = likely_inputs(model, graph)
    return tuple(
        one.name
        for one in graph.inputs
        if one.dtype == "float32" and not _tells(likely.get(one.name))
    )


def _tells(likely: Likely | None) -> bool:
    """Return whether a range is known; layers that leave a feature as it is say nothing of it."""
    if likely is None or likely.kind not in (NORMAL, STATE):
        return False
    mean, deviation = DRAWN
    as_drawn = np.equal(likely.mean, mean) & np.equal(likely.deviation, deviation)
    return likely.kind == STATE or not as_drawn.any()
