"""Integers are calibrated on rows that somebody gave, or by a range that the model tells."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.cli.main import main
from gatelet.convert import convert_with_report
from gatelet.convert.exporters.c.integer_values import HEADROOM as OF_C
from gatelet.convert.exporters.ranges import HEADROOM, input_ranges
from gatelet.convert.exporters.tflm.step import HEADROOM as OF_TFLM
from gatelet.convert.lowering import lower
from gatelet.convert.reading.model_source import open_source
from gatelet.convert.rows.ranges import inputs_of_unknown_range
from gatelet.errors import BundleDamaged, BundleError, Refused
from gatelet.runtime import load, open_bundle
from gatelet.runtime.bundle.ranges import InputRange, parse_ranges
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.graph.graph import GraphInput
from gatelet.runtime.predictor.ranges import RangeWatch
from tests.adversary import keras_files as files
from tests.adversary.decision_models import copy_of
from tests.shared import made_once

Layers = list[files.Layer]
WIDTH = 3


def behind(*first: files.Layer) -> Layers:
    """Return a model of features with these layers in front of its recurrence."""
    before = [files.features(width=WIDTH), *first]
    return [*before, files.rnn(before[-1].name, width=WIDTH), files.dense(1, "rnn")]


def normalization(mean: Any, variance: Any) -> files.Layer:
    settings = {"axis": [-1], "mean": mean, "variance": variance}
    return files.Layer("Normalization", "normalized", ("x",), settings)


def rescaling(scale: float, offset: float) -> files.Layer:
    settings = {"scale": scale, "offset": offset}
    return files.Layer("Rescaling", "rescaled", ("x",), settings)


def masking(value: float) -> files.Layer:
    return files.Layer("Masking", "masked", ("x",), {"mask_value": value})


def two_inputs() -> Layers:
    """Return a model that tells the range of one of its inputs."""
    return [
        files.features("x", width=WIDTH),
        files.features("raw", width=WIDTH),
        rescaling(0.01, 0.0),
        files.rnn("rescaled", "first", width=WIDTH),
        files.rnn("raw", "second", width=WIDTH),
        files.Layer("Concatenate", "joined", ("first", "second"), {"axis": -1}),
        files.Layer("Dense", "out", ("joined",), {"units": 1}, ((2 * files.U, 1), (1,))),
    ]


def wide() -> Layers:
    """Return a model whose input is as wide as its softmax: it may be one-hot, or may not."""
    return [
        files.features(width=12),
        files.rnn("x", width=12),
        files.dense(12, "rnn", activation="softmax"),
    ]


def unknown(folder: Path, layers: Layers) -> tuple[str, ...]:
    model = open_source(files.save(folder / "model.keras", layers)).model
    return inputs_of_unknown_range(model, lower(model))


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param(behind, id="nothing in front"),
        pytest.param(lambda: behind(masking(-1.0)), id="a mask alone"),
        pytest.param(lambda: behind(rescaling(1.0, 0.0)), id="a rescaling by one"),
        pytest.param(lambda: behind(normalization([0.0] * 3, [1.0] * 3)), id="never adapted"),
        pytest.param(lambda: behind(normalization([5.0, 0, 7.0], [4.0, 1, 9.0])), id="one is not"),
        pytest.param(wide, id="as wide as a softmax"),
        pytest.param(two_inputs, id="one of two inputs"),
    ],
)
def test_a_range_that_the_model_does_not_tell_is_unknown(
    tmp_path: Path, layers: Callable[[], Layers]
) -> None:
    assert len(unknown(tmp_path, layers())) == 1


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param(lambda: behind(rescaling(1 / 255, 0.0)), id="rescaled"),
        pytest.param(lambda: behind(normalization([9.0] * 3, [4.0] * 3)), id="normalized"),
        pytest.param(lambda: files.head(1), id="ids"),
    ],
)
def test_a_range_that_the_model_tells_is_known(
    tmp_path: Path, layers: Callable[[], Layers]
) -> None:
    assert unknown(tmp_path, layers()) == ()


def raw_model(folder: Path) -> Path:
    return files.save(folder / "model.keras", behind())


@pytest.mark.parametrize(
    ("targets", "schemes"),
    [
        (("c",), ("full-int8",)),
        (("tflm",), ("full-int8",)),
        (("c",), ("float32", "full-int8")),
        ((), ("full-int8",)),
    ],
)
def test_made_up_rows_calibrate_nothing_that_was_asked_for(
    tmp_path: Path, targets: tuple[str, ...], schemes: tuple[str, ...]
) -> None:
    out = tmp_path / "bundle"
    with pytest.raises(Refused, match=r"full-int8: .*'features'.*--data ROWS"):
        convert_with_report(
            raw_model(tmp_path), out, targets=targets, schemes=schemes, with_keras=False
        )
    assert not out.exists()


@pytest.mark.parametrize(
    ("targets", "schemes"), [(("tflm",), ()), ((), ("float32", "full-int8")), (("c",), ("all",))]
)
@pytest.mark.ci  # 1 to 5 s each: float32 is exported
def test_the_others_are_made_and_the_report_says_why_one_is_not(
    tmp_path: Path, targets: tuple[str, ...], schemes: tuple[str, ...]
) -> None:
    bundle, report = convert_with_report(
        raw_model(tmp_path),
        tmp_path / "bundle",
        targets=targets,
        schemes=schemes,
        with_keras=False,
    )
    assert report.verdict == "pass"
    assert {one.scheme for one in bundle.artifacts} >= {"float32"}
    assert all("full-int8" not in one.scheme for one in bundle.artifacts)
    left_out = [one for one in bundle.manifest["left_out"] if one["check"] == "calibration"]
    assert left_out and all("--data ROWS" in one["reason"] for one in left_out)
    assert any("--data ROWS" in note for note in report.notes)


# ---- Counted at run time -------------------------------------------------------------------

FED = GraphInput("x", "float32", (None, None, 2))
ROWS = np.array([[[0, 0], [1, -9]], [[2, 10], [2.5, -11]], [[-2.5, 10], [-7, -7]]], np.float32)
"""With 0, 2 and 3 values beyond a range of 2 and 10, or 1 less where -7 is padding."""


def watch(*, padding: float | None = None) -> RangeWatch:
    return RangeWatch([InputRange("x", (2.0, 10.0), padding)], [FED], name="b")


@pytest.mark.parametrize(
    ("given", "outside"),
    [
        (ROWS, [0, 2, 2]),
        (ROWS.astype(np.float64), [0, 2, 2]),
        (ROWS.tolist(), [0, 2, 2]),
        (memoryview(ROWS.data), [0, 2, 2]),
        ({"x": ROWS}, [0, 2, 2]),
        (np.array([[[-128, 1]]], np.int8), [1]),
        (np.array([[[0, 200]]], np.uint8), [1]),
        (np.zeros((0, 1, 2)), []),
        ([], []),
    ],
)
def test_values_outside_are_counted_in_whatever_form_they_come(
    given: Any, outside: list[int]
) -> None:
    counting = watch()
    assert counting.by_row(given) == outside
    assert counting.look(given) == counting.outside == sum(outside)


@pytest.mark.parametrize("as_lists", [False, True])
def test_padding_is_not_outside(as_lists: bool) -> None:
    rows = ROWS.tolist() if as_lists else ROWS
    assert watch(padding=-7.0).by_row(rows) == [0, 2, 1]


def test_threads_count_all_that_they_see() -> None:
    counting = watch()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(counting.look, [ROWS] * 400))
    assert counting.outside == 1600


@pytest.mark.parametrize(
    "entry",
    [
        [],
        {"x": {}},
        {"x": {"largest": [0.0]}},
        {"x": {"largest": ["1"]}},
        {"x": {"largest": [True]}},
        {"x": {"largest": [1.0], "padding": "0"}},
        {"x": {"largest": 1.0}},
    ],
)
def test_a_range_of_another_form_is_damage(entry: Any) -> None:
    with pytest.raises(ValueError, match="input_range"):
        parse_ranges({"input_range": entry})


@pytest.mark.parametrize("known", [InputRange("y", (1.0,)), InputRange("x", (1.0,))])
def test_a_range_of_no_input_of_the_model_is_damage(known: InputRange) -> None:
    with pytest.raises(BundleDamaged, match="calibrated range"):
        RangeWatch([known], [FED], name="b")


def test_what_is_masked_does_not_count_and_every_exporter_has_the_same_room(
    tmp_path: Path,
) -> None:
    layers = behind(masking(-99.0))
    graph = lower(open_source(files.save(tmp_path / "model.keras", layers)).model)
    (found,) = input_ranges(graph, {graph.inputs[0].name: np.array([3.0, 0.0, 0.5])})
    assert (found.largest, found.padding) == ((6.0, 2.0, 1.0), -99.0)
    assert HEADROOM == OF_C == OF_TFLM


# ---- From a conversion to the command line --------------------------------------------------


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convert a model of sensor values with rows of it, to integers and to floats."""

    def write(folder: Path) -> None:
        rows = np.random.default_rng(3).normal(0, 40, (120, 9, WIDTH)).astype(np.float32)
        convert_with_report(
            raw_model(folder),
            folder / "bundle",
            targets=["c"],
            schemes=["float32", "full-int8"],
            data=Arrays((rows,), None, "own.npz"),
            with_keras=False,
        )

    return made_once(tmp_path_factory, "calibrated", write) / "bundle"


