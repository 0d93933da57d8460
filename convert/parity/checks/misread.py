"""Whether it is the reader that is wrong, where a file seems to store other weights than the Graph.

Not the check `weights` itself, which is `gatelet.convert.parity.stored.match`.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.checks.blame import ROWS, scores_with
from gatelet.convert.parity.checks.scores import difference
from gatelet.convert.parity.oracles.oracle import Oracle
from gatelet.convert.parity.report import Check
from gatelet.convert.parity.stored.match import StoredWeight
from gatelet.runtime.graph.graph import Graph

FARTHER = 4.0
"""How many times farther from the file's scores those of its weights are, where these are misread.

Weights that are read right are about as near to the file as the Graph, or nearer.
"""

Array = NDArray[Any]


def doubt_reading(
    graph: Graph,
    oracle: Oracle,
    found: Array,
    weights: tuple[StoredWeight, ...] | None,
    check: Check,
    *,
    limit: float,
) -> tuple[tuple[StoredWeight, ...] | None, Check]:
    """Do not blame a file that computes what the Graph computes, and not what is read from it.

    Args:
        graph: The model.
        oracle: The rows that were compared, and the Graph's scores of them.
        found: The file's [N, ...].
        weights: As they were read.
        check: The check `weights`.
        limit: The largest difference of a file that agrees with the Graph.

    Returns:
        Both; None and 'not checked' where the weights were misread.
    """
    if check.verdict != "fail" or found.shape != oracle.scores.shape or not len(found):
        return weights, check
    file, right = found[:ROWS], oracle.scores[:ROWS]
    own = difference(file, right)
    if not float(own.max(initial=0.0)) <= limit:
        return weights, check
    read = scores_with(graph, oracle.inputs[:ROWS], {one.weight: one for one in weights or ()})
    if not _size(difference(read, file)) > FARTHER * max(_size(own), _ROUNDING):
        return weights, check
    note = (
        "the file computes what the Graph computes, and the weights that are read from it do not: "
        f"this gatelet misreads them ({check.note})"
    )
    return None, replace(check, figure=None, verdict="not checked", note=note)


_ROUNDING = float(np.finfo(np.float32).eps)


def _size(differences: Array) -> float:
    """Return the root of the mean square; differences may be infinite."""
    return float(np.sqrt((np.nan_to_num(differences, posinf=1e30) ** 2).mean()))
