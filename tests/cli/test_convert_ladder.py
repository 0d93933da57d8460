"""What `gatelet convert` makes where a target or a scheme is named, and where it climbs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Done
from tests.convert.reading.hostile_files import write_keras

RunCli = Callable[..., Done]


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        ((), {("c", "float32"), ("onnx", "float32")}),
        (("--target", "onnx"), {("onnx", "float32")}),
        (("--scheme", "dynamic-int8"), {("c", "dynamic-int8"), ("onnx", "dynamic-int8")}),
    ],
)
def test_what_is_named_is_made_and_what_is_not_climbs(
    cli: RunCli, tmp_path: Path, flags: tuple[str, ...], kept: set[tuple[str, str]]
) -> None:
    model = write_keras(tmp_path / "model.keras")  # of few weights: int8 saves nothing
    named = flags or ("--target", "c", "--target", "onnx")
    targets = () if "--target" in named else ("--target", "c", "--target", "onnx")
    out = tmp_path / "b"
    done = cli("convert", model, "--out", out, "--no-keras", "--json", *named, *targets)
    assert done.code == 0, done
    told = json.loads(done.out)
    assert {(one["target"], one["scheme"]) for one in told["artifacts"]} == kept
    left_out = json.loads((out / "manifest.json").read_bytes()).get("left_out", [])
    assert told["left_out"] == left_out
    assert {one["target"] for one in left_out} == (
        set() if "--scheme" in flags else {target for target, _ in kept}
    )
    assert told["made_up"] and told["over"] == "made-up rows"
    last = cli("parity", out, "--no-keras").out.splitlines()[-1]
    rounded = "dynamic-int8" if "--scheme" in flags else ""
    assert ("give --data to learn what dynamic-int8 costs on yours" in last) == bool(rounded)


@pytest.mark.parametrize(("rows", "strict"), [(60, 1), (500, 0)])
def test_too_few_rows_are_undecided_and_fail_where_that_is_asked(
    cli: RunCli, tmp_path: Path, rows: int, strict: int
) -> None:
    model, data = write_keras(tmp_path / "model.keras"), tmp_path / "x.npz"
    x = np.random.default_rng(1).normal(size=(rows, 5, 3)).astype(np.float32)
    np.savez(data, x=x)
    words = ("--no-keras", "--target", "onnx", "--scheme", "dynamic-int8", "--data", data)
    done = cli("convert", model, "--out", tmp_path / "b", *words)
    assert done.code == 0, done
    verdict = "undecided" if strict else "pass"
    said = f"parity over {rows} rows of 'x.npz' against graph: {verdict}"
    assert done.out.splitlines()[-1] == said
    assert cli("convert", model, "--out", tmp_path / "b", *words, "--strict").code == strict


@pytest.mark.parametrize("command", ["convert", "parity"])
def test_a_regression_that_is_no_better_than_the_last_value_is_warned_of(
    cli: RunCli, tmp_path: Path, command: str
) -> None:
    model, data = write_keras(tmp_path / "model.keras"), tmp_path / "x.npz"
    x = np.random.default_rng(1).normal(size=(500, 5, 3)).astype(np.float32)
    bundle = tmp_path / "b"
    words: tuple[object, ...] = ("--no-keras", "--data", data)
    if command == "convert":
        words = (model, "--out", bundle, "--target", "onnx", *words)
    else:
        np.savez(data, x=x)
        made = cli("convert", model, "--out", bundle, "--target", "onnx", "--no-keras")
        assert made.code == 0
        words = (bundle, *words)
    for right, code in ((x.sum(axis=2, keepdims=True).repeat(2, axis=2), 0), (x[:, :, :2], 1)):
        np.savez(data, x=x, y=right)
        done = cli(command, *words)
        assert done.code == 0, done
        assert ("warning: the model's mean absolute error is" in done.out) == bool(code)
        assert cli(command, *words, "--strict").code == code
