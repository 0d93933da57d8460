"""From a model's configuration to its layers and calls, without weights.

Not the wiring of functional models, which `gatelet.convert.reading.functional` orders, and not
the weights, which `gatelet.convert.reading.weights` adds.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from reprlib import repr as show
from types import MappingProxyType
from typing import Any

from gatelet.convert.reading.classes import (
    MODEL_CLASSES,
    class_of,
    is_custom,
    is_operation,
    stored_class,
)
from gatelet.convert.reading.equivalents import Equivalents, replace_custom
from gatelet.convert.reading.functional import FunctionalEntry, order_calls, outputs_of
from gatelet.convert.reading.keras1 import translate_entry, translate_merge
from gatelet.convert.reading.lookalikes import COMMON_LAYERS, own_setting
from gatelet.convert.reading.source import SourceCall, SourceInput, SourceLayer, SourceModel
from gatelet.convert.reading.wiring import references
from gatelet.errors import ModelError, UnsupportedLayer
from gatelet.runtime.graph.graph import Shape

MAX_LAYERS = 10_000
MAX_NESTING = 32
MAX_RANK = 8
MAX_DIMENSION = 2**28
MAX_INPUT_ELEMENTS = 2**26
_TOLD = 3
"""Layers that a refusal names, at most."""
_CODE = ("Lambda",)
_OPERATIONS = (
    "ClassMethod",
    "InstanceMethod",
    "InstanceProperty",
    "SlicingOpLambda",
    "TFOpLambda",
    "TensorFlowOpLayer",
)
# settings that say how large a tensor is
_DIMENSIONS = (
    "batch_input_shape",
    "batch_shape",
    "dims",
    "filters",
    "input_dim",
    "input_length",
    "kernel_size",
    "n",
    "output_dim",
    "pool_size",
    "size",
    "target_shape",
    "units",
)


def read_architecture(
    description: Mapping[str, Any],
    *,
    keras_version: str,
    where: str,
    equivalents: Equivalents = MappingProxyType({}),
) -> SourceModel:
    """Read what Keras wrote about a model.

    Args:
        description: class_name and config, and build_config and compile_config in Keras 3.
        keras_version: The version that wrote it.
        where: What to call the model in messages.
        equivalents: What stands for custom layers.

    Returns:
        The model; no layer has weights yet.

    Raises:
        UnsupportedLayer: It has a layer that holds code, is an operation or a custom class; or it
            is a kind of model that cannot be read.
        ModelError: The configuration is damaged, or tells no input shape.
    """
    reader = _Reader(keras_version, where, equivalents)
    try:
        model = reader.read_model(description, needs_shape=True)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise ModelError(
            f"{where} has a damaged configuration: {type(error).__name__} {error}"
        ) from error
    except RecursionError as error:
        raise ModelError(f"{where} is refused: its configuration is nested too deeply") from error
    reader.refuse_what_was_found()
    training = description.get("compile_config")
    return replace(model, loss=training.get("loss") if isinstance(training, Mapping) else None)


class _Reader:
    def __init__(self, keras_version: str, where: str, equivalents: Equivalents) -> None:
        self.keras_version = keras_version
        self.where = where
        self.equivalents = equivalents
        self.layers = 0
        self.nesting = 0
        self.refused: list[tuple[str, str, str]] = []

    def refuse_what_was_found(self) -> None:
        """Name all layers that stand in the way at once."""
        if not self.refused:
            return
        told = [f"layer '{name}' ({kind}) {why}" for name, kind, why in self.refused]
        more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
        reasons = "; ".join(told[:_TOLD]) + more
        raise UnsupportedLayer(
            f"{self.where} cannot be converted: {reasons}; build the model with Keras' own layers "
            f"in their place, or {self._way_out()}",
            layer=self.refused[0][0],
            class_name=self.refused[0][1],
        )

    def _way_out(self) -> str:
        """Keras can load its own operations; for other code only Python can tell an equivalent."""
        code = [name for name, _, why in self.refused if not why.startswith("is an operation")]
        if code:
            given = f"custom_objects={{{code[0]!r}: ...}}"
            return f"name their equivalents in Python: convert(..., {given})"
        return "leave it to TensorFlow's converters with --route keras"

    def read_model(self, description: Mapping[str, Any], *, needs_shape: bool) -> SourceModel:
        kind, config = str(description["class_name"]), description["config"]
        if kind not in MODEL_CLASSES or is_custom(description):
            raise UnsupportedLayer(
                f"{self.where} is a {class_of(description)} model, whose code no file holds; "
                "supported: Sequential and functional models",
                class_name=class_of(description),
            )
        if kind == "Sequential":
            return self._read_sequential(description, needs_shape=needs_shape)
        if not isinstance(config, Mapping) or "output_layers" not in config:
            raise UnsupportedLayer(
                f"{self.where} is a subclassed model, whose code no file holds; supported: "
                "Sequential and functional models",
                class_name=kind,
            )
        return self._read_functional(config)

    def read_layer(self, entry: Mapping[str, Any]) -> SourceLayer:
        """Read a layer with all that is inside it."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise ModelError(
                f"{self.where} is refused: its layers are nested deeper than {MAX_NESTING}, the "
                "most allowed"
            )
        layer = self._read_layer(entry)
        self.nesting -= 1
        return layer

    def _read_layer(self, entry: Mapping[str, Any]) -> SourceLayer:
        self.layers += 1
        if self.layers > MAX_LAYERS:
            raise ModelError(
                f"{self.where} is refused: it has more than {MAX_LAYERS:,} layers, the most allowed"
            )
        entry = replace_custom(self._translated(entry), self.equivalents)
        kind, config = class_of(entry), entry["config"]
        if isinstance(config, list):  # a Sequential model of Keras 1 and 2
            config = {"layers": config}
        name = _text(entry.get("name") or config.get("name") or kind)
        self._check_dimensions(name, kind, config)
        self._note_refusal(name, kind, entry)
        parts = dict(self._parts(entry, kind, config))
        return SourceLayer(name, kind, config, parts=parts, stored_class=stored_class(entry))

    def _translated(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.keras_version.split(".")[0] == "1":
            entry = translate_entry(entry)
        return translate_merge(entry) if entry["class_name"] == "Merge" else entry

    def _parts(
        self, entry: Mapping[str, Any], kind: str, config: Mapping[str, Any]
    ) -> Iterator[tuple[str, SourceLayer | SourceModel]]:
        if kind in MODEL_CLASSES:
            yield "model", self.read_model(entry, needs_shape=False)
        elif kind == "TimeDistributed":
            yield "layer", self.read_layer(config["layer"])
        elif kind == "Bidirectional":
            forward = self.read_layer(config["layer"])
            backward = self.read_layer(config.get("backward_layer") or _reversed(config))
            yield "forward", _named(forward, "forward_")
            yield "backward", _named(backward, "backward_")
        elif kind == "RNN":
            yield "cell", self.read_layer(config["cell"])
        elif kind == "StackedRNNCells":
            for index, cell in enumerate(config["cells"]):
                yield f"cell_{index}", self.read_layer(cell)

    def _read_sequential(self, description: Mapping[str, Any], *, needs_shape: bool) -> SourceModel:
        config = description["config"]
        entries: Sequence[Mapping[str, Any]] = (
            config if isinstance(config, list) else config["layers"]
        )
        found = [self.read_layer(one) for one in entries if one["class_name"] != "InputLayer"]
        layers = self._by_name(found)
        calls: list[SourceCall] = []
        value: tuple[str, ...] = ("input",)
        for layer in found:
            count = outputs_of(layer) or 1
            if len(value) != 1:
                raise ModelError(
                    f"{self.where}: layer '{calls[-1].layer}' has several outputs, so it can only "
                    "be the last one of a Sequential model"
                )
            made = tuple(f"{layer.name}:0:{index}" for index in range(count))
            calls.append(SourceCall(layer.name, value, made))
            value = made
        given = _sequential_input(entries, description)
        if given is None and found:
            nested = found[0].parts.get("model")
            given = nested.inputs[0] if isinstance(nested, SourceModel) else None
        if needs_shape and (given is None or not given.shape):
            raise ModelError(
                f"{self.where} does not tell its input shape: build the model, save it again"
            )
        shape, dtype = (given.shape, given.dtype) if given is not None else ((), "")
        source = SourceInput("input", shape, dtype, given.name if given is not None else "")
        return SourceModel(self.keras_version, layers, (source,), tuple(calls), value)

    def _read_functional(self, config: Mapping[str, Any]) -> SourceModel:
        entries = []
        inputs = {}
        for entry in config["layers"]:
            name, kind = _text(entry.get("name") or entry["config"]["name"]), entry["class_name"]
            operation = is_operation(entry)
            layer = None
            if kind == "InputLayer":
                inputs[name] = _declared_input(entry["config"], name)
            elif not operation:
                layer = self.read_layer({**entry, "name": name})
            nodes = entry.get("inbound_nodes") or ()
            class_name = kind if layer is None else layer.class_name
            entries.append(FunctionalEntry(name, class_name, nodes, layer, operation))
        if len({one.name for one in entries}) != len(entries):
            raise _duplicate(self.where, [one.name for one in entries])
        if self.refused:  # their wiring may be of any form
            self.refuse_what_was_found()
        calls, outputs = order_calls(entries, config["output_layers"], self.where)
        taken = references(config["input_layers"])
        self._check_inputs(inputs, [ref.layer for ref in taken], calls, outputs)
        return SourceModel(
            self.keras_version,
            {one.name: one.layer for one in entries if one.layer is not None},
            tuple(inputs[ref.layer] for ref in taken),
            calls,
            outputs,
        )

    def _check_inputs(
        self,
        declared: Mapping[str, SourceInput],
        taken: Sequence[str],
        calls: Sequence[SourceCall],
        outputs: Sequence[str],
    ) -> None:
        """Refuse a model whose list of inputs is not what its layers use."""
        for name in taken:
            if name not in declared:
                raise ModelError(
                    f"{self.where} has a damaged configuration: its input '{name}' is no InputLayer"
                )
        used = {*outputs, *(value for call in calls for value in call.inputs)}
        for name, one in declared.items():
            if one.value in used and name not in taken:
                raise ModelError(
                    f"{self.where} has a damaged configuration: it uses '{name}', which is none "
                    "of its inputs"
                )

    def _by_name(self, layers: Sequence[SourceLayer]) -> dict[str, SourceLayer]:
        found = {layer.name: layer for layer in layers}
        if len(found) != len(layers):
            raise _duplicate(self.where, [layer.name for layer in layers])
        return found

    def _note_refusal(self, name: str, kind: str, entry: Mapping[str, Any]) -> None:
        if kind in _CODE:
            self.refused.append((name, kind, "holds Python code, which is never run"))
        elif kind in _OPERATIONS:
            what = entry["config"].get("function") or entry["config"].get("node_def") or ""
            told = f" ({what})" if isinstance(what, str) and 0 < len(what) < 80 else ""
            self.refused.append((name, kind, f"is an operation{told}, not a layer"))
        elif is_custom(entry):
            self.refused.append((name, kind, "is a custom class"))
        elif self._tells_no_modules(entry) and (setting := own_setting(entry["config"])):
            what = f"has the setting '{setting}', so it is a custom class of that name"
            self.refused.append((name, kind, what))

    def _tells_no_modules(self, entry: Mapping[str, Any]) -> bool:
        """Return whether a class is only its name; whether it can be lowered is seen later."""
        is_old = self.keras_version.split(".")[0] == "1"  # has words of its own
        given = "module" in entry or stored_class(entry) or isinstance(entry["config"], list)
        return entry["class_name"] in COMMON_LAYERS and not is_old and not given

    def _check_dimensions(self, name: str, kind: str, config: Mapping[str, Any]) -> None:
        for setting in _DIMENSIONS:
            found = config.get(setting)
            sizes = found if isinstance(found, list | tuple) else (found,)
            numbers = [abs(size) for size in sizes if isinstance(size, int)]
            if len(numbers) > MAX_RANK or math.prod(numbers) > MAX_DIMENSION:
                raise ModelError(
                    f"{self.where} is refused: layer '{name}' ({kind}) has {setting} = "
                    f"{show(found)}, {MAX_DIMENSION:,} elements are the most allowed"
                )


def _reversed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the backward layer of a Bidirectional that does not describe it."""
    forward = config["layer"]
    settings = dict(forward["config"])
    settings["go_backwards"] = not settings.get("go_backwards", False)
    return {**forward, "config": settings}


def _named(layer: SourceLayer, prefix: str) -> SourceLayer:
    """Name a layer of a Bidirectional as Keras does when it runs, whatever the file says."""
    name = layer.name.removeprefix("forward_").removeprefix("backward_")
    return replace(layer, name=f"{prefix}{name}")


def _sequential_input(
    entries: Sequence[Mapping[str, Any]], description: Mapping[str, Any]
) -> SourceInput | None:
    """Find the input of a Sequential model in one of the places where Keras has put it."""
    config = description["config"]
    if entries and isinstance(entries[0]["config"], Mapping):
        first = entries[0]["config"]
        found = _declared_input(first, _text(first.get("name", "")))
        if found.shape:  # a layer's dtype is what it computes in, not what it takes
            return found if entries[0]["class_name"] == "InputLayer" else replace(found, dtype="")
    built = config.get("build_input_shape") if isinstance(config, Mapping) else None
    built = built or (description.get("build_config") or {}).get("input_shape")
    return SourceInput("input", _shape(built)) if built else None


def _declared_input(config: Mapping[str, Any], name: str) -> SourceInput:
    """Read an InputLayer, or the first layer of a Sequential model."""
    for flag in ("sparse", "ragged"):
        if config.get(flag) is True:
            raise UnsupportedLayer(
                f"input '{name}' is {flag}, which cannot be converted; supported: dense tensors",
                layer=name,
                class_name="InputLayer",
            )
    found = config.get("batch_shape") or config.get("batch_input_shape")
    dtype = config.get("dtype") or config.get("input_dtype")
    if isinstance(dtype, Mapping):
        dtype = dtype["config"]["name"]
    return SourceInput(f"{name}:0:0", _shape(found) if found else (), str(dtype or ""), name)


def _text(name: Any) -> str:
    """Return a name, which files of every target shall be able to hold."""
    text = str(name)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ModelError(
            f"the name {text!a} is no Unicode text, since it has half of a character: give the "
            "layer another one"
        ) from error
    return text


def _shape(found: Any) -> Shape:
    if not isinstance(found, list | tuple) or not all(
        size is None or (type(size) is int and size > 0) for size in found
    ):
        raise ValueError(f"an input has the shape {show(found)}")
    if len(found) > MAX_RANK or math.prod(size or 1 for size in found) > MAX_INPUT_ELEMENTS:
        raise ModelError(
            f"an input has the shape {show(found)}, {MAX_INPUT_ELEMENTS:,} elements are the most "
            "allowed"
        )
    return tuple(found)


def _duplicate(where: str, names: Sequence[str]) -> ModelError:
    twice = Counter(names).most_common(1)[0][0]
    return ModelError(
        f"{where} has two layers with the name '{twice}': give each layer a name of its own"
    )
