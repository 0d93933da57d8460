"""What Keras does in the worker process: functions of paths and names.

Not called directly: a crash here would take the caller with it.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.convert.parity.oracles.keras_changes import put_in, stand_ins
from gatelet.convert.reading.versions import parse_version
from gatelet.convert.worker.tensorflow import import_tensorflow
from gatelet.runtime.vectorizer.opening import load_vectorizer
from gatelet.runtime.vectorizer.text_vectorization import TextVectorization
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

_ROWS_AT_ONCE = 256


def keras_scores_job(
    model: str,
    inputs: str,
    texts: str | None,
    out: str,
    *,
    wrote: str = "",
    rows_at_once: int = _ROWS_AT_ONCE,
) -> dict[str, Any]:
    """Run Keras itself.

    Args:
        model: Path of the file, with the suffix by which Keras knows its format.
        inputs: Path of a .npz with x_0, x_1, ... in the model's order.
        texts: Path of a JSON list that is given in their place, for a model that takes texts.
        out: Where the outputs go as a .npz, in the model's order.
        wrote: The version of the Keras that wrote the file, whose rules are put in.
        rows_at_once: How many rows are held in memory together.

    Returns:
        'refusal', why this Keras cannot load or run the model, or ''; and 'needed', the names of
        the changes of Keras that were put in.
    """
    tf = import_tensorflow()
    import keras

    needed = set[str]()
    try:
        # a wrapper makes its layers once more, and asks the scope alone for their classes
        with keras.saving.custom_object_scope(stand_ins(keras, parse_version(wrote), needed)):
            loaded = keras.saving.load_model(model, compile=False)
    except Exception as error:  # a file of another Keras fails in many ways
        return _refused(f"Keras {keras.__version__} cannot load the model", error)
    put_in(keras, loaded, wrote, needed)
    for layer in loaded._flatten_layers():
        # mixed policies round to 16 bits, training's way to save time: the weights are float32
        if "16" in str(getattr(layer.dtype_policy, "name", "")):
            layer.dtype_policy = "float32"
    with np.load(inputs) as found:
        arrays: list[Any] = [found[f"x_{index}"] for index in range(len(found.files))]
    if texts is not None:
        arrays = [tf.constant([[text] for text in json.loads(Path(texts).read_text("ascii"))])]
    try:
        if texts is None and _are_shorter(loaded, arrays):
            parts = _predict_openly(loaded, arrays, rows_at_once)
        else:
            parts = predict(loaded, arrays, rows_at_once=rows_at_once)
    except ValueError as error:  # such as a name that TensorFlow takes for no scope
        return _refused(f"Keras {keras.__version__} cannot run the model", error)
    np.savez(out, **{f"y_{index}": part for index, part in enumerate(parts)})
    return {"refusal": "", "needed": sorted(needed)}


def _refused(what: str, error: Exception) -> dict[str, Any]:
    said = " ".join(str(error).split())[:200]
    return {"refusal": f"{what}: {type(error).__name__}: {said}", "needed": []}


def predict(model: Any, arrays: list[Any], *, rows_at_once: int = _ROWS_AT_ONCE) -> list[Any]:
    """Let a Keras model predict all rows, each batch from a zero state where its size is fixed.

    Args:
        model: Of Keras 3 or tf_keras.
        arrays: [N, ...], one for each of its inputs.
        rows_at_once: Of a batch, where the model leaves it open.

    Returns:
        [N, ...], one for each of its outputs.
    """
    sizes = {shape[0] for shape in _batch_shapes(model)}
    if sizes != {None}:
        size = next(size for size in sizes if size is not None)
        run, rows = _compiled(model), []
        for start in range(0, len(arrays[0]), size):
            _reset_states(model)
            rows.append(run([_filled(array[start : start + size], size) for array in arrays]))
        count = len(arrays[0])
        return [np.concatenate(one)[:count] for one in zip(*rows, strict=True)]
    given = arrays if len(arrays) > 1 else arrays[0]
    return _as_list(model.predict(given, batch_size=rows_at_once, verbose=0))


def _are_shorter(model: Any, arrays: list[Any]) -> bool:
    """Return whether rows have fewer timesteps than the model declares."""
    return any(
        declared[0] is None and declared[1:2] not in ((None,), given.shape[1:2])
        for declared, given in zip(_batch_shapes(model), arrays, strict=True)
    )


def _predict_openly(model: Any, arrays: list[Any], rows_at_once: int) -> list[Any]:
    """Predict rows of fewer timesteps than the model declares, which `predict` refuses."""
    run = _compiled(model.call)
    starts = range(0, len(arrays[0]), rows_at_once)
    rows = [run([array[start : start + rows_at_once] for array in arrays]) for start in starts]
    return [np.concatenate(one) for one in zip(*rows, strict=True)]


def _compiled(call: Any) -> Callable[[list[Any]], list[Any]]:
    """Trace a model once: one timestep after the other takes TensorFlow 30 times as long."""

    def plain(*given: Any) -> Any:
        return call(list(given) if len(given) > 1 else given[0], training=False)

    keras = sys.modules.get("keras")  # a live model may be of tf_keras, or run on JAX
    if keras is not None and keras.config.backend() != "tensorflow":
        traced = plain
    else:
        traced = import_tensorflow().function(plain)
    return lambda arrays: [np.asarray(one) for one in _as_list(traced(*arrays))]


def _batch_shapes(model: Any) -> list[tuple[int | None, ...]]:
    return [tuple(one.shape) for one in model.inputs]


def _filled(array: Any, size: int) -> Any:
    missing = size - len(array)
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array


def _reset_states(model: Any) -> None:
    for layer in model.layers:
        for name in ("reset_states", "reset_state"):
            if getattr(layer, "stateful", False) and hasattr(layer, name):
                getattr(layer, name)()
                break


def _as_list(results: Any) -> list[Any]:
    if isinstance(results, dict):
        # the order of `model.outputs`: Keras flattens objects by their sorted keys
        return [results[name] for name in sorted(results)]
    return list(results) if isinstance(results, list | tuple) else [results]


def keras_ids_job(vectorizer: str, texts: str, out: str) -> None:
    """Turn texts into ids with Keras' own Tokenizer and pad_sequences, or TextVectorization.

    Args:
        vectorizer: Path of vectorizer.json, whose settings and vocabulary Keras is given.
        texts: Path of a JSON list.
        out: Where the ids go, int32 [N, T], as .npy.
    """
    import_tensorflow()
    spec = load_vectorizer(vectorizer)
    given = json.loads(Path(texts).read_text("ascii"))
    ids = _tokenizer_ids(spec, given) if isinstance(spec, Vectorizer) else _layer_ids(spec, given)
    np.save(out, ids.astype(np.int32))


def _tokenizer_ids(spec: Vectorizer, texts: list[str]) -> Any:
    import keras
    from keras.src.legacy.preprocessing.text import Tokenizer

    tokenizer = Tokenizer(
        num_words=spec.num_words,
        filters=spec.filters,
        lower=spec.lower,
        split=spec.split,
        char_level=spec.char_level,
        oov_token=spec.oov_token,
    )
    tokenizer.word_index = dict(spec.vocabulary)
    if spec.oov_token is not None:
        tokenizer.word_index[spec.oov_token] = spec.oov_id
    return keras.utils.pad_sequences(
        tokenizer.texts_to_sequences(texts),
        maxlen=spec.maxlen,
        padding=spec.padding,
        truncating=spec.truncating,
        value=spec.pad_value,
    )


def _layer_ids(spec: TextVectorization, texts: list[str]) -> Any:
    import keras

    layer = keras.layers.TextVectorization(
        standardize=spec.standardize,
        split=spec.split,
        ngrams=spec.ngrams,
        output_sequence_length=spec.maxlen,
        vocabulary=sorted(spec.vocabulary, key=spec.vocabulary.__getitem__),
    )
    found = np.asarray(layer([[text] for text in texts] if spec.split is None else texts))
    padded = np.zeros((len(texts), spec.maxlen), np.int32)  # unsplit texts are not padded
    padded[:, : found.shape[1]] = found
    return padded
