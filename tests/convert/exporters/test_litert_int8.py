"""dynamic-int8 LiteRT files: really smaller, close to the reference, and nothing swallowed."""

from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.quantize import quantize_int8
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Shape
from gatelet.runtime.graph.safetensors import Tensor
from tests.convert.exporters.litert_graphs import Compared, Feeds
from tests.convert.exporters.onnx_graphs import MASKS, GraphMaker, mask_of

F, U, V = 32, 40, 200
SIZES = ((1, 1), (1, 9), (7, 5), (1, 20))

# relative to max(1, |y|): 8 bits of weights and of each row of activations; the largest found is
# 0.036, of a SimpleRNN with relu
LIMIT = 0.05


def ids_fed(B: int, T: int, kind: str) -> Feeds:
    ids = np.random.default_rng(B + T).integers(1, V, (B, T))
    return {"ids": (ids * mask_of(kind, B, T)).astype(np.int32)}


@cache
def recurrences(scheme: str) -> Compared:
    maker = GraphMaker(scale=0.15)
    ids = maker.input("ids", None, None, vocabulary=V)
    mask = maker.one("MaskIds", [ids], (None, None))
    weights = {"embeddings": maker.weight(V, F) * 5}
    x = maker.one("Embedding", [ids], (None, None, F), weights=weights)
    outputs: list[str] = []
    for op, backwards, masked in product(
        ("LSTM", "GRU", "SimpleRNN"), (False, True), (False, True)
    ):
        settings: dict[str, Any] = {"reset_after": masked} if op == "GRU" else {}
        outputs += maker.recurrence(
            op,
            [x],
            features=F,
            units=U,
            activation="relu" if backwards and op == "SimpleRNN" else "tanh",
            go_backwards=backwards,
            return_sequences=True,
            return_state=True,
            mask=mask if masked else None,
            **settings,
        )
    return Compared(maker.finish(*outputs), scheme=scheme)


@pytest.mark.parametrize("kind", MASKS)
def test_recurrences_are_close(kind: str) -> None:
    compared = recurrences("dynamic-int8")
    many = [ids_fed(B, T, kind) for B, T in SIZES]
    assert compared.failures(many, floor=LIMIT) == []


def test_recurrences_store_their_kernels_as_int8() -> None:
    compared = recurrences("dynamic-int8")
    gates = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
    kernels = sum(4 * count * U * (F + U) for count in gates.values())
    assert compared.int8_bytes() >= V * F + kernels
    assert compared.int8_bytes() < 1.1 * (V * F + kernels)
    floats = recurrences("float32")
    assert floats.int8_bytes() == 0
    # three bytes of four, less the scales
    saved = len(floats.exported.data) - len(compared.exported.data)
    assert saved > 2.5 * (V * F + kernels)


def test_no_row_of_an_embedding_is_ruined_by_a_larger_one() -> None:
    maker = GraphMaker()
    ids = maker.input("ids", None, None, vocabulary=2000)
    table = maker.weight(2000, 16) * np.logspace(-4, 1, 2000, dtype=np.float32)[:, None]
    table[7] = 0
    x = maker.one("Embedding", [ids], (None, None, 16), weights={"embeddings": table})
    compared = Compared(maker.finish(x), scheme="dynamic-int8")
    found = compared.run({"ids": np.arange(2000, dtype=np.int32)[None]})[x][0]
    largest = np.abs(table).max(axis=1, keepdims=True)
    # half a step of the row itself, and of the scales' own 16 bits
    step = largest / 127 + np.abs(table).max() / 127 / 32767
    assert (np.abs(found - table) <= 0.51 * step).all()
    assert not found[7].any()


@pytest.mark.parametrize("before", ["Reverse", "ReduceMax"])
@pytest.mark.parametrize("op", ["Dense", "LSTM", "Conv1D"])
def test_features_of_any_range_are_not_rounded(op: str, before: str) -> None:
    maker = GraphMaker(scale=0.15)
    x = maker.input("features", None, None, F)
    if before == "Reverse":
        x = maker.one("Reverse", [x], (None, None, F))
    else:
        x = maker.one("ReduceMax", [x], (None, 1, F), axes=[1], keepdims=True)
    if op == "LSTM":
        (y,) = maker.recurrence("LSTM", [x], features=F, units=U)
    else:
        shape: tuple[int, ...] = (F, U) if op == "Dense" else (3, F, U)
        settings: dict[str, Any] = {"strides": 1, "padding": "causal", "dilation_rate": 2}
        y = maker.one(
            op,
            [x],
            (None, None, U),
            weights={"kernel": maker.weight(*shape)},
            **({} if op == "Dense" else settings | {"groups": 1}),
        )
    compared = Compared(maker.finish(y), scheme="dynamic-int8")
    generator = np.random.default_rng(0)
    many: list[Feeds] = [
        {"features": (generator.normal(size=(B, T, F)) * np.logspace(-2, 2, F)).astype(np.float32)}
        for B, T in SIZES
    ]
    assert compared.int8_bytes() >= F * U
    # the rounding of the weights is no rounding of the features
    compared.graph = replace(
        compared.graph,
        weights={name: _rounded(tensor) for name, tensor in compared.graph.weights.items()},
    )
    # the recurrent product of an LSTM is in int8, but its state lies in -1..1
    assert compared.failures(many, floor=LIMIT if op == "LSTM" else 1e-5) == []