def far_rows(folder: Path) -> Path:
    rows = np.random.default_rng(4).normal(0, 30, (6, 9, WIDTH)).astype(np.float32)
    rows[1, 2] = 5000.0
    rows[4, 7, 1] = -4000.0
    np.savez(folder / "far.npz", x=rows)
    return folder / "far.npz"


@pytest.mark.ci  # a conversion with a C library, 3 s; then each less than one
def test_predictions_and_streams_count_what_lies_outside(calibrated: Path, tmp_path: Path) -> None:
    rows = np.load(far_rows(tmp_path))["x"]
    predictor = load(calibrated, target="c", scheme="full-int8")
    assert predictor.out_of_range == 0
    predictor.scores(rows)
    predictor.predict(rows.tolist())
    assert predictor.out_of_range == 8
    stream = predictor.stream()
    for t in range(4):
        stream.step(rows[:, t])
    assert (stream.out_of_range, predictor.out_of_range) == (3, 11)
    stream.reset()
    assert stream.out_of_range == 0
    floats = load(calibrated, target="c", scheme="float32")
    floats.scores(rows)
    assert floats.out_of_range is floats.stream().out_of_range is None


@pytest.mark.ci
def test_the_command_line_tells_rows_and_steps_with_values_outside(
    calibrated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--target", "c", "--scheme", "full-int8", "--json")
    steps = [0] * 54
    steps[9 + 2], steps[4 * 9 + 7] = 3, 1
    for more, counts in (((), [0, 3, 0, 0, 1, 0]), (("--stream",), steps)):
        words = ("predict", calibrated, "--file", far_rows(tmp_path), *options, *more)
        assert main([str(word) for word in words]) == 0
        printed = capsys.readouterr()
        lines = [json.loads(line) for line in printed.out.splitlines()]
        assert [line["out_of_range"] for line in lines] == counts
        assert "4 values lie outside the range that c full-int8 was calibrated for" in printed.err
    floats = ("--target", "c", "--scheme", "float32", "--json")
    assert main(["predict", str(calibrated), "--file", str(far_rows(tmp_path)), *floats]) == 0
    printed = capsys.readouterr()
    assert "outside" not in printed.err and "out_of_range" not in printed.out


@pytest.mark.ci
def test_parity_notes_rows_outside_and_old_bundles_have_no_range(
    calibrated: Path, tmp_path: Path
) -> None:
    from gatelet.convert.proving import prove
    from gatelet.runtime.data.arrays import read_arrays

    far = read_arrays(far_rows(tmp_path), require_targets=False)
    report = prove(open_bundle(calibrated), far, with_keras=False)
    (note,) = (one for one in report.notes if "outside the range" in one)
    assert note.startswith("2 of 6 rows hold values outside the range that c full-int8 was")
    near = Arrays((np.ones((6, 9, WIDTH), np.float32),), None, "near.npz")
    told = prove(open_bundle(calibrated), near, with_keras=False).notes
    assert not any("outside the range" in one for one in told)
    old = copy_of(calibrated, tmp_path)
    path = old / "manifest.json"
    manifest = json.loads(path.read_bytes())
    (entry,) = (one for one in manifest["artifacts"] if one["scheme"] == "full-int8")
    del entry["input_range"]
    path.write_text(json.dumps(manifest), "utf-8")
    predictor = load(old, target="c", scheme="full-int8")
    predictor.scores(far.inputs[0])
    assert predictor.out_of_range is None
    entry["input_range"] = {"x": {"largest": "far"}}
    path.write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(BundleError, match="input_range"):
        open_bundle(old)
