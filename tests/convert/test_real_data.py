"""On real texts every artifact is as accurate as the trained model."""

import json
from pathlib import Path
from typing import Any

import pytest

from gatelet.cli.main import main
from gatelet.convert.exporters.choice import DEFAULT_ARTIFACTS

POINTS = {"float32": 0.01, "dynamic-int8": 0.3}


@pytest.fixture(scope="module")
def trained(quickstart: Any) -> dict[str, Any]:
    """Return what training measured on its test part, by Keras."""
    found: dict[str, Any] = json.loads((quickstart.run / "metrics.json").read_bytes())
    return found


def evaluated(bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["evaluate", str(bundle), "--data", str(data), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_artifact_is_as_accurate_as_the_run(
    quickstart: Any, trained: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    measured = evaluated(quickstart.bundle, quickstart.run / "test.jsonl", capsys)
    assert [(one["target"], one["scheme"]) for one in measured] == [*DEFAULT_ARTIFACTS]
    for one in measured:
        assert one["rows"] == trained["rows"]
        difference = abs(one["accuracy"] - trained["accuracy"]) * 100
        assert difference <= POINTS[one["scheme"]], one


def test_a_float32_artifact_has_every_figure_of_the_run(
    quickstart: Any, trained: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    measured = evaluated(quickstart.bundle, quickstart.run / "test.jsonl", capsys)
    for one in (found for found in measured if found["scheme"] == "float32"):
        assert one["confusion_matrix"] == trained["confusion_matrix"]
        for name in ("macro_f1", "precision", "recall", "roc_auc", "brier"):
            assert one[name] == pytest.approx(trained[name], abs=1e-5), name


def test_the_trained_model_knows_something(trained: dict[str, Any]) -> None:
    assert trained["accuracy"] >= 0.77
