"""Every activation in LiteRT files gives what the reference gives, far out too."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.litert.activations import ACTIVATIONS
from gatelet.errors import ConversionError
from gatelet.runtime.backends.reference.activations import ACTIVATIONS as REFERENCE
from tests.convert.exporters.litert_graphs import SIZES, Compared
from tests.convert.exporters.onnx_graphs import GraphMaker

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
    "glu": [{"axis": -2}],
    "sparsemax": [{"axis": -2}],
    "threshold": [{"threshold": 0.5}, {"threshold": 0.5, "default_value": -1.0}],
}
CASES = [
    (name, parameters)
    for name in REFERENCE
    for parameters in [*([] if name == "threshold" else [{}]), *PARAMETERS.get(name, [])]
]
EDGES = np.array(
    [
        [0, -0.0, 1e-6, -1e-6, 0.5, -0.5],
        [1, -1, 3, -3, 6, -6],
        [5, -5, 9, -9, 16.4, -16.4],
        [18, -18, 20, -20, 30, -30],
        [80, -80, 100, -100, 1000, -1000],
    ],
    np.float32,
)[None]


@cache
def make() -> tuple[Compared, list[str]]:
    """Make one Graph of all cases; those along another axis see x with its axes swapped."""
    maker = GraphMaker()
    x = maker.input("features", None, None, F)
    swapped = maker.one("Transpose", [x], (None, F, None), perm=[0, 2, 1])
    outputs = []
    for name, parameters in CASES:
        size = F // 2 if name == "glu" else F
        other = parameters.get("axis") == -2
        shape = (None, size, None) if other else (None, None, size)
        outputs.append(
            maker.one("Activation", [swapped if other else x], shape, activation=name, **parameters)
        )
    return Compared(maker.finish(*outputs)), outputs


@cache
def excesses() -> dict[str, float]:
    """Return the largest excess of each output over all inputs, on one interpreter."""
    compared, outputs = make()
    generator = np.random.default_rng(0)
    inputs: list[Any] = [generator.normal(size=(B, T, F)) * 3 for B, T in SIZES]
    inputs += [generator.normal(size=(B, T, F)) * 20 for B, T in SIZES]
    many = [
        compared.excesses({"features": array.astype(np.float32)})
        for array in (*inputs, EDGES, EDGES[:, ::-1])
    ]
    return {name: max(one[name] for one in many) for name in outputs}


def test_every_activation_can_be_exported() -> None:
    assert list(ACTIVATIONS) == list(REFERENCE)


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: str(CASES[case]))
def test_an_activation(case: int) -> None:
    _, outputs = make()
    assert excesses()[outputs[case]] <= 1


def test_nan_is_what_the_reference_makes_of_it() -> None:
    compared, _ = make()
    assert compared.failures([{"features": np.full((2, 3, F), np.nan, np.float32)}]) == []


def test_refuses_an_unknown_activation() -> None:
    maker = GraphMaker()
    x = maker.input("features", None, F)
    graph = maker.finish(maker.one("Activation", [x], (None, F), activation="wavy"))
    with pytest.raises(
        ConversionError, match="activation 'wavy' cannot be exported to litert; known are linear"
    ):
        Compared(graph)
