"""Recurrences in ONNX files give what the reference gives, for every option and mask."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.onnx import count_scans
from tests.convert.exporters.onnx_graphs import MASKS, SIZES, Array, Compared, GraphMaker, mask_of

F, U = 4, 5
HEIGHT, WIDTH = 6, 5
OPS = ("LSTM", "GRU", "SimpleRNN")
OPERATORS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}
STATES = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1}

# (activation, recurrent_activation), and whether the operator computes them exactly
PAIRS = (
    ("tanh", "sigmoid", True),
    ("sigmoid", "hard_sigmoid", True),
    ("softsign", "hard_sigmoid_keras2", True),
    ("relu", "hard_sigmoid", True),
    ("linear", "hard_sigmoid_keras2", True),
    ("elu", "hard_sigmoid", True),
    ("leaky_relu", "sparse_sigmoid", True),
    ("tanh", "softsign", True),
    ("relu", "sigmoid", False),
    ("gelu", "sigmoid", False),
    ("tanh", "relu", False),
    ("softplus", "hard_sigmoid", False),
    ("selu", "sigmoid", False),
)


# what y is at masked timesteps; the last may come from initial states only
MASKED_OUTPUTS: tuple[dict[str, bool], ...] = (
    {},
    {"zero_output_for_mask": True},
    {"output_initial_state": True},
    {"zero_output_for_mask": True, "output_initial_state": True},
)


def make(
    op: str, *, masked: bool = False, initial: bool = False, seed: int = 0, **settings: Any
) -> Compared:
    maker = GraphMaker(seed=seed)
    x = maker.input("features", None, None, F)
    states = [
        maker.input(f"features_{i + 1}", None, U) for i in range(STATES[op] if initial else 0)
    ]
    mask = maker.one("MaskFeatures", [x], (None, None), mask_value=0.0) if masked else None
    if op == "SimpleRNN":
        settings.pop("recurrent_activation", None)
    if not initial:
        settings.pop("output_initial_state", None)
    outputs = maker.recurrence(op, [x, *states], features=F, units=U, mask=mask, **settings)
    return Compared(maker.finish(*outputs))


def feeds(compared: Compared, *, masked: bool, scale: float = 1.0) -> Iterator[dict[str, Array]]:
    generator = np.random.default_rng(1)
    for (B, T), kind in product(SIZES, MASKS if masked else ("none",)):
        x = generator.normal(size=(B, T, F)) * scale * mask_of(kind, B, T)[..., None]
        found = {"features": x.astype(np.float32)}
        for one in compared.graph.inputs[1:]:
            found[one.name] = generator.normal(size=(B, U)).astype(np.float32)
        yield found


def worst(compared: Compared, *, masked: bool, scale: float = 1.0) -> float:
    return max(compared.excess(feed) for feed in feeds(compared, masked=masked, scale=scale))


@pytest.mark.parametrize("masked", [False, True], ids=["unmasked", "masked"])
@pytest.mark.parametrize("initial", [False, True], ids=["from zero", "initial states"])
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("return_sequences", [False, True], ids=["last", "sequence"])
@pytest.mark.parametrize("op", OPS)
def test_every_direction_mask_and_state(
    op: str, return_sequences: bool, go_backwards: bool, initial: bool, masked: bool
) -> None:
    for masked_output in MASKED_OUTPUTS if masked else ({},):
        compared = make(
            op,
            masked=masked,
            initial=initial,
            return_sequences=return_sequences,
            return_state=True,
            go_backwards=go_backwards,
            **masked_output,
        )
        assert worst(compared, masked=masked) <= 1
        assert OPERATORS[op] in compared.ops
        assert not {"Loop", "Scan", "If"} & set(compared.ops)


@pytest.mark.parametrize(("activation", "recurrent_activation", "served"), PAIRS)
@pytest.mark.parametrize("op", OPS)
def test_every_pair_of_activations(
    op: str, activation: str, recurrent_activation: str, served: bool
) -> None:
    if op == "SimpleRNN":
        served = activation not in ("gelu", "softplus", "selu")
    compared = make(
        op,
        masked=True,
        activation=activation,
        recurrent_activation=recurrent_activation,
        return_sequences=True,
        return_state=True,
        go_backwards=True,
    )
    assert worst(compared, masked=True) <= 1
    assert ("Scan" in compared.ops) is not served
    assert count_scans(compared.graph) is not served


@pytest.mark.parametrize("masked", [False, True], ids=["unmasked", "masked"])
@pytest.mark.parametrize("initial", [False, True], ids=["from zero", "initial states"])
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("op", OPS)
def test_a_scan_knows_masks_states_and_directions_too(
    op: str, go_backwards: bool, initial: bool, masked: bool
) -> None:
    options = product((False, True), (False, True), MASKED_OUTPUTS if masked else ({},))
    for return_sequences, return_state, masked_output in options:
        compared = make(
            op,
            masked=masked,
            initial=initial,
            activation="silu",
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            **masked_output,
        )
        assert worst(compared, masked=masked) <= 1
        assert "Scan" in compared.ops


@pytest.mark.parametrize(
    ("activation", "parameters", "served"),
    [
        ("relu", {"negative_slope": 0.1}, True),
        ("relu", {"max_value": 1.5}, False),
        ("relu", {"threshold": 0.5}, False),
        ("elu", {"alpha": 0.4}, True),
        ("leaky_relu", {"negative_slope": 0.05}, True),
        ("gelu", {"approximate": True}, False),
    ],
)
@pytest.mark.parametrize("op", OPS)
def test_parameters_of_activations(
    op: str, activation: str, parameters: dict[str, Any], served: bool
) -> None:
    compared = make(
        op,
        activation=activation,
        activation_parameters=parameters,
        recurrent_activation="hard_sigmoid",
    )
    assert worst(compared, masked=False) <= 1
    assert ("Scan" in compared.ops) is not served


@pytest.mark.parametrize("activation", ["tanh", "softplus"], ids=["operator", "scan"])
@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("reset_after", [False, True])
def test_a_gru_resets_before_or_after_the_product(
    reset_after: bool, use_bias: bool, activation: str
) -> None:
    compared = make("GRU", reset_after=reset_after, use_bias=use_bias, activation=activation)
    assert worst(compared, masked=False) <= 1


@pytest.mark.parametrize("op", OPS)
def test_without_a_bias(op: str) -> None:
    assert worst(make(op, use_bias=False), masked=False) <= 1


@pytest.mark.parametrize("op", OPS)
def test_saturated_gates_and_large_states(op: str) -> None:
    assert worst(make(op, return_sequences=True, return_state=True), masked=False, scale=30) <= 1


def test_closed_gates_hide_a_large_state() -> None:
    # onnxruntime's own sigmoid(-16.4) is 4e-7 instead of 7e-8: a c of 1000 would shine through
    maker = GraphMaker()
    weights = {
        "kernel": np.zeros((1, 4), np.float32),
        "recurrent_kernel": np.zeros((1, 4), np.float32),
        "bias": np.array([30, 30, 1000, -16.4], np.float32),
    }
    y = maker.one(
        "LSTM",
        [maker.input("features", None, None, 1)],
        (None, 1),
        weights=weights,
        activation="relu",
        recurrent_activation="sigmoid",
        return_sequences=False,
    )
    feed = {"features": np.ones((1, 5, 1), np.float32)}
    assert Compared(maker.finish(y)).excess(feed) <= 1


def test_recurrences_that_share_a_mask_share_its_compaction() -> None:
    maker = GraphMaker()
    x = maker.input("features", None, None, F)
    mask = maker.one("MaskFeatures", [x], (None, None), mask_value=0.0)
    for go_backwards in (False, True):
        (x,) = maker.recurrence(
            "LSTM",
            [x],
            features=U if go_backwards else F,
            units=U,
            mask=mask,
            return_sequences=True,
            go_backwards=go_backwards,
        )
    compared = Compared(maker.finish(x))
    assert max(compared.excess(feed) for feed in feeds(compared, masked=True)) <= 1
    ops = [node.op_type for node in compared.model.graph.node]
    assert (ops.count("LSTM"), ops.count("ScatterElements")) == (2, 1)


def test_an_encoder_gives_a_decoder_its_states() -> None:
    maker = GraphMaker()
    source, target = (maker.input(name, None, None, F) for name in ("features", "features_1"))
    _, h, c = maker.recurrence("LSTM", [source], features=F, units=U, return_state=True)
    (y,) = maker.recurrence("LSTM", [target, h, c], features=F, units=U, return_sequences=True)
    compared = Compared(maker.finish(y, h))
    generator = np.random.default_rng(0)
    for B, T in SIZES:
        feed = {
            "features": generator.normal(size=(B, T, F)).astype(np.float32),
            "features_1": generator.normal(size=(B, T + 2, F)).astype(np.float32),
        }
        assert compared.excess(feed) <= 1


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("masked", [False, True], ids=["unmasked", "masked"])
@pytest.mark.parametrize("initial", [False, True], ids=["from zero", "initial states"])
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("return_sequences", [False, True], ids=["last", "sequence"])
def test_conv_lstm_2d(
    return_sequences: bool, go_backwards: bool, initial: bool, masked: bool, padding: str
) -> None:
    for strides, dilation_rate in (((1, 1), (1, 1)), ((2, 1), (1, 1)), ((1, 1), (1, 2))):
        compared = _conv_lstm_2d(
            masked=masked,
            initial=initial,
            return_sequences=return_sequences,
            go_backwards=go_backwards,
            padding=padding,
            strides=strides,
            dilation_rate=dilation_rate,
        )
        generator = np.random.default_rng(1)
        for B, T in ((1, 1), (1, 4), (3, 4)):
            feed: dict[str, Array] = {}
            for one in compared.graph.inputs:
                lead = (B, T) if len(one.shape) != 4 else (B,)
                shape = [*lead, *(size or 0 for size in one.shape[len(lead) :])]
                feed[one.name] = generator.normal(size=shape).astype(np.float32)
            if masked:
                feed["ids"] = generator.integers(0, 2, (B, T)).astype(np.int32)
            assert compared.excess(feed) <= 1


def _conv_lstm_2d(*, masked: bool, initial: bool, **settings: Any) -> Compared:
    kh, kw, C = 2, 3, 2
    (sh, sw), (dh, dw) = settings["strides"], settings["dilation_rate"]
    if settings["padding"] == "same":
        height, width = -(-HEIGHT // sh), -(-WIDTH // sw)
    else:
        height = (HEIGHT - (kh - 1) * dh - 1) // sh + 1
        width = (WIDTH - (kw - 1) * dw - 1) // sw + 1
    maker = GraphMaker()
    x = maker.input("features", None, None, HEIGHT, WIDTH, C)
    state = (None, height, width, U)
    states = [maker.input(f"features_{i}", *state) for i in (1, 2) if initial]
    mask = None
    if masked:
        mask = maker.one("MaskIds", [maker.input("ids", None, None)], (None, None))
    outputs = maker.node(
        "ConvLSTM2D",
        [x, *states],
        (None, None, *state[1:]) if settings["return_sequences"] else state,
        state,
        state,
        weights={
            "kernel": maker.weight(kh, kw, C, 4 * U),
            "recurrent_kernel": maker.weight(2, 2, U, 4 * U),
            "bias": maker.weight(4 * U),
        },
        mask=mask,
        activation="tanh",
        recurrent_activation="sigmoid",
        return_state=True,
        **settings,
    )
    return Compared(maker.finish(*outputs))
