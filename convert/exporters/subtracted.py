"""Means that a target would round away: features of 100,000 with a spread of 0.01 in float16.

Not the rounding of kernels, whose cost parity measures.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.schemes import Scheme
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph, Node

_MOST_DEVIATIONS = 0.01


def float16_refusal(graph: Graph, scheme: Scheme, *, target: str, least: int = 0) -> str:
    """Refuse float16 for a mean of which too little would be left; '' where it can be stored.

    Args:
        graph: In which x * 1 + shift, then x * scale + shift, is a scaler.
        scheme: What is asked for.
        target: For the message.
        least: How many numbers an array must have to be stored as float16.
    """
    if scheme.weights != "float16":
        return ""
    behind = {node.inputs[0]: node for node in graph.nodes if node.op == "Affine"}
    for node in behind.values():
        after = behind.get(node.outputs[0])
        if after is not None and _weight(graph, node, "shift").size >= least:
            lost = _lost_deviations(graph, node, after)
            if not lost <= _MOST_DEVIATIONS:
                return (
                    f"layer '{node.source}': float16 would move the mean of a feature by {lost:.2g}"
                    f" of its standard deviations, so {target} has no {scheme.name} of this model: "
                    "use --scheme dynamic-int8 or float32"
                )
    return ""


def _lost_deviations(graph: Graph, node: Node, after: Node) -> float:
    """Return by how much the rounding moves what the second one gives; infinity beyond float16."""
    if not np.all(_weight(graph, node, "scale") == 1):
        return 0.0
    shift = _weight(graph, node, "shift").astype(np.float64)
    with np.errstate(over="ignore"):
        moved = np.abs(shift.astype(np.float16).astype(np.float64) - shift)
    return float(np.max(moved * np.abs(_weight(graph, after, "scale"))))


def _weight(graph: Graph, node: Node, role: str) -> NDArray[Any]:
    return array_of(graph.weights[node.weights[role]])
