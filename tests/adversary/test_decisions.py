"""Labels mean what the model means: logits, several labels a row, each timestep, each output."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gatelet.cli.main import main
from gatelet.convert import convert, convert_with_report
from gatelet.convert.reading import read_keras_file
from gatelet.convert.reading.files import read_loss
from gatelet.convert.reading.meaning import Meaning, Output, Trained, meaning_of, trained_by
from gatelet.convert.settings import ConversionSettings
from gatelet.errors import BundleDamaged, BundleError, BundleNewer, ConfigError, InputError
from gatelet.runtime import load, open_bundle
from gatelet.runtime.bundle.decisions import Decision
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.predictor.prediction import Prediction
from tests.adversary import keras_files as files
from tests.small_vectorizer import vectorizer_of

Array = NDArray[Any]
RunCli = Callable[..., Any]

ROWS = 180
KEPT = ("reference", "pure", "onnx")


def rows_of_ids(rows: int = ROWS, timesteps: int = 7, *, seed: int = 1) -> Array:
    """Draw ids padded in front, behind and within."""
    rng = np.random.default_rng(seed)
    found = rng.integers(1, files.V, (rows, timesteps)).astype(np.int32)
    found[::3, : timesteps // 2] = 0
    found[1::3, timesteps // 2 :] = 0
    found[2::3, 2] = 0
    return found


def converted(
    folder: Path, layers: list[files.Layer], trained: Any = None, **settings: Any
) -> Path:
    """Convert a model of these layers to onnx, and return the bundle, which passed."""
    outputs = settings.pop("outputs", ("out",))
    model = files.save(folder / "model.keras", layers, outputs=outputs, trained=trained)
    given = {"targets": ["onnx"], "schemes": ["float32"], "with_keras": False, **settings}
    bundle = convert(model, folder / "bundle", **given)
    assert bundle.verdict == "pass"
    return bundle.path


def sigmoid(x: Any) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.asarray(x, np.float64))))


def softmax(x: Any) -> Array:
    powers = np.exp(np.asarray(x, np.float64))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


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


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> RunCli:
    """Return a function that runs a command in this process."""

    def run(*words: object) -> SimpleNamespace:
        capsys.readouterr()
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        return SimpleNamespace(code=code, out=printed.out, err=printed.err)

    return run


# ---- Logits --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def logits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convert a model that was trained with from_logits, with labels and a threshold."""
    folder = tmp_path_factory.mktemp("logits")
    trained = files.loss("BinaryCrossentropy")
    return converted(folder, files.head(1), trained, labels=("no", "yes"), threshold=0.4)


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


def test_a_regression_gives_its_numbers(tmp_path: Path) -> None:
    bundle = converted(tmp_path, files.head(1))
    assert open_bundle(bundle).manifest["format_version"] == 1
    predictor, ids = load(bundle, target="onnx"), rows_of_ids(3)
    raw = np.asarray(predictor.scores(ids))[:, 0].tolist()
    assert predictor.predict(ids) == [Prediction(None, one) for one in raw]


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


# ---- Several labels a row ------------------------------------------------------------------


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convert a model of three sigmoids, each label with a threshold of its own."""
    folder = tmp_path_factory.mktemp("several")
    layers = files.head(3, "sigmoid")
    chosen = {"labels": ("a", "b", "c"), "multi_label": True, "threshold": {"a": 0.3, "b": 0.8}}
    return converted(folder, layers, "binary_crossentropy", **chosen)


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


# ---- Each timestep -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convert a model with a softmax at each timestep, and a vectorizer that pads in front."""
    vectorizer = vectorizer_of([f"w{number}" for number in range(1, files.V - 1)], maxlen=6)
    return converted(
        tmp_path_factory.mktemp("tagger"),
        files.head(3, "softmax", steps=True),
        labels=("O", "B", "I"),
        vectorizer=vectorizer,
    )


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


# ---- Several outputs -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convert a model with a logit, a softmax, and numbers."""
    heads = [
        files.dense(1, "rnn", "mood"),
        files.dense(3, "rnn", "topic", "softmax"),
        files.dense(2, "rnn", "size"),
    ]
    losses = {"mood": files.loss("BinaryCrossentropy"), "topic": "mse", "size": "mse"}
    return converted(
        tmp_path_factory.mktemp("outputs"),
        [*files.head(1)[:3], *heads],
        losses,
        outputs=("mood", "topic", "size"),
        labels={"mood": ("bad", "good"), "topic": ("x", "y", "z")},
    )


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


