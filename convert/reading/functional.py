"""Functional models: from 'inbound_nodes' to calls in an order that can be run.

Not the dialects of one call, which `gatelet.convert.reading.wiring` knows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatelet.convert.reading.source import SourceCall, SourceLayer, SourceModel
from gatelet.convert.reading.wiring import (
    Arguments,
    Ref,
    all_references,
    read_arguments,
    references,
)
from gatelet.errors import ModelError, UnsupportedLayer

MAX_OUTPUTS = 64
_STATES = {
    "ConvLSTM1D": 2,
    "ConvLSTM2D": 2,
    "ConvLSTM3D": 2,
    "CuDNNGRU": 1,
    "CuDNNLSTM": 2,
    "GRU": 1,
    "LSTM": 2,
    "SimpleRNN": 1,
}
# what Keras 3 writes down where it computes the masks of Embedding, Masking and merging layers
_MASK_OPERATIONS = ("Any", "Concatenate", "ExpandDims", "LogicalAnd", "LogicalOr", "NotEqual")
_MASK_FILLERS = ("OnesLike", "ZerosLike")

_Key = tuple[str, int]
# a value and what in it is padding; _MERGED stands for the masks of several values
_Source = tuple[Ref, Any]
_MERGED: _Source = (Ref("", 0, 0), None)


@dataclass(frozen=True)
class FunctionalEntry:
    """A layer as a functional model lists it.

    Args:
        name: The layer's name.
        class_name: Its class.
        inbound_nodes: Its calls, in the dialect of the file.
        layer: As read; None for an input and for an operation of Keras 3.
        is_operation: True for an operation of Keras 3, which is no layer.
    """

    name: str
    class_name: str
    inbound_nodes: Sequence[Any]
    layer: SourceLayer | None = None
    is_operation: bool = False


def order_calls(
    entries: Sequence[FunctionalEntry], outputs: Any, where: str
) -> tuple[tuple[SourceCall, ...], tuple[str, ...]]:
    """Find the calls that the outputs need.

    Args:
        entries: All layers of the model, by unique names.
        outputs: The configuration's 'output_layers'.
        where: What to call the model in messages.

    Returns:
        The calls, each after those that it needs, and the names of the outputs' values. The
        order depends on the network alone, not on the order in which the file lists layers.

    Raises:
        ModelError: The graph is cyclic, or refers to what does not exist.
        UnsupportedLayer: A call has an argument that cannot be converted.
    """
    refs = references(outputs)
    if not refs:
        raise ModelError(f"{where} has a damaged configuration: it names no outputs")
    by_name = {one.name: one for one in entries}
    walk = _Walk(by_name, _call_places(entries, refs), where)
    for ref in refs:
        walk.visit(ref)
    masks = _Masks(by_name, walk.done)
    for key in walk.done:
        masks.check(key)
    return tuple(walk.calls()), tuple(map(_value, refs))


def outputs_of(layer: SourceLayer) -> int | None:
    """Return the number of outputs of a layer, states included; None if it is not known."""
    nested = layer.parts.get("model")
    if isinstance(nested, SourceModel):
        return len(nested.outputs)
    if not layer.config.get("return_state"):
        forward = layer.parts.get("forward")
        if layer.class_name == "Bidirectional" and isinstance(forward, SourceLayer):
            inner = outputs_of(forward)
            states = 2 * (inner - 1) if inner else 0
            both = 2 if layer.config.get("merge_mode", "concat") is None else 1
            return both + states
        return 1
    states_of_class = _STATES.get(layer.class_name)
    return None if states_of_class is None else 1 + states_of_class


@dataclass
class _Walk:
    """Depth first from the outputs, without recursion: models may be deep."""

    entries: Mapping[str, FunctionalEntry]
    places: Mapping[_Key, int]
    where: str
    started: dict[_Key, Arguments] = field(default_factory=dict)
    done: dict[_Key, Arguments] = field(default_factory=dict)
    tensors: dict[_Key, int] = field(default_factory=dict)

    def visit(self, start: Ref) -> None:
        """Enter the call that makes a tensor, and all calls before it."""
        stack = [(start, self._enter(start))]
        while stack:
            ref, needed = stack[-1]
            following = next(needed, None)
            if following is not None:
                stack.append((following, self._enter(following)))
                continue
            stack.pop()
            key = (ref.layer, ref.node)
            if key in self.started and key not in self.done:
                self.done[key] = self.started[key]

    def calls(self) -> Iterator[SourceCall]:
        """Return the calls entered, each after those that it needs."""
        for key, arguments in self.done.items():
            name, node = key
            layer = self.entries[name].layer
            known = outputs_of(layer) if layer is not None else 1
            count = known if known is not None else self.tensors[key] + 1
            yield SourceCall(
                layer=name,
                inputs=tuple(map(_value, (*arguments.inputs, *arguments.states))),
                outputs=tuple(_value(Ref(name, node, index)) for index in range(count)),
                states=len(arguments.states),
                masked=arguments.masked,
            )

    def _enter(self, ref: Ref) -> Iterator[Ref]:
        """Return what the call that makes a tensor needs; nothing if that was entered before."""
        entry = self.entries.get(ref.layer)
        if entry is None:
            raise ModelError(
                f"{self.where} has a damaged configuration: it uses an output of layer "
                f"'{ref.layer}', which it does not have"
            )
        self._check_tensor(entry, ref)
        key = (ref.layer, ref.node)
        if entry.class_name == "InputLayer" or key in self.done:
            return iter(())
        if key in self.started:
            raise ModelError(
                f"{self.where} is cyclic: layer '{ref.layer}' needs its own output; a model must "
                "run from its inputs to its outputs"
            )
        if entry.is_operation:
            raise UnsupportedLayer(
                f"{self.where}: '{entry.name}' ({entry.class_name}) is an operation, which "
                "cannot be converted; use a layer in its place, or leave the model to "
                "TensorFlow's converters with --route keras",
                layer=entry.name,
                class_name=entry.class_name,
            )
        arguments = self._arguments(entry, ref.node)
        self.started[key] = arguments
        return iter((*arguments.inputs, *arguments.states))

    def _check_tensor(self, entry: FunctionalEntry, ref: Ref) -> None:
        known = 1 if entry.layer is None else outputs_of(entry.layer)
        if not 0 <= ref.tensor < (MAX_OUTPUTS if known is None else known):
            raise ModelError(
                f"{self.where} has a damaged configuration: it uses output {ref.tensor} of layer "
                f"'{ref.layer}' ({entry.class_name}), which has {known or 'not so many'}"
            )
        key = (ref.layer, ref.node)
        self.tensors[key] = max(self.tensors.get(key, 0), ref.tensor)

    def _arguments(self, entry: FunctionalEntry, node: int) -> Arguments:
        place = self.places.get((entry.name, node), node)
        if not 0 <= place < len(entry.inbound_nodes):
            raise ModelError(
                f"{self.where} has a damaged configuration: it uses call {place} of layer "
                f"'{entry.name}' ({entry.class_name}), which has {len(entry.inbound_nodes)}"
            )
        found = read_arguments(
            entry.inbound_nodes[place],
            entry.name,
            entry.class_name,
            settings={} if entry.layer is None else entry.layer.config,
        )
        if not found.inputs:
            raise ModelError(
                f"{self.where} has a damaged configuration: layer '{entry.name}' "
                f"({entry.class_name}) is called without an input"
            )
        return found


@dataclass
class _Masks:
    """Knows which masks the layers before a call make by themselves.

    Keras 3 writes such a mask down as an argument, and the operations that compute it as entries
    of the model. The lowering finds it again by the layers' rules, so it is dropped here; a mask
    that the model's author passed is refused.
    """

    entries: Mapping[str, FunctionalEntry]
    calls: Mapping[_Key, Arguments]
    known: dict[str, _Source | None] = field(default_factory=dict)

    def check(self, key: _Key) -> None:
        """Refuse a call with a mask that the layers before it do not make by themselves.

        Raises:
            UnsupportedLayer: Its mask is its author's.
        """
        entry, arguments = self.entries[key[0]], self.calls[key]
        for mask in arguments.masks:
            written = self._written(mask)
            if written is None or written != self._made_by_layers(arguments.inputs[0]):
                raise UnsupportedLayer(
                    f"layer '{entry.name}' ({entry.class_name}) is called with a mask of its own, "
                    "which cannot be converted; let an Embedding with mask_zero or a Masking "
                    "layer make the mask",
                    layer=entry.name,
                    class_name=entry.class_name,
                )

    def _written(self, mask: Ref) -> _Source | None:
        """Return the source of a mask that the file computes; None if it is of another form."""
        if mask.layer not in self.known:
            self.known[mask.layer] = None  # so that a cycle ends
            self.known[mask.layer] = self._judge(mask)
        return self.known[mask.layer]

    def _judge(self, mask: Ref) -> _Source | None:
        entry = self.entries.get(mask.layer)
        if entry is None or not entry.is_operation or not entry.inbound_nodes:
            return None
        node = entry.inbound_nodes[0]
        inputs = references(node)
        if entry.class_name == "NotEqual":
            return (inputs[0], _compared_with(node)) if len(inputs) == 1 else None
        if entry.class_name in _MASK_FILLERS:
            return _MERGED
        if entry.class_name not in _MASK_OPERATIONS or not inputs:
            return None
        sources = [self._written(one) for one in inputs]
        if None in sources:
            return None
        return sources[0] if entry.class_name in ("Any", "ExpandDims") else _MERGED

    def _made_by_layers(self, value: Ref) -> _Source | None:
        """Return the source of the mask that a value has: the nearest layer that makes one."""
        for _ in range(len(self.calls) + 1):
            entry = self.entries[value.layer]
            arguments = self.calls.get((value.layer, value.node))
            if entry.layer is None or arguments is None:
                return None
            if (padding := _padding_of(entry.layer)) is not None:
                return arguments.inputs[0], padding
            if len(arguments.inputs) > 1:
                return _MERGED
            value = arguments.inputs[0]
        return None


def _compared_with(node: Any) -> Any:
    """Return the constant of a NotEqual operation."""
    try:
        return node["args"][1]
    except (TypeError, LookupError):
        return None


def _padding_of(layer: SourceLayer) -> Any:
    """Return the value that a layer takes as padding; None if it makes no mask."""
    if layer.class_name == "Masking":
        return layer.config.get("mask_value", 0.0)
    return 0 if layer.class_name == "Embedding" and layer.config.get("mask_zero") else None


def _value(ref: Ref) -> str:
    return f"{ref.layer}:{ref.node}:{ref.tensor}"


def _call_places(entries: Sequence[FunctionalEntry], outputs: Sequence[Ref]) -> dict[_Key, int]:
    """Find which entry of 'inbound_nodes' each number of a call means.

    Numbers begin at 0 for most layers, at 1 for nested models (their own inputs were call 0), and
    anywhere in Keras 3.0 for a layer that another model used before. Every listed call is used,
    so the numbers that are used mean the calls in their order.
    """
    used: dict[str, set[int]] = {}
    for node in (node for entry in entries for node in entry.inbound_nodes):
        for ref in all_references(node):
            used.setdefault(ref.layer, set()).add(ref.node)
    for ref in outputs:
        used.setdefault(ref.layer, set()).add(ref.node)
    return {
        (entry.name, number): place
        for entry in entries
        if len(used.get(entry.name, ())) == len(entry.inbound_nodes)
        for place, number in enumerate(sorted(used.get(entry.name, ())))
    }
