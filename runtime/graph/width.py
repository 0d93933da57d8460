"""How wide a row is: the numbers of its largest value, by which rows are divided into blocks.

Not the time that a row takes, which is `gatelet.runtime.predictor.workload`'s.
"""

from __future__ import annotations

import math

from gatelet.runtime.graph.graph import Graph, Shape

NUMBERS_AT_ONCE = 2**23
"""The most numbers in a value of a batch, unless one row has more."""


class Width:
    """How many numbers the largest value of a row has.

    Args:
        fixed: Of those that do not grow with the timesteps.
        each: Of the others, a timestep.
    """

    def __init__(self, fixed: int, each: int) -> None:
        self.fixed = fixed
        self.each = each

    def rows_at_once(self, timesteps: int) -> int:
        """Return how many rows of so many timesteps a batch should have at most."""
        return max(NUMBERS_AT_ONCE // max(self.fixed, self.each * timesteps, 1), 1)


def width_of(graph: Graph) -> Width:
    """Find the largest values of a Graph."""
    one, two = (_numbers(graph, timesteps) for timesteps in (1, 2))
    return Width(max(one.values()), max(two[name] - one[name] for name in one))


def _numbers(graph: Graph, timesteps: int) -> dict[str, int]:
    """Count the numbers of each value of a row, whose timesteps are rows between two operations."""
    shapes = shapes_of_row(graph, timesteps)
    rows = dict.fromkeys((one.name for one in graph.inputs), 1)
    for node in graph.nodes:
        source = node.inputs[0]
        made = rows[source]
        if node.op == "MergeTime":
            made *= shapes[source][0]
        elif node.op == "SplitTime":
            made = rows[node.inputs[1]]
        rows |= dict.fromkeys(node.outputs, made)
    return {name: rows[name] * math.prod(shape) for name, shape in shapes.items()}


def shapes_of_row(graph: Graph, timesteps: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of a row of each value."""

    def of_row(shape: Shape) -> tuple[int, ...]:
        return tuple(timesteps if size is None else size for size in shape[1:])

    found = {one.name: of_row(one.shape) for one in graph.inputs}
    for node in graph.nodes:
        found |= {
            name: of_row(shape) for name, shape in zip(node.outputs, node.shapes, strict=True)
        }
    return found
