"""Past the Graph: models with layers that it does not know, with Keras as the oracle."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from gatelet.convert import convert, convert_with_report
from gatelet.convert.parity import Settings
from gatelet.convert.proving import prove
from gatelet.errors import (
    BundleError,
    ConfigError,
    ConversionError,
    GateletError,
    ModelError,
    UnsupportedLayer,
)
from gatelet.runtime import load, open_bundle

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def attention(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of an LSTM with attention behind it."""
    k = keras
    k.utils.set_random_seed(3)
    x = k.Input((12,), dtype="int32")
    h = k.layers.LSTM(6, return_sequences=True)(k.layers.Embedding(50, 8)(x))
    y = k.layers.GlobalAveragePooling1D()(k.layers.MultiHeadAttention(2, 4)(h, h))
    path = tmp_path_factory.mktemp("models") / "attention.keras"
    k.Model(x, k.layers.Dense(3, activation="softmax")(y)).save(path)
    return path


@pytest.fixture(scope="module")
def bundle(attention: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "attention"
    _, report = convert_with_report(attention, path, route="keras")
    assert report.verdict == "pass"
    assert report.oracles[0].startswith("keras ")
    return path


def test_the_graph_refuses_it_and_names_the_way_out(attention: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedLayer, match=r"MultiHeadAttention.*--route keras"):
        convert(attention, tmp_path / "b")


def test_every_artifact_gives_what_keras_gives(keras: Any, attention: Path, bundle: Path) -> None:
    ids = np.random.default_rng(1).integers(0, 50, (5, 12)).astype(np.int32)
    right = np.asarray(keras.saving.load_model(attention)(ids))
    for target in ("litert", "onnx"):
        found = load(bundle, target=target, scheme="float32")
        assert np.abs(np.asarray(found.scores(ids)) - right).max() < 1e-5
        assert [one.label for one in found.predict(ids)] == [str(i) for i in right.argmax(axis=1)]


def test_the_manifest_says_so(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["route"] == "keras"
    assert manifest["graph"] is None and manifest["weights"] is None
    assert manifest["interface"]["inputs"] == [
        {"name": "ids", "dtype": "int32", "shape": [None, 12], "vocabulary": 50}
    ]
    assert {one["route"] for one in manifest["artifacts"]} == {"keras"}
    # the LSTM needs a fixed batch in LiteRT, and would be a Loop with one in ONNX
    batches = {(one["target"], one["scheme"]): one["batch"] for one in manifest["artifacts"]}
    assert batches == {
        ("litert", "float32"): 1,
        ("litert", "dynamic-int8"): 1,
        ("onnx", "float32"): None,
    }
    schema = json.loads((ROOT / "docs" / "bundle.schema.json").read_text())
    jsonschema.validate(manifest, schema)


def test_what_needs_the_graph_says_that_there_is_none(bundle: Path) -> None:
    for call in (
        lambda: open_bundle(bundle).graph(),
        lambda: load(bundle, target="reference"),
        lambda: load(bundle, target="pure"),
    ):
        with pytest.raises(BundleError, match=r"past the Graph .*so it has none"):
            call()
    with pytest.raises(GateletError, match=r"outside the model.s vocabulary 0\.\.49"):
        load(bundle).scores([[50] * 12])


def test_limits_of_ones_own_hold_without_a_graph_too(bundle: Path) -> None:
    asked = Settings(atol=1e-30, max_accuracy_drop=0.01, max_flips=0.0)
    report = prove(open_bundle(bundle), with_keras=False, settings=asked)
    for one in report.artifacts:
        checks = {check.name: check for check in one.checks}
        assert checks["scores_atol"].limit == 1e-30
        drop = next(c for n, c in checks.items() if n in ("accuracy_drop", "mae_rise"))
        assert (drop.verdict, drop.limit) == ("undecided", 0.01)
        assert "without a Graph" in drop.note


def test_parity_asks_keras_again_and_else_the_golden_vectors(
    attention: Path, bundle: Path, tmp_path: Path
) -> None:
    assert prove(open_bundle(bundle)).verdict == "pass"
    report = prove(open_bundle(bundle), with_keras=False)
    assert (report.oracles, report.verdict) == (("golden vectors",), "pass")


@pytest.mark.parametrize("what", ["vocabulary", "no outputs", "graph too"])
def test_a_damaged_interface_is_refused(bundle: Path, tmp_path: Path, what: str) -> None:
    copy = tmp_path / "b"
    copy.mkdir()
    for path in bundle.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    manifest = json.loads((copy / "manifest.json").read_text())
    if what == "vocabulary":
        manifest["interface"]["inputs"][0]["vocabulary"] = -1
    elif what == "no outputs":
        del manifest["interface"]["outputs"]
    else:
        manifest["graph"] = manifest["files"][0]["path"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"is damaged: .(interface|graph)'"):
        open_bundle(copy)


def test_what_this_route_cannot_take_is_refused(
    keras: Any, attention: Path, tmp_path: Path
) -> None:
    out = tmp_path / "b"
    with pytest.raises(ConfigError, match="route 'other' is not known"):
        convert(attention, out, route="other")
    with pytest.raises(ConfigError, match="the route past the Graph makes litert float32"):
        convert(attention, out, route="keras", targets=["onnx"], schemes=["dynamic-int8"])
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(attention.read_bytes()[:3000])
    with pytest.raises(ModelError, match="cannot load the model"):
        convert(damaged, out, route="keras")
    x = keras.Input((1,), dtype="string")
    text = keras.layers.TextVectorization(output_sequence_length=4, vocabulary=["a", "b"])
    keras.Model(x, keras.layers.Embedding(4, 2)(text(x))).save(tmp_path / "text.keras")
    with pytest.raises(ModelError, match="the model takes texts"):
        convert(tmp_path / "text.keras", out, route="keras")
    assert not out.exists()


def test_a_model_that_no_converter_takes_is_refused_with_what_each_said(
    keras: Any, tmp_path: Path
) -> None:
    x = keras.Input((4, 4))
    y = keras.ops.det(x)
    keras.Model(x, keras.layers.Reshape((1,))(y)).save(tmp_path / "m.keras")
    with pytest.raises(
        ConversionError, match=r"litert gives no usable file: batch open: .*batch 1:"
    ):
        convert(tmp_path / "m.keras", tmp_path / "b", route="keras", targets=["litert"])
    assert not (tmp_path / "b").exists()
