"""Adds weights to a model's layers: those of a live model, or of Keras' grouped HDF5 layout.

Not the flat lists of legacy files, which `gatelet.convert.reading.flat_weights` sorts out.

The grouped layout, of `.keras` and `.weights.h5` files:

layers/lstm/cell/vars/0             the first LSTM of a model; the next is layers/lstm_1
layers/bidirectional/forward_layer  and backward_layer; TimeDistributed has 'layer', RNN 'cell'
layers/functional/layers/...        a nested model; in Keras 2.12 and 2.13 the word is
                                    '_layer_checkpoint_dependencies'
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.reading.hdf5 import Hdf5, join
from gatelet.convert.reading.source import SourceLayer, SourceModel
from gatelet.errors import ModelError

Arrays = tuple[NDArray[Any], ...]
CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
_Known = dict[tuple[str, str], Arrays]
_PARTS = {"forward": "forward_layer", "backward": "backward_layer"}


class WeightsNode(Protocol):
    """Where the weights of a layer, or of a model, are found."""

    def own(self, layer: SourceLayer) -> Arrays:
        """Return the weights of a layer without those of its parts."""

    def vocabulary(self, layer: SourceLayer) -> Sequence[str] | None:
        """Return what a TextVectorization layer was adapted to, if that is not in its settings."""

    def part(self, name: str, layer: SourceLayer) -> "WeightsNode":
        """Return the place of a part of a layer."""

    def layers(self, model: SourceModel) -> Mapping[str, "WeightsNode"]:
        """Return the places of a model's layers, by their names."""


def add_weights(model: SourceModel, node: WeightsNode) -> SourceModel:
    """Return the model with all weights.

    Args:
        model: As `read_architecture` gives it.
        node: Where its weights are.

    Raises:
        ModelError: Weights are missing, damaged or not finite.
    """
    return _add_to_model(model, node, {})


def _add_to_model(model: SourceModel, node: WeightsNode, known: _Known) -> SourceModel:
    nodes = node.layers(model)
    return replace(
        model,
        layers={
            name: _add_to_layer(layer, nodes[name], known) for name, layer in model.layers.items()
        },
    )


def _add_to_layer(layer: SourceLayer, node: WeightsNode, known: _Known) -> SourceLayer:
    parts: dict[str, SourceLayer | SourceModel] = {}
    for name, part in layer.parts.items():
        if isinstance(part, SourceModel):
            parts[name] = _add_to_model(part, node, known)
        else:
            parts[name] = _add_to_layer(part, node.part(name, layer), known)
    own = () if "model" in parts else _own_weights(layer, node, known)
    config = layer.config
    if layer.class_name == "TextVectorization":
        config = {**config, "vocabulary": _whole_vocabulary(layer, node)}
    return replace(layer, config=config, weights=own, parts=parts)


def _own_weights(layer: SourceLayer, node: WeightsNode, known: _Known) -> Arrays:
    """Read a layer's weights; a layer that is in several models keeps one copy of them."""
    own, key = node.own(layer), (layer.class_name, layer.name)
    for index, array in enumerate(own):
        if not np.isfinite(array).all():
            raise ModelError(
                f"layer '{layer.name}' ({layer.class_name}): its weight {index} of {len(own)}, "
                f"{list(array.shape)}, is not all finite (NaN or infinity), so predictions would "
                "be worthless: train the model again",
                layer=layer.name,
            )
    before = known.setdefault(key, own)
    same = len(before) == len(own) and all(map(np.array_equal, before, own))
    return before if same else own


def _whole_vocabulary(layer: SourceLayer, node: WeightsNode) -> list[str]:
    """Return the token of every id, as `get_vocabulary()` does."""
    given = layer.config.get("vocabulary")
    if not given:
        given = node.vocabulary(layer)
        if given is not None:
            _check_lines(layer, given)
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise ModelError(
            f"layer '{layer.name}' (TextVectorization): its vocabulary is not in the file; save "
            "the model as a .keras file after `adapt`, or give the layer a list of tokens"
        )
    special = ["", "[UNK]"] if layer.config.get("output_mode", "int") == "int" else ["[UNK]"]
    missing = [] if list(given[: len(special)]) == special else special
    return [*missing, *given]


def _check_lines(layer: SourceLayer, lines: Sequence[str]) -> None:
    """Refuse a file of tokens, one a line, in which a token has a line break: ids would shift."""
    size = layer.config.get("vocabulary_size")
    fits = not isinstance(size, int) or size == len(lines)
    if fits and "" not in lines[1:] and len(set(lines)) == len(lines):
        return
    raise ModelError(
        f"layer '{layer.name}' (TextVectorization): its vocabulary.txt has {len(lines):,} lines"
        f"{'' if fits else f' for {size:,} tokens'}, some empty or twice: a token holds a line "
        "break, which that file cannot keep, and Keras does not load it either; standardize the "
        "line breaks away, adapt again and save",
        layer=layer.name,
    )


def is_grouped(file: Hdf5) -> bool:
    """Return whether an HDF5 file has the grouped layout."""
    return any(file.has_group(name) for name in CONTAINERS)


