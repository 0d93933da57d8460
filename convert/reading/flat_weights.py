"""Weights of legacy HDF5 files: one flat list for each layer of the outermost model.

Not the grouped layout of `.keras` files, which `gatelet.convert.reading.weights` reads.

A list holds the trainable weights of everything inside the layer, then the others. It does not
say where one inner layer ends: that follows from what each class and its settings own, and is
checked against the ends of the weights' names.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from gatelet.convert.reading.hdf5 import Hdf5, join
from gatelet.convert.reading.keras1 import count_separate_gates, translate_weights
from gatelet.convert.reading.lookalikes import own_weight
from gatelet.convert.reading.source import SourceLayer, SourceModel
from gatelet.errors import ModelError, UnsupportedLayer

Arrays = tuple[NDArray[Any], ...]
_KERNEL = ("Dense", "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose")
_RECURRENT = (
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "CuDNNGRU",
    "CuDNNLSTM",
    "GRU",
    "GRUCell",
    "LSTM",
    "LSTMCell",
    "SimpleRNN",
    "SimpleRNNCell",
)
_SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
# layers whose kernels Theano flips
_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D")
_ROLES = frozenset(
    (
        "alpha",
        "beta",
        "bias",
        "depthwise_kernel",
        "embeddings",
        "gamma",
        "kernel",
        "moving_mean",
        "moving_variance",
        "pointwise_kernel",
        "recurrent_kernel",
    )
)

_Path = tuple[str, ...]


class _Slot(NamedTuple):
    """A place for one weight: the path to an inner layer, and the weight's role there."""

    path: _Path
    role: str


class _Slots(NamedTuple):
    trainable: tuple[_Slot, ...]
    fixed: tuple[_Slot, ...]


@dataclass(frozen=True)
class FlatWeights:
    """The weights of a layer or model at a path inside the outermost model.

    Args:
        arrays: The weights of each layer that has some, by path.
        path: Of this layer or model.
    """

    arrays: Mapping[_Path, Callable[[SourceLayer], Arrays]]
    path: _Path = ()

    def own(self, layer: SourceLayer) -> Arrays:
        """Read a layer's own weights."""
        read = self.arrays.get(self.path)
        return read(layer) if read is not None else ()

    def vocabulary(self, layer: SourceLayer) -> None:
        """Legacy files hold no vocabulary."""

    def part(self, name: str, layer: SourceLayer) -> "FlatWeights":
        """Return the place of a part."""
        return FlatWeights(self.arrays, (*self.path, name))

    def layers(self, model: SourceModel) -> Mapping[str, "FlatWeights"]:
        """Return the places of a model's layers."""
        return {name: FlatWeights(self.arrays, (*self.path, name)) for name in model.layers}


def read_flat_weights(file: Hdf5, group: str, model: SourceModel, where: str) -> FlatWeights:
    """Find the place of every weight of a legacy file.

    Args:
        file: The file.
        group: The group that has 'layer_names': 'model_weights', or '' in a file of weights only.
        model: The architecture that the weights are of.
        where: What to call the file in messages.

    Raises:
        ModelError: The weights do not fit the architecture.
    """
    keras1 = model.keras_version.split(".")[0] == "1"
    flipped = (file.text(group, "backend") or file.text("", "backend")) == "theano"
    lists = _weight_lists(file, group, where)
    arrays: dict[_Path, Callable[[SourceLayer], Arrays]] = {}
    for layer, stored in _matched(model, lists, where, keras1=keras1):
        slots = _slots(layer, (layer.name,), keras1=keras1, major=_major(model))
        if not keras1 and not _stands_in(layer):
            _check_names(layer, stored)
        found = _distributed(layer, slots, stored, where)
        for path, datasets in found.items():
            arrays[path] = _reader(
                file, [join(group, one) for one in datasets], keras1=keras1, flipped=flipped
            )
    return FlatWeights(arrays)


def _stands_in(layer: SourceLayer) -> bool:
    """Return whether it is, or holds, an equivalent: its weights have the custom layer's names."""
    parts = (
        one
        for part in layer.parts.values()
        for one in (part.layers.values() if isinstance(part, SourceModel) else (part,))
    )
    return bool(layer.stored_class) or any(map(_stands_in, parts))


def _check_names(layer: SourceLayer, stored: Sequence[str]) -> None:
    """Refuse weights of a name that Keras gives none: the class has the name of one of its own."""
    name = own_weight(stored)
    if name:
        raise UnsupportedLayer(
            f"layer '{layer.name}' ({layer.class_name}) has a weight '{name}', which Keras' own "
            "has not, so it is a custom class of that name: name its equivalent in Python: "
            f"convert(..., custom_objects={{{layer.name!r}: ...}})",
            layer=layer.name,
            class_name=layer.class_name,
        )


def _reader(
    file: Hdf5, datasets: Sequence[str], *, keras1: bool, flipped: bool
) -> Callable[[SourceLayer], Arrays]:
    def read(layer: SourceLayer) -> Arrays:
        found: Arrays = tuple(map(file.array, datasets))
        if keras1:
            found = translate_weights(layer, found)
        if flipped and layer.class_name in _CONVOLUTIONS:
            found = tuple(_flipped(one) if one.ndim > 2 else one for one in found)
        return found

    return read


def _flipped(kernel: NDArray[Any]) -> NDArray[Any]:
    """Turn a kernel of a convolution into one of a correlation: all axes in space are mirrored."""
    return kernel[(slice(None, None, -1),) * (kernel.ndim - 2)]


