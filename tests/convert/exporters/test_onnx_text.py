"""A file that takes texts gives the ids of the vectorizer, and the scores of the model."""

import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from gatelet.convert import convert_with_report
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.exporters.onnx.text import text_refusal
from gatelet.convert.exporters.targets import EXPORTERS
from gatelet.convert.schemes import SCHEMES
from gatelet.errors import InputError
from gatelet.runtime.backends import Backend, open_backend
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.predictor.loading import load
from gatelet.runtime.vectorizer.text_vectorization import TextVectorization
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.convert.exporters.onnx_graphs import GraphMaker
from tests.runtime.test_vectorizer_keras import MAXLEN, hostile_texts

EXCEPTIONS: dict[str, str] = {}
"""Hostile texts whose ids may differ, and why: in Python there are none."""

OPTIONS: dict[str, dict[str, Any]] = {
    "as Keras does": {"num_words": None},
    "few words, unknown ones known": {"num_words": 50, "oov_token": "<OOV>"},
    "behind": {"num_words": 300, "oov_token": "the", "padding": "post", "truncating": "post"},
    "mixed": {"num_words": None, "padding": "post", "truncating": "pre", "value": 3},
    "characters": {"num_words": None, "char_level": True, "oov_token": "x"},
    "case counts": {"num_words": None, "lower": False, "filters": "abc \0\ud800", "split": "e"},
}


def model(vocabulary: int) -> Graph:
    maker = GraphMaker()
    ids = maker.input("ids", None, None, vocabulary=vocabulary)
    weights = {"embeddings": maker.weight(vocabulary, 4)}
    x = maker.one("Embedding", [ids], (None, None, 4), weights=weights)
    (h,) = maker.recurrence("LSTM", [x], features=4, units=4)
    dense = {"kernel": maker.weight(4, 2), "bias": maker.weight(2)}
    y = maker.one("Dense", [h], (None, 2), weights=dense)
    return maker.finish(maker.one("Activation", [y], (None, 2), activation="softmax"))


@cache
def texts() -> tuple[str, ...]:
    return tuple(hostile_texts())


