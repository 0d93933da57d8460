"""What the manifest of a bundle past the Graph says of the model."""

from types import SimpleNamespace
from typing import Any

import pytest

from gatelet.convert.keras_route.convert import _facts
from gatelet.convert.settings import ConversionSettings
from tests.convert.exporters.onnx_graphs import GraphMaker

TOLD = {"endings": ["sigmoid"], "layers": ["out"], "loss": None, "keras": "3.0", "parameters": 7}


@pytest.mark.parametrize(
    ("run", "threshold", "labels"),
    [
        (None, 0.5, ["0", "1"]),
        (SimpleNamespace(threshold=0.3, labels=("no", "yes")), 0.3, ["no", "yes"]),
    ],
)
def test_a_run_tells_threshold_and_labels(run: Any, threshold: float, labels: list[str]) -> None:
    maker = GraphMaker()
    x = maker.input("x", None, 6)
    weights = {"kernel": maker.weight(6, 1)}
    interface = maker.finish(
        maker.one("Dense", [x], (None, 1), weights=weights, activation="sigmoid")
    )
    source: Any = SimpleNamespace(run=run, name="m")
    found = _facts(source, ConversionSettings(route="keras"), interface, TOLD)
    assert (found["threshold"], found["labels"]) == (threshold, labels)