def _weight_lists(file: Hdf5, group: str, where: str) -> dict[str, list[str]]:
    """Return the paths of each stored layer's weights, where there are any, in the file's order.

    A layer without weights may have a group without a list, or no group at all.
    """
    names = file.texts(group, "layer_names")
    if names is None:
        raise ModelError(
            f"{where} is damaged: it does not list the layers whose weights it holds (the "
            "attribute 'layer_names' is missing)"
        )
    found = {}
    for name in names:
        weights = file.texts(join(group, name), "weight_names")
        if weights is None and file.children(join(group, name)):
            raise ModelError(f"{where} is damaged: it does not list the weights of layer '{name}'")
        if weights:
            found[name] = [join(name, one) for one in weights]
    return found


def _matched(
    model: SourceModel, lists: Mapping[str, list[str]], where: str, *, keras1: bool
) -> Iterator[tuple[SourceLayer, list[str]]]:
    """Pair layers with lists: by name, or by order as Keras does where the names differ."""
    owners = [
        layer
        for layer in model.layers.values()
        if layer.name in lists or _count(_slots(layer, (), keras1=keras1, major=_major(model)))
    ]
    if {layer.name for layer in owners} == set(lists):
        yield from ((layer, lists[layer.name]) for layer in owners)
        return
    owners = [layer for layer in owners if _count(_slots(layer, (), keras1=keras1, major=2))]
    if len(owners) != len(lists):
        missing = [f"'{layer.name}'" for layer in owners if layer.name not in lists]
        told = f"; those of {', '.join(missing[:3])} are missing" if missing else ""
        raise ModelError(
            f"{where} has weights of {len(lists)} layers, the architecture needs those of "
            f"{len(owners)}{told}: give the weights and the configuration of the same model, or "
            "save it again with model.save('name.keras')"
        )
    yield from zip(owners, lists.values(), strict=True)


def _count(slots: _Slots) -> int:
    return len(slots.trainable) + len(slots.fixed)


def _major(model: SourceModel) -> int:
    head = model.keras_version.split(".")[0]
    return int(head) if head.isdecimal() else 2


def _distributed(
    layer: SourceLayer, slots: _Slots, stored: Sequence[str], where: str
) -> dict[_Path, list[str]]:
    """Assign each inner layer its weights."""
    if not layer.parts:  # nothing to tell apart: the lowering checks the number
        return {(layer.name,): list(stored)}
    places = (*slots.trainable, *slots.fixed)
    if len(places) != len(stored):
        raise ModelError(
            f"{where}: layer '{layer.name}' ({layer.class_name}) has {len(stored)} weights, its "
            f"configuration makes {len(places)}"
        )
    found: dict[_Path, list[str]] = {}
    for slot, name in zip(places, stored, strict=True):
        told = name.rpartition("/")[2].partition(":")[0]
        if told in _ROLES and slot.role in _ROLES and told != slot.role:
            raise ModelError(
                f"{where}: layer '{layer.name}' ({layer.class_name}) has a weight '{name}' where "
                f"its configuration has a {slot.role}: it was saved in another state; save the "
                "model again as a .keras file"
            )
        found.setdefault(slot.path, []).append(name)
    return found


def _slots(layer: SourceLayer, path: _Path, *, keras1: bool, major: int) -> _Slots:
    """Return the places of all weights in a layer, in the order in which Keras lists them."""
    trainable, fixed = _own_roles(layer, keras1=keras1)
    own = _Slots(
        tuple(_Slot(path, role) for role in trainable), tuple(_Slot(path, role) for role in fixed)
    )
    groups = [own]
    for name, part in layer.parts.items():
        if isinstance(part, SourceModel):
            groups += [
                _slots(inner, (*path, inner.name), keras1=keras1, major=major)
                for inner in part.layers.values()
            ]
        else:
            groups.append(_slots(part, (*path, name), keras1=keras1, major=major))
    if layer.config.get("trainable", True) or ("model" in layer.parts and major < 3):
        found = _Slots(
            tuple(slot for group in groups for slot in group.trainable),
            tuple(slot for group in groups for slot in group.fixed),
        )
    else:  # what is frozen as a whole is listed layer by layer
        found = _Slots((), tuple(slot for group in groups for both in group for slot in both))
    if layer.config.get("trainable", True):
        return found
    return _Slots((), (*found.trainable, *found.fixed))


def _own_roles(layer: SourceLayer, *, keras1: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the roles of the weights that a class owns: trainable ones, and others."""
    kind, config = layer.class_name, layer.config
    bias = ("bias",) if config.get("use_bias", True) else ()
    if keras1 and (gates := count_separate_gates(layer)):
        return tuple(f"gate {index}" for index in range(gates)), ()
    if kind in _KERNEL:
        return ("kernel", *bias), ()
    if kind in _RECURRENT:
        return ("kernel", "recurrent_kernel", *bias), ()
    if kind in _SEPARABLE:
        return ("depthwise_kernel", "pointwise_kernel", *bias), ()
    if kind in _DEPTHWISE:
        return ("depthwise_kernel", *bias), ()
    if kind == "Embedding":
        return ("embeddings",), ()
    if kind == "PReLU":
        return ("alpha",), ()
    if kind == "LayerNormalization" or kind.startswith("BatchNormalization"):
        gamma = ("gamma",) if config.get("scale", True) else ()
        beta = ("beta",) if config.get("center", True) else ()
        moving = () if kind == "LayerNormalization" else ("moving_mean", "moving_variance")
        return (*gamma, *beta), moving
    if kind == "Normalization":
        return (), ("mean", "variance", "count")
    return (), ()
