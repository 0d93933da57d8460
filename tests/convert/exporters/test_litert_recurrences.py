"""Recurrences in LiteRT files give what the reference gives, for every option, mask and size."""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

from tests.convert.exporters.litert_graphs import SIZES, Compared, Feeds
from tests.convert.exporters.onnx_graphs import MASKS, GraphMaker, mask_of

F, U = 4, 5
HEIGHT, WIDTH = 5, 4
OPS = ("LSTM", "GRU", "SimpleRNN")
STATES = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1}

# what y is at masked timesteps; the last may come from initial states only
MASKED_OUTPUTS: tuple[dict[str, bool], ...] = (
    {},
    {"zero_output_for_mask": True},
    {"output_initial_state": True},
)

PAIRS = (
    ("relu", "hard_sigmoid"),
    ("softsign", "hard_sigmoid_keras2"),
    ("gelu", "sigmoid"),
    ("elu", "relu6"),
    ("linear", "softmax"),
    ("softplus", "sparse_sigmoid"),
)


def options(initial: bool) -> Iterator[dict[str, Any]]:
    """Return every combination: direction, sequence, and what y is where masked."""
    masked_outputs = MASKED_OUTPUTS if initial else MASKED_OUTPUTS[:2]
    for sequence, backwards in product((False, True), repeat=2):
        for masked in (None, *masked_outputs):
            yield {
                "return_sequences": sequence,
                "go_backwards": backwards,
                "masked": masked is not None,
                # states are the same whatever y is
                "return_state": not masked,
                **(masked or {}),
            }


@cache
def make(op: str, *, initial: bool) -> Compared:
    """Make one Graph of a node for each combination of options: a conversion takes seconds."""
    maker = GraphMaker()
    x = maker.input("features", None, None, F)
    starts = [
        maker.input(f"features_{i + 1}", None, U) for i in range(STATES[op] if initial else 0)
    ]
    mask = maker.one("MaskFeatures", [x], (None, None), mask_value=0.0)
    outputs: list[str] = []
    for index, settings in enumerate(options(initial)):
        if op == "GRU":
            settings["reset_after"] = index % 2 == 0
        masked = settings.pop("masked")
        outputs += maker.recurrence(
            op,
            [x, *starts],
            features=F,
            units=U,
            use_bias=index % 3 > 0,
            mask=mask if masked else None,
            **settings,
        )
    return Compared(maker.finish(*outputs))


def feeds(compared: Compared, B: int, T: int, kind: str) -> Feeds:
    generator = np.random.default_rng(B + T)
    x = generator.normal(size=(B, T, F)) * 2 * mask_of(kind, B, T)[..., None]
    found = {"features": x.astype(np.float32)}
    for one in compared.graph.inputs[1:]:
        found[one.name] = generator.normal(size=(B, U)).astype(np.float32)
    return found


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("initial", [False, True], ids=["from zero", "initial states"])
@pytest.mark.parametrize("op", OPS)
def test_every_option_at_every_size(op: str, initial: bool, kind: str) -> None:
    compared = make(op, initial=initial)
    assert compared.failures(feeds(compared, B, T, kind) for B, T in SIZES) == []


def test_batch_1_files_take_sequences_of_any_length() -> None:
    maker = GraphMaker()
    x = maker.input("features", None, None, F)
    (y,) = maker.recurrence(
        "GRU", [x], features=F, units=U, return_sequences=True, go_backwards=True
    )
    compared = Compared(maker.finish(y), scheme="float32-b1")
    sizes = (5, 1, 2, 3, 4, 9, 1, 64)  # fewer than a block's after more, and the other way
    assert compared.failures(feeds(compared, 1, T, "inner") for T in sizes) == []


@pytest.mark.parametrize("T", [8, 16, 24, 31, 32])
def test_sequences_whose_length_is_at_the_edge_of_a_block(T: int) -> None:
    compared = make("LSTM", initial=True)
    assert compared.failures([feeds(compared, 3, T, "inner")]) == []


@pytest.mark.parametrize("T", [1, 7, 8, 19])
def test_a_known_number_of_timesteps(T: int) -> None:
    maker = GraphMaker()
    x = maker.input("features", None, T, F)
    outputs = []
    for sequence, backwards in product((False, True), repeat=2):
        (y,) = maker.recurrence(
            "GRU", [x], features=F, units=U, return_sequences=sequence, go_backwards=backwards
        )
        outputs.append(y)
    compared = Compared(maker.finish(*outputs))
    assert compared.failures(feeds(compared, B, T, "none") for B in (1, 7, 64)) == []


def test_activations_in_recurrences_with_and_without_parameters() -> None:
    maker = GraphMaker(scale=0.3)
    x = maker.input("features", None, None, F)
    outputs: list[str] = []
    for op, (activation, recurrent) in product(OPS, PAIRS):
        settings: dict[str, Any] = {"activation": activation, "recurrent_activation": recurrent}
        if op == "SimpleRNN":
            del settings["recurrent_activation"]
        outputs += maker.recurrence(op, [x], features=F, units=U, **settings)
    outputs += maker.recurrence(
        "LSTM",
        [x],
        features=F,
        units=U,
        activation="relu",
        activation_parameters={"max_value": 0.5},
        recurrent_activation="leaky_relu",
        recurrent_activation_parameters={"negative_slope": 0.3},
    )
    compared = Compared(maker.finish(*outputs))
    assert compared.failures(feeds(compared, B, T, "none") for B, T in SIZES) == []


