"""Files that are damaged or hostile, each with one fault, and the same files without it."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

DENSE = {"name": "d", "trainable": True, "units": 2, "use_bias": True, "activation": "linear"}
TAKEN = {"name": "i", "batch_shape": [None, 5, 3]}
CONFIG: dict[str, Any] = {
    "class_name": "Sequential",
    "config": {
        "name": "model",
        "layers": [
            {"class_name": "InputLayer", "config": TAKEN},
            {"class_name": "Dense", "config": DENSE},
        ],
    },
}
METADATA = {"keras_version": "3.8.0"}
Fill = Callable[[Any], None]


def fill(file: Any) -> None:
    """Write right weights."""
    group = file.create_group("layers/dense/vars")
    group["0"], group["1"] = np.ones((3, 2), np.float32), np.zeros(2, np.float32)


def write_keras(
    path: Path, *, config: Any = CONFIG, weights: Fill | bytes | None = fill, compress: bool = False
) -> Path:
    """Write a `.keras` file; text goes in as it is."""
    if callable(weights):
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            weights(file)
        weights = buffer.getvalue()
    how = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", how) as archive:
        archive.writestr("metadata.json", json.dumps(METADATA))
        if config is not None:
            text = config if isinstance(config, str) else json.dumps(config)
            archive.writestr("config.json", text)
        if weights is not None:
            archive.writestr("model.weights.h5", weights)
    return path


def write_legacy(path: Path, *, config: Any = CONFIG, weights: Fill | None = None) -> Path:
    """Write an HDF5 file of Keras 2."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.3.1"
        if config is not None:
            file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"i", b"d"]
        for name, names in (("i", []), ("d", [b"d/kernel:0", b"d/bias:0"])):
            group.create_group(name).attrs["weight_names"] = names
        group["d/d/kernel:0"] = np.ones((3, 2), np.float32)
        group["d/d/bias:0"] = np.zeros(2, np.float32)
        if weights is not None:
            weights(file)
    return path


def changed(**settings: Any) -> dict[str, Any]:
    """Return the configuration with other settings of its Dense layer."""
    layers = CONFIG["config"]["layers"]
    dense = {"class_name": "Dense", "config": {**DENSE, **settings}}
    return {**CONFIG, "config": {**CONFIG["config"], "layers": [layers[0], dense]}}


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


def truncated(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return path


def make_truncated_hdf5(folder: Path) -> Path:
    return truncated(write_legacy(folder / "m.h5"))


def make_truncated_zip(folder: Path) -> Path:
    return truncated(write_keras(folder / "m.keras"))


def make_damaged_zip(folder: Path) -> Path:
    path = write_keras(folder / "m.keras", compress=True)
    data = bytearray(path.read_bytes())
    start = data.index(b"config.json") + 30
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    return path


def make_wrong_shapes(folder: Path) -> Path:
    return write_keras(folder / "m.keras", config=changed(units=5))


def make_missing_weights(folder: Path) -> Path:
    return write_keras(folder / "m.keras", weights=lambda file: file.create_group("layers"))


def make_missing_legacy_weights(folder: Path) -> Path:
    def forget(file: Any) -> None:
        del file["model_weights/d/d/bias:0"]

    return write_legacy(folder / "m.h5", weights=forget)


def make_missing_weights_file(folder: Path) -> Path:
    return write_keras(folder / "m.keras", weights=None)


def make_missing_config(folder: Path) -> Path:
    return write_keras(folder / "m.keras", config=None)


def make_weights_only(folder: Path) -> Path:
    return write_legacy(folder / "m.h5", config=None)


def make_cyclic_graph(folder: Path) -> Path:
    history = {"class_name": "__keras_tensor__", "config": {"keras_history": ["d", 0, 0]}}
    nodes = [{"args": [history], "kwargs": {}}]
    layers = [{"class_name": "Dense", "name": "d", "config": DENSE, "inbound_nodes": nodes}]
    config = {"name": "m", "layers": layers, "input_layers": [], "output_layers": [["d", 0, 0]]}
    description = {"class_name": "Functional", "config": config}
    return write_keras(folder / "m.keras", config=description)


def make_pickle(folder: Path) -> Path:
    path = folder / "m.h5"
    path.write_bytes(pickle.dumps(Bomb(folder / "mark")))
    return path


def make_old_pickle(folder: Path) -> Path:
    path = folder / "m.keras"
    path.write_bytes(pickle.dumps(Bomb(folder / "mark"), protocol=0))
    return path


def make_torch_archive(folder: Path) -> Path:
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb(folder / "mark")))
    return path


def make_lambda(folder: Path) -> Path:
    code = {"class_name": "__lambda__", "config": {"value": "4wEAAAAAAAAA"}}
    layers = [*CONFIG["config"]["layers"], {"class_name": "Lambda", "config": {"function": code}}]
    layers[-1]["config"]["name"] = "evil"
    return write_keras(folder / "m.keras", config={**CONFIG, "config": {"layers": layers}})


def make_huge_setting(folder: Path) -> Path:
    return write_keras(folder / "m.keras", config=changed(units=2**40))


def make_huge_dataset(folder: Path) -> Path:
    def huge(file: Any) -> None:
        group = file.create_group("layers/dense/vars")
        group.create_dataset("0", (2**20, 2**20), "f4", chunks=(64, 64), compression="gzip")

    return write_keras(folder / "m.keras", weights=huge)


