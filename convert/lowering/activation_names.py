"""Reading an activation from a configuration: a name, an alias, or a layer given as activation.

Not the equations, which stand in the reference backend. Here, what versions of Keras mean by one
name is told apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gatelet.convert.lowering.builder import GraphBuilder, Value, keep_mask
from gatelet.convert.lowering.settings import read_number, read_setting, refuse
from gatelet.convert.reading.source import SourceLayer
from gatelet.runtime.graph.graph import Shape

_NAMES = (
    "linear",
    "relu",
    "sigmoid",
    "hard_sigmoid",
    "tanh",
    "softmax",
    "log_softmax",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "exponential",
    "silu",
    "gelu",
    "leaky_relu",
    "relu6",
    "mish",
    "celu",
    "hard_tanh",
    "hard_silu",
    "log_sigmoid",
    "tanh_shrink",
    "hard_shrink",
    "soft_shrink",
    "squareplus",
    "sparse_plus",
    "sparse_sigmoid",
    "glu",
    "sparsemax",
)
# tf.nn.softmax was saved as softmax_v2, tf.exp as exp
_ALIASES = {
    "swish": "silu",
    "hard_swish": "hard_silu",
    "softmax_v2": "softmax",
    "exp": "exponential",
    "identity": "linear",
}
_LAYERS = ("ReLU", "LeakyReLU", "ELU", "Softmax", "ThresholdedReLU")


@dataclass(frozen=True)
class Activation:
    """An activation of the Graph.

    Args:
        name: As in docs/graph.md.
        parameters: Those that differ from the defaults there.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def read_activation(
    layer: SourceLayer, *settings: str, builder: GraphBuilder, default: str = "linear"
) -> Activation:
    """Read an activation.

    Args:
        layer: Whose.
        *settings: The setting's name, then the names it had in older versions.
        builder: Knows the version.
        default: If there is none.

    Raises:
        UnsupportedLayer: It is not built into Keras.
    """
    found = read_setting(layer, *settings, default=default)
    if isinstance(found, Mapping):
        class_name, config = found.get("class_name"), found.get("config")
        if class_name == "Activation" and isinstance(config, Mapping):
            inner = replace(layer, config=config)
            return read_activation(inner, "activation", builder=builder)
        if class_name in _LAYERS and isinstance(config, Mapping):
            return activation_layer(replace(layer, class_name=str(class_name), config=config))
        found = config if isinstance(config, str) else class_name
    name = _ALIASES.get(str(found), str(found))
    if name not in _NAMES:
        raise refuse(
            layer,
            f"{settings[0]} '{found}'",
            "only Keras' own can: docs/graph.md lists them",
        )
    if name == "hard_sigmoid" and builder.keras_major < 3:
        name = "hard_sigmoid_keras2"
    return Activation(name)


def activation_layer(layer: SourceLayer) -> Activation:
    """Read one of the layers that are activations without weights.

    Raises:
        ModelError: A parameter is no number.
    """
    if layer.class_name == "LeakyReLU":
        # the layer's slope is 0.3 in every version, the function's is 0.2
        slope = read_number(layer, "negative_slope", "alpha", default=0.3)
        return _with("leaky_relu", negative_slope=(slope, 0.2))
    if layer.class_name == "ELU":
        return _with("elu", alpha=(read_number(layer, "alpha", default=1.0), 1.0))
    if layer.class_name == "ThresholdedReLU":
        return _with("relu", threshold=(read_number(layer, "theta", default=1.0), 0.0))
    if layer.class_name == "Softmax":
        axis = read_setting(layer, "axis", default=-1)
        if isinstance(axis, list | tuple) and len(axis) == 1:
            axis = axis[0]
        if not isinstance(axis, int):
            raise refuse(layer, f"axis={axis!r}", "supported: one axis")
        return _with("softmax", axis=(axis, -1))
    ceiling = read_setting(layer, "max_value")
    return _with(
        "relu",
        max_value=(None if ceiling is None else read_number(layer, "max_value"), None),
        negative_slope=(read_number(layer, "negative_slope", default=0.0), 0.0),
        threshold=(read_number(layer, "threshold", default=0.0), 0.0),
    )


def _with(name: str, **parameters: tuple[Any, Any]) -> Activation:
    """Name an activation and its parameters, each with its default."""
    return Activation(
        name, {key: value for key, (value, default) in parameters.items() if value != default}
    )


def add_activation(
    activation: Activation, value: Value, *, source: SourceLayer, builder: GraphBuilder
) -> Value:
    """Append an activation, unless it is linear; the value keeps its mask."""
    if activation.name == "linear":
        return value
    parameters = dict(activation.parameters)
    axis = parameters.get("axis", -1)
    if axis >= 0:
        axis -= len(value.shape)
        parameters["axis"] = axis
        if axis == -1:
            del parameters["axis"]
    shape = _halved(value.shape, axis) if activation.name == "glu" else value.shape
    made = builder.add(
        "Activation",
        [value],
        shape=shape,
        source=source,
        attributes={"activation": activation.name, **parameters},
    )
    return keep_mask(made, value)


def _halved(shape: Shape, axis: int) -> Shape:
    sizes = list(shape)
    size = sizes[axis]
    sizes[axis] = None if size is None else size // 2
    return tuple(sizes)