@dataclass(frozen=True)
class GroupedWeights:
    """A group of a file with the grouped layout.

    Args:
        file: The file.
        path: The group's path.
        seen: What layers that are in several models had where they were first met: Keras
            stores it there only.
        read_asset: Gives the text of a member of the `.keras` file; None without it.
    """

    file: Hdf5
    path: str = ""
    seen: dict[tuple[str, str], Arrays] = field(default_factory=dict)
    read_asset: Callable[[str], str | None] = lambda path: None

    def vocabulary(self, layer: SourceLayer) -> Sequence[str] | None:
        """Read the asset of a TextVectorization layer: one token a line."""
        text = self.read_asset(join("assets", self.path, "vocabulary.txt"))
        if text is None:
            return None
        lines = text.split("\n")
        if all(line.endswith("\r") for line in lines[:-1]):  # written on Windows
            lines = [line.removesuffix("\r") for line in lines]
        return lines

    def own(self, layer: SourceLayer) -> Arrays:
        """Read a layer's weights, or those of the cell that does its work."""
        found = (*self._variables("vars"),)
        if "cell" not in layer.parts:
            found += (*self._variables("cell", "vars"),)
        key = (layer.class_name, layer.name)
        if not found and not self.file.has_group(self.path):
            return self.seen.get(key, ())
        self.seen.setdefault(key, found)
        return found

    def part(self, name: str, layer: SourceLayer) -> "GroupedWeights":
        """Return the group of a part."""
        if name.startswith("cell_"):
            cells = [part for part in layer.parts.values() if isinstance(part, SourceLayer)]
            places = self._places(join(self.path, "cells"), cells)
            return self._at(places[int(name.removeprefix("cell_"))])
        return self._at(join(self.path, _PARTS.get(name, name)))

    def layers(self, model: SourceModel) -> Mapping[str, "GroupedWeights"]:
        """Return the groups of a model's layers."""
        container = next(
            (one for one in CONTAINERS if self.file.has_group(join(self.path, one))), "layers"
        )
        layers = tuple(model.layers.values())
        places = self._places(join(self.path, container), layers)
        return {layer.name: self._at(place) for layer, place in zip(layers, places, strict=True)}

    def _at(self, path: str) -> "GroupedWeights":
        return replace(self, path=path)

    def _variables(self, *group: str) -> Iterator[NDArray[Any]]:
        path = join(self.path, *group)
        names = self.file.children(path)
        if not all(name.isdecimal() for name in names):
            raise ModelError(f"the weights in '{path}' have names that no Keras layer gives them")
        for name in sorted(names, key=int):
            yield self.file.array(join(path, name))

    def _places(self, container: str, layers: Sequence[SourceLayer]) -> list[str]:
        """Find the group of each layer: by the name it notes, else by class, counted in order."""
        groups = self.file.children(container)
        by_name = {}
        for group in groups:
            noted = self.file.text(join(container, group, "vars"), "name")
            if noted is not None:
                by_name[noted] = group
        if all(layer.name in by_name for layer in layers):
            return [join(container, by_name[layer.name]) for layer in layers]
        counted = _count_by_class(groups, layers)
        return [join(container, group) for group in counted]


def _count_by_class(groups: Sequence[str], layers: Sequence[SourceLayer]) -> list[str]:
    """Name the group of each layer as Keras does: lstm, lstm_1, lstm_2.

    Keras 2.12 and 2.13 count a layer with weights twice, so that numbers are missing; the order
    holds all the same.
    """
    keys = [_snake_case(layer.stored_class or layer.class_name) for layer in layers]
    layers_of = Counter(keys)
    existing: dict[str, list[str]] = {}
    for group in groups:
        match = re.fullmatch(r"(.*?)(?:_(\d+))?", group)
        if match is not None and (key := match[1]) in layers_of:
            existing.setdefault(key, []).append(group)
    seen: dict[str, int] = {}
    found = []
    for key in keys:
        index = seen.get(key, 0)
        seen[key] = index + 1
        known = sorted(existing.get(key, ()), key=lambda group: (len(group), group))
        if len(known) == layers_of[key]:
            found.append(known[index])
        else:
            found.append(f"{key}_{index}" if index else key)
    return found


def _snake_case(class_name: str) -> str:
    """Return the name of a class as Keras 3 spells it in weight files."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


@dataclass(frozen=True)
class ObjectWeights:
    """A live layer or model, of Keras 3 or tf_keras."""

    found: Any

    def own(self, layer: SourceLayer) -> Arrays:
        """Copy a layer's weights."""
        if layer.parts:
            return ()
        return tuple(np.array(one, dtype=np.float32) for one in self.found.get_weights())

    def vocabulary(self, layer: SourceLayer) -> Sequence[str] | None:
        """Ask the layer."""
        return [str(token) for token in self.found.get_vocabulary()]

    def part(self, name: str, layer: SourceLayer) -> "ObjectWeights":
        """Return the layer inside a layer."""
        if name.startswith("cell_"):
            return ObjectWeights(self.found.cells[int(name.removeprefix("cell_"))])
        return ObjectWeights(getattr(self.found, _PARTS.get(name, name)))

    def layers(self, model: SourceModel) -> Mapping[str, "ObjectWeights"]:
        """Return a model's layers."""
        by_name = {str(layer.name): ObjectWeights(layer) for layer in self.found.layers}
        missing = [name for name in model.layers if name not in by_name]
        if missing:
            raise ModelError(
                f"the model's configuration has a layer '{missing[0]}', the model has not"
            )
        return by_name