# ---- The bundle, and what judges it --------------------------------------------------------


def test_what_a_manifest_says_is_read_back(outputs: Path) -> None:
    manifest = json.loads((outputs / "manifest.json").read_bytes())
    assert manifest["format_version"] == 2
    bundle = open_bundle(outputs)
    assert [one.to_json() for one in bundle.decisions] == manifest["decisions"]
    assert bundle.labels == ("bad", "good")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"activation": "relu"}, BundleError),
        ({"thresholds": [0.5, 0.5]}, BundleError),
        ({"thresholds": [1.5]}, BundleError),
        ({"thresholds": [True]}, BundleError),
        ({"labels": ["a"]}, BundleError),
        ({"labels": ["a", "a"]}, BundleError),
        ({"steps": 1}, BundleError),
        ({"output": "another"}, BundleDamaged),
        ({"steps": True}, BundleDamaged),
        ({"labels": ["a", "b", "c"], "thresholds": []}, BundleDamaged),
    ],
)
def test_decisions_that_cannot_be_the_models_are_refused(
    logits: Path, tmp_path: Path, change: dict[str, Any], error: type[Exception]
) -> None:
    copied = copy_of(logits, tmp_path)
    edit_decision(copied, **change)
    with pytest.raises(error):
        load(copied, target="reference")


