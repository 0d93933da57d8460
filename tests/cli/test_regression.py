"""Models that give values and not labels: what evaluate, parity and convert make of their truth."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.parity.limits import Settings
from gatelet.convert.parity.quality.quality import quality_of
from gatelet.convert.proving import prove
from gatelet.convert.rows.given import known_truth
from gatelet.convert.rows.truth import truth_of
from gatelet.errors import DataError
from gatelet.runtime import load, open_bundle
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.regression import evaluate_regression
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.onnx_graphs import GraphMaker

RunCli = Callable[..., Any]
N = 40


@pytest.fixture
def values(tmp_path: Path, write_bundle: Callable[..., Path]) -> Path:
    return write_bundle(
        tmp_path / "values", labels=(), outputs=2, features=3, with_vectorizer=False
    )


def save(path: Path, y: Any) -> Path:
    x = np.random.default_rng(5).normal(size=(N, 6, 3)).astype(np.float32)
    np.savez(path, x=x, y=y)
    return path


def sequences() -> Graph:
    maker = GraphMaker()
    x = maker.input("features", None, None, 3)
    (h,) = maker.recurrence("LSTM", [x], features=3, units=2, return_sequences=True)
    return maker.finish(h)


def test_evaluate_gives_the_figures_of_a_regression(
    cli: RunCli, values: Path, tmp_path: Path
) -> None:
    y = np.random.default_rng(6).normal(size=(N, 2))
    path = save(tmp_path / "x.npz", y)
    done = cli("evaluate", values, "--data", path, "--json")
    assert done.code == 0, done.err
    float32, int8 = json.loads(done.out)
    assert (float32["scheme"], int8["scheme"]) == ("float32", "dynamic-int8")
    with np.load(path) as archive:
        scores = load(values, target="onnx", scheme="float32").scores(archive["x"])
    error = np.asarray(scores, np.float64) - y
    assert {key: float32[key] for key in ("rows", "mae", "rmse", "r2", "max_error")} == {
        "rows": N,
        "mae": pytest.approx(np.abs(error).mean()),
        "rmse": pytest.approx(np.sqrt((error**2).mean())),
        "r2": pytest.approx(1 - (error**2).sum() / ((y - y.mean()) ** 2).sum()),
        "max_error": pytest.approx(np.abs(error).max()),
    }
    quality = quality_of(np.asarray(scores), y, labels=(), threshold=0.5)
    assert quality == {key: pytest.approx(float32[key], rel=1e-5) for key in quality}
    table = cli("evaluate", values, "--data", path).out.splitlines()
    assert table[0].startswith("target    scheme")
    horizons = ["MAE", "a", "horizon", "R2", "a", "horizon"]
    assert table[0].split()[-9:] == ["R2", "max", "error", *horizons]
    assert table[-1].startswith("no model  their mean")
    assert float32["baseline"]["name"] == "their mean"
    assert float32["baseline"]["mae_2"] == pytest.approx(np.abs(y[:, 1] - y[:, 1].mean()).mean())


@pytest.mark.parametrize("command", ["evaluate", "parity", "convert"])
def test_a_value_that_is_no_number_names_its_row(
    cli: RunCli, values: Path, tmp_path: Path, command: str
) -> None:
    y = np.ones((N, 2))
    y[17, 1] = np.nan
    data = save(tmp_path / "x.npz", y)
    if command == "convert":
        with pytest.raises(DataError, match="nan in row 17 of 'y'"):
            known_truth(
                Arrays((np.ones((N, 6, 3)),), y, "x"),
                open_bundle(values).graph(),
                (),
                print,
                named=False,
            )
        return
    assert "x.npz' has nan in row 17 of 'y'" in cli(command, values, "--data", data).complaint


def test_another_number_of_values_is_told(cli: RunCli, values: Path, tmp_path: Path) -> None:
    data = save(tmp_path / "x.npz", np.ones(N))
    complaint = cli("evaluate", values, "--data", data).complaint
    assert complaint.endswith("x.npz' has 1 values a row, expected 2, as the model gives")


def test_constant_values_have_no_explained_variance() -> None:
    found = evaluate_regression([[1.0], [1.0]], [[1.5], [0.0]])
    assert found.to_dict() == {
        "rows": 2,
        "mae": 0.75,
        "rmse": pytest.approx(0.7905694),
        "r2": None,
        "max_error": 1.0,
    }


def test_the_values_of_a_sequence_are_held_against_the_sequence() -> None:
    graph, rng = sequences(), np.random.default_rng(1)
    data = Arrays((rng.normal(size=(N, 5, 3)),), rng.normal(size=(N, 5, 2)), "x.npz")
    truth = truth_of(data, graph, ()).values
    assert truth is not None and truth.shape == (N, 10)
    assert data.targets is not None
    quality = quality_of(data.targets + 0.25, truth, labels=(), threshold=0.5)
    assert quality["mae"] == pytest.approx(0.25)
    with pytest.raises(DataError, match="has 2 values a row, expected 10"):
        truth_of(Arrays(data.inputs, data.targets[:, -1], "x.npz"), graph, ())


def test_what_is_not_checked_is_told_with_the_reason(values: Path) -> None:
    graph = sequences()
    data = Arrays((np.ones((N, 5, 3)),), np.zeros(N), "x.npz")
    unused = truth_of(data, graph, ("a", "b")).unused
    assert unused.startswith("the model has scores for each time")
    assert "use a .npz" in truth_of(Dataset(("a",), ("1",), "x.csv"), graph, ()).unused
    assert truth_of(None, graph, ()) == (None, "")
    assert truth_of(data, graph, ("a", "b")).values is None


def test_labels_that_were_named_are_held_to_alike(written_bundle: Path) -> None:
    bundle = open_bundle(written_bundle)
    data = Dataset(("w1",) * N, ("good",) * N, "x.csv")
    told: list[str] = []
    with pytest.raises(DataError, match=r"has the label 'good' \(row 1\)"):
        known_truth(data, bundle.graph(), ("0", "1"), told.append, named=True)
    with pytest.raises(DataError, match=r"has the label 'good' \(row 1\)"):
        prove(bundle, data, with_keras=False, settings=Settings())
    assert known_truth(data, bundle.graph(), ("0", "1"), told.append, named=False) is None
    assert len(told) == 1 and told[0].endswith("or give --labels")
