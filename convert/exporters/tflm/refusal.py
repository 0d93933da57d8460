"""Why a Graph has no tflm file, told without making one or having the package.

Where the package is, the step is written too, and thrown away: what an operator cannot compute
shows only then. Without the package that is left to the export, which needs it.
"""

from importlib.util import find_spec

from gatelet.convert.exporters.tflm.activations import ACTIVATIONS
from gatelet.convert.exporters.tflm.export import fused_of
from gatelet.convert.exporters.tflm.recurrent import check_bounded
from gatelet.convert.exporters.tflm.step import StepWriter
from gatelet.convert.exporters.tflm.walk import check_steps, write_step
from gatelet.convert.schemes import Scheme
from gatelet.errors import ConversionError
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.vectorizer.opening import AnyVectorizer


def tflm_refusal(graph: Graph, scheme: Scheme, vectorizer: AnyVectorizer | None) -> str:
    """Say why tflm cannot take a Graph in a scheme; '' where nothing is known against it."""
    try:
        check_steps(graph)
        for node in graph.nodes:
            if scheme.activations != "float32":
                check_bounded(node)
        if find_spec("tflite_micro") is not None:
            write_step(graph, StepWriter(fused=fused_of(graph)))
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
    return ""
