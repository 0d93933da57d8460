"""Reading a layer's configuration and weights, and the errors that say what does not fit.

Not activations, which are `gatelet.convert.lowering.activation_names`.
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from gatelet.convert.lowering.builder import TimeMustBeKnown, Value
from gatelet.convert.reading.source import SourceLayer
from gatelet.errors import ModelError, UnsupportedLayer


def read_setting(layer: SourceLayer, *names: str, default: Any = None) -> Any:
    """Return a setting by its name, or by the names that older versions of Keras had for it."""
    for name in names:
        if layer.config.get(name) is not None:
            return layer.config[name]
    return default


def read_int(layer: SourceLayer, *names: str, default: int | None = None) -> int:
    """Read a positive whole number; see `read_setting`.

    Raises:
        ModelError: It is missing or something else.
    """
    found = read_setting(layer, *names, default=default)
    if isinstance(found, list | tuple) and len(found) == 1:
        found = found[0]
    whole = isinstance(found, int) or (isinstance(found, float) and found.is_integer())
    if isinstance(found, bool) or not whole:
        raise _damaged(layer, names[0], found, "a whole number")
    if found < 1:
        raise _damaged(layer, names[0], found, "1 or more")
    return int(found)


def read_number(layer: SourceLayer, *names: str, default: float | None = None) -> float:
    """Read a number; Keras 2 wrote some as one-element arrays.

    Raises:
        ModelError: It is missing or something else.
    """
    found = read_setting(layer, *names, default=default)
    if isinstance(found, dict) and "value" in found:
        found = found["value"]
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise _damaged(layer, names[0], found, "a number")
    return float(found)


def read_bool(layer: SourceLayer, *names: str, default: bool) -> bool:
    """Read a setting that is on or off."""
    return bool(read_setting(layer, *names, default=default))


def read_choice(
    layer: SourceLayer, *names: str, choices: Sequence[str], default: str | None = None
) -> str:
    """Read a setting that is one of a few words.

    Raises:
        UnsupportedLayer: It is another.
    """
    found = read_setting(layer, *names, default=default)
    if found not in choices:
        raise refuse(layer, f"{names[0]}={found!r}", f"supported: {', '.join(choices)}")
    return str(found)


def read_data_format(layer: SourceLayer) -> str:
    """Read where the channels are: 'channels_last' or 'channels_first'."""
    formats = ("channels_last", "channels_first")
    return read_choice(layer, "data_format", choices=formats, default="channels_last")


def read_sizes(
    layer: SourceLayer, *names: str, rank: int, default: int | None = None
) -> tuple[int, ...]:
    """Read one positive whole number an axis; a single one holds for each.

    Raises:
        ModelError: It is something else.
    """
    found = read_setting(layer, *names, default=default)
    sizes = [found] * rank if isinstance(found, int) else found
    if (
        not isinstance(sizes, list | tuple)
        or len(sizes) != rank
        or not all(isinstance(size, int) and size >= 1 for size in sizes)
    ):
        raise _damaged(layer, names[0], found, f"{rank} whole numbers")
    return tuple(sizes)


def features_of(layer: SourceLayer, value: Value) -> int:
    """Return the size of a value's last axis.

    Raises:
        TimeMustBeKnown: It is open.
    """
    size = value.shape[-1]
    if size is None:
        raise TimeMustBeKnown(layer)
    return size


def weight_roles(layer: SourceLayer, *roles: str) -> dict[str, NDArray[Any]]:
    """Name a layer's weights, which files hold in Keras' order.

    Raises:
        ModelError: The file has another number of weights for this layer.
    """
    if len(layer.weights) != len(roles):
        raise ModelError(
            f"layer '{layer.name}' ({layer.class_name}) needs {len(roles)} weights "
            f"({', '.join(roles)}), the file has {len(layer.weights)}",
            layer=layer.name,
            class_name=layer.class_name,
        )
    return dict(zip(roles, layer.weights, strict=True))


def expect_shape(
    layer: SourceLayer, role: str, array: NDArray[Any], expected: tuple[int, ...]
) -> None:
    """Check one weight.

    Raises:
        ModelError: Its shape is not what the layer's configuration says.
    """
    if array.shape != expected:
        raise ModelError(
            f"layer '{layer.name}' ({layer.class_name}): its {role} should be {list(expected)}, "
            f"the file has {list(array.shape)}",
            layer=layer.name,
            class_name=layer.class_name,
        )


def require_default(layer: SourceLayer, **defaults: object) -> None:
    """Refuse options that cannot be lowered.

    Args:
        layer: The layer.
        **defaults: The only value that can be lowered, by option.

    Raises:
        UnsupportedLayer: An option has another value.
    """
    for option, default in defaults.items():
        found = layer.config.get(option, default)
        if found != default:
            raise refuse(layer, f"{option}={found!r}", f"supported: {option}={default!r}")


def refuse(layer: SourceLayer, what: str, way_out: str) -> UnsupportedLayer:
    """Return the error for something about a layer that cannot be lowered.

    Args:
        layer: The layer.
        what: The option and its value.
        way_out: What the user can do.
    """
    return UnsupportedLayer(
        f"layer '{layer.name}' ({layer.class_name}): {what} cannot be lowered; {way_out}",
        layer=layer.name,
        class_name=layer.class_name,
    )


def _damaged(layer: SourceLayer, name: str, found: object, expected: str) -> ModelError:
    return ModelError(
        f"layer '{layer.name}' ({layer.class_name}): its {name} should be {expected}, "
        f"the file has {found!r}",
        layer=layer.name,
        class_name=layer.class_name,
    )
