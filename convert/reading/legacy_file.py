"""Reading HDF5 files of Keras 1, 2 and 3: whole models, and weights beside a configuration.

Not `.keras` files, which `gatelet.convert.reading.keras_file` unpacks.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gatelet.convert.reading.architecture import read_architecture
from gatelet.convert.reading.equivalents import Equivalents
from gatelet.convert.reading.flat_weights import read_flat_weights
from gatelet.convert.reading.hdf5 import Hdf5, open_hdf5
from gatelet.convert.reading.keras_file import MAX_CONFIG_BYTES, open_keras_weights, parse_config
from gatelet.convert.reading.source import SourceModel
from gatelet.convert.reading.weights import GroupedWeights, add_weights, is_grouped
from gatelet.errors import ModelError

_WEIGHTS = "model_weights"


def read_legacy_file(path: Path, equivalents: Equivalents) -> SourceModel:
    """Read an `.h5` file that `model.save` of any Keras wrote, without Keras.

    Args:
        path: The file.
        equivalents: What stands for custom layers.

    Raises:
        ModelError: It is damaged, or holds weights only.
        UnsupportedLayer: It holds a kind of model that is not supported.
    """
    where = f"'{path}'"
    with path.open("rb") as opened, open_hdf5(opened, where) as file:
        config = file.text("", "model_config")
        if config is None:
            raise ModelError(
                f"{where} holds weights only, no configuration: give what model.to_json() gave "
                "too, with --config FILE, or save the whole model with model.save('name.keras')"
            )
        description = {**parse_config(config, f"the configuration in {where}"), **_trained(file)}
        version = _version_in(file) or "1"
        return _with_weights(file, description, version, where, equivalents)


def read_training_hdf5(path: Path) -> Any:
    """Read the compile config of an HDF5 file; None where there is none."""
    with path.open("rb") as opened, open_hdf5(opened, f"'{path}'") as file:
        return _trained(file).get("compile_config")


def read_weights_with_config(
    weights: Path,
    config: Path,
    *,
    keras_version: str | None = None,
    equivalents: Equivalents = MappingProxyType({}),
) -> SourceModel:
    """Read a file of weights, and the configuration that belongs to it.

    Args:
        weights: What `model.save_weights` or `model.save` of any Keras wrote.
        config: What `model.to_json()` of the same model gave.
        keras_version: Of the Keras that the model was trained with, where neither file tells:
            those of Keras 3 do not, and are taken for ones of its newest version.
        equivalents: What stands for custom layers.

    Raises:
        ModelError: One of them is damaged, or they are not of the same model.
        UnsupportedLayer: It is a kind of model that is not supported.
    """
    where = f"'{weights}'"
    try:
        if config.stat().st_size > MAX_CONFIG_BYTES:
            raise ModelError(
                f"'{config}' is refused: it has more than {MAX_CONFIG_BYTES:,} bytes, the most "
                "allowed for a configuration"
            )
        description = parse_config(config.read_bytes(), f"'{config}'")
        with open_keras_weights(weights) as opened, open_hdf5(opened, where) as file:
            # what the weights were trained with: a later Keras may have written the configuration
            version = keras_version or _version_in(file) or description.get("keras_version")
            if not isinstance(version, str):
                version = "3" if "module" in description else "2"
            description = {**_trained(file), **description}
            return _with_weights(file, description, version, where, equivalents)
    except OSError as error:
        name = error.filename or weights
        raise ModelError(f"cannot read '{name}': {error.strerror or error}") from error


def _trained(file: Hdf5) -> dict[str, Any]:
    """Read what the model was trained with, in the words of a `.keras` file, if that is there."""
    try:
        found = json.loads(file.text("", "training_config") or "null")
    except (ValueError, RecursionError):  # nothing that a prediction needs
        return {}
    return {} if found is None else {"compile_config": found}


def _version_in(file: Hdf5) -> str | None:
    return file.text("", "keras_version") or file.text(_WEIGHTS, "keras_version")


def _with_weights(
    file: Hdf5,
    description: Mapping[str, Any],
    version: str,
    where: str,
    equivalents: Equivalents,
) -> SourceModel:
    model = read_architecture(
        description, keras_version=version, where=where, equivalents=equivalents
    )
    if is_grouped(file):
        return add_weights(model, GroupedWeights(file))
    group = _WEIGHTS if file.has_group(_WEIGHTS) else ""
    return add_weights(model, read_flat_weights(file, group, model, where))
