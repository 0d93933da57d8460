"""Decisions in the manifest, in parity, evaluate, the command line, and through every backend."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gatelet.cli.main import main
from gatelet.convert import convert_with_report
from gatelet.errors import BundleDamaged, BundleError
from gatelet.runtime import load, open_bundle
from gatelet.runtime.data.arrays import Arrays
from tests.adversary import keras_files as files
from tests.adversary.decision_models import (
    converted,
    copy_of,
    edit_decision,
    rows_of_ids,
)
from tests.small_vectorizer import vectorizer_of

RunCli = Callable[..., Any]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> RunCli:
    """Return a function that runs a command in this process."""

    def run(*words: object) -> SimpleNamespace:
        capsys.readouterr()
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        return SimpleNamespace(code=code, out=printed.out, err=printed.err)

    return run


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
    assert len(made) == (6 if kind == "logits" else 2)
    texts = [" ".join(f"w{id_}" for id_ in row if 0 < id_ < files.V - 1) for row in rows_of_ids(40)]
    right = [one.decision for one in load(bundle.path, target="reference").predict(texts)]
    for target in ("pure", *made):
        found = load(bundle.path, target=target).predict(texts)
        assert [one.decision for one in found] == right, target


@pytest.mark.ci
def test_code_that_decides_otherwise_is_found(tmp_path: Path) -> None:
    from gatelet.convert.parity.checks.code_decides import check_code_decides
    from gatelet.convert.parity.decisions import parts_of
    from gatelet.convert.parity.files.regenerate import regenerate_c
    from gatelet.convert.rows.rows import Rows

    layers, trained, settings = KINDS["logits"]
    path = converted(tmp_path, layers, trained, targets=["c"], **settings)
    bundle, ids = open_bundle(path), rows_of_ids()
    (artifact,) = bundle.artifacts
    written = regenerate_c(bundle, artifact).companions  # with the decisions, as at conversion
    assert written and all(
        data == (path / artifact.companions[role]).read_bytes() for role, data in written.items()
    )
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
