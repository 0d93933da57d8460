"""Labels mean what the model means: logits, several labels a row, each timestep, each output."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from gatelet.errors import BundleNewer, ConfigError, InputError
from gatelet.runtime import load, open_bundle
from gatelet.runtime.predictor.prediction import Prediction
from tests.adversary import keras_files as files
from tests.adversary.decision_models import (
    ROWS,
    converted,
    rows_of_ids,
    sigmoid,
    softmax,
)

KEPT = ("reference", "pure", "onnx")


@pytest.mark.parametrize("target", KEPT)
def test_a_logit_is_held_to_its_threshold_as_a_probability(logits: Path, target: str) -> None:
    predictor, ids = load(logits, target=target), rows_of_ids()
    raw = np.asarray(predictor.scores(ids))
    right = sigmoid(raw[:, 0]) >= 0.4
    assert ((raw[:, 0] >= 0.5) != right).sum() > ROWS // 20  # as it was decided before
    found = predictor.predict(ids)
    assert [one.label for one in found] == ["yes" if is_yes else "no" for is_yes in right]
    for one, p in zip(found, sigmoid(raw[:, 0]).tolist(), strict=True):
        assert one.scores == {"yes": pytest.approx(p), "no": pytest.approx(1 - p)}
        assert one.score == one.scores[str(one.label)]
        assert list(one.to_dict()) == ["label", "score", "scores"]


def test_the_scores_stay_the_models_own(logits: Path) -> None:
    found = np.asarray(load(logits, target="onnx").scores(rows_of_ids()))
    assert found.min() < 0 and found.max() > 1


def test_two_logits_are_a_softmax_in_the_order_of_the_labels(tmp_path: Path) -> None:
    trained = files.loss("SparseCategoricalCrossentropy")
    bundle = converted(tmp_path, files.head(2), trained, labels=("no", "yes"))
    predictor, ids = load(bundle, target="reference"), rows_of_ids(20)
    right = softmax(predictor.scores(ids))
    for one, row in zip(predictor.predict(ids), right.tolist(), strict=True):
        assert list(one.scores) == ["no", "yes"]
        assert list(one.scores.values()) == pytest.approx(row)
        assert one.label == ("yes" if row[1] > row[0] else "no")


def test_an_activation_layer_at_the_end_is_the_models_own(tmp_path: Path) -> None:
    last = files.Layer("Activation", "last", ("out",), {"activation": "sigmoid"})
    bundle = converted(
        tmp_path, [*files.head(1), last], None, outputs=("last",), labels=("no", "yes")
    )
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    assert manifest["format_version"] == 1 and "decisions" not in manifest


def test_a_regression_gives_its_numbers(tmp_path: Path) -> None:
    bundle = converted(tmp_path, files.head(1))
    assert open_bundle(bundle).manifest["format_version"] == 1
    predictor, ids = load(bundle, target="onnx"), rows_of_ids(3)
    raw = np.asarray(predictor.scores(ids))[:, 0].tolist()
    assert predictor.predict(ids) == [Prediction(None, one) for one in raw]


@pytest.mark.parametrize("target", KEPT)
def test_a_row_has_every_label_from_its_threshold_on(several: Path, target: str) -> None:
    predictor, ids = load(several, target=target), rows_of_ids()
    raw = np.asarray(predictor.scores(ids))
    given = raw >= np.array([0.3, 0.8, 0.5])
    counts = set(given.sum(axis=1).tolist())
    assert {0, 2} <= counts  # none, and more than one
    for one, row, flags in zip(predictor.predict(ids), raw.tolist(), given, strict=True):
        assert one.labels == tuple(label for label, has in zip("abc", flags, strict=True) if has)
        assert one.label is None and math.isnan(one.score)
        assert one.to_dict() == {
            "labels": list(one.labels),
            "scores": dict(zip("abc", map(pytest.approx, row), strict=True)),
        }


def test_sigmoids_that_are_joined_are_several(tmp_path: Path) -> None:
    heads = [files.dense(1, "rnn", name, "sigmoid") for name in "ab"]
    joined = files.Layer("Concatenate", "out", ("a", "b"), {"axis": -1})
    layers = [*files.head(1)[:3], *heads, joined]
    with pytest.raises(ConfigError, match="'out' ends in sigmoid with 2 scores"):
        converted(tmp_path, layers, labels=("x", "y"))
    assert (
        open_bundle(converted(tmp_path, layers, labels=("x", "y"), multi_label=True))
        .decisions[0]
        .multi_label
    )


def test_an_older_reader_refuses_what_it_would_decide_wrongly(
    several: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatelet.runtime.bundle.manifest.FORMAT_VERSION", 1)
    with pytest.raises(BundleNewer, match="format_version 2, this gatelet reads up to 1"):
        load(several)


@pytest.mark.parametrize("target", KEPT)
def test_real_timesteps_have_labels_and_padding_has_none(tagger: Path, target: str) -> None:
    predictor, ids = load(tagger, target=target), rows_of_ids(12, 6)
    raw = np.asarray(predictor.scores(ids))
    for one, row, given in zip(predictor.predict(ids), raw, ids, strict=True):
        assert one.steps is not None and one.label is None
        real = row[given != 0]
        assert [step.label for step in one.steps] == ["OBI"[i] for i in real.argmax(axis=-1)]
        assert [step.score for step in one.steps] == pytest.approx(real.max(axis=-1).tolist())
        assert [list(step) for step in one.to_dict()["steps"]] == [["label", "score"]] * len(real)


def test_the_tokens_of_a_text_have_labels(tagger: Path) -> None:
    predictor = load(tagger, target="onnx")
    texts = ["w3 w4", "", "w2 unknown w3", " ".join(["w5"] * 9)]
    found = predictor.predict(texts)
    assert [len(one.steps or ()) for one in found] == [2, 0, 2, 6]
    (alone,) = predictor.predict([[0, 0, 0, 0, 3, 4]])
    assert found[0].decision == alone.decision


def test_a_stream_decides_its_last_timestep(tagger: Path) -> None:
    predictor = load(tagger, target="reference")
    stream = predictor.stream()
    labels = [stream.predict(number)[0].label for number in (3, 4, 5)]
    (whole,) = predictor.predict([[0, 0, 0, 3, 4, 5]])
    assert labels == [one.label for one in whole.steps or ()]


def test_masked_features_have_no_label(tmp_path: Path) -> None:
    masking = files.Layer("Masking", "masking", ("x",), {"mask_value": -1.5})
    rnn = files.rnn("masking", width=3, return_sequences=True)
    layers = [files.features(), masking, rnn, files.dense(1, "rnn", activation="sigmoid")]
    bundle = converted(tmp_path, layers, labels=("no", "yes"))
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    x[0, 3:] = -1.5
    found = load(bundle, target="pure").predict(x.tolist())
    assert [len(one.steps or ()) for one in found] == [3, 5]


def test_timesteps_that_are_not_the_inputs_all_have_labels(tmp_path: Path) -> None:
    repeat = files.Layer("RepeatVector", "repeat", ("rnn",), {"n": 7})
    decoder = files.rnn("repeat", "decoder", width=files.U, return_sequences=True)
    last = files.dense(3, "decoder", activation="softmax")
    layers = [*files.head(1)[:3], repeat, decoder, last]
    bundle = converted(tmp_path, layers, labels=("a", "b", "c"))
    found = load(bundle, target="reference").predict(rows_of_ids(4, 7))
    assert [len(one.steps or ()) for one in found] == [7] * 4


def test_without_labels_nothing_is_decided(tmp_path: Path) -> None:
    bundle = converted(tmp_path, files.head(3, "softmax", steps=True))
    with pytest.raises(InputError, match=r"use scores\(\)"):
        load(bundle, target="reference").predict(rows_of_ids(2))


@pytest.mark.parametrize("target", KEPT)
def test_each_output_is_decided_by_itself(outputs: Path, target: str) -> None:
    predictor, ids = load(outputs, target=target), rows_of_ids(30)
    raw = {name: np.asarray(values) for name, values in predictor.scores(ids).items()}
    mood, topic, size = raw
    for at, one in enumerate(predictor.predict(ids)):
        found = one.to_dict()["outputs"]
        assert list(found) == [mood, topic, size]
        p = float(sigmoid(raw[mood][at, 0]))
        assert found[mood]["label"] == ("good" if p >= 0.5 else "bad")
        assert found[mood]["scores"] == {"good": pytest.approx(p), "bad": pytest.approx(1 - p)}
        assert found[topic]["label"] == "xyz"[int(raw[topic][at].argmax())]
        assert found[size] == raw[size][at].tolist()


def test_a_stream_decides_each_output(outputs: Path) -> None:
    predictor = load(outputs, target="reference")
    stream = predictor.stream()
    last = [stream.predict(number)[0].decision for number in (3, 4, 5)][-1]
    assert last == predictor.predict([[3, 4, 5]])[0].decision


def test_a_regression_of_several_numbers_gives_all_of_them(tmp_path: Path) -> None:
    predictor, ids = load(converted(tmp_path, files.head(2)), target="onnx"), rows_of_ids(3)
    raw = np.asarray(predictor.scores(ids)).tolist()
    for one, row in zip(predictor.predict(ids), raw, strict=True):
        assert (one.label, one.score, one.numbers) == (None, row[0], tuple(row))
        assert one.to_dict() == {"label": None, "score": row[0], "scores": {}, "outputs": row}
