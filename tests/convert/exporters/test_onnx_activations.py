"""Every activation in ONNX files gives what the reference gives, far out too."""

from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.onnx.activations import ACTIVATIONS
from gatelet.errors import ConversionError
from gatelet.runtime.backends.reference.activations import ACTIVATIONS as REFERENCE
from tests.convert.exporters.onnx_graphs import SIZES, Compared, GraphMaker

F = 6
PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "relu": [
        {"max_value": 2.0},
        {"negative_slope": 0.3},
        {"threshold": 1.0},
        {"max_value": 2.0, "negative_slope": 0.1, "threshold": 0.5},
    ],
    "softmax": [{"axis": -2}],
    "log_softmax": [{"axis": -2}],
    "elu": [{"alpha": 0.5}],
    "gelu": [{"approximate": True}],
    "leaky_relu": [{"negative_slope": 0.01}],
    "celu": [{"alpha": 0.7}],
    "hard_shrink": [{"threshold": 1.0}],
    "soft_shrink": [{"threshold": 1.0}],
    "squareplus": [{"b": 1.0}],
    "sparsemax": [{"axis": -2}],
    "threshold": [{"threshold": 0.5}, {"threshold": 0.5, "default_value": -1.0}],
}
DEFAULTS: list[dict[str, Any]] = [{}]
CASES = [
    (name, parameters)
    for name in REFERENCE
    for parameters in ([] if name == "threshold" else DEFAULTS) + PARAMETERS.get(name, [])
]
EDGES = np.array(
    [
        [0, -0.0, 1e-6, -1e-6, 0.5, -0.5],
        [1, -1, 3, -3, 6, -6],
        [5, -5, 9, -9, 16.4, -16.4],
        [18, -18, 20, -20, 30, -30],
        [88, -88, 100, -100, 1000, -1000],
    ],
    np.float32,
)[None]


def make(name: str, **parameters: Any) -> Compared:
    maker = GraphMaker()
    shape = (None, None, F // 2 if name == "glu" else F)
    x = maker.input("features", None, None, F)
    return Compared(
        maker.finish(maker.one("Activation", [x], shape, activation=name, **parameters))
    )


def test_every_activation_can_be_exported() -> None:
    assert list(ACTIVATIONS) == list(REFERENCE)


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_an_activation(name: str, parameters: dict[str, Any]) -> None:
    compared = make(name, **parameters)
    generator = np.random.default_rng(0)
    scales = (3,) if name == "exponential" else (3, 30)
    for (B, T), scale in ((size, scale) for size in SIZES for scale in scales):
        x = (generator.normal(size=(B, T, F)) * scale).astype(np.float32)
        assert compared.excess({"features": x}) <= 1
    if name != "exponential":
        assert compared.excess({"features": EDGES}) <= 1


@pytest.mark.parametrize("name", ["linear", "relu", "sigmoid", "tanh", "softmax", "gelu", "elu"])
def test_nan_stays_nan(name: str) -> None:
    x = np.full((1, 1, F), np.nan, np.float32)
    assert np.isnan(make(name).run({"features": x})["n0_activation"]).all()


def test_refuses_an_unknown_activation() -> None:
    with pytest.raises(
        ConversionError, match="activation 'wavy' cannot be exported to onnx; known"
    ):
        make("wavy")
