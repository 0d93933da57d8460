"""Keras 1 in the words of Keras 2: classes, settings and the layout of weights.

Not Keras 2 or 3, whose own words the lowerings know.

Source: keras/legacy/interfaces.py and keras/engine/saving.py of Keras 2.2.4, which read such files.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.reading.source import SourceLayer
from gatelet.errors import ModelError, UnsupportedLayer

_CLASSES = {
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Deconvolution2D": "Conv2DTranspose",
    "TimeDistributedDense": "Dense",
}
_SETTINGS = {
    "atrous_rate": "dilation_rate",
    "b_constraint": "bias_constraint",
    "b_regularizer": "bias_regularizer",
    "bias": "use_bias",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "dropout_U": "recurrent_dropout",
    "dropout_W": "dropout",
    "filter_length": "kernel_size",
    "init": "kernel_initializer",
    "inner_activation": "recurrent_activation",
    "inner_init": "recurrent_initializer",
    "length": "size",
    "nb_filter": "filters",
    "p": "rate",
    "pool_length": "pool_size",
    "sigma": "stddev",
    "stride": "strides",
    "subsample": "strides",
    "subsample_length": "strides",
    "U_regularizer": "recurrent_regularizer",
    "W_constraint": "kernel_constraint",
    "W_regularizer": "kernel_regularizer",
}
_DATA_FORMATS = {"tf": "channels_last", "th": "channels_first", "default": "channels_last"}
_WITH_UNITS = ("Dense", "GRU", "LSTM", "SimpleRNN")
_MERGES = {
    "ave": "Average",
    "concat": "Concatenate",
    "max": "Maximum",
    "mul": "Multiply",
    "sum": "Add",
}
# weights of one gate each: of LSTM i, c, f, o and of GRU z, r, h, with W, U and b of every gate
_GATES = {"ConvLSTM2D": (0, 2, 1, 3), "GRU": (0, 1, 2), "LSTM": (0, 2, 1, 3)}

Arrays = tuple[NDArray[Any], ...]


def translate_entry(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put a layer of Keras 1 in the words of Keras 2.

    Raises:
        UnsupportedLayer: It has an option that Keras 2 has not.
    """
    kind, config = str(entry["class_name"]), entry["config"]
    if not isinstance(config, Mapping):
        return entry
    kind = _CLASSES.get(kind, kind)
    found: dict[str, Any] = {}
    for name, value in config.items():
        if name == "output_dim" and kind in _WITH_UNITS:
            found["units"] = value
        elif name == "dim_ordering":
            found["data_format"] = _DATA_FORMATS.get(value, value)
        elif name != "dropout" or kind != "Embedding":
            found[_SETTINGS.get(str(name), str(name))] = value
    if "nb_row" in found:
        found["kernel_size"] = [found.pop("nb_row"), found.pop("nb_col")]
    if kind == "BatchNormalization" and found.get("mode", 0) == 1:
        raise UnsupportedLayer(
            f"layer '{config.get('name')}' (BatchNormalization): mode=1 cannot be converted; "
            "supported: mode=0 and mode=2",
            layer=str(config.get("name")),
            class_name=kind,
        )
    return {**entry, "class_name": kind, "config": found}


def translate_merge(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put the Merge layer of Keras 1, which early Keras 2 kept, in the words of Keras 2.

    Raises:
        UnsupportedLayer: It has a mode that no layer of Keras 2 has, or holds models itself.
    """
    config = entry["config"]
    mode, name = str(config.get("mode")), str(config.get("name"))
    if config.get("layers") or mode not in _MERGES:
        what = "holds the models that it merges" if config.get("layers") else f"has mode '{mode}'"
        raise UnsupportedLayer(
            f"layer '{name}' (Merge) {what}, which cannot be converted; supported: functional "
            f"models, and the modes {', '.join(_MERGES)}",
            layer=name,
            class_name="Merge",
        )
    found: dict[str, Any] = {"name": config.get("name"), "trainable": config.get("trainable", True)}
    if mode == "concat":
        found["axis"] = config.get("concat_axis", -1)
    return {**entry, "class_name": _MERGES[mode], "config": found}


def count_separate_gates(layer: SourceLayer) -> int:
    """Return the number of weights of a recurrent layer that stores its gates apart; else 0."""
    if layer.config.get("consume_less") == "gpu":
        return 0
    return 3 * len(_GATES.get(layer.class_name, ()))


def translate_weights(layer: SourceLayer, weights: Arrays) -> Arrays:
    """Put the weights of a layer of Keras 1 in the layout of Keras 2.

    Raises:
        ModelError: A weight has a shape that the layer's configuration excludes.
    """
    kind, config = layer.class_name, layer.config
    channels_first = config.get("data_format") == "channels_first"
    order = _GATES.get(kind, ())
    if order and len(weights) == 3 * len(order):
        weights = tuple(_joined([weights[3 * gate + role] for gate in order]) for role in range(3))
        if kind == "ConvLSTM2D" and channels_first:
            return (*(one.transpose(2, 3, 1, 0) for one in weights[:2]), weights[2])
    if not weights:
        return weights
    kernel, rest = weights[0], weights[1:]
    if kind == "Conv1D":
        return (_conv1d_kernel(layer, kernel), *rest)
    if kind == "Conv2D" and channels_first:
        return (kernel.transpose(2, 3, 1, 0), *rest)
    return weights


def _joined(gates: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(gates, axis=-1)


def _conv1d_kernel(layer: SourceLayer, kernel: NDArray[Any]) -> NDArray[Any]:
    """Turn [K, 1, F, U], or Keras 1.0's [U, F, K, 1], into [K, F, U]."""
    width, filters = layer.config.get("kernel_size"), layer.config.get("filters")
    if kernel.ndim == 4 and kernel.shape[:2] == (width, 1) and kernel.shape[3] == filters:
        return kernel[:, 0, :, :]
    if kernel.ndim == 4 and kernel.shape[0] == filters and kernel.shape[2:] == (width, 1):
        return kernel.transpose(2, 3, 1, 0)[:, 0, :, :]
    raise ModelError(
        f"layer '{layer.name}' (Conv1D): its kernel should be [{width}, 1, features, {filters}], "
        f"the file has {list(kernel.shape)}"
    )
