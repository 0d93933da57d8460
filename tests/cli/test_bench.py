"""`gatelet bench`: figures of every artifact, as a table, JSON and a picture."""

import json
import random
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from gatelet.runtime import load
from gatelet.runtime.measure.bench import measure, random_inputs
from tests.cli.conftest import RunCli

QUICK = ("--calls", "4", "--length", "3", "--length", "5", "--batch", "1", "--batch", "4")


def test_measures_every_artifact(cli: RunCli, written_bundle: Path, tmp_path: Path) -> None:
    svg = tmp_path / "bench.svg"
    done = cli("bench", written_bundle, *QUICK, "--json", "--svg", svg)
    assert done.code == 0
    results = json.loads(done.out)["results"]
    assert [(one["target"], one["scheme"]) for one in results] == [
        ("onnx", "float32"),
        ("onnx", "dynamic-int8"),
    ]
    for one in results:
        assert 0 < one["median_us"] <= one["p90_us"] <= one["p99_us"]
        assert one["cold_start_ms"] > 0 and one["peak_rss_mb"] > 1
        shapes = [(m["length"], m["batch"]) for m in one["measured"]]
        assert shapes == [(5, 1), (3, 1), (3, 4), (5, 4)]
        assert all(m["calls"] >= 3 and m["rows_per_s"] > 0 for m in one["measured"])
    assert "onnx dynamic-int8" in "".join(ElementTree.fromstring(svg.read_text("utf-8")).itertext())


def test_measures_the_targets_that_are_named(cli: RunCli, written_bundle: Path) -> None:
    done = cli("bench", written_bundle, *QUICK, "--target", "pure")
    assert done.code == 0
    assert "pure" in done.out and "onnx" not in done.out
    assert "cold start ms" in done.out
    assert (
        "nothing for target 'litert'"
        in cli("bench", written_bundle, "--target", "litert").complaint
    )
    assert "at least 1" in cli("bench", written_bundle, "--calls", "0").misuse


def test_every_call_has_other_texts(written_bundle: Path) -> None:
    predictor, draw = load(written_bundle), random.Random(0)
    drawn = [random_inputs(predictor, 6, 2, draw) for _ in range(20)]
    assert len({tuple(texts) for texts in drawn}) == 20
    assert all(len(text.split()) == 6 for texts in drawn for text in texts)


def test_measures_a_model_of_features(tmp_path: Path, write_bundle: Callable[..., Path]) -> None:
    path = write_bundle(tmp_path / "features", features=2, with_vectorizer=False)
    (result, *_) = measure(path, targets=["onnx"], lengths=(4,), batches=(1, 2), calls=3)
    assert [(one.length, one.batch) for one in result.measured] == [(4, 1), (4, 2)]


def test_measures_the_schemes_that_are_named(written_bundle: Path) -> None:
    found = measure(written_bundle, schemes=["dynamic-int8"], lengths=(4,), batches=(1,), calls=3)
    assert [(one.target, one.scheme) for one in found] == [("onnx", "dynamic-int8")]


def test_refuses_a_scheme_that_is_not_there(cli: RunCli, written_bundle: Path) -> None:
    refused = cli("bench", written_bundle, "--target", "onnx", "--scheme", "float16").complaint
    assert "has nothing for target 'onnx' in float16" in refused
    assert "that was asked for runs here" in cli("bench", written_bundle, "--scheme", "x").complaint


def test_without_an_engine_it_tells_what_to_do(cli_process: RunCli, written_bundle: Path) -> None:
    done = cli_process("bench", written_bundle, without=("onnxruntime",))
    assert done.code == 1
    assert "no artifact of bundle" in done.err and "gatelet doctor" in done.err


@pytest.mark.parametrize("flag", ["--length", "--batch", "--threads"])
def test_refuses_a_count_of_nothing(cli: RunCli, written_bundle: Path, flag: str) -> None:
    assert "must be at least 1" in cli("bench", written_bundle, flag, "0").misuse


def test_a_picture_that_cannot_be_written_is_told_before_measuring(
    cli: RunCli, written_bundle: Path, tmp_path: Path
) -> None:
    done = cli("bench", written_bundle, "--svg", tmp_path / "none" / "bench.svg")
    assert (done.code, done.out) == (1, "")
    assert "does not exist: create it, or choose another place" in done.err
    assert "measuring" not in done.err
