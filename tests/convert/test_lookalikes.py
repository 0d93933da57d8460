"""What has the name of one of Keras' own and is not, and what a file leaves open, is told."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert import convert
from gatelet.convert.lowering import LOWERINGS
from gatelet.convert.reading import read_keras_file
from gatelet.convert.reading.classes import MODEL_CLASSES
from gatelet.convert.reading.lookalikes import COMMON_LAYERS, own_setting
from gatelet.convert.reading.vectorizer_files import Padding, read_vectorizer
from gatelet.errors import ConfigError, DataError, ModelError, UnsupportedLayer
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.truth import label_ids_of
from gatelet.runtime.predictor.loading import load
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.convert.reading.hostile_files import changed, write_legacy

# Keras 3 on NumPy 2, when it saves or reads a variable
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def convert_quietly(model: Any, out: Path) -> Any:
    return convert(model, out, targets=["onnx"], schemes=["float32"], with_keras=False)


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("own", ["GRU", "Dense"])
def test_a_custom_class_with_the_name_of_a_layer_is_refused(
    keras: Any, tmp_path: Path, own: str, saved: bool
) -> None:
    base = getattr(keras.layers, own)

    def of_a_layer(self: Any, inputs: Any) -> Any:
        return 3 * base.call(self, inputs)

    def of_a_recurrence(self: Any, sequences: Any, initial_state: Any = None) -> Any:
        return 3 * base.call(self, sequences, initial_state)

    call = of_a_recurrence if own == "GRU" else of_a_layer
    custom: Any = type(own, (base,), {"call": call})
    layers = {"GRU": [custom(3)], "Dense": [keras.layers.LSTM(3), custom(2)]}[own]
    model = keras.Sequential([keras.Input((4, 2)), *layers])
    if saved:
        model.save(tmp_path / "model.keras")
    with pytest.raises(UnsupportedLayer, match=f"{own}.*custom class"):
        convert_quietly(tmp_path / "model.keras" if saved else model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_activation_of_ones_own_with_a_name_of_keras_is_refused(
    keras: Any, tmp_path: Path
) -> None:
    def mish(x: Any) -> Any:
        return x * 0.1

    model = keras.Sequential([keras.Input((4, 2)), keras.layers.LSTM(3, activation=mish)])
    with pytest.raises(UnsupportedLayer, match=r"activation 'mish'.*not Keras' own"):
        convert_quietly(model, tmp_path / "out")


def test_keras_own_mish_is_taken(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4, 2)), keras.layers.LSTM(3, activation="mish")])
    assert convert_quietly(model, tmp_path / "out").verdict == "pass"


def test_texts_of_another_encoding_are_refused(keras: Any, tmp_path: Path) -> None:
    layer = keras.layers.TextVectorization(
        vocabulary=["a", "b"], output_sequence_length=4, encoding="latin-1"
    )
    layers = [keras.Input((1,), dtype="string"), layer, keras.layers.Embedding(4, 3)]
    model = keras.Sequential([*layers, keras.layers.LSTM(2)])
    with pytest.raises(UnsupportedLayer, match="encoding='latin-1'; supported: 'utf-8'"):
        convert_quietly(model, tmp_path / "out")


def test_the_first_output_has_the_labels(keras: Any, tmp_path: Path) -> None:
    x = keras.Input((4, 2))
    h = keras.layers.LSTM(3)(x)
    heads = [keras.layers.Dense(n, activation=a)(h) for n, a in ((1, "sigmoid"), (3, "softmax"))]
    for outputs, labels in ((heads, 2), (heads[::-1], 3), ([h, heads[1]], 0)):
        bundle = convert_quietly(keras.Model(x, outputs), tmp_path / f"{labels}")
        assert len(bundle.labels) == labels


def test_ids_with_an_axis_of_sentences_convert(keras: Any, tmp_path: Path) -> None:
    sentence = keras.Sequential(
        [keras.Input((6,), dtype="int32"), keras.layers.Embedding(20, 3), keras.layers.LSTM(4)]
    )
    x = keras.Input((4, 6), dtype="int32")
    y = keras.layers.LSTM(3)(keras.layers.TimeDistributed(sentence)(x))
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(y))
    assert convert_quietly(model, tmp_path / "out").verdict == "pass"
    ids = np.random.default_rng(1).integers(0, 20, (5, 4, 6), np.int32)
    assert np.allclose(load(tmp_path / "out").scores(ids), model(ids), atol=1e-5)


def test_the_sides_of_a_tokenizer_are_told_and_can_be_set(keras: Any, tmp_path: Path) -> None:
    from keras.src.legacy.preprocessing.text import Tokenizer

    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(["a good film"])
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_json())
    layers = [keras.layers.Embedding(9, 3), keras.layers.LSTM(2)]
    model = keras.Sequential([keras.Input((None,), dtype="int32"), *layers])
    model.save(tmp_path / "model.keras")
    read: Callable[..., Any] = read_vectorizer
    paths = (tmp_path / "tokenizer.json", tmp_path / "model.keras")
    with pytest.raises(ModelError, match="give --maxlen"):
        read(*paths)
    told: list[str] = []
    found = read(*paths, padded=Padding(5, "post"), progress=told.append)
    assert (found.maxlen, found.padding, found.truncating) == (5, "post", "pre")
    assert "padding 'post', truncating 'pre'" in told[0]
    assert read(*paths, padded=Padding(5, "pre", "post"), progress=told.append)
    assert len(told) == 1
    Vectorizer.from_keras_tokenizer(paths[0], maxlen=3).save(tmp_path / "ours.json")
    with pytest.raises(ConfigError, match="of its own"):
        read(tmp_path / "ours.json", paths[1], padded=Padding(5))


def test_one_hot_labels_are_understood_and_others_refused() -> None:
    x = np.zeros((3, 4, 2), np.float32)
    names = ("0", "1", "2")
    assert label_ids_of(Arrays((x,), np.eye(3)[[2, 0, 1]], "x.npz"), names) == [2, 0, 1]
    assert label_ids_of(Arrays((x,), np.array([2, 0, 1]), "x.npz"), names) == [2, 0, 1]
    for wrong in (np.ones((3, 3)), np.eye(3)[:, :2], np.zeros((3, 8))):
        with pytest.raises(DataError, match="expected one label, or 3 of which one is 1"):
            label_ids_of(Arrays((x,), wrong, "x.npz"), names)


def test_a_setting_that_keras_has_not_tells_a_custom_class_where_no_module_does(
    tmp_path: Path,
) -> None:
    path = write_legacy(tmp_path / "m.h5", config=changed(factor=3))
    with pytest.raises(UnsupportedLayer, match=r"'d' \(Dense\) has the setting 'factor', so it is"):
        read_keras_file(path)
    assert read_keras_file(path, equivalents={"d": "Dense"}).layers["d"].stored_class == "Dense"
    assert read_keras_file(write_legacy(tmp_path / "n.h5")).layers["d"].stored_class == ""


def test_a_weight_that_keras_names_otherwise_tells_a_custom_class(tmp_path: Path) -> None:
    def rename(file: Any) -> None:
        group = file["model_weights/d"]
        group.attrs["weight_names"] = [b"d/W:0", b"d/bias_1:0"]
        group["d/W:0"] = np.ones((3, 2), np.float32)
        group["d/bias_1:0"] = np.zeros(2, np.float32)

    path = write_legacy(tmp_path / "m.h5", weights=rename)
    with pytest.raises(UnsupportedLayer, match=r"'d' \(Dense\) has a weight 'W', which Keras' own"):
        read_keras_file(path)
    assert read_keras_file(path, equivalents={"d": "Dense"}).layers["d"].weights[0].shape == (3, 2)


def test_what_keras_itself_has_is_known(keras: Any) -> None:
    assert set(LOWERINGS) - {*MODEL_CLASSES} == COMMON_LAYERS
    for name in COMMON_LAYERS:
        kind = getattr(keras.layers, name, None)
        settings = () if kind is None else inspect.signature(kind.__init__).parameters
        assert own_setting(dict.fromkeys({*settings} - {"self", "kwargs"})) == "", name