def make_empty_dataset(folder: Path) -> Path:
    def empty(file: Any) -> None:
        group = file.create_group("layers/dense/vars")
        group.create_dataset("0", (2**14, 2**14), "f4", chunks=(2**10, 2**10), fillvalue=1)

    return write_keras(folder / "m.keras", weights=empty)


def make_many_datasets(folder: Path) -> Path:
    def many(file: Any) -> None:
        group = file.create_group("layers/dense/vars")
        for index in range(40):
            shape = (2**11, 2**10)
            group.create_dataset(str(index), shape, "f2", chunks=shape, compression="gzip")

    return write_keras(folder / "m.keras", weights=many)


def make_compressed_dataset(folder: Path) -> Path:
    def zeros(file: Any) -> None:
        group = file.create_group("layers/dense/vars")
        group.create_dataset("0", data=np.zeros((2**12, 2**12), "f4"), compression="gzip")

    return write_keras(folder / "m.keras", weights=zeros)


def make_zip_bomb(folder: Path) -> Path:
    return write_keras(folder / "m.keras", weights=bytes(200 * 2**20), compress=True)


def make_config_bomb(folder: Path) -> Path:
    text = json.dumps(CONFIG)[:-1] + ', "padding": "' + " " * (20 * 2**20) + '"}'
    return write_keras(folder / "m.keras", config=text, compress=True)


def make_external_link(folder: Path) -> Path:
    (folder / "secret.h5").write_bytes(b"secret")

    def link(file: Any) -> None:
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(folder / "secret.h5"), "/x")

    return write_keras(folder / "m.keras", weights=link)


def make_soft_link(folder: Path) -> Path:
    def link(file: Any) -> None:
        fill(file)
        file["layers/dense_1"] = h5py.SoftLink("/layers/dense")

    return write_keras(folder / "m.keras", weights=link)


def make_hard_loop(folder: Path) -> Path:
    def loop(file: Any) -> None:
        fill(file)
        file["layers/dense/again"] = file["layers"]

    return write_keras(folder / "m.keras", weights=loop)


def make_external_storage(folder: Path) -> Path:
    (folder / "secret.bin").write_bytes(bytes(24))

    def external(file: Any) -> None:
        group = file.create_group("layers/dense/vars")
        place = [(str(folder / "secret.bin"), 0, 24)]
        group.create_dataset("0", (3, 2), "f4", external=place)
        group["1"] = np.zeros(2, np.float32)

    return write_keras(folder / "m.keras", weights=external)


def make_virtual_dataset(folder: Path) -> Path:
    def virtual(file: Any) -> None:
        group = file.create_group("layers/dense/vars")
        layout = h5py.VirtualLayout((3, 2), "f4")
        layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "x", (3, 2))
        group.create_virtual_dataset("0", layout)
        group["1"] = np.zeros(2, np.float32)

    return write_keras(folder / "m.keras", weights=virtual)


def make_deep_groups(folder: Path) -> Path:
    def deep(file: Any) -> None:
        fill(file)
        file.create_group("/".join("a" * 1000))

    return write_keras(folder / "m.keras", weights=deep)


def make_config_that_is_no_json(folder: Path) -> Path:
    return write_legacy(folder / "m.h5", config="{'class_name': 'Sequential'")


def make_config_that_is_a_list(folder: Path) -> Path:
    return write_keras(folder / "m.keras", config="[1, 2]")


def make_deep_json(folder: Path) -> Path:
    return write_keras(folder / "m.keras", config="[" * 200_000 + "]" * 200_000)


def make_integers(folder: Path) -> Path:
    def integers(file: Any) -> None:
        group = file.create_group("layers/dense/vars")
        group["0"], group["1"] = np.ones((3, 2), np.int8), np.zeros(2, np.float32)

    return write_keras(folder / "m.keras", weights=integers)


def make_not_finite(folder: Path) -> Path:
    def nan(file: Any) -> None:
        group = file.create_group("layers/dense/vars")
        group["0"], group["1"] = np.ones((3, 2)), np.array([0, np.nan], np.float32)

    return write_keras(folder / "m.keras", weights=nan)


def make_other_names(folder: Path) -> Path:
    def other(file: Any) -> None:
        file.create_group("layers/dense/vars")["kernel"] = np.ones((3, 2))

    return write_keras(folder / "m.keras", weights=other)


def make_encrypted(folder: Path) -> Path:
    path = write_keras(folder / "m.keras")
    data = bytearray(path.read_bytes())
    place = 0
    while (place := data.find(b"PK\x01\x02", place)) >= 0:
        data[place + 8] |= 1
        place += 4
    path.write_bytes(data)
    return path


def make_saved_model(folder: Path) -> Path:
    (folder / "saved").mkdir()
    (folder / "saved/saved_model.pb").write_bytes(b"\x08\x01")
    return folder / "saved"


def make_program(folder: Path) -> Path:
    (folder / "frozen.pb").write_bytes(b"\x0a\x05dense")
    return folder / "frozen.pb"


def make_folder(folder: Path) -> Path:
    return folder


def make_empty_file(folder: Path) -> Path:
    (folder / "m.h5").write_bytes(b"")
    return folder / "m.h5"


def make_text(folder: Path) -> Path:
    (folder / "m.h5").write_text("<html>Sign in to download</html>")
    return folder / "m.h5"


def make_configuration_alone(folder: Path) -> Path:
    (folder / "m.json").write_text(json.dumps(CONFIG))
    return folder / "m.json"


def make_converted(folder: Path) -> Path:
    (folder / "m.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3")
    return folder / "m.tflite"


def make_nothing(folder: Path) -> Path:
    return folder / "missing.keras"
