"""One network, as any Keras writes it: run in a process of its own, for each Keras one.

    python same_network.py keras|tf_keras FOLDER

Writes network.keras, network.h5, network.json, network.weights.h5, the Graph of the live model
and what Keras predicts. The weights depend on the layers' names alone.
"""

import importlib
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "emb>words": ((12, 4),),
    "both": ((4, 12), (3, 12), (12,)) * 2,
    "each": ((6, 4), (4,)),
    "norm": ((4,),) * 4,
    "gru": ((4, 9), (3, 9), (2, 9)),
    "enc": ((3, 12), (3, 12), (12,)),
    "dec": ((3, 12), (3, 12), (12,)),
    "shared": ((3, 4), (4,)),
    "hidden": ((4, 5), (5,)),
    "frozen": ((5,),) * 4,
    "score": ((5, 2), (2,)),
}


def weights_of(name: str) -> list[Array]:
    """Return a layer's weights; variances, like all others, are positive or small enough."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return [
        rng.uniform(0.2, 0.9, shape).astype(np.float32) - np.float32(0.5 * (len(shape) > 1))
        for shape in SHAPES[name]
    ]


def inputs() -> list[NDArray[Any]]:
    """Return ids [8, 6] and features [8, 6, 3]."""
    rng = np.random.default_rng(3)
    return [rng.integers(0, 12, (8, 6)), rng.normal(size=(8, 6, 3)).astype(np.float32)]


def build(keras: Any) -> Any:
    """Build the network: shared and nested layers, states, two inputs and outputs."""
    layers = keras.layers
    named: dict[str, Any] = {}

    def keep(layer: Any) -> Any:
        named[layer.name] = layer
        return layer

    ids, features = keras.Input((6,), name="ids", dtype="int32"), keras.Input((6, 3), name="rows")
    x = keep(layers.Embedding(12, 4, name="emb>words"))(ids)
    inner_lstm = layers.LSTM(3, return_sequences=True, recurrent_activation="sigmoid", name="lstm")
    x = keep(layers.Bidirectional(inner_lstm, name="both"))(x)
    dense = layers.Dense(4, activation="relu", name="dense")
    x = keep(layers.TimeDistributed(dense, name="each"))(x)
    x = keep(layers.BatchNormalization(name="norm"))(x)
    x = keep(layers.GRU(3, recurrent_activation="sigmoid", name="gru"))(x)
    encoder = layers.LSTM(3, return_state=True, recurrent_activation="sigmoid", name="enc")
    _, h, c = keep(encoder)(features)
    y = keep(layers.LSTM(3, recurrent_activation="sigmoid", name="dec"))(
        features, initial_state=[h, c]
    )
    shared = keep(layers.Dense(4, activation="tanh", name="shared"))
    z = keras.Input((4,), name="z")
    hidden = keep(layers.Dense(5, name="hidden"))(z)
    normed = keep(layers.BatchNormalization(trainable=False, name="frozen"))(hidden)
    scores = keep(layers.Dense(2, activation="softmax", name="score"))(normed)
    inner = keras.Model(z, scores, name="inner")
    model = keras.Model([ids, features], [inner(shared(x)), inner(shared(y))], name="network")
    for name, layer in named.items():
        layer.set_weights(weights_of(name))
    return model


def main(package: str, folder: Path) -> None:
    """Write all files."""
    from gatelet.convert.lowering import lower
    from gatelet.convert.reading import read_keras_object
    from gatelet.runtime.graph.safetensors import encode

    warnings.simplefilter("ignore")
    model = build(importlib.import_module(package))
    for name in ("network.keras", "network.h5"):
        model.save(folder / name)
    model.save_weights(folder / "network.weights.h5")
    (folder / "network.json").write_text(model.to_json())
    graph = lower(read_keras_object(model))
    (folder / "live.json").write_text(graph.to_json())
    (folder / "live.safetensors").write_bytes(encode(graph.weights))
    outputs = model.predict(inputs(), verbose=0)
    np.savez(folder / "predicted.npz", *outputs)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