@pytest.mark.parametrize("change", [{"thresholds": [0.6]}, {"labels": ["yes", "no"]}])
def test_parity_fails_where_decisions_are_not_those_of_the_conversion(
    logits: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    from gatelet.convert.proving import prove

    copied = copy_of(logits, tmp_path)
    assert prove(open_bundle(copied), with_keras=False).verdict == "pass"
    edit_decision(copied, **change)
    report = prove(open_bundle(copied), with_keras=False)
    assert [c.name for c in report.artifacts[0].checks if c.verdict == "fail"] == ["labels"]


def test_labels_that_change_are_counted_in_each_kind(
    logits: Path, several: Path, tagger: Path, outputs: Path
) -> None:
    from gatelet.convert.parity.costs import check_parts
    from gatelet.convert.parity.limits import Settings, bounds_of
    from gatelet.convert.rows.rows import Rows, side_by_side
    from gatelet.convert.tolerances import TOLERANCES

    bounds = bounds_of(TOLERANCES["onnx", "float32"], Settings(), exact=1e-5, made_up=False)
    for path in (logits, several, tagger, outputs):
        bundle, ids = open_bundle(path), rows_of_ids(60, 6)
        scores = side_by_side(load(path, target="reference").scores(ids))
        inputs = Rows({"ids": ids})
        for found, verdict in ((scores, "pass"), (scores[::-1], "fail")):
            rows = (inputs, found, scores)
            flips = [
                c for c in check_parts(bundle, rows, bounds, labelled=False) if c.name == "flips"
            ]
            assert {check.verdict for check in flips} == {verdict}
            assert len(flips) == 1  # the worst of all outputs'


def test_quality_is_of_scores_after_the_activation(several: Path, logits: Path) -> None:
    from gatelet.convert.proving import prove

    ids = rows_of_ids(120)
    flags = np.asarray(load(several, target="reference").scores(ids)) >= 0.5
    report = prove(open_bundle(several), Arrays((ids,), flags, "x.npz"), with_keras=False)
    assert report.verdict == "pass"
    (one,) = report.artifacts
    assert {"accuracy_drop", "macro_f1_drop"} <= {check.name for check in one.checks}
    given = flags == (np.asarray(load(several, target="reference").scores(ids)) >= [0.3, 0.8, 0.5])
    assert one.quality["accuracy"] == pytest.approx(given.all(axis=1).mean())
    logit = np.asarray(load(logits, target="reference").scores(ids))[:, 0]
    truth = np.where(logit >= 0, "yes", "no")
    report = prove(open_bundle(logits), Arrays((ids,), truth, "x"), with_keras=False)
    assert "brier" in report.artifacts[0].quality  # which logits have none of


# ---- The command line ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--threshold", "x"), "the threshold is 'x', expected a number from 0 to 1"),
        (("--threshold", "1.5"), "the threshold is 1.5, expected a number from 0 to 1"),
        (("--threshold", "no=0.3,0.4"), "--threshold is 'no=0.3,0.4', expected a number, or A=0.3"),
        (("--threshold", "maybe=0.3"), "--threshold names the label 'maybe', which has none"),
        (("--activation", "relu"), "activation 'relu' is not known"),
        (("--activation", "none"), "--activation none contradicts the model"),
        (("--multi-label",), "--multi-label is for several scores"),
        (("--labels", "a,b"), "--labels is given twice: name an output before each"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence(
    cli: RunCli, tmp_path: Path, flags: tuple[str, ...], message: str
) -> None:
    trained = files.loss("BinaryCrossentropy")
    model = files.save(tmp_path / "m.keras", files.head(1), trained=trained)
    given = ("--out", tmp_path / "b", "--no-keras", "--labels", "no,yes", "--target", "onnx")
    done = cli("convert", model, *given, *flags)
    assert done.code == 2
    assert message in done.err.splitlines()[-1]


def test_the_flags_reach_the_manifest(cli: RunCli, tmp_path: Path) -> None:
    model = files.save(tmp_path / "m.keras", files.head(3))
    flags = ("--activation", "out=sigmoid", "--multi-label", "--threshold", "a=0.3,c=0.6")
    given = ("--out", tmp_path / "b", "--no-keras", "--labels", "a,b,c", "--target", "onnx")
    assert cli("convert", model, *given, "--scheme", "float32", *flags).code == 0
    (rule,) = open_bundle(tmp_path / "b").decisions
    assert (rule.activation, rule.thresholds, rule.multi_label) == (
        "sigmoid",
        (0.3, 0.5, 0.6),
        True,
    )
    shown = cli("inspect", tmp_path / "b").out
    assert "any of a, b, c; after sigmoid; from 0.3, 0.5, 0.6 on; since the caller said so" in shown


def test_inspect_tells_of_a_model_how_it_would_be_decided(cli: RunCli, tmp_path: Path) -> None:
    trained = files.loss("BinaryCrossentropy")
    model = files.save(tmp_path / "m.keras", files.head(1), trained=trained)
    assert "with labels it is decided after sigmoid" in cli("inspect", model).out
    plain = files.save(tmp_path / "p.keras", files.head(1))
    assert "must be said with --activation" in cli("inspect", plain).out


def test_predict_prints_each_kind(
    cli: RunCli, several: Path, tagger: Path, outputs: Path, tmp_path: Path
) -> None:
    ids = rows_of_ids(9, 6)
    np.savez(tmp_path / "x.npz", x=ids)
    for path in (several, tagger, outputs):
        given = (path, "--file", tmp_path / "x.npz", "--target", "onnx")
        lines = [json.loads(line) for line in cli("predict", *given, "--json").out.splitlines()]
        found = load(path, target="onnx").predict(ids)
        for number, (line, one) in enumerate(zip(lines, found, strict=True)):
            assert line["row"] == number
            assert {key: line[key] for key in one.to_dict()} == one.to_dict()
        assert len(cli("predict", *given).out.splitlines()) == len(ids)
    (line,) = cli("predict", tagger, "w3 w4", "--target", "onnx", "--json").out.splitlines()
    assert list(json.loads(line)) == ["text", "steps"]
    plain = cli("predict", tagger, "w3 w4", "--target", "onnx").out
    steps = load(tagger, target="onnx").predict(["w3 w4"])[0].steps or ()
    assert plain == ", ".join(f"{s.label} {s.score:.6f}" for s in steps) + "  w3 w4\n"


def test_evaluate_measures_each_kind(
    cli: RunCli, several: Path, tagger: Path, tmp_path: Path
) -> None:
    ids = rows_of_ids(40, 6)
    raw = np.asarray(load(several, target="onnx").scores(ids))
    flags = (raw >= [0.3, 0.8, 0.5]).astype(int)
    flags[0, 0] ^= 1
    steps = np.asarray(load(tagger, target="onnx").scores(ids)).argmax(axis=-1)
    named = np.array(list("OBI"))[steps]
    named[ids == 0] = "I"  # whatever stands at padding does not count
    for path, y, accuracy in ((several, flags, 39 / 40), (tagger, named, 1.0)):
        np.savez(tmp_path / "x.npz", x=ids, y=y)
        done = cli("evaluate", path, "--data", tmp_path / "x.npz", "--json")
        (found,) = json.loads(done.out)
        assert found["accuracy"] == pytest.approx(accuracy)
        assert found["rows"] == (40 if path == several else int((ids != 0).sum()))
        assert cli("evaluate", path, "--data", tmp_path / "x.npz").code == 0


# ---- Through the backends ------------------------------------------------------------------

KINDS: dict[str, tuple[list[files.Layer], Any, dict[str, Any]]] = {
    "logits": (
        files.head(1),
        files.loss("BinaryCrossentropy"),
        {"labels": ("no", 'y"e\\s*/'), "threshold": 0.4},
    ),
    "several": (
        files.head(3),
        files.loss("BinaryCrossentropy"),
        {"labels": ("a", "b", "\u00e4 c"), "multi_label": True, "threshold": {"a": 0.3}},
    ),
    "steps": (
        files.head(3, steps=True),
        files.loss("SparseCategoricalCrossentropy"),
        {"labels": ("O", "B", "I")},
    ),
    "outputs": (
        [*files.head(1)[:3], files.dense(1, "rnn", "one", "sigmoid"), files.dense(3, "rnn", "two")],
        [None, files.loss("SparseCategoricalCrossentropy")],
        {"outputs": ("one", "two"), "labels": {"two": tuple("xyz")}, "threshold": 0.6},
    ),
}


@pytest.mark.ci
@pytest.mark.parametrize("kind", KINDS)
def test_every_backend_decides_alike(kind: str, tmp_path: Path) -> None:
    layers, trained, settings = KINDS[kind]
    settings = dict(settings)
    names = settings.pop("outputs", ("out",))
    model = files.save(tmp_path / "m.keras", layers, outputs=names, trained=trained)
    # TensorFlow's exporters start once only: they have no part in what is decided
    targets = ["all"] if kind == "logits" else ["c", "onnx"]
    bundle, report = convert_with_report(
        model,
        tmp_path / "b",
        targets=targets,
        schemes=["float32"],
        vectorizer=vectorizer_of([f"w{number}" for number in range(1, files.V - 1)], maxlen=6),
        with_keras=False,
        **settings,
    )
    assert report.verdict == "pass"
    code = {check.name: check for check in report.artifacts[0].checks}["code_decides"]
    assert (report.artifacts[0].target, code.verdict) == ("c", "pass")
    made = [one.target for one in bundle.artifacts]
    assert len(made) == (5 if kind == "logits" else 2)
    texts = [" ".join(f"w{id_}" for id_ in row if 0 < id_ < files.V - 1) for row in rows_of_ids(40)]
    right = [one.decision for one in load(bundle.path, target="reference").predict(texts)]
    for target in ("pure", *made):
        found = load(bundle.path, target=target).predict(texts)
        assert [one.decision for one in found] == right, target


@pytest.mark.ci
def test_code_that_decides_otherwise_is_found(tmp_path: Path) -> None:
    from gatelet.convert.parity.checks.code_decides import check_code_decides
    from gatelet.convert.parity.decisions import parts_of
    from gatelet.convert.rows.rows import Rows

    layers, trained, settings = KINDS["logits"]
    path = converted(tmp_path, layers, trained, targets=["c"], **settings)
    bundle, ids = open_bundle(path), rows_of_ids()
    scores = np.asarray(load(path, target="c").scores(ids))
    (part,) = parts_of(bundle, bundle.graph(), Rows({"ids": ids}), scores)
    for change, verdict in (
        ({}, "pass"),
        ({"thresholds": (0.6,)}, "fail"),
        ({"activation": "none"}, "fail"),
        ({"labels": part.decision.labels[::-1]}, "pass"),  # names are no decisions
    ):
        other = replace(part, decision=replace(part.decision, **change))
        (check,) = check_code_decides(bundle, bundle.artifacts[0], [other])
        assert check.verdict == verdict, change


def copy_of(bundle: Path, folder: Path) -> Path:
    import shutil

    return Path(shutil.copytree(bundle, folder / "copy"))


def edit_decision(bundle: Path, **change: Any) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["decisions"][0] |= change
    path.write_text(json.dumps(manifest), "utf-8")
