"""dynamic-int8 ONNX files: really smaller, close to the reference, and honest about batches."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.quantize import quantize_int8
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.safetensors import Tensor
from tests.convert.exporters.onnx_graphs import MASKS, Array, Compared, GraphMaker, mask_of

F, U, V = 32, 40, 200

# relative to max(1, the largest |y|): 8 bits of weights, and 8 of activations where they are
# quantized too; the largest found is 0.034, of a SimpleRNN with relu
LIMIT = 0.05
INT8 = 3


def recurrence(
    op: str, *, over: str = "ids", scheme: str = "dynamic-int8", **settings: Any
) -> Compared:
    maker = GraphMaker(scale=0.15)
    ids = maker.input("ids", None, None, vocabulary=V)
    mask = maker.one("MaskIds", [ids], (None, None)) if settings.pop("masked", False) else None
    if over == "ids":
        weights = {"embeddings": maker.weight(V, F) * 5}
        x = maker.one("Embedding", [ids], (None, None, F), weights=weights)
    else:
        x = maker.input("features", None, None, F)
        x = maker.one("ApplyMask", [x], (None, None, F), mask=mask) if mask else x
    outputs = maker.recurrence(op, [x], features=F, units=U, mask=mask, **settings)
    return Compared(maker.finish(*outputs), scheme=scheme)


def feeds(compared: Compared, B: int, T: int, kind: str) -> dict[str, Array]:
    generator = np.random.default_rng(B + T)
    real = mask_of(kind, B, T)
    found: dict[str, Array] = {"ids": (generator.integers(1, V, (B, T)) * real).astype(np.int32)}
    if any(one.name == "features" for one in compared.graph.inputs):
        # what users feed may have any range in any column
        scale = np.logspace(-2, 2, F)
        found["features"] = (generator.normal(size=(B, T, F)) * scale).astype(np.float32)
    return found


def integer_bytes(compared: Compared) -> int:
    tensors = compared.model.graph.initializer
    return sum(int(np.prod(one.dims)) for one in tensors if one.data_type == INT8)


@pytest.mark.parametrize("masked", [False, True], ids=["unmasked", "masked"])
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("op", ["LSTM", "GRU", "SimpleRNN"])
def test_recurrences_are_close_and_a_quarter_of_the_size(
    op: str, activation: str, go_backwards: bool, masked: bool
) -> None:
    settings: dict[str, Any] = {
        "activation": activation,
        "go_backwards": go_backwards,
        "masked": masked,
        "return_sequences": True,
        "return_state": True,
    }
    compared = recurrence(op, **settings)
    for (B, T), kind in product(((1, 1), (1, 9), (5, 7)), MASKS if masked else ("none",)):
        if compared.exported.max_batch == 1 and B > 1:
            continue
        assert compared.excess(feeds(compared, B, T, kind), floor=LIMIT) <= 1
    floats = recurrence(op, scheme="float32", **settings)
    assert len(compared.exported.data) < 0.45 * len(floats.exported.data)
    # the embeddings and both kernels
    gates = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}[op]
    assert integer_bytes(compared) >= V * F + gates * U * (F + U)


def test_an_lstm_over_embeddings_computes_in_integers_and_takes_single_rows() -> None:
    compared = recurrence("LSTM")
    assert "DynamicQuantizeLSTM" in compared.ops
    assert compared.exported.max_batch == 1


@pytest.mark.parametrize(
    "compared",
    [
        pytest.param(lambda: recurrence("GRU"), id="GRU"),
        pytest.param(lambda: recurrence("SimpleRNN"), id="SimpleRNN"),
        pytest.param(lambda: recurrence("LSTM", activation="relu"), id="LSTM in a Scan"),
        pytest.param(lambda: recurrence("LSTM", over="features"), id="LSTM over features"),
        pytest.param(lambda: recurrence("LSTM", over="features", masked=True), id="masked"),
        pytest.param(
            lambda: recurrence(
                "LSTM", activation="linear", recurrent_activation="hard_sigmoid", over="ids"
            ),
            id="LSTM without bounds",
        ),
    ],
)
def test_rows_that_do_not_change_each_other_are_taken_at_once(compared: Any) -> None:
    found: Compared = compared()
    assert found.exported.max_batch is None
    assert not any(op.startswith("Dynamic") for op in found.ops)
    feed = feeds(found, 5, 7, "inner")
    (together,) = found.run(feed).values()
    for row in range(5):
        (alone,) = found.run({name: array[row : row + 1] for name, array in feed.items()}).values()
        assert np.abs(alone[0] - together[row]).max() <= 1e-5 * max(1, np.abs(alone).max())


def test_features_of_any_range_are_not_rounded() -> None:
    compared = recurrence("LSTM", over="features")
    weights = {}
    for name, tensor in compared.graph.weights.items():
        array = array_of(tensor)
        if array.ndim == 2:
            values, scales = quantize_int8(array, axis=1)
            array = values * scales
        weights[name] = Tensor("F32", array.shape, array.tobytes())
    compared.graph = replace(compared.graph, weights=weights)
    assert compared.excess(feeds(compared, 3, 9, "none")) <= 1


@pytest.mark.parametrize("over", ["features", "hidden"])
def test_a_large_dense_layer(over: str) -> None:
    maker = GraphMaker(scale=0.15)
    x = maker.input("features", None, None, 64)
    if over == "hidden":
        x = maker.one("Activation", [x], (None, None, 64), activation="tanh")
    weights = {"kernel": maker.weight(64, 80), "bias": maker.weight(80)}
    y = maker.one("Dense", [x], (None, None, 80), weights=weights)
    compared = Compared(maker.finish(y), scheme="dynamic-int8")
    feed = {"features": np.random.default_rng(0).normal(size=(1, 5, 64)).astype(np.float32)}
    assert compared.excess(feed, floor=LIMIT) <= 1
    assert compared.exported.max_batch == (1 if over == "hidden" else None)
    assert integer_bytes(compared) == 64 * 80


@pytest.mark.parametrize("op", ["Conv1D", "Conv2D", "ConvLSTM2D"])
def test_convolutions(op: str) -> None:
    maker = GraphMaker(scale=0.1)
    sizes = {"Conv1D": (9,), "Conv2D": (8, 9), "ConvLSTM2D": (4, 6, 7)}[op]
    x = maker.input("features", None, *sizes, 16)
    kernel = [3] * (1 if op == "Conv1D" else 2)
    settings: dict[str, Any] = {
        "padding": "same",
        "strides": [1] * len(kernel),
        "dilation_rate": [1] * len(kernel),
    }
    if op == "ConvLSTM2D":
        weights = {
            "kernel": maker.weight(3, 3, 16, 64),
            "recurrent_kernel": maker.weight(3, 3, 16, 64),
        }
        settings |= {"activation": "tanh", "recurrent_activation": "sigmoid"}
        settings["return_sequences"] = False
        shape: tuple[int | None, ...] = (None, 6, 7, 16)
    else:
        weights = {"kernel": maker.weight(*kernel, 16, 32), "bias": maker.weight(32)}
        settings["groups"] = 1
        shape = (None, *sizes, 32)
    y = maker.one(op, [x], shape, weights=weights, **settings)
    compared = Compared(maker.finish(y), scheme="dynamic-int8")
    fed = np.random.default_rng(0).normal(size=(3, *sizes, 16)).astype(np.float32)
    assert compared.excess({"features": fed}, floor=LIMIT) <= 1
    assert compared.exported.max_batch is None
    kernels = [array for role, array in weights.items() if role != "bias"]
    assert integer_bytes(compared) == sum(array.size for array in kernels)


def test_small_tensors_stay_float_and_exact() -> None:
    maker = GraphMaker()
    ids = maker.input("ids", None, None, vocabulary=20)
    embeddings = {"embeddings": maker.weight(20, 8)}
    x = maker.one("Embedding", [ids], (None, None, 8), weights=embeddings)
    (h,) = maker.recurrence("LSTM", [x], features=8, units=8)
    y = maker.one("Dense", [h], (None, 4), weights={"kernel": maker.weight(8, 4)})
    compared = Compared(maker.finish(y), scheme="dynamic-int8")
    fed = np.random.default_rng(0).integers(0, 20, (7, 5)).astype(np.int32)
    assert compared.excess({"ids": fed}) <= 1
    assert compared.exported.max_batch is None


def test_a_table_of_states_keeps_half_precision() -> None:
    maker = GraphMaker()
    trimmed, start = maker.node(
        "TrimPadding", [maker.input("ids", None, None)], (None, None), (), limit=99, trailing=False
    )
    table = maker.weight(100, 16)
    state = maker.one("PadState", [start, trimmed], (None, 16), weights={"table": table})
    compared = Compared(maker.finish(state), scheme="dynamic-int8")
    (found,) = compared.run({"ids": np.zeros((2, 51), np.int32)}).values()
    assert np.array_equal(found, np.repeat(table[50][None].astype(np.float16), 2, axis=0))