def test_a_stack_of_bidirectional_layers_over_masked_ids() -> None:
    maker = GraphMaker()
    ids = maker.input("ids", None, None, vocabulary=9)
    mask = maker.one("MaskIds", [ids], (None, None))
    weights = {"embeddings": maker.weight(9, F)}
    x = maker.one("Embedding", [ids], (None, None, F), weights=weights)
    for features in (F, 2 * U):
        both = [
            maker.recurrence(
                "LSTM",
                [x],
                features=features,
                units=U,
                mask=mask,
                return_sequences=True,
                zero_output_for_mask=True,
                go_backwards=backwards,
            )[0]
            for backwards in (False, True)
        ]
        x = maker.one("Concatenate", both, (None, None, 2 * U), axis=2)
    mean = maker.one("GlobalAveragePooling1D", [x], (None, 2 * U), mask=mask)
    compared = Compared(maker.finish(x, mean))
    generator = np.random.default_rng(0)
    many: list[Feeds] = [
        {"ids": (generator.integers(1, 9, (B, T)) * mask_of(kind, B, T)).astype(np.int32)}
        for (B, T), kind in product(SIZES, MASKS)
    ]
    assert compared.failures(many) == []


def test_recurrences_inside_time() -> None:
    maker = GraphMaker()
    x = maker.input("features", None, None, None, F)
    merged = maker.one("MergeTime", [x], (None, None, F))
    (inner,) = maker.recurrence("LSTM", [merged], features=F, units=U)
    split = maker.one("SplitTime", [inner, x], (None, None, U))
    (outer,) = maker.recurrence("GRU", [split], features=U, units=U, return_sequences=True)
    compared = Compared(maker.finish(split, outer))
    generator = np.random.default_rng(0)
    sizes = [(1, 1, 1), (2, 9, 3), (7, 3, 11), (1, 1, 1)]
    assert (
        compared.failures(
            {"features": generator.normal(size=(*size, F)).astype(np.float32)} for size in sizes
        )
        == []
    )


@cache
def images() -> Compared:
    maker = GraphMaker(scale=0.4)
    x = maker.input("features", None, None, HEIGHT, WIDTH, 3)
    starts = [maker.input(f"features_{i}", None, HEIGHT, WIDTH, 2) for i in (1, 2)]
    mask = maker.one("MaskIds", [maker.input("ids", None, None)], (None, None))
    outputs: list[str] = []
    for index, (sequence, backwards, masked) in enumerate(product((False, True), repeat=3)):
        valid, bias = index % 3 == 0, index % 2 == 0
        frame = (HEIGHT - 2, WIDTH - 1, 2) if valid else (HEIGHT, WIDTH, 2)
        weights = {
            "kernel": maker.weight(3, 2, 3, 8),
            "recurrent_kernel": maker.weight(3, 2, 2, 8),
        }
        outputs += maker.node(
            "ConvLSTM2D",
            [x] if valid else [x, *starts],
            (None, None, *frame) if sequence else (None, *frame),
            (None, *frame),
            (None, *frame),
            weights=weights | ({"bias": maker.weight(8)} if bias else {}),
            mask=mask if masked else None,
            activation="tanh",
            recurrent_activation="sigmoid",
            return_sequences=sequence,
            return_state=True,
            go_backwards=backwards,
            strides=[1, 1],
            padding="valid" if valid else "same",
            dilation_rate=[1, 1],
        )
    for strides, dilation in (([2, 2], [1, 1]), ([1, 1], [2, 2])):
        outputs += maker.node(
            "ConvLSTM2D",
            [x],
            (None, 3, 2, 2) if strides == [2, 2] else (None, HEIGHT, WIDTH, 2),
            weights={
                "kernel": maker.weight(3, 2, 3, 8),
                "recurrent_kernel": maker.weight(3, 2, 2, 8),
            },
            activation="relu",
            recurrent_activation="hard_sigmoid",
            return_sequences=False,
            strides=strides,
            padding="same",
            dilation_rate=dilation,
        )
    return Compared(maker.finish(*outputs))


@pytest.mark.parametrize("kind", MASKS)
def test_recurrences_of_images(kind: str) -> None:
    compared, generator = images(), np.random.default_rng(0)
    many = []
    for B, T in SIZES:
        shapes = [(B, T, HEIGHT, WIDTH, 3), *[(B, HEIGHT, WIDTH, 2)] * 2]
        names = ("features", "features_1", "features_2")
        found: dict[str, Any] = {
            name: generator.normal(size=shape).astype(np.float32)
            for name, shape in zip(names, shapes, strict=True)
        }
        found["ids"] = mask_of(kind, B, T).astype(np.int32)
        many.append(found)
    assert compared.failures(many) == []


def test_the_same_call_gives_the_same_again_where_memory_moves() -> None:
    """The engine finds a place for what is behind a loop in the first call, and moves the rest."""
    maker = GraphMaker(scale=0.3)
    x = maker.input("features", None, None, 32)
    weights = {"kernel": maker.weight(32, 40)}
    x = maker.one("Dense", [x], (None, None, 40), weights=weights)
    (y,) = maker.recurrence("GRU", [x], features=40, units=40, return_sequences=True)
    y = maker.one("Add", [x, y], (None, None, 40))
    (y,) = maker.recurrence("LSTM", [y], features=40, units=40, return_sequences=True)
    mean = maker.one("GlobalAveragePooling1D", [y], (None, 40), keepdims=False)
    weights = {"kernel": maker.weight(40, 3)}
    compared = Compared(maker.finish(maker.one("Dense", [mean], (None, 3), weights=weights)))
    rows = np.random.default_rng(0).normal(size=(64, 12, 32)).astype(np.float32)
    (name,) = compared.graph.outputs
    for _ in range(40):
        backend = compared.opened()
        for count in (5, 64, 32):
            first, *others = (backend.run({"features": rows[:count]})[name] for _ in range(4))
            assert all(np.array_equal(one, first) for one in others)
