"""Reading a `.keras` file: a zip of configuration (JSON) and weights (HDF5).

Not legacy HDF5 files (`gatelet.convert.reading.legacy_file`), and not live models.
"""

import contextlib
import json
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

from gatelet.convert.reading.architecture import read_architecture
from gatelet.convert.reading.equivalents import Equivalents
from gatelet.convert.reading.hdf5 import MAX_COMPRESSION, MAX_WEIGHTS_BYTES, open_hdf5
from gatelet.convert.reading.source import SourceModel
from gatelet.convert.reading.weights import GroupedWeights, add_weights
from gatelet.errors import ModelError
from gatelet.runtime.archives import twice_in

MAX_CONFIG_BYTES = 16 * 2**20
MAX_DIRECTORY_BYTES = 16 * 2**20
ZIP_MAGIC = b"PK\x03\x04"
_ZIP_END = b"PK\x05\x06"
_ZIP_END_BYTES = 22
_WEIGHTS = "model.weights.h5"
_COMPRESSION_COUNTS_FROM_BYTES = 2**20


def read_keras_zip(path: Path, equivalents: Equivalents) -> SourceModel:
    """Read a `.keras` file without Keras.

    Args:
        path: The file.
        equivalents: What stands for custom layers.

    Raises:
        ModelError: It is no `.keras` file, or a damaged one.
        UnsupportedLayer: It holds a kind of model that is not supported.
    """
    where = f"'{path}'"
    with _opened(path) as archive:
        description = _json(archive, "config.json", where)
        version = _version(archive, description, where)
        model = read_architecture(
            description, keras_version=version, where=where, equivalents=equivalents
        )
        with (
            _unpacked(archive, _WEIGHTS, where) as file,
            open_hdf5(file, where) as weights,
        ):
            node = GroupedWeights(weights, read_asset=partial(_asset, archive, where))
            return add_weights(model, node)


def read_training_zip(path: Path) -> Any:
    """Read the compile config of a `.keras` file; None where there is none."""
    with _opened(path) as archive:
        return _json(archive, "config.json", f"'{path}'").get("compile_config")


@contextlib.contextmanager
def open_keras_weights(path: Path) -> Iterator[IO[bytes]]:
    """Open the HDF5 file in a `.keras` file, or the file itself if it is none.

    Args:
        path: The file.

    Raises:
        ModelError: It is a `.keras` file and damaged.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        if file.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
            yield file
            return
    with _opened(path) as archive, _unpacked(archive, _WEIGHTS, f"'{path}'") as weights:
        yield weights


def parse_config(data: str | bytes, what: str) -> dict[str, Any]:
    """Parse a configuration.

    Args:
        data: JSON.
        what: What to call it in messages.

    Raises:
        ModelError: It is no JSON object.
    """
    try:
        found = json.loads(data)
    except ValueError as error:
        raise ModelError(f"{what} is damaged: it is no valid JSON ({error})") from error
    except RecursionError as error:
        raise ModelError(f"{what} is refused: it is nested too deeply") from error
    if not isinstance(found, dict):
        raise ModelError(f"{what} is damaged: it is no JSON object")
    return found


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if twice := twice_in(archive):
                raise ModelError(
                    f"'{path}' is refused: it holds '{twice}' twice, of which readers take the one "
                    "or the other; save the model again with model.save('name.keras')"
                )
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ModelError(f"'{path}' is damaged: {error}; get the file again") from error


def _check_directory(path: Path) -> None:
    """Refuse a list of members that would take much memory: zipfile reads all of it at once."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _ZIP_END_BYTES - 2**16))
        tail = file.read()
    end = tail.rfind(_ZIP_END)
    size_bytes = int.from_bytes(tail[end + 12 : end + 16], "little") if end >= 0 else 0
    if size_bytes > MAX_DIRECTORY_BYTES:
        raise ModelError(
            f"'{path}' is refused: its list of members has {size_bytes:,} bytes, "
            f"{MAX_DIRECTORY_BYTES:,} is the most allowed"
        )


def _json(archive: zipfile.ZipFile, name: str, where: str) -> Mapping[str, Any]:
    with _unpacked(archive, name, where, limit_bytes=MAX_CONFIG_BYTES) as file:
        return parse_config(file.read(), f"'{name}' of {where}")


def _version(archive: zipfile.ZipFile, description: Mapping[str, Any], where: str) -> str:
    """Return the version that wrote a file; without metadata, what the words of inputs tell."""
    if _has(archive, "metadata.json"):
        metadata = _json(archive, "metadata.json", where)
        return str(metadata.get("keras_version", "unknown"))
    return "2" if "batch_input_shape" in json.dumps(description) else "3"


def _has(archive: zipfile.ZipFile, name: str) -> bool:
    return any(info.filename.replace("\\", "/") == name for info in archive.infolist())


def _asset(archive: zipfile.ZipFile, where: str, name: str) -> str | None:
    if not _has(archive, name):
        return None
    with _unpacked(archive, name, where, limit_bytes=MAX_CONFIG_BYTES) as file:
        try:
            return file.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise ModelError(f"{where} is damaged: its '{name}' is not UTF-8: {error}") from error


@contextlib.contextmanager
def _unpacked(
    archive: zipfile.ZipFile, name: str, where: str, limit_bytes: int = MAX_WEIGHTS_BYTES
) -> Iterator[IO[bytes]]:
    """Unpack one member beside the file system's names, so that memory stays bounded."""
    info = _member(archive, name, where)
    if info.file_size > limit_bytes:
        raise ModelError(
            f"{where} is refused: its '{name}' claims {info.file_size:,} bytes, "
            f"{limit_bytes:,} is the most allowed"
        )
    if info.file_size > max(_COMPRESSION_COUNTS_FROM_BYTES, info.compress_size * MAX_COMPRESSION):
        raise ModelError(
            f"{where} is refused: its '{name}' claims {info.file_size:,} bytes in "
            f"{info.compress_size:,} compressed ones; no Keras model is like that"
        )
    with tempfile.TemporaryFile() as file:
        with archive.open(info) as packed:
            shutil.copyfileobj(packed, file, 2**20)
        file.seek(0)
        yield file


def _member(archive: zipfile.ZipFile, name: str, where: str) -> zipfile.ZipInfo:
    for info in archive.infolist():
        if info.filename.replace("\\", "/") == name:
            if info.flag_bits & 1:
                raise ModelError(f"{where} is encrypted: unpack it and save it without a password")
            return info
    raise ModelError(
        f"{where} is no .keras file: it holds no '{name}'; save the model again with "
        "model.save('name.keras')"
    )