def opened(folder: Path, vectorizer: Vectorizer) -> tuple[Graph, Backend]:
    graph = model(vectorizer.vocabulary_size)
    path = folder / "model.onnx"
    path.write_bytes(export_onnx(graph, SCHEMES["float32"], vectorizer=vectorizer).data)
    return graph, open_backend("onnx-text", path)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_ids_and_scores_of_hostile_texts_are_those_of_the_vectorizer(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    vectorizer = Vectorizer.fit(texts(), maxlen=MAXLEN, **options)
    graph, backend = opened(tmp_path, vectorizer)
    expected = np.array([vectorizer.pad(text) for text in texts()], np.int32)
    given = [text.lower() if vectorizer.lower else text for text in texts()]
    found = [backend.run({"text": [text]}) for text in given]
    ids = np.concatenate([one["ids"] for one in found])
    different = [text for text, a, b in zip(texts(), ids, expected, strict=True) if (a != b).any()]
    assert [ascii(text[:30]) for text in different if text not in EXCEPTIONS] == []
    scores = np.concatenate([one[graph.outputs[0]] for one in found])
    reference = ReferenceBackend(graph, dtype=np.float64).run({"ids": expected})
    assert np.abs(scores - reference[graph.outputs[0]]).max() <= 1e-5
    # rows of any lengths side by side
    some = random.Random(3).sample(range(len(given)), 40)
    together = backend.run({"text": [given[row] for row in some]})
    assert np.array_equal(together["ids"], expected[some])


def test_the_file_asks_for_texts_only_and_old_engines_read_it() -> None:
    vectorizer = Vectorizer.fit(["a good film"], num_words=None, maxlen=5)
    graph = model(vectorizer.vocabulary_size)
    made = EXPORTERS["onnx-text"].function(
        Exportable(graph, graph, vectorizer, "films", ("bad", "good")), SCHEMES["float32"]
    )
    read = onnx.load_from_string(made.data)
    (taken,) = read.graph.input
    assert (taken.name, taken.type.tensor_type.elem_type) == ("text", onnx.TensorProto.STRING)
    assert [one.name for one in read.graph.output] == [*graph.outputs, "ids"]
    versions = {one.domain: one.version for one in read.opset_import}
    assert versions == {"": 17, "com.microsoft": 1, "ai.onnx.ml": 2}
    (said,) = [one.value for one in read.metadata_props if one.key == "gatelet.inputs"]
    assert "toLowerCase" in said


@pytest.mark.parametrize(
    ("vectorizer", "complaint"),
    [
        (None, "needs a vectorizer"),
        (
            Vectorizer.fit(["a"], num_words=None, maxlen=3, split="<>"),
            "at one character only, and this vectorizer splits at '<>'",
        ),
    ],
)
def test_refuses_what_cannot_be_in_the_graph(vectorizer: Vectorizer | None, complaint: str) -> None:
    assert complaint in text_refusal(model(10), SCHEMES["float32"], vectorizer)


def test_refuses_a_text_vectorization_layer() -> None:
    layer = TextVectorization.__new__(TextVectorization)
    said = text_refusal(model(10), SCHEMES["float32"], layer)
    assert "cannot hold a TextVectorization layer" in said


@pytest.mark.usefixtures("no_tensorflow")
def test_a_run_converts_to_it_and_parity_judges_it_on_texts(
    small_run: Path, tmp_path: Path
) -> None:
    bundle, report = convert_with_report(
        small_run, tmp_path / "demo", targets=["onnx", "onnx-text"], schemes=["float32"]
    )
    assert [(one.target, one.verdict) for one in report.artifacts] == [
        ("onnx", "pass"),
        ("onnx-text", "pass"),
    ]
    by_text, by_ids = (load(bundle.path, target=one) for one in ("onnx-text", "onnx"))
    given = ["A GOOD film!", "", "dull \ud800 and slow"]
    assert np.abs(by_text.scores(given) - by_ids.scores(given)).max() < 1e-6
    assert by_text.predict(given[:1])[0].label == by_ids.predict(given[:1])[0].label
    assert by_text.scores([]) == []
    with pytest.raises(InputError, match="takes texts: for ids choose --target onnx"):
        by_text.scores([[1, 2, 3]])


@pytest.mark.usefixtures("no_tensorflow")
def test_a_bare_model_with_a_vectorizer_is_judged_on_drawn_texts(
    small_run: Path, tmp_path: Path
) -> None:
    _, report = convert_with_report(
        small_run / "model.keras",
        tmp_path / "demo",
        targets=["onnx-text"],
        vectorizer=Vectorizer.load(small_run / "vectorizer.json"),
    )
    assert [one.verdict for one in report.artifacts] == ["pass", "pass"]


@pytest.mark.parametrize("name", OPTIONS)
def test_a_long_text_that_is_cut_before_gives_what_the_whole_gives(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectorizer = Vectorizer.fit(texts(), maxlen=MAXLEN, **OPTIONS[name])
    graph, backend = opened(tmp_path, vectorizer)
    some = [" ".join(texts()[start:]) + "z" * 500 for start in range(0, len(texts()), 40)]
    ids = np.array([vectorizer.pad(text) for text in some], np.int32)
    for module in ("gatelet.runtime.vectorizer.tokenizer", "gatelet.runtime.vectorizer.long_texts"):
        monkeypatch.setattr(f"{module}.PIECE_CHARACTERS", 30)
    cut = [vectorizer.shortened(text) for text in some]
    assert sum(map(len, cut)) < sum(map(len, some))
    found = backend.run({"text": cut})
    assert np.array_equal(found["ids"], ids)
    output = graph.outputs[0]
    expected = ReferenceBackend(graph).run({"ids": ids})[output]
    assert np.abs(found[output] - expected).max() < 1e-6
