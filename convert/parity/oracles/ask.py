"""What a conversion is judged by: inputs, the Graph's answers, Keras' own, golden vectors.

Not the judging, which `gatelet.convert.parity` does.
"""

import contextlib
import itertools
import json
import string
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity import Oracle
from gatelet.convert.parity.oracles.oracle import Advance, nothing_to_tell
from gatelet.convert.reading import keras_suffix
from gatelet.convert.reading.model_source import ModelSource
from gatelet.convert.rows.coverage import notes_on_texts
from gatelet.convert.rows.drawn import random_rows, random_texts, separator_of
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.convert.worker.worker import Worker
from gatelet.errors import ConversionError, DataError, OutputError
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.backends.targets import row_of
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.decision import decide
from gatelet.runtime.graph.graph import Graph, GraphInput
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.text_vectorization import TextVectorization

__all__ = [
    "ask_live",
    "ask_oracles",
    "assemble",
    "golden_vectors",
    "has_keras",
    "rows_of",
]

GOLDEN_ROWS = 16
GOLDEN_VALUES = 60_000
"""Numbers of all rows: each artifact's own stand in the manifest, which has 16 MiB at most."""
# beside real rows: nothing, blanks, unknown characters, another case, a NUL
GOLDEN_TEXTS = ("", " \t\n", "\u4e2d\U0001f600\u0301", "A GOOD FILM!", "not\0good")
_MORE_THAN_MAXLEN = 8
_ROWS_AT_ONCE = 4096

Array = NDArray[Any]


def ask_oracles(
    bundle: Bundle,
    rows: Sequence[str] | Arrays,
    worker: Worker | None,
    *,
    timesteps: Mapping[str, int] | None = None,
    keras_file: bytes | None = None,
    keras_takes_texts: bool = False,
    truth: Array | None = None,
    progress: Callable[[str], None],
    advance: Advance = nothing_to_tell,
) -> Oracle:
    """Collect right answers for texts or arrays, or for seeded random inputs where there are none.

    Args:
        bundle: Its Graph is the first oracle; its vectorizer makes the ids.
        rows: Rows to compare on; () for random ones.
        worker: Where Keras runs; None leaves Keras out.
        timesteps: Of random inputs, by graph input.
        keras_file: The model as Keras saved it; None leaves Keras' predictions out.
        keras_takes_texts: The Keras model begins with a TextVectorization layer.
        truth: Of `rows`: label positions, or the values of a regression.
        progress: Told what is being done.
        advance: Told how many rows the Graph has done.
    """
    graph, vectorizer = bundle.graph(), bundle.vectorizer()
    wrong_ids: int | None = None
    notes: tuple[str, ...] = ()
    texts: Sequence[str] = () if isinstance(rows, Arrays) else rows
    needs_texts = keras_takes_texts and isinstance(vectorizer, TextVectorization)
    needs_texts |= any(row_of(artifact.target).takes_texts for artifact in bundle.artifacts)
    if needs_texts and not texts and vectorizer is not None and not isinstance(rows, Arrays):
        texts = random_texts(vectorizer)
    if isinstance(rows, Arrays):
        inputs = rows_of(graph, rows)
    elif vectorizer is not None and texts:
        ids = ids_of(vectorizer, texts)
        inputs = Rows({graph.inputs[0].name: ids})
        notes = notes_on_texts(vectorizer, texts)
        if worker is not None:
            progress("asking Keras for the ids")
            wrong_ids = _count_other_ids(bundle, texts, ids, worker)
    else:
        inputs = random_rows(graph, vectorizer, timesteps or {})
    progress(f"asking the Graph for {len(inputs):,} rows")
    oracle = Oracle.of(
        bundle,
        inputs,
        advance=advance,
        texts=texts,
        wrong_ids=wrong_ids,
        truth=truth,
        notes=notes,
    )
    if worker is None or keras_file is None:
        return oracle
    progress(f"asking Keras for {len(inputs):,} rows")
    scores = _keras_scores(keras_file, inputs, texts if keras_takes_texts else (), worker)
    if isinstance(scores, str):
        progress(f"left out Keras' own verdict: {scores}")
        return replace(oracle, keras_refusal=scores)
    return replace(oracle, keras=scores, keras_version=version("keras"))


