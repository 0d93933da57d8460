"""Why a Graph has no tflm file, told without making one or having the package.

Not the last word: what an operator cannot compute shows when the file is written.
"""

from gatelet.convert.exporters.tflm.activations import ACTIVATIONS
from gatelet.convert.exporters.tflm.recurrent import check_bounded
from gatelet.convert.exporters.tflm.walk import check_steps
from gatelet.convert.schemes import Scheme
from gatelet.errors import ConversionError
from gatelet.runtime.graph import Graph

__all__ = ["tflm_refusal"]


def tflm_refusal(graph: Graph, scheme: Scheme) -> str | None:
    """Give the message by which an export would be refused; None where none is known of."""
    try:
        check_steps(graph)
        for node in graph.nodes:
            if scheme.activations != "float32":
                check_bounded(node)
    except ConversionError as error:
        return str(error)
    for node in graph.nodes:
        for setting in ("activation", "recurrent_activation"):
            name = node.attributes.get(setting, "linear")
            if name not in ACTIVATIONS:
                layer = node.source or node.name
                return (
                    f"layer '{layer}': tflm has no activation '{name}': "
                    "use --target c, litert or onnx"
                )
    return None
