"""Words that are forgotten, softer labels, courses of the step size and decay, by hand."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.train.config import TrainConfig
from gatelet.train.model import Examples, Network
from gatelet.train.regularize import forget_words, step_size
from gatelet.train.trainer import Trainer

WORDS = 13
ROWS = np.arange(1, 13, dtype=np.int32).reshape(2, 6)
"""Each word once: Keras' Adam does not add up the gradients of a word that is there twice."""


def config(**settings: Any) -> TrainConfig:
    plain: dict[str, Any] = {
        "dropout": 0.0,
        "averaging": 0.0,
        "word_dropout": 0.0,
        "word_dropout_run": 1,
    }
    plain |= {"label_smoothing": 0.0, "schedule": "constant", "memory": 0, "pretrained": 0.0}
    small = {"maxlen": 6, "units": 3, "embedding": 2, "vocabulary": WORDS}
    return TrainConfig(data=Path("d.csv"), out=Path("run"), **(small | plain | settings))


@pytest.fixture
def ids() -> Any:
    rows = np.zeros((400, 6), np.int32)
    rows[:, 2:] = np.arange(1, 5)
    return rows


def test_without_a_share_nothing_is_forgotten(ids: Any) -> None:
    assert forget_words(ids, config(), number=1) is ids


@pytest.mark.parametrize("padding", ["pre", "post"])
def test_forgotten_words_are_dropped_and_the_others_close_up(ids: Any, padding: str) -> None:
    given = ids if padding == "pre" else ids[:, [2, 3, 4, 5, 0, 1]]
    asked = config(word_dropout=0.3, padding=padding)
    found = forget_words(given, asked, number=1)
    for row in found:
        words = row[row != 0].tolist()
        assert words == sorted(set(words)), "the words that stay keep their order"
        padded = [0] * (6 - len(words))
        assert row.tolist() == (padded + words if padding == "pre" else words + padded)
    share = (found != 0).sum() / (given != 0).sum()
    assert abs(share - 0.7) < 4 * math.sqrt(0.3 * 0.7 / 1600)
    assert (found == forget_words(given, asked, number=1)).all()
    assert (found != forget_words(given, asked, number=2)).any()
    assert (given == (ids if padding == "pre" else ids[:, [2, 3, 4, 5, 0, 1]])).all()


def test_words_are_forgotten_in_runs() -> None:
    rows = np.full((500, 80), 2, np.int32)
    asked = config(maxlen=80, word_dropout=0.25, word_dropout_run=4, oov_token="?")
    gone = forget_words(rows, asked, number=1) == 1
    assert abs(gone.mean() - 0.25) < 0.02
    after = gone[:, 1:][gone[:, :-1]].mean()  # stays in its run, or meets another such run
    assert abs(after - (3 / 4 + 1 / 4 * 0.25)) < 0.02
    assert (forget_words(rows, asked, number=1) == 1).tolist() == gone.tolist()


def test_forgotten_words_become_the_token_of_unknown_ones(ids: Any) -> None:
    found = forget_words(ids + (ids > 0), config(word_dropout=0.5, oov_token="?"), number=1)
    assert set(np.unique(found[:, :2])) == {0}
    for place in range(2, 6):
        assert set(np.unique(found[:, place])) == {1, place}


def test_words_with_a_label_each_stay_where_they_are(ids: Any) -> None:
    found = forget_words(ids + (ids > 0), config(word_dropout=0.5), number=1, in_place=True)
    for place in range(2, 6):
        assert set(np.unique(found[:, place])) == {1, place}


def test_the_step_size_follows_its_course() -> None:
    sizes = {
        name: [
            step_size(config(schedule=name, learning_rate=0.1, epochs=4), taken=taken, steps=5)
            for taken in (0, 5, 10, 20, 30)
        ]
        for name in ("constant", "linear", "cosine")
    }
    assert sizes["constant"] == [0.1] * 5
    assert sizes["linear"] == pytest.approx([0.1, 0.075, 0.05, 0, 0])
    quarter = 0.05 * (1 + math.sqrt(0.5))
    assert sizes["cosine"] == pytest.approx([0.1, quarter, 0.05, 0, 0])


