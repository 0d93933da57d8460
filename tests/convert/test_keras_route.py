"""Past the Graph: models with layers that it does not know, with Keras as the oracle."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import onnx
import pytest

from gatelet.convert import convert, convert_with_report
from gatelet.convert.keras_route.bundle import make_again
from gatelet.convert.keras_route.contents import read_contents
from gatelet.convert.keras_route.weights import check_weights
from gatelet.convert.parity import Check, Settings
from gatelet.convert.proving import prove
from gatelet.convert.worker.worker import Worker
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
    # without Keras nobody knows the weights, and a few golden vectors do not show them
    assert (report.oracles, report.verdict) == (("golden vectors",), "undecided")
    checks = [check for one in report.artifacts for check in one.checks]
    assert {one.name for one in checks if one.verdict == "undecided"} == {"weights"}


@pytest.fixture(scope="module")
def again(keras: Any, bundle: Path) -> dict[tuple[str, str], bytes]:
    """Make the artifacts of that bundle again, as parity does."""
    opened = open_bundle(bundle)
    source = opened.part("source")
    assert source is not None
    with Worker() as worker:
        return make_again(opened, source.read_bytes(), worker, lambda text: None)


def _altered_onnx(data: bytes, alter: Callable[[list[Any]], None]) -> bytes:
    model = onnx.load_model_from_string(data)
    tensors = [one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT]
    alter(sorted(tensors, key=lambda one: -len(one.raw_data)))
    return bytes(model.SerializeToString())


def _scale(tensors: list[Any]) -> None:
    """Make one number of a kernel a thousandth larger."""
    held = onnx.numpy_helper.to_array(tensors[0]).copy()
    held.reshape(-1)[5] += 1e-3 * np.abs(held).max()
    tensors[0].raw_data = held.tobytes()


def _swap_rows(tensors: list[Any]) -> None:
    held = onnx.numpy_helper.to_array(next(one for one in tensors if len(one.dims) == 2)).copy()
    target = next(one for one in tensors if len(one.dims) == 2)
    held[[0, 1]] = held[[1, 0]]
    target.raw_data = held.tobytes()


def _swap_kernels(tensors: list[Any]) -> None:
    """Exchange two kernels of one shape: those of query, key and value are."""
    shapes = [tuple(one.dims) for one in tensors]
    first, second = [one for one in tensors if shapes.count(tuple(one.dims)) > 1][:2]
    first.raw_data, second.raw_data = second.raw_data, first.raw_data


def _altered_litert(data: bytes, again: bytes) -> bytes:
    """Move a number of a flatbuffer's largest constant."""
    held = [one for one in read_contents("litert", again).constants if one.dtype == np.float32]
    largest = max(held, key=lambda one: one.nbytes)
    place, moved = data.index(largest.tobytes()), largest.copy().reshape(-1)
    moved[3] *= np.float32(1.001)
    return data[:place] + moved.tobytes() + data[place + moved.nbytes :]


@pytest.mark.parametrize(
    ("target", "alter"),
    [
        ("onnx", lambda data, again: _altered_onnx(data, _scale)),
        ("onnx", lambda data, again: _altered_onnx(data, _swap_rows)),
        ("onnx", lambda data, again: _altered_onnx(data, _swap_kernels)),
        ("litert", lambda data, again: _altered_litert(data, again)),
    ],
    ids=["number", "rows", "kernels", "litert"],
)
def test_an_altered_kernel_fails_whatever_the_scores(
    bundle: Path,
    again: dict[tuple[str, str], bytes],
    tmp_path: Path,
    target: str,
    alter: Callable[[bytes, bytes], bytes],
) -> None:
    copy, made = Path(shutil.copytree(bundle, tmp_path / "b")), again[target, "float32"]
    manifest = json.loads((copy / "manifest.json").read_text())
    entry = next(
        e for e in manifest["artifacts"] if (e["target"], e["scheme"]) == (target, "float32")
    )
    assert _weights(copy, target, made).verdict == "pass"
    data = alter((copy / entry["path"]).read_bytes(), made)
    (copy / entry["path"]).write_bytes(data)
    entry["sha256"] = hashlib.sha256(data).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    found = _weights(copy, target, made)
    assert (found.verdict, found.question) == ("fail", "computes")
    manifest["provenance"]["packages"]["tensorflow"] = "2.0"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    found = _weights(copy, target, made)
    assert found.verdict == "undecided" and "other versions" in found.note


def _weights(bundle: Path, target: str, again: bytes) -> Check:
    opened = open_bundle(bundle)
    (artifact,) = (
        one for one in opened.artifacts if (one.target, one.scheme) == (target, "float32")
    )
    return check_weights(opened, artifact, again)


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
