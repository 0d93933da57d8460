"""The Graph: the only intermediate representation.

Importing this package loads nothing; a name of it loads its module.
"""

from gatelet import loads_when_asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gatelet.runtime.graph.graph import Graph, GraphInput, Node, graph_from_json

__all__ = ["Graph", "GraphInput", "Node", "graph_from_json"]

if not TYPE_CHECKING:
    __getattr__ = loads_when_asked(
        __name__,
        {"Graph": "graph", "GraphInput": "graph", "Node": "graph", "graph_from_json": "graph"},
    )
