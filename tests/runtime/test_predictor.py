"""The Predictor: the right scores for every kind of input, and the right artifact."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.errors import (
    BackendError,
    BundleDamaged,
    InputError,
)
from gatelet.runtime import Prediction, Predictor, load, open_bundle
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.predictor import loading
from tests.fixture_types import EditManifest, PutPart, WriteBundle

TEXTS = ["w1 w2 w3", "", "unknown words only", "W4, w5!", " ".join(f"w{i}" for i in range(1, 30))]
EXACT = 1e-6
INT8 = 0.05  # of a tiny random model


class Recorder:
    """A backend that gives the number of each row, and remembers what it was given."""

    target = "recorder"
    engine = "recorder 1"

    def __init__(self) -> None:
        self.parts: list[int] = []

    def run(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        self.parts.append(len(inputs["ids"]))
        return {"scores": [[row[0] / 50] for row in inputs["ids"]]}


class Faulty:
    """A backend that fails as told."""

    target = "faulty"
    engine = "faulty 2"

    def __init__(self, answer: Exception | Mapping[str, Any]) -> None:
        self.answer = answer

    def run(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def right_scores(bundle: Path, ids: Any) -> Any:
    backend = ReferenceBackend(open_bundle(bundle).graph(), dtype=np.float64)
    return backend.run({"ids": np.asarray(ids)})["scores"]


@pytest.mark.parametrize(
    ("target", "scheme", "limit"),
    [
        ("reference", "float32", EXACT),
        ("onnx", "float32", EXACT),
        ("litert", "float32", EXACT),
        ("litert", "dynamic-int8", INT8),
    ],
)
def test_texts_ids_and_arrays_give_the_graphs_scores(
    litert_bundle: Path, target: str, scheme: str, limit: float
) -> None:
    predictor = load(litert_bundle, target=target, scheme=scheme)
    vectorizer = open_bundle(litert_bundle).vectorizer()
    assert vectorizer is not None
    ids = [vectorizer.pad(text) for text in TEXTS]
    expected = right_scores(litert_bundle, ids)
    assert expected.std() > 0.01
    first = predictor.scores(TEXTS)
    assert first.shape == (5, 1)
    assert np.abs(first - expected).max() < limit
    for inputs in (tuple(TEXTS), ids, *(np.array(ids, t) for t in (np.int32, np.int64, np.uint8))):
        assert np.array_equal(predictor.scores(inputs), first)
    assert (predictor.target, predictor.scheme) == (target, scheme)
    assert predictor.labels == ("0", "1")


@pytest.mark.parametrize("target", ["reference", "onnx", "litert"])
def test_rows_may_have_any_length_where_the_model_leaves_it_open(
    litert_bundle: Path, target: str
) -> None:
    predictor = load(litert_bundle, target=target)
    for length in (10, 1, 37, 3):
        ids = [[(7 * i + row) % 50 for i in range(length)] for row in range(3)]
        found = predictor.scores(ids)
        assert np.abs(found - right_scores(litert_bundle, ids)).max() < EXACT


def test_refuses_another_length_where_the_model_fixes_it(
    tmp_path: Path, write_bundle: WriteBundle
) -> None:
    predictor = load(write_bundle(tmp_path / "fixed", timesteps=10))
    assert len(predictor.predict(TEXTS)) == 5
    with pytest.raises(InputError, match=r"'ids' has the shape \[1, 3\], expected int32 \[B, 10\]"):
        predictor.scores([[1, 2, 3]])


def test_takes_features(tmp_path: Path, write_bundle: WriteBundle) -> None:
    path = write_bundle(tmp_path / "features", features=2, with_vectorizer=False)
    predictor = load(path, target="onnx", scheme="float32")
    rows = [[[0.5, -1.0], [2, 3]], [[0.0, 0.0], [1e-3, 4]]]
    backend = ReferenceBackend(open_bundle(path).graph(), dtype=np.float64)
    expected = backend.run({"features": np.array(rows)})["scores"]
    for inputs in (rows, np.array(rows), np.array(rows, np.float32)):
        assert np.abs(predictor.scores(inputs) - expected).max() < EXACT
    with pytest.raises(InputError, match="has no vectorizer, so it takes no texts: give ids or"):
        predictor.predict(["a text"])


def test_one_sigmoid_score_is_decided_by_the_threshold(
    bundle: Path, edit_manifest: EditManifest
) -> None:
    (score,) = load(bundle, target="reference").scores(["w1"])[0]
    score = float(score)
    for threshold, label in ((score, 1), (score + 1e-6, 0), (0, 1), (1, 0)):
        edit_manifest(bundle, threshold=threshold, labels=["no", "yes"])
        (found,) = load(bundle, target="reference").predict(["w1"])
        scores = {"yes": score, "no": 1 - score}
        assert found == Prediction(("no", "yes")[label], scores[found.label or ""], scores)
        assert list(found.scores) == ["yes", "no"]


def test_softmax_scores_go_to_the_largest(tmp_path: Path, write_bundle: WriteBundle) -> None:
    path = write_bundle(tmp_path / "three", outputs=3, labels=("a", "b", "c"))
    predictor = load(path, target="onnx", scheme="float32")
    seen = set()
    rows = [[i, 7 * i % 50, 3 * i % 50] for i in range(50)]
    for row, found in zip(right_scores(path, rows), predictor.predict(rows), strict=True):
        assert list(found.scores) == ["a", "b", "c"]
        assert np.abs(np.array(list(found.scores.values())) - row).max() < EXACT
        assert found.label == "abc"[int(row.argmax())]
        assert found.score == found.scores[found.label]
        seen.add(found.label)
    assert len(seen) > 1


def test_a_model_without_labels_gives_its_output(bundle: Path, edit_manifest: EditManifest) -> None:
    edit_manifest(bundle, labels=[])
    predictor = load(bundle, target="reference")
    assert predictor.predict(["w1"]) == [Prediction(None, float(predictor.scores(["w1"])[0][0]))]


@pytest.mark.parametrize("labels", [["a", "b", "c"], ["a", "b", "c", "d"]])
def test_refuses_labels_that_are_not_as_many_as_the_outputs(
    bundle: Path, edit_manifest: EditManifest, labels: list[str]
) -> None:
    edit_manifest(bundle, labels=labels)
    with pytest.raises(BundleDamaged, match=f"has {len(labels)} labels, its model needs 2"):
        load(bundle)


def test_no_rows_give_no_scores(bundle: Path) -> None:
    predictor = load(bundle)
    nothings: tuple[Any, ...] = ([], (), np.zeros((0, 10), np.int32))
    for nothing in nothings:
        assert predictor.predict(nothing) == []
        assert len(predictor.scores(nothing)) == 0


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("a single text", "got a single text: put it in a list"),
        (b"bytes", "got a single text: put it in a list"),
        (["a", None], "a text is None: expected a str"),
        (["a", 3], "a text is 3: expected a str"),
        ([3, "a"], "'ids' holds 3, expected nested lists"),
        ([b"bytes"], "'ids' holds b'bytes', expected nested lists"),
        (np.array(["a"]), "'ids' has the type <U1, expected whole numbers"),
        ([[1.0]], "'ids' holds 1.0, expected whole numbers"),
        (np.array([[True]]), "'ids' has the type bool"),
        ([[50]], "the id 50 is outside the model's vocabulary 0..49"),
        (None, "the input is None: expected an array or a list, 'ids' int32"),
    ],
    ids=range(11),
)
def test_refuses_what_the_model_cannot_take(
    written_bundle: Path, inputs: Any, expected: str
) -> None:
    predictor = load(written_bundle)
    for call in (predictor.predict, predictor.scores):
        with pytest.raises(InputError, match=expected):
            call(inputs)


@pytest.mark.parametrize(
    "text",
    ["", " \t\n", "\0", "\ud800", "\udcff w1", "\U0001f600", "\u202e", "w1 " * 100_000, "\u4e2d"],
    ids=range(9),
)
@pytest.mark.parametrize("target", ["reference", "onnx"])
def test_predicts_any_text(written_bundle: Path, text: str, target: str) -> None:
    (found,) = load(written_bundle, target=target).predict([text])
    assert 0 < found.score < 1


def test_many_rows_go_to_the_engine_in_parts(written_bundle: Path) -> None:
    opened = open_bundle(written_bundle)
    rows = [[1 + i % 49] * 10 for i in range(150)]
    for max_batch, expected in ((None, [64, 64, 22]), (100, [64, 64, 22]), (70, [64, 64, 22])):
        recorder = Recorder()
        found = Predictor(opened, recorder, scheme="x", max_batch=max_batch).scores(rows)
        assert found == [[row[0] / 50] for row in rows]
        assert recorder.parts == expected
    recorder = Recorder()
    assert len(Predictor(opened, recorder, scheme="x", max_batch=7).scores(np.array(rows))) == 150
    assert set(recorder.parts) == {7, 3}


def test_max_batch_of_the_manifest_is_honoured(
    tmp_path: Path, write_bundle: WriteBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_bundle(tmp_path / "singles", max_batch=1)
    recorder = Recorder()
    monkeypatch.setattr(loading, "open_backend", lambda target, path, **_: recorder)
    load(path).scores([[1], [2], [3]])
    assert recorder.parts == [1, 1, 1]


@pytest.mark.parametrize("target", ["reference", "onnx", "litert"])
def test_one_predictor_serves_two_threads(litert_bundle: Path, target: str) -> None:
    predictor = load(litert_bundle, target=target)
    batches = [
        [[(3 * i + row) % 50 for i in range(length)] for row in range(rows)]
        for rows, length in ((1, 10), (5, 4))
    ]
    expected = [np.array(predictor.scores(batch)) for batch in batches]
    wrong: list[object] = []

    def repeat(which: int) -> None:
        for _ in range(150):
            try:
                if not np.allclose(predictor.scores(batches[which]), expected[which], atol=EXACT):
                    wrong.append("other scores")
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=repeat, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("target", ["reference", "onnx", "litert"])
def test_each_call_starts_from_zero(litert_bundle: Path, target: str) -> None:
    predictor = load(litert_bundle, target=target)
    first = np.array(predictor.scores(["w1 w2"]))
    kept = first.copy()
    predictor.scores(["w30 w31 w32 w33", "w9"])
    assert np.array_equal(predictor.scores(["w1 w2"]), first)
    assert np.array_equal(first, kept)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (RuntimeError("broken\nmore"), "RuntimeError broken$"),
        (KeyError("scores"), "KeyError 'scores'"),
        (MemoryError(), "MemoryError"),
        ({"other": [[0.5]]}, "KeyError 'scores'"),
    ],
    ids=range(4),
)
def test_whatever_an_engine_raises_is_a_backend_error(
    written_bundle: Path, answer: Exception | Mapping[str, Any], expected: str
) -> None:
    predictor = Predictor(open_bundle(written_bundle), Faulty(answer), scheme="float32")
    with pytest.raises(BackendError, match=f"the engine faulty 2 cannot run .*{expected}"):
        predictor.scores([[1]])


def test_an_artifact_of_other_content_is_a_backend_error(bundle: Path, put_part: PutPart) -> None:
    put_part(bundle, "onnx", b"no onnx file")
    with pytest.raises(BackendError, match="the engine onnxruntime cannot open 'onnx-float32"):
        load(bundle)


def test_several_outputs_are_a_dict_in_the_models_order(bundle: Path, put_part: PutPart) -> None:
    graph = json.loads(open_bundle(bundle).graph().to_json())
    graph["outputs"] = ["scores", "lstm"]
    put_part(bundle, "graph", json.dumps(graph).encode())
    predictor = load(bundle, target="reference")
    scores = predictor.scores(["w1"] * 70)
    assert [(name, found.shape) for name, found in scores.items()] == [
        ("scores", (70, 1)),
        ("lstm", (70, 4)),
    ]
    with pytest.raises(InputError, match=r"nothing to decide: use scores\(\)"):
        predictor.predict(["w1"])


def test_an_output_for_each_timestep_is_not_decided(bundle: Path, put_part: PutPart) -> None:
    graph = json.loads(open_bundle(bundle).graph().to_json())
    graph["outputs"] = ["embedding"]
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    put_part(bundle, "graph", json.dumps(graph).encode())
    manifest = json.loads((bundle / "manifest.json").read_bytes()) | {"labels": []}
    (bundle / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    predictor = load(bundle, target="reference")
    assert predictor.scores(["w1", "w2"]).shape == (2, 10, 3)
    with pytest.raises(InputError, match=r"nothing to decide: use scores\(\)"):
        predictor.predict(["w1"])


def test_several_inputs_come_by_name_or_in_order(bundle: Path, put_part: PutPart) -> None:
    graph = json.loads(open_bundle(bundle).graph().to_json())
    graph["inputs"].append({**graph["inputs"][0], "name": "ids_1"})
    put_part(bundle, "graph", json.dumps(graph).encode())
    predictor = load(bundle, target="reference")
    first, second = [[1, 2, 3], [0, 0, 1]], [[3, 2, 1], [1, 1, 1]]
    by_name = predictor.scores({"ids_1": second, "ids": first})
    assert by_name.tolist() == predictor.scores([first, second]).tolist()
    assert by_name.tolist() != predictor.scores([second, first]).tolist()
    for wrong, message in (
        ({"ids": first}, "takes the inputs ids, ids_1, got ids"),
        ([first], "takes 2 inputs: give a dict with ids, ids_1"),
        (["w1"], "takes 2 inputs"),
        ([first, second[:1]], "'ids' has 2, 'ids_1' has 1"),
        ([first, [[1, 2, 999]] * 2], "outside the model's vocabulary"),
    ):
        with pytest.raises(InputError, match=message):
            predictor.scores(wrong)


def test_importing_the_runtime_loads_the_standard_library_only() -> None:
    program = (
        "import sys; before = set(sys.modules); import gatelet.runtime; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - sys.stdlib_module_names - {'gatelet'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_are_one_or_more(written_bundle: Path, threads: int) -> None:
    with pytest.raises(ValueError, match=rf"^threads is {threads}: expected 1 or more$"):
        load(written_bundle, threads=threads)


def test_scores_that_are_not_as_many_as_the_labels_are_refused(
    bundle: Path, put_part: Callable[[Path, str, bytes], None]
) -> None:
    graph = json.loads((bundle / str(open_bundle(bundle).manifest["graph"])).read_bytes())
    put_part(bundle, "graph", json.dumps({**graph, "outputs": ["ids"]}).encode())
    for target in ("reference", "pure"):
        with pytest.raises(BundleDamaged, match="gives 10 scores a row, its bundle has 2 labels"):
            load(bundle, target=target).predict(["w1"])
