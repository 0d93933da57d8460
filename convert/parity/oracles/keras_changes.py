"""What versions of Keras mean by the same file, and how today's Keras is made to mean the old.

Runs in the worker process, as Keras does: the table alone is for everyone. What of it a file
needs is put in; what cannot be is found in `keras.py`, by the rules that lowerings know.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
    """

    name: str
    before: tuple[int, int]
    differs: str


HARD_SIGMOID = Change(
    "hard_sigmoid", (3, 0), "0.2 x + 0.5 between 0 and 1; since Keras 3 x / 6 + 0.5"
)
RESET_AFTER = Change(
    "reset_after", (3, 0), "a GRU that does not tell it has False; since Keras 3 True"
)
THRESHOLDED_RELU = Change("ThresholdedReLU", (3, 0), "a layer that Keras 3 has not")
CHANGES = (HARD_SIGMOID, RESET_AFTER, THRESHOLDED_RELU)


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
        if "layer" in settings or "cell" in settings or "cells" in settings:
            return own.from_config(settings, custom_objects=dict(stand_ins))
        return own.from_config(settings)

    return type(own.__name__, (own,), {"from_config": classmethod(from_config)})


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


def put_in(keras: Any, model: Any, version: tuple[int, int], needed: set[str]) -> None:
    """Give the layers of a loaded model the functions of the Keras that wrote it.

    Args:
        keras: The module.
        model: Loaded from the file.
        version: That wrote the file.
        needed: Takes the names of changes that the file needs.
    """
    if version >= HARD_SIGMOID.before:
        return
    old = _hard_sigmoid(keras)
    for layer in model._flatten_layers():
        for setting in ("activation", "recurrent_activation"):
            # a layer passes its cell's on: those are of the cell, which is listed too
            if vars(layer).get(setting) is keras.activations.hard_sigmoid:
                setattr(layer, setting, old)
                needed.add(HARD_SIGMOID.name)


def _hard_sigmoid(keras: Any) -> Callable[[Any], Any]:
    def hard_sigmoid(x: Any) -> Any:
        return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)

    return hard_sigmoid


def told(needed: list[str]) -> str:
    """Return what was put in, in words; '' for nothing."""
    return "; ".join(f"{one.name}: {one.differs}" for one in CHANGES if one.name in needed)
