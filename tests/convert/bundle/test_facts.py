"""What a manifest says of the model: the labels above all."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gatelet.convert.bundle.facts import default_labels, describe
from gatelet.convert.bundle.writer import BundleWriter
from gatelet.convert.reading.model_source import ModelSource
from gatelet.convert.reading.source import SourceInput
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.onnx_graphs import GraphMaker


def classifier(outputs: int, activation: str) -> Graph:
    maker = GraphMaker()
    x = maker.input("x", None, 6)
    weights = {"kernel": maker.weight(6, outputs)}
    return maker.finish(
        maker.one("Dense", [x], (None, outputs), weights=weights, activation=activation)
    )


@pytest.mark.parametrize(
    ("outputs", "activation", "labels"),
    [
        (1, "sigmoid", ("0", "1")),
        (3, "softmax", ("0", "1", "2")),
        (3, "sigmoid", ()),
        (1, "linear", ()),
    ],
)
def test_the_users_labels_stand_and_others_are_numbers(
    outputs: int, activation: str, labels: tuple[str, ...], tmp_path: Path
) -> None:
    graph = classifier(outputs, activation)
    assert default_labels(graph) == labels
    model: Any = SimpleNamespace(
        keras_version="3.0", layers={}, calls=(), inputs=(SourceInput("x", (None, 6), "float32"),)
    )
    for given, expected in (((), labels), (("no", "yes"), ("no", "yes"))):
        writer = BundleWriter(tmp_path, {"name": "small"})
        describe(writer, ModelSource("m", model, None, labels=given), graph, strip=True)
        assert writer.facts["labels"] == list(expected)
        assert writer.facts["threshold"] == 0.5
