"""How `gatelet inspect` prints a Graph: its inputs, and a line for each node."""

from gatelet.cli.show import print_line, print_table
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.terminal import one_line


def show_graph(graph: Graph) -> None:
    """Print a Graph: its inputs and a line for each node."""
    for one in graph.inputs:
        limit = "" if one.vocabulary is None else f", below {one.vocabulary:,}"
        print_line(f"input      {one_line(one.name)} {one.dtype} {_shape(one.shape)}{limit}")
    print_line(f"parameters {graph.parameters:,}")
    print_line()
    rows = [
        (node.op, _shape(node.shape), _settings(node.attributes), node.source)
        for node in graph.nodes
    ]
    print_table(("operation", "output", "settings", "layer"), rows)


def _shape(shape: tuple[int | None, ...]) -> str:
    sizes = ("?" if size is None else str(size) for size in shape)
    return f"[{', '.join(sizes)}]"


def _settings(attributes: object) -> str:
    found = dict(attributes) if isinstance(attributes, dict) else {}
    return ", ".join(f"{key}={value}" for key, value in found.items())
