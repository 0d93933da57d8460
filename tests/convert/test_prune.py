import json
from dataclasses import replace

import numpy as np
import pytest

from gatelet.convert.parity.quality.pruning import measure_cost
from gatelet.convert.passes import Whole
from gatelet.convert.passes.vocabulary import prune_vocabulary
from gatelet.errors import ConfigError
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.convert.exporters.onnx_graphs import GraphMaker

WORDS = [f"w{index}" for index in range(1, 40)]
V, T = 40, 8


def vectorizer(**settings: object) -> Vectorizer:
    tokenizer = {
        "class_name": "Tokenizer",
        "config": {
            "num_words": V,
            "filters": "",
            "lower": True,
            "split": " ",
            "char_level": False,
            "oov_token": settings.get("oov_token"),
            "document_count": 1,
            "word_index": json.dumps(_index(bool(settings.get("oov_token")))),
            "index_word": "{}",
            "word_counts": "{}",
            "word_docs": "{}",
            "index_docs": "{}",
        },
    }
    return Vectorizer.from_keras_tokenizer(
        json.dumps(tokenizer), maxlen=T, padding="pre", truncating="pre"
    )


def _index(has_oov: bool) -> dict[str, int]:
    words = ["<oov>", *WORDS] if has_oov else WORDS
    return {word: place for place, word in enumerate(words, 1)}


def graph() -> Graph:
    maker = GraphMaker()
    ids = maker.input("ids", None, None, vocabulary=V)
    x = maker.one("Embedding", [ids], (None, None, 5), weights={"embeddings": maker.weight(V, 5)})
    (h,) = maker.recurrence("LSTM", [x], features=5, units=6)
    y = maker.one("Dense", [h], (None, 1), weights={"kernel": maker.weight(6, 1)})
    return maker.finish(maker.one("Activation", [y], (None, 1), activation="sigmoid"))


def scores(model: Graph, spec: Vectorizer, texts: list[str]) -> np.ndarray:
    ids = np.array([spec.pad(text) for text in texts], np.int32)
    (found,) = ReferenceBackend(model).run({"ids": ids}).values()
    return np.asarray(found)


@pytest.mark.parametrize("oov_token", [None, "<oov>"])
def test_texts_of_kept_words_have_the_same_scores(oov_token: str | None) -> None:
    spec, model = vectorizer(oov_token=oov_token), graph()
    pruned = prune_vocabulary(model, spec, 12)
    assert isinstance(pruned.vectorizer, Vectorizer)
    kept = [" ".join(WORDS[start : start + 5]) for start in range(5)]
    assert np.array_equal(scores(model, spec, kept), scores(pruned.graph, pruned.vectorizer, kept))
    assert pruned.graph.inputs[0].vocabulary == 12
    assert pruned.vectorizer.vocabulary_size <= 12


def test_a_dropped_word_is_out_of_vocabulary() -> None:
    with_oov = prune_vocabulary(graph(), vectorizer(oov_token="<oov>"), 12).vectorizer
    assert with_oov.ids("w1 w30 w2") == [2, 1, 3]
    without = prune_vocabulary(graph(), vectorizer(), 12).vectorizer
    assert without.ids("w1 w30 w2") == [1, 2]


def test_it_is_as_keras_drops_them_with_num_words() -> None:
    spec = vectorizer(oov_token="<oov>")
    fewer = replace(
        spec, num_words=12, vocabulary={w: i for w, i in spec.vocabulary.items() if i < 12}
    )
    assert prune_vocabulary(graph(), spec, 12).vectorizer == fewer


def test_the_cost_is_measured_against_the_whole_model() -> None:
    spec, model = vectorizer(), graph()
    rng = np.random.default_rng(2)
    texts = [" ".join(rng.choice(WORDS, 6)) for _ in range(300)]
    pruned = prune_vocabulary(model, spec, 20)
    truth = (scores(model, spec, texts)[:, 0] >= 0.5).astype(np.int64)
    cost = measure_cost(Whole(model, spec, pruned), texts, truth=truth, threshold=0.5)
    assert cost["accuracy_before"] == 1
    assert cost["accuracy_after"] == pytest.approx(1 - cost["flips"])
    change = cost["accuracy_difference"]
    assert change["estimate"] == pytest.approx(-cost["flips"])
    assert change["low"] < change["estimate"] < change["high"]
    assert 0 < cost["rows_without_dropped_words"] < 300
    assert (cost["from"], cost["to"], cost["rows"]) == (40, 20, 300)


@pytest.mark.parametrize("size", [-1, 0, 1, 40, 41])
def test_sizes_that_cannot_be_are_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=rf"--vocabulary {size}: the model has 40 ids; choose"):
        prune_vocabulary(graph(), vectorizer(), size)


def test_a_model_without_a_vectorizer_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a model with a vectorizer"):
        prune_vocabulary(graph(), None, 12)
