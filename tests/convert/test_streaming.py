"""Streaming files: who gets them, what they must give, and what stands in the way."""

import json
import re
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert import convert, convert_with_report
from gatelet.convert.lowering import lower
from gatelet.convert.reading import read_keras_object
from gatelet.errors import BundleError, ConversionError
from gatelet.runtime import Bundle, load, open_bundle
from gatelet.runtime.backends.onnx import OnnxBackend
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.streaming import streaming_refusal, to_stream
from tests.conformance.matrix import set_weights

# of Keras' own saving, with NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")

T, F = 10, 3
Build = Callable[[Any], Any]
EXACT = 1e-5


@cache
def keras() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras
    return keras


def sequential(*layers: Any, shape: tuple[int | None, ...] = (T, F), **known: Any) -> Any:
    model = keras().Sequential([keras().Input(shape, **known), *layers])
    set_weights(model, 5)
    return model


def graph_of(model: Any) -> Graph:
    return lower(read_keras_object(model))


def sensors(*, stateful: bool, batch: int | None = 2) -> Any:
    layers = keras().layers
    model = keras().Sequential(
        [
            keras().Input(batch_shape=(batch, None, F)),
            layers.LSTM(6, stateful=stateful, return_sequences=True),
            layers.GRU(4, stateful=stateful),
            layers.Dense(3, activation="softmax"),
        ]
    )
    set_weights(model, 5)
    return model


@pytest.fixture
def graph_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave Keras' own verdict out: asking it takes a process that imports TensorFlow."""
    monkeypatch.setattr("gatelet.convert.settings.has_keras", lambda: False)


def few_rows() -> Arrays:
    features = np.random.default_rng(4).normal(size=(8, T, F)).astype(np.float32)
    return Arrays((features,), None, "few rows")


