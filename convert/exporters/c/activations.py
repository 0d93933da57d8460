"""Activations as C: the kind, and up to three parameters.

Not their equations, which are in kernels/activations.c.
"""

from collections.abc import Mapping
from typing import Any

from gatelet.convert.exporters.c.sizes import elements, known
from gatelet.convert.exporters.c.source import initializer, number
from gatelet.convert.exporters.c.writer import Call, Value, Writer
from gatelet.errors import ConversionError
from gatelet.runtime.backends.reference import ACTIVATIONS
from gatelet.runtime.graph.graph import Graph

_WITH_AXIS = ("softmax", "log_softmax", "glu", "sparsemax")

# the parameters a, b and c of each, with what an absent one means
_PARAMETERS: dict[str, tuple[tuple[str, float], ...]] = {
    "relu": (("negative_slope", 0.0), ("threshold", 0.0), ("max_value", float("inf"))),
    "elu": (("alpha", 1.0),),
    "gelu": (("approximate", 0.0),),
    "leaky_relu": (("negative_slope", 0.2),),
    "celu": (("alpha", 1.0),),
    "hard_shrink": (("threshold", 0.5),),
    "soft_shrink": (("threshold", 0.5),),
    "squareplus": (("b", 4.0),),
    "threshold": (("threshold", 0.0), ("default_value", 0.0)),
}


def activation_refusal(graph: Graph) -> str:
    """Say which activation of a Graph cannot be written; '' where all can."""
    for node in graph.nodes:
        for setting in ("activation", "recurrent_activation"):
            name = node.attributes.get(setting, "linear")
            if name not in ACTIVATIONS:
                return (
                    f"layer '{node.source}': c has no activation '{name}': leave it out with "
                    "--target"
                )
        halved = node.op == "Activation" and node.attributes["activation"] == "glu"
        if halved and node.shape[node.attributes.get("axis", -1)] is None:
            return (
                f"layer '{node.source}': c has no glu over an axis of open size: leave it out with "
                "--target"
            )
    return ""


def activation_text(name: str, parameters: Mapping[str, Any]) -> str:
    """Return the initializer of a struct gatelet_activation.

    Raises:
        ConversionError: The activation is not known.
    """
    if name not in ACTIVATIONS:
        raise ConversionError(f"activation '{name}' cannot be exported to c")
    values = []
    for key, default in _PARAMETERS.get(name, ()):
        given = parameters.get(key)
        values.append(default if given is None else float(given))
    fields = dict(zip("abc", map(number, values), strict=False))
    return initializer({"kind": f"GATELET_{name.upper()}", **fields})


def write_activation(writer: Writer, call: Call) -> list[Value]:
    """Write an `Activation` node."""
    parameters = dict(call.node.attributes)
    name = parameters.pop("activation")
    text = activation_text(name, parameters)
    writer.kernels.add("activations")
    f = writer.name("function")
    writer.line(f"const struct gatelet_activation {f} = {text};")
    x, dims = call.x, list(call.x.dims)
    axis = parameters.get("axis", -1) % len(dims)
    if name == "glu":
        half = call.node.shape[axis]
        assert half is not None  # activation_refusal has asked
        dims[axis] = known(half)
    y = writer.make(dims)
    if name in _WITH_AXIS:
        outer, inner = elements(x.dims[:axis]), elements(x.dims[axis + 1 :])
        n = x.dims[axis].text
        writer.call("gatelet_activate_axis", f, x.name, y.name, outer, n, inner)
    else:
        writer.call("gatelet_activate", f, x.name, y.name, elements(dims))
    return [y]
