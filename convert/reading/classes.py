"""Which class an entry of a configuration is: Keras' own, a custom one, an operation.

Not what such a layer means: see `gatelet.convert.lowering`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

MODEL_CLASSES = ("Functional", "Model", "Sequential")
_KERAS_PACKAGES = ("keras", "tf_keras", "tensorflow", "builtins")


def stored_class(entry: Mapping[str, Any]) -> str:
    """Return the class that the file names, where an equivalent stands for it."""
    return str(entry.get("stored_class", ""))


def class_of(entry: Mapping[str, Any]) -> str:
    """Return the class; with its package where it is not Keras' own."""
    kind = str(entry["class_name"])
    if not is_custom(entry) or ">" in kind:
        return kind
    registered = entry.get("registered_name")
    if registered and ">" in registered:
        return str(registered)
    return f"{entry.get('module') or 'custom'}>{kind}"


def is_custom(entry: Mapping[str, Any]) -> bool:
    """Return whether a class is not Keras' own, though it may have the name of one.

    Of a class that was never registered Keras writes that it is in no module. HDF5 files say
    nothing of modules, so there a class is what its name says.
    """
    registered, module = entry.get("registered_name"), entry.get("module")
    if "module" in entry and module is None:
        return True
    package = str(module).split(".")[0] if module is not None else "keras"
    return (
        ">" in str(entry["class_name"])
        or (isinstance(registered, str) and ">" in registered)
        or package not in _KERAS_PACKAGES
    )


def is_operation(entry: Mapping[str, Any]) -> bool:
    """Return whether this is an operation of Keras 3, such as `keras.ops.add`.

    HDF5 files of Keras 3 do not say from which module it is, but layers can be trained.
    """
    if entry.get("module") is not None:
        return str(entry["module"]).startswith(("keras.src.ops", "keras.ops"))
    nodes: Sequence[Any] = entry.get("inbound_nodes") or ({},)
    return (
        entry["class_name"] not in MODEL_CLASSES
        and isinstance(nodes[0], Mapping)
        and set(nodes[0]) == {"args", "kwargs"}
        and "trainable" not in entry["config"]
    )
