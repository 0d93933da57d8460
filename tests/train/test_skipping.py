"""Training that leaves out shared padding learns what the usual model would."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.train.config import TrainConfig
from gatelet.train.model import Network, import_keras
from gatelet.train.padding_steps import padded
from gatelet.train.skipping import batches_of, can_skip, cut, real_lengths, skipping_model

MAXLEN, WORDS = 24, 30


def config(**settings: Any) -> TrainConfig:
    small = {"maxlen": MAXLEN, "units": 6, "embedding": 5, "vocabulary": WORDS, "dropout": 0.0}
    small["memory"] = 0  # gradients of 1e-4 and less are rounding where gates hardly open
    return TrainConfig(data=Path("d.csv"), out=Path("run"), **(small | settings))


@pytest.fixture
def ids() -> Any:
    rows, rng = np.zeros((4, MAXLEN), np.int32), np.random.default_rng(1)
    for row, length in enumerate((1, 3, 7, 0)):
        rows[row, MAXLEN - length :] = rng.integers(1, WORDS, length)
    return rows


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mask_zero": True},
        {"cell": "gru", "layers": 2, "pooling": "mean"},
        {"cell": "rnn", "pooling": "max"},
        {"layers": 2, "mask_zero": True},
        {"conv": 4, "conv_width": 3, "pooling": "max"},
        {"conv": 4, "conv_width": 2, "layers": 2},
    ],
    ids=lambda one: " ".join(map(str, one.values())) or "usual",
)
def test_scores_and_gradients_are_those_of_the_usual_model(
    settings: dict[str, Any], ids: Any
) -> None:
    keras = import_keras()
    import tensorflow as tf

    network = Network.build(config(**settings), vocabulary_size=WORDS, labels=2)
    skipping = skipping_model(keras, config(**settings), network)
    skipping(ids[:1])
    skipping.set_weights(network.weights())
    truth = np.array([[0], [1], [1], [0]], np.float32)

    def found(model: Any, rows: Any) -> tuple[Any, list[Any]]:
        with tf.GradientTape() as tape:
            scores = model(rows, training=True)
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(truth, scores))
        gradients = tape.gradient(loss, model.trainable_variables)
        return scores.numpy(), [tf.convert_to_tensor(one).numpy() for one in gradients]

    asked = config(**settings)
    assert cut(ids, asked).shape == (4, 8 + (asked.conv_width - 1 if asked.conv else 0))
    scores, gradients = found(network.model, ids)
    same, others = found(skipping, cut(ids, asked))
    assert np.abs(scores - same).max() <= 1e-6
    for one, other in zip(gradients, others, strict=True):
        assert np.abs(one - other).max() <= 1e-5 * np.abs(one).max()
    whole, _ = found(skipping, ids)
    assert np.abs(scores - whole).max() <= 1e-6


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3), ("rnn", 1)])
def test_gradients_of_padding_are_differences(cell: str, gates: int) -> None:
    rng = np.random.default_rng(2)
    given = [rng.normal(0, 0.5, size) for size in ((5, gates * 3), (3, gates * 3), (gates * 3,))]
    done = padded(cell, *given)
    wanted = [rng.normal(size=one.shape) for one in (done.outputs, *done.states)]

    def value() -> float:
        made = padded(cell, *given)
        values = (made.outputs, *made.states)
        return sum(float((a * b).sum()) for a, b in zip(values, wanted, strict=True))

    for array, gradient in zip(given, done.back(*wanted), strict=True):
        if cell != "gru" and array.ndim == 1:
            assert not gradient.any()  # their bias is within z
            continue
        for place in ((0,) * array.ndim, tuple(n - 1 for n in array.shape)):
            kept, step = array[place], 1e-5
            array[place] = kept + step
            above = value()
            array[place] = kept - step
            below = value()
            array[place] = kept
            assert gradient[place] == pytest.approx(
                (above - below) / (2 * step), rel=1e-4, abs=1e-8
            )


@pytest.mark.parametrize(
    "settings",
    [
        {"padding": "post"},
        {"bidirectional": True},
    ],
)
def test_padding_that_counts_is_read(settings: dict[str, Any]) -> None:
    assert can_skip(config())
    assert not can_skip(config(**settings))


def test_an_epoch_has_each_row_once_and_rows_of_like_length_together() -> None:
    lengths = np.random.default_rng(3).integers(1, 100, 1000)
    batches = batches_of(lengths, rows=1000, batch_size=32, seed=(1, 1))
    assert sorted(np.concatenate(batches).tolist()) == list(range(1000))
    spread = np.mean([np.ptp(lengths[one]) for one in batches])
    assert spread < 10
    again = batches_of(lengths, rows=1000, batch_size=32, seed=(1, 1))
    other = batches_of(lengths, rows=1000, batch_size=32, seed=(1, 2))
    assert all((a == b).all() for a, b in zip(batches, again, strict=True))
    assert any((a != b).any() for a, b in zip(batches, other, strict=True) if len(a) == len(b))
    plain = batches_of(None, rows=70, batch_size=32, seed=(1, 1))
    assert [len(one) for one in plain] == [32, 32, 6]


def test_a_row_of_padding_alone_keeps_its_last_step(ids: Any) -> None:
    assert real_lengths(ids).tolist() == [1, 3, 7, 1]
    assert cut(ids[3:], config()).shape == (1, 4)
