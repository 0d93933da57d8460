"""What a bundle declares is bounded before anything runs; long models that are real still run."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.cli.main import main
from gatelet.errors import BundleUnsafe, ModelError
from gatelet.runtime import load, open_bundle
from gatelet.runtime.backends.pure import PureBackend
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph, GraphInput, Node
from gatelet.runtime.graph.safetensors import Tensor
from gatelet.runtime.graph.width import NUMBERS_AT_ONCE, width_of
from gatelet.runtime.predictor.workload import LARGEST_VALUE, check_row, row_s
from tests.fixture_types import PutPart


def lstm(timesteps: int | None, features: int, units: int) -> Graph:
    """Return an LSTM of zeros; nothing runs it."""
    weights = {
        name: Tensor("F32", shape, bytes(4 * math.prod(shape)))
        for name, shape in {"k": (features, 4 * units), "r": (units, 4 * units)}.items()
    }
    taken = GraphInput("features", "float32", (None, timesteps, features))
    roles = {"kernel": "k", "recurrent_kernel": "r"}
    node = Node("n", "LSTM", ("features",), ("y",), ((None, units),), roles)
    return Graph((taken,), (node,), ("y",), weights)


def check(graph: Graph, target: str, *, timesteps: int | None = None, limit: float = 60.0) -> None:
    check_row(graph, target=target, timesteps=timesteps, max_row_s=limit, name="b")


def with_maxlen(bundle: Path, maxlen: int) -> bytes:
    name = json.loads((bundle / "manifest.json").read_bytes())["vectorizer"]
    return json.dumps(json.loads((bundle / name).read_bytes()) | {"maxlen": maxlen}).encode()


@pytest.mark.parametrize("target", ["pure", "reference"])
def test_refuses_a_forged_maxlen_at_load(bundle: Path, put_part: PutPart, target: str) -> None:
    put_part(bundle, "vectorizer", with_maxlen(bundle, 1_000_000))
    with pytest.raises(BundleUnsafe, match=r"one row would take some 1\d\d s in .*max_row_s"):
        load(bundle, target=target)
    assert load(bundle, target=target, max_row_s=math.inf).scores([]) == []
    assert load(bundle, target=target, max_row_s=500.0).target == target


def test_the_command_line_can_lift_the_limit(
    bundle: Path, put_part: PutPart, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", str(bundle), "w1 w2", "--target", "pure", "--max-row-s"]
    put_part(bundle, "vectorizer", with_maxlen(bundle, 3000))
    assert main([*words, "0.1"]) == 1
    assert "now 0.1" in capsys.readouterr().err
    assert main([*words, "inf"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
def test_a_limit_that_is_none_is_a_wrong_argument(bundle: Path, bad: float) -> None:
    with pytest.raises(ValueError, match="max_row_s is"):
        load(bundle, max_row_s=bad)


@pytest.mark.parametrize(
    ("target", "timesteps", "features", "units"),
    [
        ("pure", 10_000, 64, 64),
        ("reference", 10_000, 256, 512),
        ("onnx", 10_000, 1024, 1024),
        ("litert", 200_000, 9, 128),
    ],
)
def test_models_as_large_as_real_ones_pass(
    target: str, timesteps: int, features: int, units: int
) -> None:
    check(lstm(timesteps, features, units), target)
    check(lstm(None, features, units), target, timesteps=timesteps)


@pytest.mark.parametrize("limit", [60.0, 1000.0])
def test_the_limit_is_on_work_and_on_memory(limit: float) -> None:
    graph = lstm(10**6, 64, 256)
    assert row_s(graph, target="pure", timesteps=None) > limit
    with pytest.raises(BundleUnsafe, match="choose another target"):
        check(graph, "pure", limit=limit)
    absurd = lstm(LARGEST_VALUE, 2, 1)
    with pytest.raises(BundleUnsafe, match="more than 268,435,456 numbers a row"):
        check(absurd, "onnx", limit=limit)
    check(absurd, "onnx", limit=math.inf)


@pytest.mark.parametrize(
    "changes",
    [
        {"shapes": ((None, 10**308, 10**308),)},
        {"inputs": ()},
        {"attributes": {"pool_size": ["x", 10**300, 10**300]}, "weights": {}},
    ],
)
def test_absurd_numbers_are_a_named_error(changes: dict[str, Any]) -> None:
    graph = lstm(5, 2, 3)
    with pytest.raises(BundleUnsafe):
        check(replace(graph, nodes=(replace(graph.nodes[0], **changes),)), "pure")


def test_a_value_of_another_shape_than_declared_stops_the_run() -> None:
    taken = GraphInput("features", "float32", (None, 2))
    node = Node("n", "RepeatVector", ("features",), ("y",), ((None, 3, 2),), attributes={"n": 4})
    graph = Graph((taken,), (node,), ("y",), {})
    for backend in (PureBackend(graph), ReferenceBackend(graph)):
        with pytest.raises(ModelError, match=r"declares .* \[None, 3, 2\] .* makes \[1, 4, 2\]"):
            backend.run({"features": [[1.0, 2.0]]})


def test_rows_of_many_timesteps_go_in_fewer_at_once() -> None:
    width = width_of(lstm(None, 16, 8))
    assert (width.fixed, width.each) == (16, 16)
    assert width.rows_at_once(100) > 64
    assert width.rows_at_once(NUMBERS_AT_ONCE // 32) == 2
    assert width.rows_at_once(10**9) == 1


@pytest.mark.parametrize("target", ["onnx", "pure"])
def test_a_model_of_ten_thousand_timesteps_runs(
    tmp_path: Path, write_bundle: Callable[..., Path], target: str
) -> None:
    path = write_bundle(
        tmp_path / "long",
        features=2,
        timesteps=None,
        artifacts=(("onnx", "float32"),),
        with_vectorizer=False,
    )
    rows = np.random.default_rng(1).normal(size=(3, 10_500, 2)).astype(np.float32)
    predictor = load(path, target=target)
    expected = ReferenceBackend(open_bundle(path).graph()).run({"features": rows[:1]})["scores"]
    given = rows if target == "onnx" else rows[:1]
    assert np.abs(np.asarray(predictor.scores(given))[:1] - expected).max() < 1e-5
