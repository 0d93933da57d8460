"""Reading a model from whatever file or folder it is in, told apart by content, not by name.

Not the formats themselves: `keras_file` and `legacy_file` beside this one know them.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gatelet.convert.reading.equivalents import Equivalents
from gatelet.convert.reading.hdf5 import MAGIC as HDF5_MAGIC
from gatelet.convert.reading.keras_file import ZIP_MAGIC, read_keras_zip, read_training_zip
from gatelet.convert.reading.legacy_file import read_legacy_file, read_training_hdf5
from gatelet.convert.reading.source import SourceModel
from gatelet.errors import ModelError

KERAS_SUFFIX = ".keras"
LEGACY_SUFFIX = ".h5"
MAX_FILE_BYTES = 8 * 2**30
_SAVE_AGAIN = "save the model with model.save('name.keras')"
_LOAD_AND_SAVE = (
    "load it where it was made and save it again: "
    "tf.keras.models.load_model(folder).save('name.keras')"
)


def read_keras_file(path: Path, *, equivalents: Equivalents = MappingProxyType({})) -> SourceModel:
    """Read a model that Keras saved, in any of its formats, without Keras.

    Args:
        path: A `.keras` file (Keras 2.12 and later) or an HDF5 file (Keras 1, 2 and 3); its name
            does not matter.
        equivalents: What stands for custom layers.

    Raises:
        ModelError: It is no such file, or a damaged one.
        UnsupportedLayer: It holds a layer, or a kind of model, that is not supported.
    """
    try:
        if suffix_of(path) == KERAS_SUFFIX:
            return read_keras_zip(path, equivalents)
        return read_legacy_file(path, equivalents)
    except OSError as error:
        raise ModelError(f"cannot read the model '{path}': {error.strerror or error}") from error
    except RecursionError as error:
        raise ModelError(f"'{path}' is refused: it is nested too deeply") from error


def read_loss(path: Path) -> Any:
    """Read what a model was trained with, and nothing else; None where the file does not tell.

    Args:
        path: A `.keras` or HDF5 file, as `read_keras_file` takes them.

    Raises:
        ModelError: It is damaged.
    """
    read = read_training_zip if suffix_of(path) == KERAS_SUFFIX else read_training_hdf5
    training = read(path)
    return training.get("loss") if isinstance(training, Mapping) else None


def suffix_of(path: Path) -> str:
    """Recognise a model's format by its content.

    Args:
        path: The file.

    Returns:
        '.keras' or '.h5', the suffix by which Keras itself would know it.

    Raises:
        ModelError: It is neither; the message says what it is, and the way out.
    """
    try:
        if path.is_dir():
            raise ModelError(_refused_folder(path))
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(
                f"'{path}' is refused: it has more than {MAX_FILE_BYTES:,} bytes, the most allowed"
            )
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise ModelError(f"cannot read the model '{path}': {error.strerror or error}") from error
    if head.startswith(HDF5_MAGIC):
        return LEGACY_SUFFIX
    if head.startswith(ZIP_MAGIC):
        if _holds_pickle(path):
            raise ModelError(_refused_pickle(path))
        return KERAS_SUFFIX
    raise ModelError(_refused_file(path, head))


def holds_model(head: bytes) -> bool:
    """Recognise a Keras file, or an archive that could be one, by its first bytes."""
    return head.startswith((HDF5_MAGIC, ZIP_MAGIC))


def keras_suffix(data: bytes) -> str:
    """Return the suffix by which Keras knows the format of a model in memory: '.keras' or '.h5'."""
    return LEGACY_SUFFIX if data.startswith(HDF5_MAGIC) else KERAS_SUFFIX


def _holds_pickle(path: Path) -> bool:
    """Distinguish a PyTorch or joblib archive from a `.keras` file."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return False
    return "config.json" not in names and any(name.endswith(".pkl") for name in names)


def _refused_pickle(path: Path) -> str:
    return (
        f"'{path}' is a pickle, and a pickled model is its code, which is never run: load it where "
        "it was made and save the Keras model in it with model.save('name.keras'); a tokenizer "
        "is given by --vectorizer, a scaler by --scale"
    )


def _refused_folder(path: Path) -> str:
    if (path / "saved_model.pb").exists():
        return f"'{path}' is a SavedModel, which holds a program and no layers: {_LOAD_AND_SAVE}"
    return f"'{path}' is a folder but no run (no run.json): give a run or a .keras or .h5 file"


def _refused_file(path: Path, head: bytes) -> str:
    if not head:
        return f"'{path}' is empty: get the file again"
    if path.suffix == ".pb":
        return f"'{path}' is a TensorFlow program without layers: {_LOAD_AND_SAVE}"
    if head[4:8] == b"TFL3":
        return f"'{path}' is converted to LiteRT already: give the Keras model it was made from"
    if path.suffix == ".onnx":
        return f"'{path}' is converted to ONNX already: give the Keras model it was made from"
    if _is_pickle(path, head):
        return _refused_pickle(path)
    if head.lstrip()[:1] == b"{":
        return (
            f"'{path}' is JSON, a configuration without weights perhaps: give the file of weights "
            f"and this one with --config, or {_SAVE_AGAIN}"
        )
    return f"'{path}' is no Keras model (neither a .keras file nor HDF5): {_SAVE_AGAIN}"


def _is_pickle(path: Path, head: bytes) -> bool:
    """Recognise a pickle by its first opcodes; protocols 0 and 1 only with a pickle's name."""
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    named = path.suffix in (".joblib", ".p", ".pickle", ".pkl")
    return named or (head[:1] == b"c" and b"\n" in head[:200])
