"""What stands for layers whose code is not Keras' own: chosen in Python, never by a file.

Not the layers that gatelet knows: those are in `gatelet.convert.lowering`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gatelet.errors import UnsupportedLayer

Equivalent = str | type | Callable[[Mapping[str, Any]], Any] | Any
"""What computes the same as a custom layer:

- the name or the class of one of Keras' own layers, which is given the custom one's settings;
- a layer of Keras' own, with its settings;
- a function that makes such a layer, or a name, from the custom one's settings.
"""

Equivalents = Mapping[str, Equivalent]
"""By the layer's name ('lambda_3'), its registered name ('package>Name') or its class' name."""

_KERAS_PACKAGES = ("keras", "tf_keras", "tensorflow")


def replace_custom(entry: Mapping[str, Any], equivalents: Equivalents) -> Mapping[str, Any]:
    """Put the equivalent of a layer, where one was given, in its place.

    Args:
        entry: A layer as Keras describes it: class_name, config, and how it is called.
        equivalents: What the caller gave.

    Returns:
        The entry itself, or a description of the equivalent: with the name, the calls and, in
        the file, the weights of the custom layer.

    Raises:
        UnsupportedLayer: What was given is no layer of Keras' own.
    """
    config = entry["config"]
    if not equivalents or not isinstance(config, Mapping):
        return entry
    kind, name = str(entry["class_name"]), str(entry.get("name") or config.get("name"))
    for key in (name, str(entry.get("registered_name")), kind):
        if key in equivalents:
            class_name, settings = _described(equivalents[key], config, name=name, kind=kind)
            return {
                **{k: v for k, v in entry.items() if k not in ("module", "registered_name")},
                "class_name": class_name,
                "config": {**settings, "name": name},
                "stored_class": kind.rpartition(">")[2],
            }
    return entry


def _described(
    given: Any, config: Mapping[str, Any], *, name: str, kind: str
) -> tuple[str, Mapping[str, Any]]:
    """Return the class' name and the settings of an equivalent."""
    if isinstance(given, str):
        return given, config
    if isinstance(given, type):
        if _is_keras(given):
            return given.__name__, config
    elif _is_keras(type(given)) and hasattr(given, "get_config"):
        return type(given).__name__, given.get_config()
    elif callable(given):
        return _described(given(dict(config)), config, name=name, kind=kind)
    raise UnsupportedLayer(
        f"layer '{name}' ({kind}): its equivalent is {given!r}, expected one of Keras' own layers, "
        "the name or class of one, or a function that makes one from the settings",
        layer=name,
        class_name=kind,
    )


def _is_keras(kind: type) -> bool:
    return kind.__module__.split(".")[0] in _KERAS_PACKAGES
