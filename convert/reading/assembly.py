"""Puts a model's weights and configuration, which came apart, into one file that Keras knows.

Nothing is computed anew: the file tells the version of the Keras that trained the weights.
"""

import io
import json
import zipfile

from gatelet.convert.reading.hdf5 import MAGIC
from gatelet.convert.reading.weights import CONTAINERS

_WEIGHTS, _GROUP = "model.weights.h5", "model_weights"


def assembled(config_json: str, weights: bytes, *, keras_version: str) -> bytes:
    """Return a `.keras` file of grouped weights, an `.h5` file of flat ones.

    Args:
        config_json: What `model.to_json()` gave.
        weights: What `model.save_weights` or `model.save` gave; known to be good.
        keras_version: Of the Keras that the weights are from.
    """
    import h5py

    if not weights.startswith(MAGIC):
        with zipfile.ZipFile(io.BytesIO(weights)) as archive:
            return _zipped(config_json, archive.read(_WEIGHTS), keras_version)
    with h5py.File(io.BytesIO(weights), "r") as file:
        if any(name in file for name in CONTAINERS):
            return _zipped(config_json, weights, keras_version)
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as whole:
            whole.attrs["model_config"] = config_json
            whole.attrs["keras_version"] = keras_version
            whole.attrs["backend"] = "tensorflow"
            flat = file.get(_GROUP, file)
            group = whole.create_group(_GROUP)
            for name, value in flat.attrs.items():
                group.attrs[name] = value
            for name in flat:
                flat.copy(name, group)
    return buffer.getvalue()


def _zipped(config_json: str, weights: bytes, keras_version: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": keras_version}))
        archive.writestr("config.json", config_json)
        archive.writestr(_WEIGHTS, weights)
    return buffer.getvalue()
