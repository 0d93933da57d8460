"""Reading a live model of Keras 3 or tf_keras, through the configuration that a file would hold.

Not for files: those are read without Keras.
"""

import importlib
from types import MappingProxyType
from typing import Any

from gatelet.convert.reading.architecture import read_architecture
from gatelet.convert.reading.equivalents import Equivalents
from gatelet.convert.reading.source import SourceModel
from gatelet.convert.reading.weights import ObjectWeights, add_weights
from gatelet.errors import UnsupportedLayer

_KERAS_PACKAGES = ("keras", "tf_keras", "tensorflow")
_KINDS = ("Functional", "Sequential")


def read_keras_object(
    model: Any, *, equivalents: Equivalents = MappingProxyType({})
) -> SourceModel:
    """Read a live Keras model.

    Args:
        model: A built model of Keras 3 or tf_keras: Sequential or functional.
        equivalents: What stands for custom layers.

    Raises:
        TypeError: It is no Keras model.
        ModelError: It is not built, so that it has no weights or input shape.
        UnsupportedLayer: It is a kind of model that is not supported.
    """
    if not is_keras_model(model):
        raise TypeError(f"expected a Keras model, a file or a run, got {type(model).__name__}")
    description = {
        "class_name": _kind_of(model),
        "config": model.get_config(),
        "build_config": {"input_shape": getattr(model, "input_shape", None)},
        "compile_config": _training_of(model),
    }
    _check_own(model, equivalents)
    where = f"the model '{model.name}'"
    read = read_architecture(
        description, keras_version=_version_of(model), where=where, equivalents=equivalents
    )
    return add_weights(read, ObjectWeights(model))


def _training_of(model: Any) -> Any:
    """Return the compile config that a file would hold; None where there is none."""
    try:
        return model.get_compile_config()
    except Exception:  # losses of anybody's own code, of which nothing is known then
        return None


def is_keras_model(model: Any) -> bool:
    """Return whether an object is a model of a Keras, without importing any."""
    return any(
        base.__name__ == "Model" and base.__module__.split(".")[0] in _KERAS_PACKAGES
        for base in type(model).__mro__
    )


def _kind_of(model: Any) -> str:
    """Return which of Keras' kinds of model this is; a subclass may add anything but a `call`."""
    for base in type(model).__mro__:
        own = base.__module__.split(".")[0] in _KERAS_PACKAGES
        if own and base.__name__ in _KINDS:
            return str(base.__name__)
        if "call" in vars(base) or "get_config" in vars(base):
            break
    raise UnsupportedLayer(
        f"the model '{model.name}' ({type(model).__name__}) computes in its own `call`, which "
        "cannot be converted; supported: Sequential and functional models",
        layer=str(model.name),
        class_name=type(model).__name__,
    )


def _check_own(model: Any, equivalents: Equivalents) -> None:
    """Refuse layers and activations that only have the name of one of Keras' own.

    A configuration holds names; the live object tells whose they are.

    Raises:
        UnsupportedLayer: One is not Keras' own, and nothing was given to stand for it.
    """
    for layer in _layers_in(model):
        kind = type(layer)
        named = {str(layer.name), kind.__name__, str(kind.__dict__.get("registered_name"))}
        if named & set(equivalents) or any(
            key.endswith(f">{kind.__name__}") for key in equivalents
        ):
            continue
        if not _is_own(kind) and _is_own(kind.__mro__[1]) and kind.__name__ in _names_of(kind):
            raise UnsupportedLayer(
                f"layer '{layer.name}' ({kind.__name__}) is a custom class with the name of one of "
                f"Keras' own, in the module '{kind.__module__}': give what stands for it with "
                "custom_objects",
                layer=str(layer.name),
                class_name=kind.__name__,
            )
        for setting in ("activation", "recurrent_activation"):
            function = getattr(layer, setting, None)
            if callable(function) and not _is_own(function) and not hasattr(function, "get_config"):
                raise UnsupportedLayer(
                    f"layer '{layer.name}' ({kind.__name__}) has the {setting} "
                    f"'{getattr(function, '__name__', function)}' of the module "
                    f"'{getattr(function, '__module__', None)}', which is not Keras' own: use "
                    "one of Keras' activations",
                    layer=str(layer.name),
                    class_name=kind.__name__,
                )


def _layers_in(model: Any) -> list[Any]:
    """Return the layers of a model, those inside others too."""
    if hasattr(model, "_flatten_layers"):
        return [layer for layer in model._flatten_layers() if layer is not model]
    return list(model.layers)


def _names_of(kind: type) -> set[str]:
    """Return the names of Keras' own classes that a class is made from."""
    return {base.__name__ for base in kind.__mro__ if _is_own(base)}


def _is_own(thing: Any) -> bool:
    module = getattr(thing, "__module__", None) or ""
    return module.split(".")[0] in _KERAS_PACKAGES


def _version_of(model: Any) -> str:
    for base in type(model).__mro__:
        package = base.__module__.split(".")[0]
        if package in _KERAS_PACKAGES:
            return str(getattr(importlib.import_module(package), "__version__", "unknown"))
    return "unknown"
