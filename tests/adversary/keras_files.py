"""Writes small Keras files without Keras: layers with seeded weights, and the loss of training.

Not what Keras itself writes, which the tests of reading hold beside such files.
"""

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

V, E, U = 20, 4, 6
SCALE = 0.6


@dataclass(frozen=True)
class Layer:
    """A layer of a model: its class, name, settings, what it takes, and its weights' shapes."""

    kind: str
    name: str
    takes: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[tuple[int, ...], ...] = ()


def ids(name: str = "ids", *, timesteps: int | None = None) -> Layer:
    """Return an input of token ids."""
    return Layer("InputLayer", name, (), {"batch_shape": [None, timesteps], "dtype": "int32"})


def features(name: str = "x", *, width: int = 3) -> Layer:
    """Return an input of feature sequences."""
    shape = [None, None, width]
    return Layer("InputLayer", name, (), {"batch_shape": shape, "dtype": "float32"})


def embedding(takes: str = "ids", *, mask: bool = True) -> Layer:
    """Return an Embedding, which masks zeros unless told otherwise."""
    settings = {"input_dim": V, "output_dim": E, "mask_zero": mask}
    return Layer("Embedding", "embedding", (takes,), settings, ((V, E),))


def rnn(takes: str, name: str = "rnn", *, width: int = E, **settings: Any) -> Layer:
    """Return a SimpleRNN."""
    shapes = ((width, U), (U, U), (U,))
    return Layer("SimpleRNN", name, (takes,), {"units": U, **settings}, shapes)


def dense(units: int, takes: str, name: str = "out", activation: str = "linear") -> Layer:
    """Return a Dense over what the SimpleRNN gives."""
    settings = {"units": units, "activation": activation}
    return Layer("Dense", name, (takes,), settings, ((U, units), (units,)))


def head(units: int, activation: str = "linear", *, steps: bool = False) -> list[Layer]:
    """Return a model of ids that ends in a Dense."""
    return [
        ids(),
        embedding(),
        rnn("embedding", return_sequences=steps),
        dense(units, "rnn", activation=activation),
    ]


def loss(kind: str, *, from_logits: bool = True) -> dict[str, Any]:
    """Return a loss as Keras 3 writes it down."""
    config = {"name": "loss", "from_logits": from_logits}
    return {"module": "keras.losses", "class_name": kind, "config": config}


def save(
    path: Path, layers: Sequence[Layer], *, outputs: Sequence[str] = ("out",), trained: Any = None
) -> Path:
    """Write a `.keras` file of a functional model; `trained` is the loss of its compile config."""
    inputs = [one.name for one in layers if one.kind == "InputLayer"]
    config = {
        "name": "model",
        "layers": [_entry(one) for one in layers],
        "input_layers": [[name, 0, 0] for name in inputs],
        "output_layers": [[name, 0, 0] for name in outputs],
    }
    description = {"module": "keras", "class_name": "Functional", "config": config}
    if trained is not None:
        description["compile_config"] = {"optimizer": "adam", "loss": trained}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.5.0"}))
        archive.writestr("config.json", json.dumps(description))
        archive.writestr("model.weights.h5", _weights(layers))
    return path


def save_keras2(path: Path, *, units: int, trained: Any) -> Path:
    """Write an `.h5` file as Keras 2 did: features, SimpleRNN, a linear Dense, training_config."""
    rnn_settings = {"name": "rnn", "units": U, "batch_input_shape": [None, None, 3]}
    config = {
        "name": "model",
        "layers": [
            {"class_name": "SimpleRNN", "config": {**rnn_settings, "activation": "tanh"}},
            {"class_name": "Dense", "config": {"name": "out", "units": units}},
        ],
    }
    shapes = {
        "rnn": {"kernel": (3, U), "recurrent_kernel": (U, U), "bias": (U,)},
        "out": {"kernel": (U, units), "bias": (units,)},
    }
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"2.4.0"
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = json.dumps(
            {"class_name": "Sequential", "config": config}
        ).encode()
        if trained is not None:
            training = {"optimizer_config": {}, "loss": trained, "metrics": None}
            file.attrs["training_config"] = json.dumps(training).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"rnn", b"out"]
        for layer, weights in shapes.items():
            own = group.create_group(layer)
            own.attrs["weight_names"] = [f"{layer}/{name}:0".encode() for name in weights]
            for name, shape in weights.items():
                own.create_dataset(f"{layer}/{name}:0", data=_array(rng, shape))
    return path


def _entry(one: Layer) -> dict[str, Any]:
    arguments = [
        {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None], "dtype": "float32", "keras_history": [name, 0, 0]},
        }
        for name in one.takes
    ]
    args: list[Any] = [arguments] if len(arguments) > 1 else arguments
    return {
        "module": "keras.layers",
        "class_name": one.kind,
        "config": {"name": one.name, **one.settings},
        "registered_name": None,
        "name": one.name,
        "inbound_nodes": [{"args": args, "kwargs": {}}] if arguments else [],
    }


def _weights(layers: Sequence[Layer]) -> bytes:
    rng, buffer, counts = np.random.default_rng(0), io.BytesIO(), dict[str, int]()
    with h5py.File(buffer, "w") as file:
        file.create_group("vars")
        for one in layers:
            stem = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", one.kind).lower()
            number = counts.get(stem, 0)
            counts[stem] = number + 1
            name = f"layers/{stem}_{number}" if number else f"layers/{stem}"
            inner = f"{name}/cell" if one.kind == "SimpleRNN" else name
            for index, shape in enumerate(one.weights):
                file.create_dataset(f"{inner}/vars/{index}", data=_array(rng, shape))
            file.require_group(f"{name}/vars")
    return buffer.getvalue()


def _array(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.normal(0, SCALE, shape).astype(np.float32)
