"""Why a Graph has no C code, told without writing any."""

from gatelet.convert.exporters.c.activations import activation_refusal
from gatelet.convert.exporters.c.integers import integer_refusal
from gatelet.convert.schemes import Scheme
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.vectorizer.opening import AnyVectorizer


def c_refusal(graph: Graph, scheme: Scheme, vectorizer: AnyVectorizer | None) -> str:
    """Say why C cannot take a Graph in a scheme; '' where it can."""
    why = activation_refusal(graph)
    if why or scheme.activations == "float32":
        return why
    if scheme.embeddings:
        return f"c computes in integers from {scheme.weights} embeddings: choose another --scheme"
    return integer_refusal(graph)
