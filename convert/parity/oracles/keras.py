"""Keras as an oracle: its scores and its ids.

Not what runs in the worker process, which is `keras_jobs.py`.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.oracles.keras_jobs import predict
from gatelet.convert.parity.oracles.oracle import Oracle
from gatelet.convert.reading import keras_suffix
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.convert.worker.worker import Worker
from gatelet.runtime.vectorizer.opening import AnyVectorizer

_ROWS_AT_ONCE = 4096

Array = NDArray[Any]


def keras_scores(
    keras_file: bytes, inputs: Rows, texts: Sequence[str], worker: Worker
) -> Array | str:
    """Let Keras itself predict; text says why this Keras cannot load the model."""
    with worker.exchange() as folder:
        model, out = folder / f"model{keras_suffix(keras_file)}", folder / "y.npz"
        model.write_bytes(keras_file)
        given = folder / "x.npz"
        arrays: dict[str, Any] = {f"x_{i}": x for i, x in enumerate(inputs.feed.values())}
        np.savez(given, **arrays)
        texts_path = folder / "texts.json"
        _write_texts(texts, texts_path)
        arguments = {
            "model": str(model),
            "inputs": str(given),
            "texts": str(texts_path) if texts else None,
            "out": str(out),
        }
        refusal: str | None = worker.call(
            "gatelet.convert.parity.oracles.keras_jobs:keras_scores_job",
            arguments,
            step="predictions by Keras",
        )
        if refusal is not None:
            return refusal
        with np.load(out) as found:
            return side_by_side({name: found[name] for name in found.files})


def ask_live(oracle: Oracle, model: Any, *, version: str) -> Oracle:
    """Ask a live model, whose code is here and in no file, in this process.

    Args:
        oracle: Whose rows it is asked for.
        model: A model of Keras 3 or tf_keras.
        version: Of its Keras.
    """
    if len(model.inputs) != len(oracle.inputs.feed):
        return oracle
    parts = predict(model, list(oracle.inputs.feed.values()))
    scores = side_by_side({f"y_{index}": part for index, part in enumerate(parts)})
    return replace(oracle, keras=scores, keras_version=version, keras_refusal="")


def count_other_ids(
    vectorizer: AnyVectorizer, texts: Sequence[str], ids: Array, worker: Worker
) -> int:
    """Let Keras' own Tokenizer and pad_sequences make ids, and count the texts that differ."""
    with worker.exchange() as folder:
        texts_path, out = folder / "texts.json", folder / "ids.npy"
        settings = folder / "vectorizer.json"
        settings.write_text(vectorizer.to_json(), "utf-8")
        _write_texts(texts, texts_path)
        arguments = {
            "vectorizer": str(settings),
            "texts": str(texts_path),
            "out": str(out),
        }
        worker.call(
            "gatelet.convert.parity.oracles.keras_jobs:keras_ids_job",
            arguments,
            step="ids by Keras' Tokenizer",
        )
        expected = np.load(out, mmap_mode="r")
        if expected.shape != ids.shape:
            return len(texts)
        parts = range(0, len(ids), _ROWS_AT_ONCE)
        counts = [
            (ids[i : i + _ROWS_AT_ONCE] != expected[i : i + _ROWS_AT_ONCE]).any(axis=1).sum()
            for i in parts
        ]
        return int(sum(counts))


def _write_texts(texts: Sequence[str], path: Path) -> None:
    """Write a JSON list, a text at a time: there may be many."""
    with path.open("w", encoding="ascii") as file:
        for index, text in enumerate(texts):
            file.write(("[" if index == 0 else ",\n") + json.dumps(text))
        file.write("]" if texts else "[]")
