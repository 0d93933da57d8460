"""What Keras does in the worker process: functions of paths and names.

Not called directly: a crash here would take the caller with it.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.convert.worker.tensorflow import import_tensorflow
from gatelet.runtime.vectorizer.opening import load_vectorizer
from gatelet.runtime.vectorizer.text_vectorization import TextVectorization
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

_ROWS_AT_ONCE = 256
"""Of a prediction by Keras: a third less processor time than batches of 64."""


def keras_scores_job(model: str, inputs: str, texts: str | None, out: str) -> str | None:
    """Run Keras itself.

    Args:
        model: Path of the file, with the suffix by which Keras knows its format.
        inputs: Path of a .npz with x_0, x_1, ... in the model's order.
        texts: Path of a JSON list that is given in their place, for a model that takes texts.
        out: Where the outputs go as a .npz, in the model's order.

    Returns:
        None, or why this Keras cannot load or run the model.
    """
    tf = import_tensorflow()
    import keras

    try:
        loaded = keras.saving.load_model(model, compile=False)
    except Exception as error:  # a file of another Keras fails in many ways
        said = " ".join(str(error).split())[:200]
        return f"Keras {keras.__version__} cannot load the model: {type(error).__name__}: {said}"
    for layer in loaded._flatten_layers():
        # mixed policies round to 16 bits, training's way to save time: the weights are float32
        if "16" in str(getattr(layer.dtype_policy, "name", "")):
            layer.dtype_policy = "float32"
    with np.load(inputs) as found:
        arrays: list[Any] = [found[f"x_{index}"] for index in range(len(found.files))]
    if texts is not None:
        arrays = [tf.constant([[text] for text in json.loads(Path(texts).read_text("ascii"))])]
    try:
        parts = predict(loaded, arrays)
    except ValueError as error:  # such as a name that TensorFlow takes for no scope
        said = " ".join(str(error).split())[:200]
        return f"Keras {keras.__version__} cannot run the model: {type(error).__name__}: {said}"
    np.savez(out, **{f"y_{index}": part for index, part in enumerate(parts)})
    return None


def predict(model: Any, arrays: list[Any]) -> list[Any]:
    """Let a Keras model predict all rows, each batch from a zero state where its size is fixed.

    Args:
        model: Of Keras 3 or tf_keras.
        arrays: [N, ...], one for each of its inputs.

    Returns:
        [N, ...], one for each of its outputs.
    """
    sizes = {shape[0] for shape in _batch_shapes(model)}
    if sizes != {None}:
        size = next(size for size in sizes if size is not None)
        rows = []
        for start in range(0, len(arrays[0]), size):
            _reset_states(model)
            part = [_filled(array[start : start + size], size) for array in arrays]
            rows.append(_as_list(model(part if len(part) > 1 else part[0], training=False)))
        count = len(arrays[0])
        return [
            np.concatenate([np.asarray(r) for r in one])[:count] for one in zip(*rows, strict=True)
        ]
    return _as_list(
        model.predict(arrays if len(arrays) > 1 else arrays[0], batch_size=_ROWS_AT_ONCE, verbose=0)
    )


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
