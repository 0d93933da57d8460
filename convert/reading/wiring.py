"""One call of a layer in a functional model, in the three dialects that Keras has written.

Not the order of calls, which `gatelet.convert.reading.functional` finds.

Keras 1 and 2     [['layer', node, tensor], ...] or [['layer', node, tensor, {kwargs}], ...]
tf.keras          the same, or any nesting of lists and objects around such references; tensors
                  among the keyword arguments are ['layer', node, tensor]
Keras 3           {'args': [...], 'kwargs': {...}}, with tensors as {'class_name':
                  '__keras_tensor__', 'config': {'keras_history': ['layer', node, tensor]}}
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from reprlib import repr as show
from typing import Any, NamedTuple

from gatelet.errors import ModelError, UnsupportedLayer

RECURRENT = (
    "Bidirectional",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "CuDNNGRU",
    "CuDNNLSTM",
    "GRU",
    "LSTM",
    "RNN",
    "SimpleRNN",
)
_RECURRENT_LAYERS = ("CuDNNGRU", "CuDNNLSTM", "GRU", "LSTM", "SimpleRNN")
_DROPPING = ("dropout", "recurrent_dropout", "dropout_U", "dropout_W")
_CONSTANT = "_CONSTANT_VALUE"
# the positional arguments of `call` after the inputs
_RECURRENT_ORDER = ("initial_state", "mask", "training")
_LAYER_ORDER = ("training", "mask")


class Ref(NamedTuple):
    """A tensor: the output number `tensor` of the call number `node` of a layer."""

    layer: str
    node: int
    tensor: int


@dataclass(frozen=True)
class Arguments:
    """What a layer is called with.

    Args:
        inputs: The tensors that it works on.
        states: Initial states.
        masks: Tensors given as its mask.
        masked: Whether there is a mask, where the dialect says so; else None.
    """

    inputs: tuple[Ref, ...]
    states: tuple[Ref, ...] = ()
    masks: tuple[Ref, ...] = ()
    masked: bool | None = None


def read_arguments(
    node: Any, name: str, class_name: str, *, settings: Mapping[str, Any]
) -> Arguments:
    """Read one entry of a layer's 'inbound_nodes'.

    Args:
        node: The entry.
        name: The layer's name.
        class_name: Its class.
        settings: Its configuration.

    Raises:
        UnsupportedLayer: The call has an argument that changes what the layer does.
        ModelError: The entry is damaged.
    """
    call = _Call(name, class_name, settings)
    if isinstance(node, Mapping) and set(node) == {"args", "kwargs"}:
        return call.read_keras_3(node["args"], node["kwargs"])
    leaves = list(_legacy_leaves(node))
    for leaf in leaves:
        if leaf[0] == _CONSTANT:
            raise call.refusal("a constant in place of a tensor")
    refs = [Ref(*leaf[:3]) for leaf in leaves]
    kwargs = leaves[0][3] if leaves and len(leaves[0]) > 3 else {}
    return call.read_legacy(refs, kwargs or {})


def references(structure: Any) -> list[Ref]:
    """Return the tensors in any nesting, in the order in which Keras flattens it.

    Args:
        structure: Lists and objects around references of any dialect; other values are ignored.
    """
    return list(_references(structure))


def all_references(node: Any) -> list[Ref]:
    """Return the tensors of a call, those among its keyword arguments too."""
    if isinstance(node, Mapping) and set(node) == {"args", "kwargs"}:
        return references(node)
    return [
        ref
        for leaf in _legacy_leaves(node)
        if leaf[0] != _CONSTANT
        for ref in (Ref(*leaf[:3]), *(references(leaf[3]) if len(leaf) > 3 else ()))
    ]


@dataclass(frozen=True)
class _Call:
    name: str
    class_name: str
    settings: Mapping[str, Any]

    def read_keras_3(self, args: Any, kwargs: Any) -> Arguments:
        if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping):
            raise ModelError(f"layer '{self.name}' has a damaged call in the configuration")
        inputs = references(args[:1])
        named = dict(kwargs)
        order = _RECURRENT_ORDER if self.class_name in RECURRENT else _LAYER_ORDER
        for position, value in enumerate(args[1:]):
            if position < len(order) and (self.class_name in RECURRENT or not references(value)):
                named[order[position]] = value
            else:
                inputs += references(value)
        found = self._with_kwargs(inputs, named)
        if found.masks:
            return replace(found, masked=True)
        # Keras 3 looks for masks of calls with one tensor only
        return replace(found, masked=False) if found.states else found

    def read_legacy(self, refs: list[Ref], kwargs: Any) -> Arguments:
        if not isinstance(kwargs, Mapping):
            raise ModelError(f"layer '{self.name}' has a damaged call in the configuration")
        if self.class_name in RECURRENT and len(refs) > 1:
            named = dict(kwargs)
            found = self._with_kwargs(refs[:1], named)
            return Arguments(found.inputs, (*refs[1:], *found.states), found.masks)
        return self._with_kwargs(refs, kwargs)

    def _with_kwargs(self, inputs: list[Ref], kwargs: Mapping[str, Any]) -> Arguments:
        states: list[Ref] = []
        masks: list[Ref] = []
        for argument, value in kwargs.items():
            found = references(value)
            if argument == "initial_state" and (found or value in (None, [])):
                states = found
            elif argument == "mask" and (found or _is_empty(value)):
                masks = found
            elif argument == "training" and not found:
                if value and self._trains_otherwise():
                    raise self.refusal(f"training=True, {self._consequence()}")
            elif found or not _is_empty(value):
                raise self.refusal(f"the argument '{argument}'")
        return Arguments(tuple(inputs), tuple(states), tuple(masks))

    def _trains_otherwise(self) -> bool:
        """Return whether training changes what the layer gives: a recurrence only drops."""
        is_plain = self.class_name in _RECURRENT_LAYERS
        return not is_plain or any(self.settings.get(key) for key in _DROPPING)

    def _consequence(self) -> str:
        if self.class_name == "BatchNormalization":
            return "so each row's scores would depend on the rows beside it"
        drops = any(word in self.class_name for word in ("Dropout", "Noise"))
        if drops or self.class_name in RECURRENT:
            return "so it would predict at random"
        return "so what is for training alone would go on in it"

    def refusal(self, what: str) -> UnsupportedLayer:
        return UnsupportedLayer(
            f"layer '{self.name}' ({self.class_name}) is called with {what}, which cannot be "
            "converted; build the model without it",
            layer=self.name,
            class_name=self.class_name,
        )


def _is_empty(value: Any) -> bool:
    """Return whether an argument says nothing: None, False, or lists of None."""
    if isinstance(value, list | tuple):
        return all(map(_is_empty, value))
    return value is None or value is False


def _legacy_leaves(structure: Any) -> Iterator[Any]:
    """Return the references with their keyword arguments, as Keras 1, 2 and tf.keras nest them."""
    if _is_reference(structure):
        yield structure
    elif isinstance(structure, list | tuple):
        for one in structure:
            yield from _legacy_leaves(one)
    elif isinstance(structure, Mapping):
        for key in sorted(structure):
            yield from _legacy_leaves(structure[key])
    else:
        raise ModelError(f"the configuration has {show(structure)} where a tensor is expected")


def _references(structure: Any) -> Iterator[Ref]:
    if _is_reference(structure):
        yield Ref(*structure[:3])
    elif isinstance(structure, list | tuple):
        for one in structure:
            yield from _references(one)
    elif isinstance(structure, Mapping):
        if structure.get("class_name") == "__keras_tensor__":
            yield Ref(*structure["config"]["keras_history"])
            return
        for key in sorted(structure, key=str):
            yield from _references(structure[key])


def _is_reference(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and type(value[1]) is int
        and (type(value[2]) is int or value[0] == _CONSTANT)
        and (len(value) == 3 or value[3] is None or isinstance(value[3], Mapping))
    )
