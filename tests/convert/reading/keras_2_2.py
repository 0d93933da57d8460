"""The network of `same_network` in a file that follows the layout of Keras 2.2, by h5py alone.

Configuration: {'class_name': 'Model', 'config': {'layers': [...]}}, without modules; calls are
[['layer', node, tensor, {}], ...] with states after the input, nested models count calls from 1.
Weights: model_weights/<layer> with the attribute weight_names, fixed-width bytes.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.convert.reading.same_network import weights_of

Rename = Callable[[str], str]
RECURRENT = ("kernel", "recurrent_kernel", "bias")
BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
ROLES: dict[str, tuple[str, ...]] = {
    "emb>words": ("embeddings",),
    "both": (
        *(f"forward_lstm/{one}" for one in RECURRENT),
        *(f"backward_lstm/{one}" for one in RECURRENT),
    ),
    "each": ("kernel", "bias"),
    "norm": BATCH_NORM,
    "gru": RECURRENT,
    "enc": RECURRENT,
    "dec": RECURRENT,
    "shared": ("kernel", "bias"),
}
# a list in a file has trainable weights first, and a frozen layer has none
INNER = (
    ("hidden", "kernel", 0),
    ("hidden", "bias", 1),
    ("score", "kernel", 0),
    ("score", "bias", 1),
    *(("frozen", role, index) for index, role in enumerate(BATCH_NORM)),
)


def layer(kind: str, name: str, calls: list[Any], **settings: Any) -> dict[str, Any]:
    """Describe a layer of a functional model."""
    config = {"name": name, "trainable": True, **settings}
    return {"class_name": kind, "config": config, "name": name, "inbound_nodes": calls}


def call(*tensors: tuple[str, int, int]) -> list[Any]:
    """Describe one call."""
    return [[*tensor, {}] for tensor in tensors]


def taken(name: str, shape: list[int | None], dtype: str) -> dict[str, Any]:
    """Describe an input."""
    config = {"batch_input_shape": shape, "dtype": dtype, "sparse": False, "name": name}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def recurrent(units: int, **settings: Any) -> dict[str, Any]:
    """Return the settings of a recurrent layer."""
    return {
        "units": units,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "use_bias": True,
        "return_sequences": False,
        "return_state": False,
        "go_backwards": False,
        "stateful": False,
        "unroll": False,
        "dropout": 0.0,
        "recurrent_dropout": 0.0,
        "implementation": 1,
        **settings,
    }


def description() -> dict[str, Any]:
    """Describe the network."""
    dense = {"name": "dense", "units": 4, "activation": "relu", "use_bias": True}
    lstm = {"name": "lstm", **recurrent(3, return_sequences=True)}
    norm = {"axis": -1, "momentum": 0.99, "epsilon": 0.001, "center": True, "scale": True}
    inner = {
        "name": "inner",
        "layers": [
            taken("z", [None, 4], "float32"),
            layer("Dense", "hidden", [call(("z", 0, 0))], units=5, activation="linear"),
            layer("BatchNormalization", "frozen", [call(("hidden", 0, 0))], **norm)
            | {"config": {"name": "frozen", "trainable": False, **norm}},
            layer("Dense", "score", [call(("frozen", 0, 0))], units=2, activation="softmax"),
        ],
        "input_layers": [["z", 0, 0]],
        "output_layers": [["score", 0, 0]],
    }
    layers = [
        taken("ids", [None, 6], "int32"),
        layer(
            "Embedding",
            "emb>words",
            [call(("ids", 0, 0))],
            input_dim=12,
            output_dim=4,
            mask_zero=False,
        ),
        taken("rows", [None, 6, 3], "float32"),
        layer(
            "Bidirectional",
            "both",
            [call(("emb>words", 0, 0))],
            merge_mode="concat",
            layer={"class_name": "LSTM", "config": lstm},
        ),
        layer(
            "TimeDistributed",
            "each",
            [call(("both", 0, 0))],
            layer={"class_name": "Dense", "config": dense},
        ),
        layer("LSTM", "enc", [call(("rows", 0, 0))], **recurrent(3, return_state=True)),
        layer("BatchNormalization", "norm", [call(("each", 0, 0))], **norm),
        layer("LSTM", "dec", [call(("rows", 0, 0), ("enc", 0, 1), ("enc", 0, 2))], **recurrent(3)),
        layer("GRU", "gru", [call(("norm", 0, 0))], **recurrent(3, reset_after=True)),
        layer(
            "Dense",
            "shared",
            [call(("gru", 0, 0)), call(("dec", 0, 0))],
            units=4,
            activation="tanh",
            use_bias=True,
        ),
        {
            "class_name": "Model",
            "config": inner,
            "name": "inner",
            "inbound_nodes": [call(("shared", 0, 0)), call(("shared", 1, 0))],
        },
    ]
    config = {
        "name": "network",
        "layers": layers,
        "input_layers": [["ids", 0, 0], ["rows", 0, 0]],
        "output_layers": [["inner", 1, 0], ["inner", 2, 0]],
    }
    return {"class_name": "Model", "config": config}


def write_keras_2_2(
    path: Path, rename: Rename = lambda name: name, *, chunk_names: bool = False
) -> None:
    """Write the network as Keras 2.2 would.

    Args:
        path: The file.
        rename: Gives another name to every layer of the outer model.
        chunk_names: Write layer_names in pieces, as Keras does where they are long.
    """
    text = json.dumps(description())
    for name in (*ROLES, "ids", "rows", "inner"):
        text = text.replace(json.dumps(name), json.dumps(rename(name)))
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"2.2.4"
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = text.encode()
        weights = file.create_group("model_weights")
        weights.attrs["keras_version"] = b"2.2.4"
        weights.attrs["backend"] = b"tensorflow"
        names = ["ids", "emb>words", "rows", "both", "each", "enc", "norm", "dec", "gru", "shared"]
        encoded = [rename(name).encode() for name in (*names, "inner")]
        if chunk_names:
            for index, piece in enumerate(np.array_split(np.array(encoded), 3)):
                weights.attrs[f"layer_names{index}"] = piece
        else:
            weights.attrs["layer_names"] = encoded
        for name in names:
            arrays = weights_of(name) if name in ROLES else []
            roles = ROLES.get(name, ())
            _write(
                weights.create_group(rename(name)), [f"{name}/{role}:0" for role in roles], arrays
            )
        _write(
            weights.create_group(rename("inner")),
            [f"{name}/{role}:0" for name, role, _ in INNER],
            [weights_of(name)[index] for name, _, index in INNER],
        )


def _write(group: Any, names: list[str], arrays: list[Any]) -> None:
    group.attrs["weight_names"] = [name.encode() for name in names]
    for name, array in zip(names, arrays, strict=True):
        group.create_dataset(name, data=array)
