"""Weights and vocabularies come from where each Keras keeps them."""

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gatelet.convert.reading import SourceModel, read_keras_file, read_weights_with_config
from gatelet.convert.reading.source import SourceLayer
from gatelet.errors import ModelError
from tests.convert.reading.hostile_files import METADATA, write_keras, write_legacy

Entry = dict[str, Any]
TOKENS = ["", "[UNK]", "good", "film", "\u4e2d\x85\u6587"]


def sequential(*layers: Entry, shape: tuple[int | None, ...] = (None, 5, 3)) -> Entry:
    taken = {"class_name": "InputLayer", "config": {"name": "i", "batch_shape": list(shape)}}
    return {"class_name": "Sequential", "config": {"name": "m", "layers": [taken, *layers]}}


def entry(kind: str, name: str, **config: Any) -> Entry:
    return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}


def text_model(path: Path, vocabulary: Any, *, asset: bytes | None, **config: Any) -> Path:
    layer = entry("TextVectorization", "words", vocabulary=vocabulary, **config)
    write_keras(path, config=sequential(layer, shape=(None, 1)), weights=lambda file: None)
    if asset is not None:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("assets/layers/text_vectorization/vocabulary.txt", asset)
    return path


def vocabulary_of(path: Path) -> list[str]:
    found: list[str] = read_keras_file(path).layers["words"].config["vocabulary"]
    return found


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["linux", "windows"])
def test_an_adapted_vocabulary_is_read_from_the_assets(tmp_path: Path, end: str) -> None:
    path = text_model(tmp_path / "m.keras", None, asset=end.join(TOKENS).encode())
    assert vocabulary_of(path) == TOKENS


def test_a_given_vocabulary_is_read_from_the_settings(tmp_path: Path) -> None:
    for given in (TOKENS, TOKENS[2:]):
        path = text_model(tmp_path / "m.keras", given, asset=None)
        assert vocabulary_of(path) == TOKENS


def test_other_output_modes_have_no_padding_token(tmp_path: Path) -> None:
    path = text_model(tmp_path / "m.keras", ["good"], asset=None, output_mode="multi_hot")
    assert vocabulary_of(path) == ["[UNK]", "good"]


def test_a_missing_vocabulary_is_refused(tmp_path: Path) -> None:
    for vocabulary in (None, "words.txt"):
        path = text_model(tmp_path / "m.keras", vocabulary, asset=None)
        with pytest.raises(ModelError, match=r"^layer 'words' \(TextVectorization\): its vocab"):
            read_keras_file(path)


@pytest.mark.parametrize(
    ("lines", "size"),
    [(b"\n[UNK]\na\n\n\nb", None), (b"\n[UNK]\na\nb\na", None), (b"\n[UNK]\na\nb", 3)],
    ids=["the break alone", "twice", "within a token"],
)
def test_a_token_with_a_line_break_is_refused(tmp_path: Path, lines: bytes, size: Any) -> None:
    path = text_model(tmp_path / "m.keras", None, asset=lines, vocabulary_size=size)
    with pytest.raises(ModelError, match="a token holds a line break, which that file cannot keep"):
        read_keras_file(path)


def test_a_vocabulary_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = text_model(tmp_path / "m.keras", None, asset=b"\n[UNK]\ncaf\xe9")
    with pytest.raises(ModelError, match=r"its 'assets/.*vocabulary\.txt' is not UTF-8"):
        read_keras_file(path)


def numbered(*shape: int, start: int) -> Any:
    """Return an array whose values tell it from others."""
    return np.arange(start, start + np.prod(shape), dtype=np.float32).reshape(shape)


def legacy(
    path: Path, config: Entry, layer: str, arrays: dict[str, Any], **attributes: str
) -> SourceModel:
    def write(file: Any) -> None:
        for name, value in attributes.items():
            file.attrs[name] = value
        del file["model_weights"]
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [layer]
        own = group.create_group(layer)
        own.attrs["weight_names"] = list(arrays)
        for name, array in arrays.items():
            own[name] = array

    return read_keras_file(write_legacy(path, config=config, weights=write))


