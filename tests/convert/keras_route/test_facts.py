"""What the manifest of a bundle past the Graph says of the model."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from gatelet.convert.keras_route.convert import _facts
from gatelet.convert.settings import ConversionSettings
from gatelet.errors import ConfigError
from tests.convert.exporters.onnx_graphs import GraphMaker

TOLD = {"endings": ["sigmoid"], "layers": ["out"], "loss": None, "keras": "3.0", "parameters": 7}


@pytest.mark.parametrize(
    ("run", "threshold", "labels"),
    [
        (None, 0.5, ["0", "1"]),
        (SimpleNamespace(threshold=0.3, labels=("no", "yes"), thresholds=()), 0.3, ["no", "yes"]),
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


def test_what_the_caller_says_of_scores_holds_past_the_graph_too() -> None:
    maker = GraphMaker()
    x = maker.input("x", None, 6)
    weights = {"kernel": maker.weight(6, 3)}
    interface = maker.finish(maker.one("Dense", [x], (None, 3), weights=weights))
    source: Any = SimpleNamespace(run=None, name="m")
    told = {**TOLD, "endings": ["linear"]}
    settings = ConversionSettings(
        route="keras",
        labels=("a", "b", "c"),
        activation="sigmoid",
        multi_label=True,
        threshold={"b": 0.7},
    )
    (found,) = _facts(source, settings, interface, told)["decisions"]
    assert (found["activation"], found["multi_label"]) == ("sigmoid", True)
    assert found["thresholds"] == [0.5, 0.7, 0.5]
    loss = {"class_name": "BinaryCrossentropy", "config": {"from_logits": True}}
    known = replace(settings, activation=None)
    (same,) = _facts(source, known, interface, {**told, "loss": loss})["decisions"]
    assert same["activation"] == "sigmoid"
    with pytest.raises(ConfigError, match="--activation"):
        _facts(source, known, interface, told)
