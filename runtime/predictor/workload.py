"""What one row costs by what a bundle declares: estimated from its Graph, before anything runs.

Not a measurement, and not of artifacts, whose engines read them with code of their own.
"""

from __future__ import annotations

import math

from gatelet.errors import BundleUnsafe
from gatelet.runtime.backends.targets import row_of
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.width import shapes_of_row

LARGEST_VALUE = 2**28
"""The most numbers in a value of one row: 1 GiB of float32."""

_NODE_S = 1e-5


def check_row(
    graph: Graph, *, target: str, timesteps: int | None, max_row_s: float, name: str
) -> None:
    """Refuse a bundle of which one row would take absurdly long, or absurdly much memory.

    Args:
        graph: With its weights.
        target: What runs it.
        timesteps: Of a row where the Graph leaves them open; None where the caller's rows decide.
        max_row_s: The limit; infinity for none, of memory neither.
        name: The bundle's, for messages.

    Raises:
        BundleUnsafe: One row is beyond a limit.
    """
    if max_row_s == math.inf:
        return
    way_out = f"or, if you trust it, load(..., max_row_s=...) or --max-row-s, now {max_row_s:g}"
    try:
        shapes = shapes_of_row(graph, timesteps or 1)
        largest = max(math.prod(shape) for shape in shapes.values())
        needed_s = row_s(graph, target=target, timesteps=timesteps)
    except (IndexError, OverflowError) as error:
        raise BundleUnsafe(f"bundle '{name}' declares absurd shapes: do not use it") from error
    if largest > LARGEST_VALUE:
        raise BundleUnsafe(
            f"bundle '{name}' declares a value of more than {LARGEST_VALUE:,} numbers a row: do "
            f"not use it, {way_out}"
        )
    if needed_s > max_row_s:
        raise BundleUnsafe(
            f"bundle '{name}' declares so many timesteps and weights that one row would take some "
            f"{needed_s:.3g} s in {target}: choose another target, {way_out}"
        )


def row_s(graph: Graph, *, target: str, timesteps: int | None) -> float:
    """Estimate how many seconds a row takes; see `check_row`."""
    row = row_of(target)
    shapes = shapes_of_row(graph, timesteps or 1)
    needed_s = 0.0
    for node in graph.nodes:
        needed_s += _NODE_S + _multiplications(graph, node, shapes) / row.multiplications_a_s
        if "recurrent_kernel" in node.weights:
            needed_s += shapes[node.inputs[0]][0] * row.timestep_s
    return needed_s


def _multiplications(graph: Graph, node: Node, shapes: dict[str, tuple[int, ...]]) -> int:
    """Count those of a node, or the numbers that it makes where there are no weights."""
    made = sum(math.prod(shapes[name]) for name in node.outputs)
    kernels = sum(
        math.prod(graph.weights[tensor].shape)
        for role, tensor in node.weights.items()
        if role in ("kernel", "recurrent_kernel")
    )
    if "recurrent_kernel" in node.weights:
        # a ConvLSTM2D goes over an image each step
        steps, *image = shapes[node.inputs[0]][:-1]
        return made + kernels * steps * math.prod(image)
    size = node.attributes.get("pool_size", 1)
    sizes = size if isinstance(size, list) else [size]
    window = math.prod(one for one in sizes if type(one) is int)
    return made * window + kernels * math.prod(shapes[node.output][:-1])