def _rounded(tensor: Tensor) -> Tensor:
    array = array_of(tensor)
    if array.ndim == 1:
        return tensor
    values, scales = quantize_int8(array, axis=-1)
    return Tensor("F32", array.shape, (values * scales).astype(np.float32).tobytes())


@pytest.mark.parametrize("op", ["Conv1D", "Conv2D", "ConvLSTM2D"])
def test_convolutions_are_close_and_store_int8(op: str) -> None:
    maker = GraphMaker(scale=0.1)
    sizes = {"Conv1D": (9,), "Conv2D": (8, 9), "ConvLSTM2D": (11, 6, 7)}[op]
    lead: Shape = (None, *sizes)
    x = maker.input("features", *lead, 16)
    x = maker.one("Activation", [x], (*lead, 16), activation="tanh")
    kernel = [3] * (1 if op == "Conv1D" else 2)
    attributes: dict[str, Any] = {
        "padding": "same",
        "strides": [1] * len(kernel),
        "dilation_rate": [1] * len(kernel),
    }
    if op == "ConvLSTM2D":
        weights = {role: maker.weight(3, 3, 16, 64) for role in ("kernel", "recurrent_kernel")}
        attributes |= {"activation": "tanh", "recurrent_activation": "sigmoid"}
        attributes["return_sequences"] = True
        shape: Shape = (*lead, 16)
    else:
        weights = {"kernel": maker.weight(*kernel, 16, 32), "bias": maker.weight(32)}
        attributes["groups"] = 1
        shape = (*lead, 32)
    y = maker.one(op, [x], shape, weights=weights, **attributes)
    compared = Compared(maker.finish(y), scheme="dynamic-int8")
    generator = np.random.default_rng(0)
    many: list[Feeds] = [
        {"features": generator.normal(size=(B, *sizes, 16)).astype(np.float32)} for B in (1, 7)
    ]
    assert compared.failures(many, floor=LIMIT) == []
    kernels = sum(array.size for role, array in weights.items() if role != "bias")
    assert kernels <= compared.int8_bytes() < 1.05 * kernels


def test_a_row_without_timesteps_stays_nan() -> None:
    maker = GraphMaker(scale=0.2)
    ids = maker.input("ids", None, None, vocabulary=V)
    mask = maker.one("MaskIds", [ids], (None, None))
    weights = {"embeddings": maker.weight(V, F)}
    x = maker.one("Embedding", [ids], (None, None, F), weights=weights)
    mean = maker.one("GlobalAveragePooling1D", [x], (None, F), mask=mask)
    weights = {"kernel": maker.weight(F, U), "bias": maker.weight(U)}
    hidden = maker.one("Dense", [mean], (None, U), weights=weights)
    repeated = maker.one("RepeatVector", [hidden], (None, 3, U), n=3)
    (h,) = maker.recurrence("GRU", [repeated], features=U, units=U)
    y = maker.one("Dense", [h], (None, U), weights={"kernel": maker.weight(U, U)})
    compared = Compared(maker.finish(hidden, h, y), scheme="dynamic-int8")
    fed = ids_fed(7, 5, "post")
    assert not fed["ids"][5].any()
    # NaN equals NaN only
    assert compared.failures([fed], floor=LIMIT) == []


def test_small_weights_stay_float() -> None:
    maker = GraphMaker()
    x = maker.input("features", None, None, 8)
    x = maker.one("Activation", [x], (None, None, 8), activation="tanh")
    (h,) = maker.recurrence("LSTM", [x], features=8, units=8)
    compared = Compared(maker.finish(h), scheme="dynamic-int8")
    fed = np.random.default_rng(0).normal(size=(7, 5, 8)).astype(np.float32)
    assert compared.failures([{"features": fed}]) == []