def ids_of(vectorizer: AnyVectorizer, texts: Sequence[str]) -> Array:
    """Give the padded ids of texts, int32 [N, T]."""
    found = np.zeros((len(texts), vectorizer.maxlen), np.int32)
    for row, text in enumerate(texts):
        found[row] = vectorizer.pad(text)
    return found


def ask_live(oracle: Oracle, model: Any, *, version: str) -> Oracle:
    """Ask a live model, whose code is here and in no file, in this process.

    Args:
        oracle: Whose rows it is asked for.
        model: A model of Keras 3 or tf_keras.
        version: Of its Keras.
    """
    from gatelet.convert.parity.oracles.keras_jobs import predict

    if len(model.inputs) != len(oracle.inputs.feed):
        return oracle
    parts = predict(model, list(oracle.inputs.feed.values()))
    scores = side_by_side({f"y_{index}": part for index, part in enumerate(parts)})
    return replace(oracle, keras=scores, keras_version=version, keras_refusal="")


def assemble(source: ModelSource, worker: Worker | None) -> tuple[ModelSource, str]:
    """Let Keras put weights and configuration that came apart into one file.

    Args:
        source: With `config_json`, or it is given back as it is.
        worker: Where Keras runs; None leaves the file out.

    Returns:
        The source, and why Keras cannot; '' where it could.
    """
    if source.config_json is None:
        return source, ""
    bare = replace(source, keras_file=None, config_json=None)
    if worker is None:
        return bare, ""
    with _exchange(worker) as folder:
        config, weights, out = (folder / name for name in ("config.json", "weights", "model.keras"))
        config.write_text(source.config_json, "utf-8")
        weights.write_bytes(source.keras_file or b"")
        refusal: str | None = worker.call(
            "gatelet.convert.parity.oracles.keras_jobs:assemble_job",
            {"config": str(config), "weights": str(weights), "out": str(out)},
            step="loading of the weights by Keras",
        )
        if refusal is not None:
            return bare, refusal
        return replace(bare, keras_file=out.read_bytes()), ""


def rows_of(graph: Graph, data: Arrays) -> Rows:
    """Match arrays with a model's inputs, in its order.

    Raises:
        DataError: There are more or fewer than the model has inputs, or features for ids.
    """
    if len(data.inputs) != len(graph.inputs):
        raise DataError(
            f"'{data.name}' has {len(data.inputs)} inputs, the model takes {len(graph.inputs)}: "
            "name them x_0, x_1, ... in the model's order"
        )
    for one, array in zip(graph.inputs, data.inputs, strict=True):
        _check_kind(one, array, data.name)
    return Rows(
        {
            one.name: np.asarray(array, np.int32 if one.dtype == "int32" else np.float32)
            for one, array in zip(graph.inputs, data.inputs, strict=True)
        }
    )


def _check_kind(one: GraphInput, array: Array, name: str) -> None:
    """Refuse features where the model takes ids: as numbers they would be other words."""
    if one.dtype != "int32" or array.dtype.kind in "iu":
        return
    if array.ndim != len(one.shape) or (array != np.rint(array)).any():
        raise DataError(
            f"'{name}' holds features, {array.dtype} {list(array.shape)}, and the model takes "
            "token ids, int32 [N, T]: give a file of texts, or ids"
        )


def has_keras() -> bool:
    """Tell whether Keras can be asked here."""
    return find_spec("tensorflow") is not None and find_spec("keras") is not None


