"""What a model without a Graph takes and gives, as a Graph of one node that nothing can run.

Not a Graph to export: a bundle has this one where Keras' own converters made its artifacts.
"""

from __future__ import annotations

from collections.abc import Mapping

from gatelet.errors import ModelError
from gatelet.runtime.graph.graph import Graph, GraphInput, Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OPAQUE = "Opaque"
"""The operation that stands for the whole model."""


def interface_of(found: Mapping[str, Any]) -> Graph:
    """Read the manifest's 'interface'.

    Args:
        found: "inputs", each with name, dtype, shape and vocabulary, and "outputs", each with
            name and shape.

    Returns:
        Its inputs and outputs, with one node between them.

    Raises:
        ValueError: It is damaged.
    """
    try:
        inputs = tuple(
            GraphInput(one["name"], one["dtype"], tuple(one["shape"]), one.get("vocabulary"))
            for one in found["inputs"]
        )
        names = tuple(one["name"] for one in found["outputs"])
        shapes = tuple(tuple(one["shape"]) for one in found["outputs"])
        node = Node("model", OPAQUE, tuple(one.name for one in inputs), names, shapes)
        return Graph(inputs, (node,), names, {})
    except (KeyError, TypeError, AttributeError, ModelError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"'interface' is damaged: {what}") from error


def interface_to_dict(interface: Graph) -> dict[str, Any]:
    """Return what `interface_of` reads."""
    return {
        "inputs": [
            {
                "name": one.name,
                "dtype": one.dtype,
                "shape": list(one.shape),
                "vocabulary": one.vocabulary,
            }
            for one in interface.inputs
        ],
        "outputs": [
            {"name": name, "shape": list(interface.shape_of(name))} for name in interface.outputs
        ],
    }
