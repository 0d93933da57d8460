"""Streams: a step at a time, each with states of its own."""

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.errors import BackendError, BundleError, InputError
from gatelet.runtime import Predictor, load, open_bundle
from gatelet.runtime.backends.onnx import OnnxBackend
from gatelet.runtime.predictor.open_stream import open_streaming
from tests.fixture_types import WriteBundle

F = 5
EXACT = 1e-6


@pytest.fixture(scope="session")
def sensors(tmp_path_factory: pytest.TempPathFactory, write_bundle: WriteBundle) -> Path:
    """Write a bundle of features [B, T, 5] with streaming files; not to be changed."""
    out = tmp_path_factory.mktemp("streams") / "sensors"
    artifacts = (("onnx", "float32"), ("onnx", "dynamic-int8"), ("litert", "float32"))
    return write_bundle(
        out, features=F, outputs=3, with_vectorizer=False, artifacts=artifacts, stream=True
    )


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory, write_bundle: WriteBundle) -> Path:
    """Write a bundle of texts with a streaming onnx file; not to be changed."""
    return write_bundle(tmp_path_factory.mktemp("streams") / "words", stream=True)


@pytest.fixture(params=["litert", "onnx", "reference", "pure"])
def predictor(request: pytest.FixtureRequest, sensors: Path) -> Predictor:
    return load(sensors, target=request.param, scheme="float32")


def features(rows: int = 2, timesteps: int = 12, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, timesteps, F)).astype(np.float32)


def whole(predictor: Predictor, given: Any) -> Any:
    return np.asarray(predictor.scores(given))


def test_each_step_gives_the_scores_of_the_sequence_so_far(predictor: Predictor) -> None:
    given, stream = features(), predictor.stream()
    for t in range(12):
        found = np.asarray(stream.step(given[:, t]))
        assert np.abs(found - whole(predictor, given[:, : t + 1])).max() < EXACT
    assert stream.steps == 12


def test_one_timestep_one_of_several_rows_and_a_chunk_are_told_apart(
    predictor: Predictor,
) -> None:
    given = features(rows=1)
    expected = whole(predictor, given)
    ways = ([*given[0]], [*given.transpose(1, 0, 2)], [given[:, :5], given[:, 5:]])
    for pieces in (*ways, *([piece.tolist() for piece in way] for way in ways)):
        stream = predictor.stream()
        for piece in pieces:
            found = np.asarray(stream.step(piece))
        assert found.shape == (1, 3)
        assert np.abs(found - expected).max() < EXACT


def test_streams_of_one_predictor_do_not_mix(predictor: Predictor) -> None:
    given = [features(seed=seed, rows=1 + seed) for seed in range(3)]
    streams = [predictor.stream() for _ in given]
    for t in range(12):
        found = [np.asarray(s.step(x[:, t])) for s, x in zip(streams, given, strict=True)]
    for scores, x in zip(found, given, strict=True):
        assert np.abs(scores - whole(predictor, x)).max() < EXACT


def test_streams_in_threads_do_not_mix(predictor: Predictor) -> None:
    given = [features(seed=seed, rows=1, timesteps=40) for seed in range(8)]
    expected = [whole(predictor, x) for x in given]
    found: dict[int, Any] = {}
    start = threading.Barrier(len(given))

    def run(number: int) -> None:
        stream = predictor.stream()
        start.wait()
        for t in range(40):
            found[number] = np.asarray(stream.step(given[number][:, t]))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(given))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, scores in enumerate(expected):
        assert np.abs(found[number] - scores).max() < EXACT


def test_reset_starts_from_zero_with_any_number_of_rows(predictor: Predictor) -> None:
    stream = predictor.stream()
    given = features(timesteps=1)
    first = np.asarray(stream.step(given))
    assert np.abs(np.asarray(stream.step(given)) - first).max() > 1e-3
    with pytest.raises(InputError, match=r"this stream has 2 rows, got 3: .*reset"):
        stream.step(features(rows=3))
    stream.reset()
    assert stream.steps == 0
    assert np.abs(np.asarray(stream.step(given)) - first).max() < EXACT
    stream.reset()
    assert np.asarray(stream.step(features(rows=3))).shape == (3, 3)


def test_predict_decides_as_the_predictor_does(predictor: Predictor) -> None:
    given = features()
    (first, second), expected = predictor.stream().predict(given), predictor.predict(given)
    for found, one in zip((first, second), expected, strict=True):
        assert found.label == one.label
        assert abs(found.score - one.score) < EXACT


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (1.0, r"expected \[5\] for one timestep, \[B, 5\] for one of B rows"),
        ([[[[1.0] * F]]], r"expected \[5\] for one timestep"),
        ([1.0] * 4, r"shape \[1, 1, 4\], expected float32 \[B, T, 5\]"),
        ([1.0, 2.0, "3", 4.0, 5.0], "holds '3', expected numbers"),
        ([float("nan")] * F, "finite numbers"),
        ([1e39] * F, "finite numbers"),
        (np.full((2, 3, F), np.inf), "finite numbers"),
        (np.zeros((2, 0, F)), "shape"),
        (np.zeros((0, 3, F)), "no rows"),
        ([], "expected|shape|rows"),
        ("text", "no vectorizer"),
        (None, "expected"),
        ({"features": [1.0] * F, "other": 1}, "takes the input features, got features, other"),
    ],
)
def test_refuses_what_is_no_step_and_stays_as_it_was(
    predictor: Predictor, given: Any, why: str
) -> None:
    stream, steps = predictor.stream(), features(rows=1)
    stream.step(steps[:, :6])
    with pytest.raises(InputError, match=why):
        stream.step(given)
    found = np.asarray(stream.step(steps[:, 6:]))
    assert np.abs(found - whole(predictor, steps)).max() < EXACT