@pytest.mark.parametrize(("cell", "both"), [("lstm", False), ("lstm", True), ("gru", False)])
def test_gates_remember_each_for_its_own_time(cell: str, both: bool) -> None:
    plain, asked = (
        config(cell=cell, bidirectional=both, units=40, layers=2, maxlen=200, memory=memory)
        for memory in (0, 100)
    )
    usual, found = (
        Network.build(one, vocabulary_size=WORDS, labels=2).weights() for one in (plain, asked)
    )
    changed = 0
    for old, new in zip(usual, found, strict=True):
        if (old == new).all():
            continue
        changed += 1
        if cell == "lstm":
            i, f, g, o = new.reshape(4, 40)
            assert (i == -f).all() and not g.any() and not o.any()
        else:
            f = new[0, :40]
            assert not new[1].any() and not new[0, 40:].any()
        steps = np.exp(f)  # odds of keeping: a state halves after about so many steps
        assert 1 <= steps.min() < 15 and 85 < steps.max() <= 99
    assert changed == (4 if both else 2)


def test_gates_remember_no_longer_than_a_row_and_a_cell_without_any_is_as_it_was() -> None:
    def weights(**settings: Any) -> Any:
        return Network.build(config(**settings), vocabulary_size=WORDS, labels=2).weights()

    longer, row = weights(memory=100), weights(memory=6)
    assert all((one == other).all() for one, other in zip(longer, row, strict=True))
    plain, asked = weights(cell="rnn", memory=0), weights(cell="rnn", memory=9)
    assert all((one == other).all() for one, other in zip(plain, asked, strict=True))


def trained(labels: int, **settings: Any) -> tuple[Any, Any, Trainer]:
    """Take one step on two rows; return the weights before and after it."""
    asked = config(epochs=2, batch_size=2, learning_rate=0.01, patience=5, **settings)
    network = Network.build(asked, vocabulary_size=WORDS, labels=labels)
    before, trainer = network.weights(), Trainer(network, asked, rows=2)
    rows = Examples(ROWS, np.array([1, labels - 1]))
    trainer.fit_epoch(1, rows, rows, on_step=lambda done: None)
    return before, network.weights(), trainer


@pytest.mark.ci  # 3 s each: TensorFlow compiles a step, here and below
@pytest.mark.parametrize("labels", [2, 3])
def test_smoothed_labels_are_what_the_gradient_sees(labels: int) -> None:
    """The first momentum of Adam is a tenth of the gradient."""
    before, _, trainer = trained(labels, label_smoothing=0.6)
    import tensorflow as tf

    network = Network.build(config(), vocabulary_size=WORDS, labels=labels)
    network.restore(before)
    hot = np.eye(labels, dtype=np.float32)[[1, labels - 1]] * 0.4 + 0.6 / labels
    with tf.GradientTape() as tape:
        scores = network.model(ROWS)
        if labels == 2:
            scores = tf.concat([1 - scores, scores], axis=1)
        loss = -tf.reduce_mean(tf.reduce_sum(hot * tf.math.log(scores), axis=1))
    gradients = tape.gradient(loss, network.model.trainable_variables)
    momenta = trainer._optimizer._momentums
    for gradient, momentum in zip(gradients, momenta, strict=True):
        wanted = tf.convert_to_tensor(gradient).numpy() / 10
        assert np.abs(momentum.numpy() - wanted).max() <= 1e-4 * np.abs(wanted).max()


@pytest.mark.ci
def test_decay_takes_its_share_off_besides_the_step() -> None:
    before, plain, _ = trained(2)
    again, decayed, _ = trained(2, weight_decay=0.5)
    for old, same, one, other in zip(before, again, plain, decayed, strict=True):
        assert (old == same).all()
        # Loshchilov & Hutter 2019, algorithm 2: rate * decay * w, besides Adam's own step
        assert other == pytest.approx(one - 0.01 * 0.5 * old, abs=1e-6)


@pytest.mark.ci
def test_a_schedule_is_what_the_steps_take_resumed_too() -> None:
    _, first, trainer = trained(2, schedule="linear", word_dropout=0.3)
    network, asked = trainer._network, trainer._config
    again = Network.build(asked, vocabulary_size=WORDS, labels=2)
    resumed = Trainer(again, asked, rows=2)
    resumed.go_on(trainer.state())
    rows = Examples(ROWS, np.array([1, 1]))
    for one in (trainer, resumed):
        one.fit_epoch(2, rows, rows, on_step=lambda done: None)
        assert float(one._optimizer.learning_rate) == pytest.approx(0.005)
    for old, new, same in zip(first, network.weights(), again.weights(), strict=True):
        moved = np.abs(new - old)  # row 0 of the embedding is padding, which is there twice
        assert moved.max() > 0 and moved[-1:].max() < 0.0075
        assert (new == same).all()
