"""Keras' own verdict is about the same outputs, in the same order, as the Graph's."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.lowering import lower
from gatelet.convert.parity.oracles.keras_jobs import keras_scores_job
from gatelet.convert.reading import read_keras_file
from gatelet.runtime.backends.reference import ReferenceBackend
from tests.conformance.matrix import set_weights

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

T, F = 6, 4


def keras_module() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras
    return keras


def named_outputs() -> Any:
    """Build a model whose outputs are an object, named against their sorted order."""
    k = keras_module()
    x = k.Input((T, F))
    h = k.layers.GRU(5, return_sequences=True)(x)
    last = k.layers.Dense(1)(k.layers.LSTM(3)(h))
    return k.Model(x, {"temperature": last, "kind": k.layers.Dense(3)(h)})


def normalized() -> Any:
    """Build a model whose weights hold a count, which is a whole number."""
    k = keras_module()
    layer = k.layers.Normalization()
    layer.adapt(np.random.default_rng(2).normal(3, 2, (50, T, F)))
    return k.Sequential([k.Input((T, F)), layer, k.layers.GRU(5), k.layers.Dense(1)])


@pytest.mark.parametrize("build", [named_outputs, normalized])
def test_a_saved_model_and_keras_give_the_same(build: Any, tmp_path: Path) -> None:
    model, path = build(), tmp_path / "model.keras"
    set_weights(model.layers[-1], 3)
    model.save(path)
    features = np.random.default_rng(1).normal(2, 2, (3, T, F)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x_0=features)
    said = keras_scores_job(str(path), str(tmp_path / "x.npz"), None, str(tmp_path / "y.npz"))
    assert said == {"refusal": "", "needed": []}
    graph = lower(read_keras_file(path))
    found = ReferenceBackend(graph).run({graph.inputs[0].name: features})
    with np.load(tmp_path / "y.npz") as expected:
        assert len(expected.files) == len(found)
        for index, one in enumerate(found.values()):
            assert np.abs(one - expected[f"y_{index}"]).max() < 1e-5
