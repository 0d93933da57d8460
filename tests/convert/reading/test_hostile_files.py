"""Damaged and hostile files are refused by one sentence, in bounded memory, and run nothing."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.lowering import lower
from gatelet.convert.reading import hdf5, keras_file, read_keras_file, read_weights_with_config
from gatelet.errors import ModelError, UnsupportedLayer
from tests.convert.reading import hostile_files as hostile
from tests.convert.reading.hostile_files import CONFIG, DENSE, changed, write_keras, write_legacy

MEMORY_LIMIT_BYTES = 64 * 2**20


def test_the_files_without_their_faults_are_read(tmp_path: Path) -> None:
    for path in (write_keras(tmp_path / "m.keras"), write_legacy(tmp_path / "m.h5")):
        assert [node.op for node in lower(read_keras_file(path)).nodes] == ["Dense"]


CASES: dict[Callable[[Path], Path], str] = {
    hostile.make_truncated_hdf5: "is damaged: its HDF5 part cannot be read",
    hostile.make_truncated_zip: "is damaged: File is not a zip file",
    hostile.make_damaged_zip: "is damaged: ",
    hostile.make_wrong_shapes: "layer 'd' (Dense): its kernel should be [3, 5], the file has [3",
    hostile.make_missing_weights: "layer 'd' (Dense) needs 2 weights (kernel, bias), the file",
    hostile.make_missing_legacy_weights: "damaged: it holds no weights 'model_weights/d/d/bias:0'",
    hostile.make_missing_weights_file: "is no .keras file: it holds no 'model.weights.h5'",
    hostile.make_missing_config: "is no .keras file: it holds no 'config.json'",
    hostile.make_weights_only: "weights only, no configuration: give what model.to_json() gave too",
    hostile.make_cyclic_graph: "is cyclic: layer 'd' needs its own output",
    hostile.make_pickle: "is a pickle, and a pickled model is its code, which is never run",
    hostile.make_old_pickle: "is a pickle, and a pickled model is its code, which is never run",
    hostile.make_torch_archive: "is a pickle, and a pickled model is its code, which is never run",
    hostile.make_lambda: "layer 'evil' (Lambda) holds Python code, which is never run",
    hostile.make_huge_setting: "layer 'd' (Dense) has units = 1099511627776, 268,435,456 elem",
    hostile.make_huge_dataset: "are [1048576, 1048576], and with them all weights are over",
    hostile.make_empty_dataset: "and those before, claim 1,073,741,824 bytes, and 0 are stored",
    hostile.make_many_datasets: "and those before, claim 25,165,824 bytes, and 0 are stored",
    hostile.make_compressed_dataset: "and those before, claim 67,108,864 bytes, and ",
    hostile.make_zip_bomb: "its 'model.weights.h5' claims 209,715,200 bytes in",
    hostile.make_config_bomb: "its 'config.json' claims 20,971,",
    hostile.make_external_link: "'layers/dense/vars/0' is a link to another place",
    hostile.make_soft_link: "'layers/dense_1' is a link to another place",
    hostile.make_hard_loop: "'layers/dense/again' is another name for what it already has",
    hostile.make_external_storage: "the weights 'layers/dense/vars/0' lie in other files",
    hostile.make_virtual_dataset: "the weights 'layers/dense/vars/0' lie in other files",
    hostile.make_deep_groups: "its groups are nested deeper than 64",
    hostile.make_config_that_is_no_json: "is damaged: it is no valid JSON",
    hostile.make_config_that_is_a_list: "is damaged: it is no JSON object",
    hostile.make_deep_json: "is refused: it is nested too deeply",
    hostile.make_integers: "the weights 'layers/dense/vars/0' are int8, expected floats",
    hostile.make_not_finite: "layer 'd' (Dense): its weight 1 of 2, [2], is not all finite",
    hostile.make_other_names: "the weights in 'layers/dense/vars' have names that no Keras layer",
    hostile.make_encrypted: "is encrypted: unpack it and save it without a password",
    hostile.make_saved_model: "is a SavedModel, which holds a program and no layers: load it where",
    hostile.make_program: "is a TensorFlow program without layers: load it where",
    hostile.make_folder: "is a folder but no run (no run.json): give a run or a .keras or .h5 file",
    hostile.make_empty_file: "is empty: get the file again",
    hostile.make_text: "is no Keras model (neither a .keras file nor HDF5)",
    hostile.make_configuration_alone: "is JSON, a configuration without weights perhaps",
    hostile.make_converted: "is converted to LiteRT already",
    hostile.make_nothing: "cannot read the model",
}
NAMES = {make: make.__name__.removeprefix("make_") for make in CASES}

# what a process does with each of some files: the error's class and text, and how much its
# largest size in memory has grown
CHILD = """
import json, resource, sys
from pathlib import Path
from gatelet.convert.lowering import lower
from gatelet.convert.reading import read_keras_file
from gatelet.errors import GateletError
import h5py, numpy

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

for path in json.load(sys.stdin):
    before = peak()
    try:
        lower(read_keras_file(Path(path)))
        found = ["nothing", ""]
    except GateletError as error:
        found = [type(error).__name__, str(error)]
    print(json.dumps([*found, peak() - before]))
