"""What the conformance cases are made of: their sizes, and a Sequential around some layers.

Not the cases: see recurrent_cases.py and layer_cases.py.
"""

from collections.abc import Callable
from typing import Any

T = 12
V = 40
F = 5

Keras = Any
Model = Any
Case = Callable[[Keras], Model]


def of_ids(keras: Keras, *layers: Any, mask: bool = False, timesteps: int = T) -> Model:
    embedding = keras.layers.Embedding(V, 8, mask_zero=mask)
    return keras.Sequential([keras.Input((timesteps,), dtype="int32"), embedding, *layers])


def of_features(keras: Keras, *layers: Any, shape: tuple[int | None, ...] = (T, F)) -> Model:
    return keras.Sequential([keras.Input(shape), *layers])


def sigmoid(keras: Keras) -> Any:
    return keras.layers.Dense(1, activation="sigmoid")