def test_kernels_of_theano_are_turned_round(tmp_path: Path) -> None:
    config = sequential(entry("Conv1D", "c", filters=2, kernel_size=4, use_bias=True))
    kernel, bias = numbered(4, 3, 2, start=0), numbered(2, start=50)
    arrays = {"c/kernel": kernel, "c/bias": bias}
    for backend, expected in (("theano", kernel[::-1]), ("tensorflow", kernel)):
        model = legacy(tmp_path / "m.h5", config, "c", arrays, backend=backend)
        np.testing.assert_array_equal(model.layers["c"].weights[0], expected)
        np.testing.assert_array_equal(model.layers["c"].weights[1], bias)


@pytest.mark.parametrize("version", ["2.15.0", "3.8.0"])
@pytest.mark.parametrize("frozen", ["nothing", "the first layer", "all"])
def test_a_flat_list_is_dealt_out_as_the_keras_that_wrote_it_made_it(
    tmp_path: Path, version: str, frozen: str
) -> None:
    kernel, scale = numbered(3, 2, start=0), [numbered(2, start=10 * i) for i in range(1, 5)]
    last = numbered(2, 2, start=60)
    trainable = frozen != "all"
    inner = sequential(
        entry("Dense", "d", units=2, use_bias=False, trainable=frozen == "nothing"),
        entry("BatchNormalization", "n", trainable=trainable),
        entry("Dense", "e", units=2, use_bias=False, trainable=trainable),
        shape=(None, 3),
    )
    moved = [("n/moving_mean:0", scale[2]), ("n/moving_variance:0", scale[3])]
    first, norm = [("d/kernel:0", kernel)], [("n/gamma:0", scale[0]), ("n/beta:0", scale[1])]
    end = [("e/kernel:0", last)]
    order = {
        "nothing": [*first, *norm, *end, *moved],
        "the first layer": [*norm, *end, *first, *moved],
        "all": [*first, *norm, *moved, *end],
    }[frozen]
    each = entry("TimeDistributed", "t", layer=inner) | {"name": "t"}
    each["config"]["trainable"] = trainable
    config = sequential(each)
    model = legacy(tmp_path / "m.h5", config, "t", dict(order), keras_version=version)
    part = model.layers["t"].parts["layer"]
    assert isinstance(part, SourceLayer)
    nested = part.parts["model"]
    assert isinstance(nested, SourceModel)
    np.testing.assert_array_equal(nested.layers["d"].weights[0], kernel)
    np.testing.assert_array_equal(nested.layers["e"].weights[0], last)
    np.testing.assert_array_equal(np.stack(nested.layers["n"].weights), np.stack(scale))


def test_a_layer_of_two_models_is_stored_once_and_kept_once(tmp_path: Path) -> None:
    shared = entry("Dense", "d", units=3, use_bias=False)
    config = sequential(sequential(shared) | {"name": "one"}, sequential(shared) | {"name": "two"})
    for layer, name in zip(config["config"]["layers"][1:], ("one", "two"), strict=True):
        layer["config"] = {**layer["config"], "name": name}

    def write(file: Any) -> None:
        file["layers/sequential/layers/dense/vars/0"] = numbered(3, 3, start=0)

    model = read_keras_file(write_keras(tmp_path / "m.keras", config=config, weights=write))
    arrays = []
    for layer in model.layers.values():
        part = layer.parts["model"]
        assert isinstance(part, SourceModel)
        arrays.append(part.layers["d"].weights[0])
    assert arrays[0] is arrays[1]


def test_layers_of_one_class_are_counted_in_the_order_of_the_configuration(
    tmp_path: Path,
) -> None:
    names = [f"d{index}" for index in range(12)]
    layers = [entry("Dense", name, units=3, use_bias=False) for name in names]

    def write(file: Any) -> None:
        for index in range(12):
            group = f"layers/dense_{index}" if index else "layers/dense"
            file[f"{group}/vars/0"] = numbered(3, 3, start=index)

    path = write_keras(tmp_path / "m.keras", config=sequential(*layers), weights=write)
    model = read_keras_file(path)
    assert [int(model.layers[name].weights[0][0, 0]) for name in names] == list(range(12))


