"""The same network in the files of several Keras gives the same Graph."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gatelet.convert.lowering import lower
from gatelet.convert.reading import read_keras_file, read_weights_with_config
from gatelet.convert.tolerances import FLOAT32_FLOOR
from gatelet.runtime.backends.reference import run_graph
from gatelet.runtime.graph.graph import Graph, graph_from_json
from gatelet.runtime.graph.safetensors import read
from tests.convert.reading.keras_2_2 import write_keras_2_2
from tests.convert.reading.same_network import inputs

Change = Callable[[Any, Any], None]

FILES = Path(__file__).parent / "files"
OLD_FILES = sorted(path for path in FILES.iterdir() if path.suffix in (".h5", ".keras"))


def assert_same(actual: Graph, expected: Graph) -> None:
    assert actual.to_json() == expected.to_json()
    assert actual.weights == expected.weights


def network_of(folder: Path) -> Graph:
    return lower(read_keras_file(folder / "network.keras"))


def test_keras_files_predict_what_keras_does(keras_3: Path, tf_keras: Path) -> None:
    for folder in (keras_3, tf_keras):
        graph = network_of(folder)
        given = dict(zip((one.name for one in graph.inputs), inputs(), strict=True))
        found = run_graph(graph, given)
        with np.load(folder / "predicted.npz") as predicted:
            for output, key in zip(graph.outputs, predicted, strict=True):
                np.testing.assert_allclose(found[output], predicted[key], atol=FLOAT32_FLOOR)


def test_versions_are_exact(keras_3: Path, tf_keras: Path) -> None:
    import keras

    assert read_keras_file(keras_3 / "network.keras").keras_version == keras.__version__
    assert read_keras_file(keras_3 / "network.h5").keras_version == keras.__version__
    versions = {
        read_keras_file(tf_keras / name).keras_version for name in ("network.keras", "network.h5")
    }
    assert {version[:2] for version in versions} == {"2."}


@pytest.mark.parametrize("name", ["network.keras", "network.h5"])
@pytest.mark.parametrize("writer", ["keras_3", "tf_keras"])
def test_every_format_gives_the_same_graph(
    request: pytest.FixtureRequest, keras_3: Path, writer: str, name: str
) -> None:
    folder = request.getfixturevalue(writer)
    assert_same(lower(read_keras_file(folder / name)), network_of(keras_3))


def test_a_file_in_the_dialect_of_keras_2_2_gives_the_same_graph(
    keras_3: Path, tmp_path: Path
) -> None:
    write_keras_2_2(tmp_path / "old.h5")
    model = read_keras_file(tmp_path / "old.h5")
    assert model.keras_version == "2.2.4"
    assert_same(lower(model), network_of(keras_3))


def test_long_lists_of_names_come_in_pieces(keras_3: Path, tmp_path: Path) -> None:
    write_keras_2_2(tmp_path / "old.h5", chunk_names=True)
    assert_same(lower(read_keras_file(tmp_path / "old.h5")), network_of(keras_3))


@pytest.mark.parametrize("prefix", ["a b/c>d ", "\u4e2d\U0001f600/", "..//", "x\\y", "0:1:"])
def test_layers_may_have_any_name(keras_3: Path, tmp_path: Path, prefix: str) -> None:
    write_keras_2_2(tmp_path / "old.h5", lambda name: prefix + name)
    graph = lower(read_keras_file(tmp_path / "old.h5"))
    expected = network_of(keras_3)
    assert graph.weights == expected.weights
    assert [node.op for node in graph.nodes] == [node.op for node in expected.nodes]
    assert f"{prefix}gru" in {node.source for node in graph.nodes}


@pytest.mark.parametrize("writer", ["keras_3", "tf_keras"])
def test_a_live_model_gives_the_same_graph(
    request: pytest.FixtureRequest, keras_3: Path, writer: str
) -> None:
    folder = request.getfixturevalue(writer)
    weights = read(folder / "live.safetensors")
    live = graph_from_json((folder / "live.json").read_text(), weights, name="live")
    assert_same(live, network_of(keras_3))


@pytest.mark.parametrize("weights", ["network.weights.h5", "network.h5", "network.keras"])
@pytest.mark.parametrize("writer", ["keras_3", "tf_keras"])
def test_weights_beside_their_configuration_give_the_same_graph(
    request: pytest.FixtureRequest, keras_3: Path, writer: str, weights: str
) -> None:
    folder = request.getfixturevalue(writer)
    model = read_weights_with_config(folder / weights, folder / "network.json")
    assert_same(lower(model), network_of(keras_3))


def test_names_do_not_matter_and_contents_do(keras_3: Path, tmp_path: Path) -> None:
    shutil.copy(keras_3 / "network.h5", tmp_path / "network.keras")
    shutil.copy(keras_3 / "network.keras", tmp_path / "network.hdf5")
    for name in ("network.keras", "network.hdf5"):
        assert_same(lower(read_keras_file(tmp_path / name)), network_of(keras_3))


@pytest.mark.parametrize("writer", ["keras_3", "tf_keras"])
def test_files_from_windows_have_backslashes(
    request: pytest.FixtureRequest, keras_3: Path, tmp_path: Path, writer: str
) -> None:
    folder = request.getfixturevalue(writer)
    path = with_weights_of(folder / "network.keras", tmp_path, _with_backslashes)
    assert_same(lower(read_keras_file(path)), network_of(keras_3))


def test_groups_are_found_by_the_names_that_they_note(keras_3: Path, tmp_path: Path) -> None:
    path = with_weights_of(keras_3 / "network.keras", tmp_path, _with_other_groups)
    assert_same(lower(read_keras_file(path)), network_of(keras_3))


@pytest.mark.parametrize("path", OLD_FILES, ids=lambda path: path.name)
def test_old_files_predict_what_the_keras_that_wrote_them_did(path: Path) -> None:
    model = read_keras_file(path)
    assert path.name.startswith(f"keras-{model.keras_version}-")
    graph = lower(model)
    with np.load(path.with_suffix(".npz")) as stored:
        given = {one.name: stored[f"x{i}"] for i, one in enumerate(graph.inputs)}
        found = run_graph(graph, given)
        for i, output in enumerate(graph.outputs):
            np.testing.assert_allclose(found[output], stored[f"y{i}"], atol=FLOAT32_FLOOR)


def with_weights_of(path: Path, folder: Path, change: Change) -> Path:
    """Copy a `.keras` file with other weights."""
    made = folder / "changed.keras"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
        for name in ("metadata.json", "config.json"):
            new.writestr(name, old.read(name))
        before, after = folder / "before.h5", folder / "after.h5"
        before.write_bytes(old.read("model.weights.h5"))
        with h5py.File(before) as source, h5py.File(after, "w") as target:
            change(source, target)
        new.write(after, "model.weights.h5")
    return made


def _with_backslashes(source: Any, target: Any) -> None:
    def copy(path: str, found: Any) -> None:
        folder, _, last = path.rpartition("/vars")
        if folder:
            name = folder.replace("/", "\\")
            group = target.require_group(name).require_group("vars")
            if isinstance(found, h5py.Dataset):
                group[last.removeprefix("/")] = found[()]

    source.visititems(copy)


def _with_other_groups(source: Any, target: Any) -> None:
    for index, name in enumerate(reversed(list(source["layers"]))):
        source.copy(f"layers/{name}", target, f"layers/lstm_{index}")