def _count_other_ids(bundle: Bundle, texts: Sequence[str], ids: Array, worker: Worker) -> int:
    """Let Keras' own Tokenizer and pad_sequences make ids, and count the texts that differ."""
    with _exchange(worker) as folder:
        texts_path, out = folder / "texts.json", folder / "ids.npy"
        _write_texts(texts, texts_path)
        arguments = {
            "vectorizer": str(bundle.part("vectorizer")),
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


def _keras_scores(
    keras_file: bytes, inputs: Rows, texts: Sequence[str], worker: Worker
) -> Array | str:
    """Let Keras itself predict; text says why this Keras cannot load the model."""
    with _exchange(worker) as folder:
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


@contextlib.contextmanager
def _exchange(worker: Worker) -> Iterator[Path]:
    """Give a folder for files that go to the worker and come back."""
    try:
        with tempfile.TemporaryDirectory(dir=worker.scratch, prefix="gatelet-") as folder:
            yield Path(folder)
    except OSError as error:
        raise OutputError(f"cannot write temporary files: {error.strerror or error}") from error


def golden_vectors(
    bundle: Bundle, oracle: Oracle, texts: Sequence[str], *, keep_texts: bool
) -> bytes:
    """Choose some of the compared rows, and awkward texts, and store what the Graph gives.

    Args:
        bundle: Whose Graph and vectorizer are asked.
        oracle: The compared rows.
        texts: The texts behind them; () where there are none.
        keep_texts: False leaves the texts out; ids and scores stay.

    Returns:
        The JSON of the golden file.

    Raises:
        ConversionError: No row has finite scores.
    """
    graph, vectorizer = bundle.graph(), bundle.vectorizer()
    most = max(1, GOLDEN_VALUES // max(1, oracle.scores[:1].size))
    count = min(GOLDEN_ROWS, most)
    step = max(1, len(oracle.inputs) // count)
    inputs = oracle.inputs[::step][:count]
    golden_texts = None
    if vectorizer is not None:
        real = list(texts)[::step][:count]
        golden_texts = (*real, *GOLDEN_TEXTS, *_telling_texts(vectorizer))
        golden_texts = golden_texts[-most:]
        ids = np.array([vectorizer.pad(text) for text in golden_texts], np.int32)
        inputs = Rows({graph.inputs[0].name: ids})
    found = ReferenceBackend(graph, dtype=np.float64).run(inputs.feed)
    scores = side_by_side(found)
    # JSON holds no other numbers
    finite: Array = np.all(np.isfinite(scores).reshape(len(scores), -1), axis=1)
    if not finite.any():
        raise ConversionError("the model gives no finite scores: train it again")
    if golden_texts is not None:
        golden_texts = tuple(golden_texts[row] for row in np.flatnonzero(finite))
    content: dict[str, Any] = {
        "texts": golden_texts if keep_texts else None,
        "inputs": {name: array.tolist() for name, array in inputs[finite].feed.items()},
        "outputs": {name: found[name][finite].tolist() for name in graph.outputs},
    }
    if bundle.labels and len(graph.outputs) == 1 and scores.ndim == 2:
        rows = [decide(row, bundle.threshold) for row in scores[finite].tolist()]
        content |= {
            "labels": [bundle.labels[row] for row in rows],
            "threshold": bundle.threshold,
        }
    return json.dumps(content).encode()


def _telling_texts(vectorizer: AnyVectorizer) -> tuple[str, ...]:
    """Make texts of known words whose ids tell of every setting: length, case, punctuation."""
    words = sorted(vectorizer.vocabulary, key=vectorizer.vocabulary.__getitem__)
    separator = separator_of(vectorizer)
    longer = itertools.islice(itertools.cycle(words), vectorizer.maxlen + _MORE_THAN_MAXLEN)
    return (
        separator.join(longer),
        separator.join(words[:_MORE_THAN_MAXLEN]).upper(),
        "".join(itertools.chain.from_iterable(zip(words, string.punctuation, strict=False))),
    )