def test_layers_without_weights_may_have_no_group(tmp_path: Path) -> None:
    layers = [
        entry("BatchNormalization", "bare", scale=False, center=False),
        entry("Dense", "d", units=3, use_bias=False),
        entry("Dense", "e", units=3, use_bias=False),
    ]

    def write(file: Any) -> None:
        file["layers/dense_1/vars/0"] = numbered(3, 3, start=7)

    path = write_keras(tmp_path / "m.keras", config=sequential(*layers), weights=write)
    model = read_keras_file(path)
    assert model.layers["d"].weights == ()
    assert model.layers["e"].weights[0][0, 0] == 7


@pytest.mark.parametrize("entry_left", ["a group without a list", "no group", "no name"])
def test_layers_without_weights_need_no_entry_in_a_flat_file(
    tmp_path: Path, entry_left: str
) -> None:
    layers = [entry("Dense", "d", units=2), entry("Dropout", "drop", rate=0.5)]

    def write(file: Any) -> None:
        group = file["model_weights"]
        named = [b"d"] if entry_left == "no name" else [b"d", b"drop"]
        group.attrs["layer_names"] = named
        if entry_left == "a group without a list":
            group.create_group("drop")

    path = write_legacy(tmp_path / "m.h5", config=sequential(*layers), weights=write)
    model = read_keras_file(path)
    assert [len(one.weights) for one in model.layers.values()] == [2, 0]


@pytest.mark.parametrize("left", ["a group without a list", "no group"])
def test_layers_with_weights_need_their_list(tmp_path: Path, left: str) -> None:
    def write(file: Any) -> None:
        del file["model_weights/d"].attrs["weight_names"]
        if left == "no group":
            del file["model_weights/d"]

    path = write_legacy(tmp_path / "m.h5", weights=write)
    with pytest.raises(ModelError, match=r"the weights of layer 'd'|those of 'd' are missing"):
        read_keras_file(path)


@pytest.mark.parametrize(("word", "version"), [("batch_input_shape", "2"), ("batch_shape", "3")])
def test_a_file_without_metadata_tells_its_version_by_its_words(
    tmp_path: Path, word: str, version: str
) -> None:
    path, bare = write_keras(tmp_path / "m.keras"), tmp_path / "bare.keras"
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(bare, "w") as archive:
        config = whole.read("config.json").replace(b"batch_shape", word.encode())
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", whole.read("model.weights.h5"))
    model = read_keras_file(bare)
    assert model.keras_version == version
    assert len(model.layers["d"].weights) == 2


@pytest.mark.parametrize("told", ["in the weights", "in the configuration", "in neither"])
def test_the_version_is_that_of_the_keras_that_trained_the_weights(
    tmp_path: Path, told: str
) -> None:
    def write(file: Any) -> None:
        if told != "in the weights":
            del file.attrs["keras_version"]

    weights = write_legacy(tmp_path / "m.h5", config=None, weights=write)
    anew = sequential(entry("Dense", "d", units=2) | {"module": "keras.layers"})
    anew |= {} if told == "in neither" else {"keras_version": "3.9.0"}
    anew |= {"module": "keras"}
    (tmp_path / "m.json").write_text(json.dumps(anew))
    model = read_weights_with_config(weights, tmp_path / "m.json")
    expected = {"in the weights": "2.3.1", "in the configuration": "3.9.0", "in neither": "3"}
    assert model.keras_version == expected[told]


def test_members_may_have_backslashes(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    layer = entry("TextVectorization", "words", vocabulary=None)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps(METADATA))
        archive.writestr("config.json", json.dumps(sequential(layer, shape=(None, 1))))
        with h5py.File(tmp_path / "w.h5", "w") as file:
            file.create_group("layers\\text_vectorization\\vars")
        archive.write(tmp_path / "w.h5", "model.weights.h5")
        info = zipfile.ZipInfo("x")
        info.filename = "assets\\layers\\text_vectorization\\vocabulary.txt"
        archive.writestr(info, "\n".join(TOKENS))
    assert vocabulary_of(path) == TOKENS
