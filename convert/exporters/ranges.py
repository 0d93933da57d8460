"""The range of features that integers are calibrated for: what the manifest and C code say of it.

Not the scales of the integers, which each exporter chooses.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.runtime.bundle.ranges import InputRange
from gatelet.runtime.graph.graph import Graph

HEADROOM = 2.0
"""Features may be so many times those that were observed: all exporters leave as much."""

Array = NDArray[Any]


def largest_features(graph: Graph, rows: Mapping[str, Array]) -> dict[str, Array]:
    """Return the largest magnitude of each feature of each input of a model, [F], over rows."""
    found = {}
    for one in graph.inputs:
        if one.dtype == "float32" and one.name in rows:
            features = np.asarray(rows[one.name])
            axes = tuple(range(features.ndim - 1))
            found[one.name] = np.abs(features).max(axis=axes, initial=0.0).astype(np.float64)
    return found


def input_ranges(graph: Graph, largest: Mapping[str, Array]) -> tuple[InputRange, ...]:
    """Return the range of each input of features.

    Args:
        graph: The model.
        largest: What was observed of its inputs, [F]; a feature that was always zero has the range
            of 1. Further entries do not matter.
    """
    masks = {
        node.inputs[0]: float(node.attributes["mask_value"])
        for node in graph.nodes
        if node.op == "MaskFeatures"
    }
    found = []
    for one in graph.inputs:
        if one.dtype == "float32" and one.name in largest:
            seen = np.asarray(largest[one.name])
            known = HEADROOM * np.where(seen > 0, seen, 1.0)
            found.append(InputRange(one.name, tuple(known.tolist()), masks.get(one.name)))
    return tuple(found)