def test_a_failing_engine_leaves_the_states(sensors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, given = load(sensors, target="onnx", scheme="float32"), features()
    stream = predictor.stream()
    stream.step(given[:, :6])
    with monkeypatch.context() as patch:
        patch.setattr(OnnxBackend, "run", lambda self, inputs: 1 / 0)
        with pytest.raises(BackendError, match=r"cannot run the stream of bundle '.*sensors'"):
            stream.step(given[:, 6:])
    found = np.asarray(stream.step(given[:, 6:]))
    assert np.abs(found - whole(predictor, given)).max() < EXACT


def test_a_quantized_file_runs_as_many_rows_as_it_takes(sensors: Path) -> None:
    predictor = load(sensors, target="onnx", scheme="dynamic-int8")
    together = np.asarray(predictor.stream().step(features(rows=4)))
    for row in range(4):
        alone = np.asarray(predictor.stream().step(features(rows=4)[row : row + 1]))
        assert np.abs(together[row] - alone[0]).max() < EXACT


@pytest.mark.parametrize("target", ["onnx", "reference", "pure"])
def test_words_come_one_by_one_or_in_a_text(words: Path, target: str) -> None:
    predictor = load(words, target=target, scheme="float32")
    ids = [[predictor.explain(word).ids[-1] for word in ("w3", "w17", "w4")]]
    expected = whole(predictor, ids)
    by_word, by_text, by_id = (predictor.stream() for _ in range(3))
    for word in ("w3", "W17!", "w4"):
        found = by_word.step(word)
    assert np.abs(np.asarray(found) - expected).max() < EXACT
    assert np.abs(np.asarray(by_text.step("w3 w17 w4")) - expected).max() < EXACT
    for one in ids[0]:
        found = by_id.step(one)
    assert np.abs(np.asarray(found) - expected).max() < EXACT
    assert by_text.steps == by_id.steps == 3


def test_a_text_is_not_cut_in_a_stream(words: Path) -> None:
    stream = load(words, target="pure").stream()
    stream.step(" ".join(["w1"] * 50))
    assert stream.steps == 50


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("never seen", "'never seen' has no token that the model knows"),
        ("", "no token"),
        (["w1", "w1 w2"], "the texts have 1, 2 known tokens, expected as many in each"),
        (["w1", 3], "a text is 3: expected a str"),
        (-1, "the id -1 is outside the model's vocabulary"),
        (10**9, "outside the model's vocabulary"),
        (0.5, "expected whole numbers"),
    ],
)
def test_refuses_words_that_are_no_step(words: Path, given: Any, why: str) -> None:
    with pytest.raises(InputError, match=why):
        load(words, target="pure").stream().step(given)


def test_several_rows_of_words(words: Path) -> None:
    predictor = load(words, target="onnx", scheme="float32")
    stream = predictor.stream()
    stream.step(["w1", "w5"])
    found = stream.predict(["w2", "w6"])
    alone = predictor.stream().predict("w5 w6")
    assert [one.label for one in found][1] == alone[0].label
    assert abs(found[1].score - alone[0].score) < EXACT


def test_says_which_artifact_streams(tmp_path: Path, write_bundle: WriteBundle) -> None:
    path = write_bundle(tmp_path / "plain")
    with pytest.raises(BundleError) as caught:
        load(path, target="onnx", scheme="float32").stream()
    assert str(caught.value) == (
        f"bundle '{path}' has no streaming file for onnx float32: convert it again with --stream, "
        "or open it with the target 'reference' or 'pure'"
    )


def test_names_the_artifact_that_streams_where_the_target_never_does(
    sensors: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(sensors, tmp_path / "sensors"))
    manifest = json.loads((path / "manifest.json").read_bytes())
    first = manifest["artifacts"][0]
    del first["stream"], first["companions"]
    first |= {"target": "onnx-text"}
    (path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    bundle = open_bundle(path)
    with pytest.raises(BundleError) as caught:
        open_streaming(bundle, bundle.graph(), None, target="onnx-text", scheme="float32")
    assert str(caught.value) == (
        f"bundle '{path}' has no streaming file for onnx-text float32: open onnx dynamic-int8 or "
        "litert float32, or open it with the target 'reference' or 'pure'"
    )
