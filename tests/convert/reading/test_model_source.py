"""What can be converted: files of every Keras, and live models."""

import json
from pathlib import Path
from typing import Any

import pytest

from gatelet.convert import convert
from gatelet.convert.reading.model_source import open_source
from gatelet.errors import ModelError, UnsupportedLayer
from tests.late import keras, layers

# Keras' own, with NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

OLD = Path(__file__).parent / "files" / "keras-2.2.4-sequential.h5"


def functional(kind: Any = None) -> Any:
    x = keras.Input((4, 3))
    return (kind or keras.Model)(x, layers.LSTM(2)(x))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_file_keeps_its_bytes_and_the_suffix_that_keras_knows_it_by(
    tmp_path: Path, suffix: str
) -> None:
    functional().save(tmp_path / f"saved{suffix}")
    path = (tmp_path / f"saved{suffix}").rename(tmp_path / "model.bin")
    source = open_source(str(path))
    assert source.name == "model"
    assert source.keras_suffix == suffix
    assert source.keras_file == path.read_bytes()
    assert [layer.class_name for layer in source.model.layers.values()] == ["LSTM"]


def test_a_live_model_is_saved_for_the_verdict_of_keras() -> None:
    source = open_source(functional())
    assert source.keras_suffix == ".keras"
    assert source.model.keras_version == keras.__version__


def test_a_layer_that_reads_texts_becomes_the_vectorizer() -> None:
    texts = keras.Input((1,), dtype="string")
    words = layers.TextVectorization(vocabulary=["good", "bad"], output_sequence_length=4)
    x = layers.Embedding(4, 3)(words(texts))
    source = open_source(keras.Model(texts, layers.LSTM(2)(x)))
    assert source.takes_texts and source.vectorizer is not None
    assert source.vectorizer.pad("Bad, unknown!") == [3, 1, 0, 0]
    assert [one.class_name for one in source.model.layers.values()] == ["Embedding", "LSTM"]
    other = open_source(functional())
    assert not other.takes_texts and other.vectorizer is None


def test_a_live_model_that_cannot_be_saved_is_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(self: Any, path: Path) -> None:
        raise ValueError("not today")

    monkeypatch.setattr(keras.Model, "save", fail)
    source = open_source(functional())
    assert source.keras_file is None
    assert len(source.model.calls) == 1


def test_a_subclass_may_train_in_its_own_way() -> None:
    class Trained(keras.Model):  # type: ignore[misc]
        def train_step(self, data: Any) -> Any:
            return super().train_step(data)

    assert len(open_source(functional(Trained)).model.calls) == 1


def test_a_subclass_that_computes_in_its_own_way_is_refused() -> None:
    class Computed(keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x + 1

    model = Computed()
    model(keras.ops.ones((1, 2)))
    with pytest.raises(UnsupportedLayer, match=r"\(Computed\) computes in its own `call`"):
        open_source(model)


def test_other_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="expected a Keras model, a file or a run, got list"):
        open_source([1, 2])


def test_a_model_that_is_not_built_is_refused() -> None:
    with pytest.raises(ModelError, match="does not tell its input shape: build the model"):
        open_source(keras.Sequential([layers.LSTM(2)]))


def test_a_model_of_keras_2_is_verified_by_its_own_rules(tmp_path: Path) -> None:
    bundle = convert(OLD, tmp_path / "bundle", targets=["onnx"], schemes=["float32"])
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert bundle.verdict == "pass"
    assert manifest["provenance"]["keras_of_model"] == "2.2.4"
    assert "keras_refusal" not in manifest["provenance"]
    (artifact,) = manifest["artifacts"]
    (check,) = [one for one in artifact["parity"]["checks"] if one["name"] == "graph_keras"]
    assert check["verdict"] == "pass"
    assert "with the rules of Keras 2.2.4 put in: hard_sigmoid: " in check["note"]
    assert manifest["source"].endswith(".h5")
    assert (tmp_path / "bundle" / manifest["source"]).read_bytes() == OLD.read_bytes()