assert not {"keras", "tensorflow", "tf_keras"} & set(sys.modules), "reading needs no Keras"
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str, str, int]]:
    """Read every file in one process, that of the largest memory last."""
    paths = {}
    for make, name in NAMES.items():
        folder = tmp_path_factory.mktemp(name)
        paths[name] = make(folder)
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        check=False,
        input=json.dumps([str(path) for path in paths.values()]),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {name: (path, *found) for (name, path), found in zip(paths.items(), lines, strict=True)}


@pytest.mark.parametrize(("make", "sentence"), CASES.items(), ids=NAMES.values())
def test_refuses_by_a_sentence_in_bounded_memory(
    outcomes: dict[str, tuple[Path, str, str, int]],
    make: Callable[[Path], Path],
    sentence: str,
) -> None:
    path, kind, message, grown_bytes = outcomes[NAMES[make]]
    assert kind == ("UnsupportedLayer" if make is hostile.make_lambda else "ModelError")
    assert sentence in message
    assert len(message) < 600
    assert "\n" not in message
    assert grown_bytes < MEMORY_LIMIT_BYTES
    assert not (path.parent / "mark").exists(), "code of the file ran"


def test_a_pickle_would_have_run_code(tmp_path: Path) -> None:
    pickle.loads(hostile.make_pickle(tmp_path).read_bytes())
    assert (tmp_path / "mark").exists()


def test_attributes_are_measured_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_legacy(tmp_path / "m.h5")
    monkeypatch.setattr(hdf5, "MAX_ATTRIBUTE_BYTES", 300)
    with pytest.raises(ModelError, match=r"the attribute '\w+' of '/' may take [\d,]+ bytes, 300"):
        read_keras_file(path)


def test_objects_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "MAX_OBJECTS", 3)
    with pytest.raises(ModelError, match="it has more than 3 groups and datasets"):
        read_keras_file(write_keras(tmp_path / "m.keras"))


def test_the_list_of_members_is_measured_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras_file, "MAX_DIRECTORY_BYTES", 100)
    with pytest.raises(ModelError, match=r"its list of members has \d+ bytes, 100 is the most"):
        read_keras_file(write_keras(tmp_path / "m.keras"))


def test_all_weights_together_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "MAX_WEIGHTS_BYTES", 30)
    with pytest.raises(ModelError, match=r"are \[2\], and with them all weights are over 30 bytes"):
        read_keras_file(write_keras(tmp_path / "m.keras"))


@pytest.mark.parametrize("stored", ["f2", "f8", "bfloat16"])
def test_weights_of_other_precisions_become_float32(tmp_path: Path, stored: str) -> None:
    values = np.array([[0.5, -2], [3, 1.5], [-0.25, 8]], np.float32)

    def write(file: Any) -> None:
        group = file.create_group("layers/dense/vars")
        if stored == "bfloat16":
            halves = (values.view("<u4") >> 16).astype("<u2").view("V2")
            group.create_dataset("0", data=halves).attrs["dtype"] = "bfloat16"
        else:
            group["0"] = values.astype(stored)
        group["1"] = np.zeros(2, stored if stored != "bfloat16" else "f4")

    model = read_keras_file(write_keras(tmp_path / "m.keras", weights=write))
    kernel = model.layers["d"].weights[0]
    assert kernel.dtype == np.float32
    np.testing.assert_array_equal(kernel, values)


@pytest.mark.parametrize("content", ["", "[]", "no json"])
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    weights, config = write_legacy(tmp_path / "m.h5", config=None), tmp_path / "m.json"
    config.write_text(content)
    with pytest.raises(ModelError, match=r"m\.json' is damaged: it is no "):
        read_weights_with_config(weights, config)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    weights, config = write_legacy(tmp_path / "m.h5", config=None), tmp_path / "m.json"
    lstm = {"class_name": "LSTM", "config": {"name": "l", "units": 2}}
    layers = [*CONFIG["config"]["layers"], lstm]
    config.write_text(json.dumps({**CONFIG, "config": {"layers": layers}}))
    with pytest.raises(ModelError, match="has weights of 1 layers, the architecture needs those"):
        read_weights_with_config(weights, config)


def test_weights_in_another_order_than_the_configuration_are_refused(tmp_path: Path) -> None:
    inner = {"class_name": "Dense", "config": {**DENSE, "name": "in"}}
    each = {"class_name": "TimeDistributed", "config": {"name": "d", "layer": inner}}
    config = {**CONFIG, "config": {"layers": [CONFIG["config"]["layers"][0], each]}}

    def swap(file: Any) -> None:
        file["model_weights/d"].attrs["weight_names"] = [b"d/bias:0", b"d/kernel:0"]

    with pytest.raises(ModelError, match="has a weight 'd/d/bias:0' where its configuration has a"):
        read_keras_file(write_legacy(tmp_path / "m.h5", config=config, weights=swap))


def test_a_custom_class_with_the_name_of_a_layer_is_refused(tmp_path: Path) -> None:
    config = changed()
    config["config"]["layers"][1] |= {"module": "theirs", "registered_name": "theirs>Dense"}
    with pytest.raises(UnsupportedLayer, match=r"layer 'd' \(theirs>Dense\) is a custom class"):
        read_keras_file(write_keras(tmp_path / "m.keras", config=config))
