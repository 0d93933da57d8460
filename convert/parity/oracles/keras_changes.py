"""What versions of Keras mean by the same file, and how today's Keras is made to mean the old.

Runs in the worker process, as Keras does: the table alone is for everyone. What of it a file
needs is put in; what cannot be is found in `keras.py`, by the rules that lowerings know.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gatelet.convert.reading.versions import is_multi_backend, parse_version

_RECURRENT = ("GRU", "LSTM", "SimpleRNN", "ConvLSTM2D")
_CELLS = ("GRUCell", "LSTMCell", "SimpleRNNCell")
_OTHERS = """
Activation AveragePooling1D AveragePooling2D BatchNormalization Bidirectional Conv1D Conv2D Dense
DepthwiseConv1D DepthwiseConv2D Dropout ELU Embedding Flatten GlobalAveragePooling1D
GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D LayerNormalization LeakyReLU Masking
MaxPooling1D MaxPooling2D Permute PReLU ReLU RepeatVector Reshape RNN SeparableConv1D
SeparableConv2D Softmax SpatialDropout1D StackedRNNCells TimeDistributed
"""
_GONE = {"time_major": False}
"""Settings that Keras 3 has not, and the value that means what it does."""


@dataclass(frozen=True)
class Change:
    """A meaning that changed.

    Args:
        name: What it is of.
        before: The first version with the new meaning.
        differs: The old meaning, and the new.
        is_put_in: Today's Keras can be made to mean the old.
    """

    name: str
    before: tuple[int, int]
    differs: str
    is_put_in: bool = True


HARD_SIGMOID = Change(
    "hard_sigmoid", (3, 0), "0.2 x + 0.5 between 0 and 1; since Keras 3 x / 6 + 0.5"
)
RESET_AFTER = Change(
    "reset_after", (3, 0), "a GRU that does not tell it has False; since Keras 3 True"
)
THRESHOLDED_RELU = Change("ThresholdedReLU", (3, 0), "a layer that Keras 3 has not")
MASKED_STEPS = Change(
    "masked steps of Bidirectional",
    (2, 4),
    "the output before them again; since Keras 2.4, and in tf.keras, zeros",
)
CHANGES = (
    HARD_SIGMOID,
    RESET_AFTER,
    THRESHOLDED_RELU,
    MASKED_STEPS,
    Change(
        "masked steps before the first real one",
        (2, 4),
        "a recurrence with initial states gives those; since Keras 2.4 zeros",
        is_put_in=False,
    ),
    Change(
        "masks and initial states",
        (3, 0),
        "a recurrence that is given states obeys the mask of its input; since Keras 3 it does not",
        is_put_in=False,
    ),
    Change(
        "masks behind Normalization and Rescaling",
        (3, 0),
        "they end there; since Keras 3 they are passed on",
        is_put_in=False,
    ),
    Change(
        "masks of merging layers", (3, 4), "joined by and; since Keras 3.4 by or", is_put_in=False
    ),
    Change(
        "masks given as an argument",
        (3, 11),
        "they end there; since Keras 3.11 they are passed on",
        is_put_in=False,
    ),
)
"""Those that are not put in are known to the lowerings, which follow the version of the file."""

PUT_IN_SETTINGS = ("activation", "recurrent_activation", "reset_after", "zero_output_for_mask")
"""The settings of a Graph's nodes that tell the others."""


def stand_ins(keras: Any, version: tuple[int, int], needed: set[str]) -> dict[str, Any]:
    """Return classes for `custom_objects` that read a file of an older Keras as that one did.

    Keras 3 finds layers inside others by the module that they are in, which older files do not
    tell: so even those whose meaning is the same are named here.

    Args:
        keras: The module.
        version: That wrote the file.
        needed: Takes the names of changes that the file needs.
    """
    if version >= (3, 0):
        return {}
    found: dict[str, Any] = {}
    for name in (*_RECURRENT, *_CELLS, *_OTHERS.split()):
        own = getattr(keras.layers, name)
        resets = RESET_AFTER.name if name in ("GRU", "GRUCell") else ""
        found[name] = _reading_older(own, found, resets, needed)
    found[THRESHOLDED_RELU.name] = _thresholded_relu(keras, needed)
    return found


