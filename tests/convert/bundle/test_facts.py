"""What a manifest says of the model: the labels above all."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gatelet.convert.bundle.facts import describe
from gatelet.convert.bundle.writer import BundleWriter
from gatelet.convert.lowering.lower_source import with_meaning
from gatelet.convert.reading.model_source import ModelSource
from gatelet.convert.reading.source import SourceInput
from gatelet.convert.settings import ConversionSettings
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
    model: Any = SimpleNamespace(
        keras_version="3.0",
        layers={},
        calls=(),
        inputs=(SourceInput("x", (None, 6), "float32"),),
        output_layers=("out",),
        loss=None,
    )
    own = tuple("abc"[: max(2, outputs)])
    settings = ConversionSettings(activation="none" if activation == "linear" else None)
    one_label = replace(settings, multi_label=False) if activation == "sigmoid" else settings
    for given, expected in (((), labels), (own, own)):
        writer = BundleWriter(tmp_path, {"name": "small"})
        source = with_meaning(ModelSource("m", model, None, labels=given), graph, one_label)
        describe(writer, source, graph, strip=True)
        assert writer.facts["labels"] == list(expected)
        assert writer.facts["threshold"] == 0.5
        assert "decisions" not in writer.facts