@pytest.fixture(scope="module")
def stateful_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Convert a stateful model to onnx; not to be changed."""
    out = tmp_path_factory.mktemp("stateful") / "sensors"
    return convert(sensors(stateful=True), out, targets=["onnx"], data=few_rows())


def test_a_stateful_model_steps_as_keras_does_and_starts_anew_at_reset(
    stateful_bundle: Bundle,
) -> None:
    model = sensors(stateful=True)
    stream = load(stateful_bundle.path, target="onnx", scheme="float32").stream()
    features = np.random.default_rng(1).normal(size=(2, T, F)).astype(np.float32)
    for _ in range(2):
        for t in range(T):
            found = stream.step(features[:, t])
            assert np.abs(found - np.asarray(model(features[:, t : t + 1]))).max() < EXACT
        stream.reset()
        for layer in model.layers[:2]:
            layer.reset_state()


def test_a_stateful_model_gets_streaming_files_and_starts_each_call_from_zero(
    stateful_bundle: Bundle,
) -> None:
    assert stateful_bundle.verdict == "pass"
    for artifact in stateful_bundle.artifacts:
        names = [(one.input, one.output, one.shape) for one in artifact.states]
        assert [shape for _, _, shape in names] == [(6,), (6,), (4,)]
        assert "stream" in artifact.companions
        (check,) = (c for c in artifact.parity["checks"] if c["name"] == "stream")
        assert check["verdict"] == "pass"
    predictor = load(stateful_bundle.path)
    features = np.ones((2, T, F), np.float32)
    assert np.array_equal(predictor.scores(features), predictor.scores(features))


@pytest.mark.usefixtures("graph_only")
def test_other_models_stream_where_that_is_asked_for(tmp_path: Path) -> None:
    model = sensors(stateful=False, batch=None)
    plain = convert(
        model, tmp_path / "plain", targets=["onnx"], schemes=["float32"], data=few_rows()
    )
    assert not any(artifact.states for artifact in plain.artifacts)
    with pytest.raises(BundleError, match="no streaming file for onnx float32: convert it again"):
        load(plain.path, target="onnx").stream()
    features = np.ones((1, T, F), np.float32)
    whole = load(plain.path, target="reference").scores(features)
    assert np.abs(load(plain.path, target="pure").stream().step(features) - whole).max() < EXACT
    other = convert(model, tmp_path / "stream", targets=["onnx"], schemes=["float32"], stream=True)
    assert np.abs(load(other.path, target="onnx").stream().step(features) - whole).max() < EXACT


@pytest.mark.usefixtures("graph_only")
def test_c_streams_by_itself_unless_told_not_to(tmp_path: Path) -> None:
    model = sensors(stateful=False, batch=None)
    given: dict[str, Any] = {
        "targets": ["c"],
        "schemes": ["float32", "dynamic-int8"],
        "data": few_rows(),
    }
    bundle = convert(model, tmp_path / "c", **given)
    features = np.random.default_rng(2).normal(size=(2, T, F)).astype(np.float32)
    whole = load(bundle.path, target="reference").scores(features)
    for artifact, limit in zip(bundle.artifacts, (EXACT, 0.05), strict=True):
        (check,) = (c for c in artifact.parity["checks"] if c["name"] == "stream")
        assert check["verdict"] == "pass"
        predictor = load(bundle.path, target="c", scheme=artifact.scheme)
        stream, other = predictor.stream(), predictor.stream()
        for t in range(T):
            found = stream.step(features[:, t])
            other.step(features[:1, t] + 1)
        assert np.abs(found - whole).max() < limit
        assert np.abs(np.asarray(other.step(features[0, 0].tolist())) - whole[:1]).max() > limit
    plain = convert(model, tmp_path / "plain", stream=False, **given)
    with pytest.raises(BundleError, match="no streaming file for c float32: convert it again, or"):
        load(plain.path, target="c").stream()


@pytest.mark.usefixtures("graph_only")
def test_a_stateful_model_without_streaming_files_if_told_so(tmp_path: Path) -> None:
    bundle = convert(sensors(stateful=True), tmp_path / "b", targets=["onnx"], stream=False)
    assert not any(artifact.states for artifact in bundle.artifacts)


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda k: [k.Bidirectional(k.LSTM(4))], r"'backward_\w+' \(LSTM\) runs backwards"),
        (lambda k: [k.GRU(4, go_backwards=True)], r"'\w+' \(GRU\) runs backwards"),
        (lambda k: [k.Conv1D(4, 3), k.LSTM(4)], r"'conv1d\w*' \(Conv1D\) reads several timesteps"),
        (lambda k: [k.MaxPooling1D(), k.LSTM(4)], r"\(MaxPooling1D\) reads several timesteps"),
        (
            lambda k: [k.LSTM(4, return_sequences=True), k.GlobalMaxPooling1D()],
            r"'global_max_pooling1d\w*' \(ReduceMax\) reads all timesteps at once",
        ),
        (
            lambda k: [k.LSTM(4, return_sequences=True), k.GlobalAveragePooling1D()],
            r"'global_average_pooling1d\w*' \(GlobalAveragePooling1D\) reads several timesteps",
        ),
        (lambda k: [k.LSTM(4, return_sequences=True), k.Flatten(), k.Dense(1)], "mixes timesteps"),
        (lambda k: [k.Permute((2, 1)), k.LSTM(4)], "moves the time axis"),
        (lambda k: [k.LSTM(1, return_sequences=True), k.Flatten(), k.Dense(1)], "mixes timesteps"),
        (lambda k: [k.LSTM(4, return_sequences=True), k.Softmax(axis=1)], "along the time axis"),
        (
            lambda k: [k.LSTM(4, return_sequences=True), k.BatchNormalization(axis=1)],
            "weights for each timestep",
        ),
        (lambda k: [k.LSTM(4, return_sequences=True), k.PReLU()], "weights for each timestep"),
        (lambda k: [k.Dense(4, activation="relu")], "no recurrent layer runs over"),
    ],
)
def test_what_cannot_be_cut_into_pieces_is_named(build: Build, why: str) -> None:
    model = sequential(*build(keras().layers))
    assert re.search(why, streaming_refusal(graph_of(model)))


def test_a_summary_may_not_be_joined_with_the_timesteps_that_made_it() -> None:
    layers, x = keras().layers, keras().Input((T, F))
    last = layers.Reshape((1, F))(layers.LSTM(F)(x))
    model = keras().Model(x, layers.LSTM(2)(layers.Add()([x, last])))
    assert "known only after the last" in streaming_refusal(graph_of(model))


@pytest.mark.usefixtures("graph_only")
def test_a_model_that_cannot_stream_is_refused_only_if_it_should(tmp_path: Path) -> None:
    layers = keras().layers
    model = sequential(
        layers.Bidirectional(layers.LSTM(4, stateful=True)),
        shape=(T, F),
        batch_size=1,
    )
    said: list[str] = []
    bundle, report = convert_with_report(
        model, tmp_path / "b", targets=["onnx"], schemes=["float32"], progress=said.append
    )
    assert report.verdict == "pass"
    assert any("no streaming file" in line and "runs backwards" in line for line in said)
    with pytest.raises(BundleError, match="cannot stream: layer 'backward_"):
        load(bundle.path).stream()
    with pytest.raises(ConversionError, match="cannot stream: layer 'backward_"):
        convert(model, tmp_path / "c", targets=["onnx"], stream=True)
    assert not (tmp_path / "c").exists()


# ---- What the parity check finds -----------------------------------------------------------


def verdict_of(bundle: Bundle) -> Mapping[str, Any]:
    from gatelet.convert.parity import judge
    from gatelet.convert.parity.oracles.ask import Question, ask_oracles

    oracle = ask_oracles(bundle, Question(few_rows()), None, progress=lambda text: None)
    (report,) = judge(bundle, oracle).artifacts
    return {check.name: check.verdict for check in report.checks}


@pytest.fixture
def one_artifact(stateful_bundle: Bundle) -> Bundle:
    only = tuple(one for one in stateful_bundle.artifacts if one.scheme == "float32")
    return replace(stateful_bundle, artifacts=only)


def test_a_sound_stream_passes(one_artifact: Bundle) -> None:
    assert set(verdict_of(one_artifact).values()) == {"pass", "shown"}


@pytest.mark.parametrize("fault", ["swapped", "forgotten", "shared", "frozen"])
def test_faulty_states_are_found(
    one_artifact: Bundle, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    run = OnnxBackend.run
    names = [one.input for one in one_artifact.artifacts[0].states]
    kept: dict[str, Any] = {}

    def broken(self: OnnxBackend, inputs: Mapping[str, Any]) -> Any:
        if not set(names) <= set(inputs):
            return run(self, inputs)
        given = dict(inputs)
        if fault == "swapped":
            given[names[0]], given[names[1]] = given[names[1]], given[names[0]]
        elif fault == "forgotten":
            given[names[2]] = np.zeros_like(given[names[2]])
        elif fault == "shared":
            given |= {n: one for n, one in kept.items() if len(one) == len(given[n])}
        found = run(self, given)
        for one in one_artifact.artifacts[0].states:
            if fault == "shared":
                kept[one.input] = found[one.output]
            elif fault == "frozen":
                found[one.output] = np.asarray(given[one.input], np.float32)
        return found

    monkeypatch.setattr(OnnxBackend, "run", broken)
    failed = {name for name, verdict in verdict_of(one_artifact).items() if verdict == "fail"}
    assert {"stream"} <= failed <= {"stream", "long_stream"}


# ---- What the manifest says ----------------------------------------------------------------


@pytest.mark.parametrize(
    "stream",
    [
        None,
        {},
        [],
        {"states": []},
        {"states": [{"input": "a", "output": "b"}]},
        {"states": [{"input": "a", "output": "", "shape": [None, 4]}]},
        {"states": [{"input": "a", "output": "b", "shape": [4]}]},
        {"states": [{"input": "a", "output": "b", "shape": [None, 2**40]}]},
        {"states": [{"input": "a", "output": "b", "shape": [None, True]}]},
        {"states": [{"input": "a", "output": "b", "shape": [None, 4]}] * 2},
        {"states": [{"input": "a", "output": "b", "shape": [None, 4]}], "max_batch": 0},
    ],
)
def test_a_manifest_with_impossible_states_is_refused(
    stateful_bundle: Bundle, tmp_path: Path, stream: object
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(stateful_bundle.path, copy)
    manifest = json.loads((copy / "manifest.json").read_bytes())
    manifest["artifacts"][0]["stream"] = stream
    (copy / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(BundleError, match=r"stream|state"):
        open_bundle(copy)


def test_the_streaming_form_names_each_output_once() -> None:
    layers, x = keras().layers, keras().Input((T, F))
    model = keras().Model(x, list(layers.LSTM(4, return_state=True)(x)))
    graph = graph_of(model)
    form = to_stream(graph)
    assert form.graph.outputs == graph.outputs
    assert [one.output for one in form.states] == list(graph.outputs[1:])