def _reading_older(own: Any, stand_ins: Mapping[str, Any], resets: str, needed: set[str]) -> Any:
    """Return a class whose `from_config` makes one of Keras' own from an older configuration."""

    def from_config(cls: Any, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        settings = {name: one for name, one in config.items() if _GONE.get(name, 0) is not one}
        if "input_shape" in settings:  # Keras 3 takes the batch's size for the first of a row's
            settings["input_shape"] = tuple(settings["input_shape"][1:])
        if resets and resets not in settings:
            settings[resets] = False
            needed.add(resets)
        made = own.from_config.__func__
        if "layer" in settings or "cell" in settings or "cells" in settings:
            return made(cls, settings, custom_objects=dict(stand_ins))
        return made(cls, settings)

    def call(self: Any, x: Any, *more: Any, **settings: Any) -> Any:
        if isinstance(x, list | tuple) and len(x) > 1:  # states were further inputs
            x, settings = x[0], {**settings, "initial_state": list(x[1:])}
        return own.__call__(self, x, *more, **settings)

    members: dict[str, Any] = {"from_config": classmethod(from_config)}
    if own.__name__ in (*_RECURRENT, "RNN"):
        members["__call__"] = call
    return type(own.__name__, (own,), members)


def _thresholded_relu(keras: Any, needed: set[str]) -> Any:
    """Return the layer of Keras 2: x where it is above theta, else 0."""

    def start(self: Any, theta: float = 1.0, **settings: Any) -> None:
        super(kind, self).__init__(**settings)
        self.theta = float(theta)
        needed.add(THRESHOLDED_RELU.name)

    def call(self: Any, x: Any) -> Any:
        return x * keras.ops.cast(x > self.theta, x.dtype)

    kind: Any = type("ThresholdedReLU", (keras.layers.Layer,), {"__init__": start, "call": call})
    return kind


def put_in(keras: Any, model: Any, wrote: str, needed: set[str]) -> None:
    """Give the layers of a loaded model the functions and settings of the Keras that wrote it.

    Args:
        keras: The module.
        model: Loaded from the file.
        wrote: The version that wrote the file.
        needed: Takes the names of changes that the file needs.
    """
    if parse_version(wrote) >= HARD_SIGMOID.before:
        return
    old, layers = _hard_sigmoid(keras), list(model._flatten_layers())
    for layer in layers:
        for setting in ("activation", "recurrent_activation"):
            # a layer passes its cell's on: those are of the cell, which is listed too
            if vars(layer).get(setting) is keras.activations.hard_sigmoid:
                setattr(layer, setting, old)
                needed.add(HARD_SIGMOID.name)
    both = [one for one in layers if isinstance(one, keras.layers.Bidirectional)]
    for layer in both if is_multi_backend(wrote) else ():
        for half in (layer.forward_layer, layer.backward_layer):
            if half.zero_output_for_mask:
                half.zero_output_for_mask = False
                needed.add(MASKED_STEPS.name)


def _hard_sigmoid(keras: Any) -> Callable[[Any], Any]:
    def hard_sigmoid(x: Any) -> Any:
        return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)

    return hard_sigmoid


def not_put_in(version: tuple[int, int]) -> str:
    """Name what a file of a version may mean otherwise, and Keras cannot be made to mean."""
    return ", ".join(one.name for one in CHANGES if not one.is_put_in and version < one.before)


def told(needed: list[str]) -> str:
    """Return what was put in, in words; '' for nothing."""
    return "; ".join(f"{one.name}: {one.differs}" for one in CHANGES if one.name in needed)
