"""What a model, its file and the caller say of an output: one rule, or a refusal in a sentence."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert import convert
from gatelet.convert.reading import read_keras_file
from gatelet.convert.reading.files import read_loss
from gatelet.convert.reading.meaning import Meaning, Output, Trained, meaning_of, trained_by
from gatelet.convert.settings import ConversionSettings
from gatelet.errors import ConfigError, DataError
from gatelet.runtime.bundle.decisions import Decision
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.metrics import evaluate_sets
from gatelet.runtime.data.truth import label_sets_of
from tests.adversary import keras_files as files


def output(
    ending: str, width: int | None, *, rank: int = 2, trained: Trained | None = None
) -> Output:
    shape = (None, *[None] * (rank - 2), width)
    return Output("n1_out", "out", shape, ending, trained)


def meant(*outputs: Output, **settings: Any) -> Meaning:
    run = {key: settings.pop(key) for key in ("run_labels", "run_threshold") if key in settings}
    named = {key.removeprefix("run_"): value for key, value in run.items()}
    return meaning_of(outputs, ConversionSettings(**settings), **named)


def only(found: Meaning) -> Decision:
    (one,) = found.decisions
    return one


def test_keras2_tells_in_its_training_config(tmp_path: Path) -> None:
    trained = {"class_name": "BinaryCrossentropy", "config": {"from_logits": True, "name": "b"}}
    model = files.save_keras2(tmp_path / "m.h5", units=1, trained=trained)
    assert trained_by(read_keras_file(model).loss, ("out",)) == [
        Trained("sigmoid", "BinaryCrossentropy(from_logits=True)")
    ]
    assert read_loss(model) == trained


@pytest.mark.parametrize("trained", ["binary_crossentropy", None, [], {"class_name": "Own"}])
def test_what_the_file_does_not_say_is_asked_for(tmp_path: Path, trained: Any) -> None:
    model = files.save_keras2(tmp_path / "m.h5", units=1, trained=trained)
    with pytest.raises(ConfigError, match=r"'out' is linear, .* --activation sigmoid, softmax or"):
        convert(model, tmp_path / "b", labels=("no", "yes"), targets=["onnx"], with_keras=False)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("one", "settings", "activation"),
    [
        (output("", 1), {"activation": "sigmoid"}, "sigmoid"),
        (output("linear", 3), {"activation": "softmax"}, "softmax"),
        (output("tanh", 3), {"activation": {"out": "softmax"}}, "softmax"),
        (output("log_softmax", 3), {}, "softmax"),
        (output("", 1, trained=Trained("sigmoid", "B")), {"activation": "sigmoid"}, "sigmoid"),
    ],
)
def test_what_makes_scores_of_an_output(
    one: Output, settings: dict[str, Any], activation: str
) -> None:
    labels = tuple("abc"[: max(2, one.shape[-1] or 0)])
    assert only(meant(one, labels=labels, **settings)).activation == activation


@pytest.mark.parametrize(
    ("one", "settings"),
    [
        (output("sigmoid", 1), {}),
        (output("softmax", 3), {}),
        (output("", 1, trained=Trained("none", "BinaryCrossentropy(from_logits=False)")), {}),
        (output("", 1), {"activation": "none"}),
        (output("sigmoid", 3), {"multi_label": False}),
    ],
)
def test_where_labels_and_a_threshold_say_it_all_the_format_is_the_old_one(
    one: Output, settings: dict[str, Any]
) -> None:
    labels = tuple("abc"[: max(2, one.shape[-1] or 0)])
    assert meant(one, labels=labels, **settings) == Meaning(labels, 0.5)


@pytest.mark.parametrize(
    ("one", "labels", "threshold"),
    [
        (output("", 1), (), 0.5),
        (output("", 3, trained=Trained("none", "B")), (), 0.5),
        (output("softmax", 3), ("0", "1", "2"), 0.5),
        (output("sigmoid", 1), ("0", "1"), 0.5),
        (output("sigmoid", 2), (), 0.5),
        (output("softmax", 3, rank=3), (), 0.5),
    ],
)
def test_without_labels_a_model_is_what_it_was(
    one: Output, labels: tuple[str, ...], threshold: float
) -> None:
    assert meant(one) == Meaning(labels, threshold)


def test_a_run_tells_labels_and_threshold_unless_the_caller_does() -> None:
    run = {"run_labels": ("no", "yes"), "run_threshold": 0.3}
    assert meant(output("sigmoid", 1), **run) == Meaning(("no", "yes"), 0.3)
    asked = meant(output("sigmoid", 1), labels=("a", "b"), threshold=0.7, **run)
    assert asked == Meaning(("a", "b"), 0.7)


@pytest.mark.parametrize(
    ("one", "settings", "message"),
    [
        (output("sigmoid", 1), {"activation": "sigmoid"}, "contradicts the model.* ends in sigm"),
        (output("softmax", 3), {"activation": "sigmoid"}, "contradicts the model.* ends in softm"),
        (
            output("", 1, trained=Trained("sigmoid", "B(from_logits=True)")),
            {"activation": "none"},
            r"contradicts the model.* trained with B\(from_logits=True\), so 'sigmoid'",
        ),
        (output("", 1), {"activation": "softmax"}, "softmax makes 1 whatever it is"),
        (output("", 1), {"activation": "relu"}, "'relu' is not known; known are sigmoid, softmax"),
        (output("sigmoid", 1), {"threshold": 1.5}, "threshold is 1.5, expected a number from 0"),
        (output("sigmoid", 1), {"threshold": math.nan}, "threshold is nan, expected"),
        (output("sigmoid", 1), {"threshold": {"c": 0.5}}, "the label 'c', .* that have are b"),
        (output("sigmoid", 1), {"threshold": {"a": 0.5}}, "the label 'a', .* that have are b"),
        (output("softmax", 3), {"threshold": 0.4}, "chooses the largest score"),
        (output("sigmoid", 3), {}, "--multi-label if a row may have several labels, --no-multi"),
        (output("softmax", 3), {"multi_label": True}, "--multi-label is for several scores"),
        (output("sigmoid", 1), {"multi_label": True}, "--multi-label is for several scores"),
        (output("sigmoid", 3), {"multi_label": True, "threshold": {"x": 0.1}}, "are a, b, c"),
        (output("softmax", 3), {"labels": {"in": ("a", "b", "c")}}, "output 'in': the model has"),
        (output("softmax", 4), {}, "the model gives 4 scores a row, so name 4 different labels"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    one: Output, settings: dict[str, Any], message: str
) -> None:
    labels = tuple("abc"[: min(3, max(2, one.shape[-1] or 0))])
    with pytest.raises(ConfigError, match=message) as caught:
        meant(one, **{"labels": labels, **settings})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(None, (0.5, 0.5, 0.5)), (0.4, (0.4, 0.4, 0.4)), ({"b": 0.6}, (0.5, 0.6, 0.5))],
)
def test_one_threshold_is_for_all_labels_and_others_stay_a_half(
    threshold: Any, expected: tuple[float, ...]
) -> None:
    one = output("sigmoid", 3)
    found = meant(one, labels=tuple("abc"), multi_label=True, threshold=threshold)
    assert only(found).thresholds == expected


def test_several_logits_are_sigmoids_first() -> None:
    one = output("", 3, trained=Trained("sigmoid", "BinaryCrossentropy(from_logits=True)"))
    with pytest.raises(ConfigError, match="--multi-label"):
        meant(one, labels=tuple("abc"))
    rule = only(meant(one, labels=tuple("abc"), multi_label=True, threshold=0.4))
    assert rule.chosen(rule.scores_of([-0.5, -0.4, 3.0])) == (1, 2)  # sigmoid(-0.4) is 0.401


def test_losses_are_known_by_layer_or_in_order() -> None:
    one, other = files.loss("BinaryCrossentropy"), files.loss("CategoricalCrossentropy")
    known = [Trained("sigmoid", "BinaryCrossentropy(from_logits=True)")]
    known += [Trained("softmax", "CategoricalCrossentropy(from_logits=True)")]
    assert trained_by([one, other], ("a", "b")) == known
    assert trained_by({"b": other, "a": one}, ("a", "b")) == known
    assert trained_by({"b": other}, ("a", "b")) == [None, known[1]]
    assert trained_by(one, ("a", "b")) == [known[0]] * 2


def test_labels_without_an_output_are_those_of_the_first() -> None:
    first, second = output("sigmoid", 1), replace(output("softmax", 3), name="n2", layer="two")
    found = meant(first, second, labels=("no", "yes"), threshold=0.3)
    assert [one.labels for one in found.decisions] == [("no", "yes"), ("0", "1", "2")]
    assert (found.labels, found.threshold) == (("no", "yes"), 0.3)


def test_an_activation_may_be_said_of_one_output() -> None:
    first, second = output("", 1), replace(output("", 3), name="n2", layer="two")
    asked = {"labels": {"two": tuple("abc")}, "activation": {"two": "softmax"}}
    found = meant(first, second, **asked)
    assert [(one.output, one.activation) for one in found.decisions] == [("n2", "softmax")]
    assert found.labels == ()


def test_several_labels_of_a_row_are_read_from_texts_and_flags() -> None:
    names = ("a", "b", "c")
    texts = Dataset(("x", "y"), ("c, a", "b"), "x.csv")
    flags = [[True, False, True], [False, True, False]]
    assert label_sets_of(texts, names) == flags
    x = np.zeros((2, 3))
    assert label_sets_of(Arrays((x,), np.array(flags, float), "x.npz"), names) == flags
    with pytest.raises(DataError, match="has the label 'd'"):
        label_sets_of(Dataset(("x",), ("a,d",), "x.csv"), names)
    for wrong in (np.array([0, 1]), np.array([[0, 1], [1, 0]]), np.full((2, 3), 0.5)):
        with pytest.raises(DataError, match=r"expected to be \[N, 3\], 1 where"):
            label_sets_of(Arrays((x,), wrong, "x.npz"), names)


def test_figures_of_several_labels_a_row() -> None:
    truth = [[True, False], [True, True], [False, False]]
    scores = [[0.9, 0.1], [0.8, 0.4], [0.2, 0.3]]
    found = evaluate_sets(truth, scores, label_names=("a", "b"), thresholds=(0.5, 0.5))
    assert found.accuracy == pytest.approx(2 / 3)  # the second lacks b
    assert [one.f1 for one in found.per_label] == [1.0, 0.0]
    assert (found.macro_f1, found.roc_auc) == (0.5, 1.0)
    assert found.brier == pytest.approx(np.square(np.array(scores) - np.array(truth)).mean())
