"""Models of each kind of decision, for the tests of decisions.

Not the files, which `keras_files` writes.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gatelet.convert import convert
from tests.adversary import keras_files as files
from tests.shared import made_once
from tests.small_vectorizer import vectorizer_of

Array = NDArray[Any]

ROWS = 180


def rows_of_ids(rows: int = ROWS, timesteps: int = 7, *, seed: int = 1) -> Array:
    """Draw ids padded in front, behind and within."""
    rng = np.random.default_rng(seed)
    found = rng.integers(1, files.V, (rows, timesteps)).astype(np.int32)
    found[::3, : timesteps // 2] = 0
    found[1::3, timesteps // 2 :] = 0
    found[2::3, 2] = 0
    return found


def converted(
    folder: Path, layers: list[files.Layer], trained: Any = None, **settings: Any
) -> Path:
    """Convert a model of these layers to onnx, and return the bundle, which passed."""
    outputs = settings.pop("outputs", ("out",))
    model = files.save(folder / "model.keras", layers, outputs=outputs, trained=trained)
    given = {"targets": ["onnx"], "schemes": ["float32"], "with_keras": False, **settings}
    bundle = convert(model, folder / "bundle", **given)
    assert bundle.verdict == "pass"
    return bundle.path


def sigmoid(x: Any) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.asarray(x, np.float64))))


def softmax(x: Any) -> Array:
    powers = np.exp(np.asarray(x, np.float64))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def copy_of(bundle: Path, folder: Path) -> Path:
    return Path(shutil.copytree(bundle, folder / "copy"))


def edit_decision(bundle: Path, **change: Any) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["decisions"][0] |= change
    path.write_text(json.dumps(manifest), "utf-8")


def _logits(folder: Path) -> Path:
    """Convert a model that was trained with from_logits, with labels and a threshold."""
    trained = files.loss("BinaryCrossentropy")
    return converted(folder, files.head(1), trained, labels=("no", "yes"), threshold=0.4)


def _several(folder: Path) -> Path:
    """Convert a model of three sigmoids, each label with a threshold of its own."""
    layers = files.head(3, "sigmoid")
    chosen = {"labels": ("a", "b", "c"), "multi_label": True, "threshold": {"a": 0.3, "b": 0.8}}
    return converted(folder, layers, "binary_crossentropy", **chosen)


def _tagger(folder: Path) -> Path:
    """Convert a model with a softmax at each timestep, and a vectorizer that pads in front."""
    vectorizer = vectorizer_of([f"w{number}" for number in range(1, files.V - 1)], maxlen=6)
    return converted(
        folder,
        files.head(3, "softmax", steps=True),
        labels=("O", "B", "I"),
        vectorizer=vectorizer,
    )


def _outputs(folder: Path) -> Path:
    """Convert a model with a logit, a softmax, and numbers."""
    heads = [
        files.dense(1, "rnn", "mood"),
        files.dense(3, "rnn", "topic", "softmax"),
        files.dense(2, "rnn", "size"),
    ]
    losses = {"mood": files.loss("BinaryCrossentropy"), "topic": "mse", "size": "mse"}
    return converted(
        folder,
        [*files.head(1)[:3], *heads],
        losses,
        outputs=("mood", "topic", "size"),
        labels={"mood": ("bad", "good"), "topic": ("x", "y", "z")},
    )


_MAKERS: dict[str, Callable[[Path], Path]] = {
    "logits": _logits,
    "several": _several,
    "tagger": _tagger,
    "outputs": _outputs,
}


def bundle_of(kind: str, factory: pytest.TempPathFactory) -> Path:
    """Convert a model of a kind once; tests that change the bundle copy it first."""
    return made_once(factory, f"decisions-{kind}", _MAKERS[kind]) / "bundle"
