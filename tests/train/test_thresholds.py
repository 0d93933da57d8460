"""Thresholds, class weights and losses against brute force, scikit-learn and Keras."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score
from sklearn.utils.class_weight import compute_class_weight

from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.tags import PADDING, aligned
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from gatelet.train.config import TrainConfig
from gatelet.train.model import Examples, Features, Network, import_keras
from gatelet.train.prepare import Prepared
from gatelet.train.tasks import TASKS, Rules, mean_loss
from gatelet.train.thresholds import tuned
from gatelet.train.trainer import Trainer
from gatelet.train.weighting import balanced, weights_of

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_the_threshold_of_one_score_is_the_best_there_is(metric: str) -> None:
    right = RNG.random(150) < 0.2
    scores = np.clip(0.25 * right + RNG.normal(0.2, 0.1, 150), 0.01, 0.99)[:, None]

    def figure(threshold: float) -> float:
        said = scores[:, 0] >= threshold
        if metric == "accuracy":
            return float(accuracy_score(right, said))
        return float(f1_score(right, said, average="macro"))

    rules = tuned(TASKS["binary"], right.astype(int), scores, Rules(("n", "y")), metric=metric)
    best = max(figure(one) for one in np.linspace(0.01, 0.99, 2000))
    assert figure(rules.threshold) == pytest.approx(best)
    assert figure(rules.threshold) > figure(0.5)


def test_each_of_several_labels_has_the_threshold_of_its_best_f1() -> None:
    right = RNG.random((120, 3)) < (0.5, 0.2, 0.1)
    scores = np.clip(0.3 * right + RNG.normal(0.25, 0.12, (120, 3)), 0.01, 0.99)
    task, rules = TASKS["multi-label"], Rules(("a", "b", "c"))
    found = tuned(task, right.astype(np.float32), scores, rules, metric="macro_f1").thresholds
    for at, threshold in enumerate(found):
        each = [f1_score(right[:, at], scores[:, at] >= one) for one in np.linspace(0, 1, 2000)]
        assert f1_score(right[:, at], scores[:, at] >= threshold) == pytest.approx(max(each))


def test_where_thresholds_change_nothing_0_5_stays() -> None:
    rules = tuned(
        TASKS["binary"],
        np.array([0, 1]),
        np.array([[0.1], [0.9]]),
        Rules(("n", "y")),
        metric="loss",
    )
    assert rules.threshold == 0.5


def test_balanced_weights_are_scikit_learns() -> None:
    targets = RNG.choice(4, 300, p=(0.6, 0.2, 0.15, 0.05)).astype(np.int32)
    wanted = compute_class_weight("balanced", classes=np.arange(4), y=targets)
    assert balanced(TASKS["multiclass"], targets, 4) == pytest.approx(wanted)
    steps = np.where(RNG.random((300, 2)) < 0.3, PADDING, targets[:, None])
    wanted = compute_class_weight("balanced", classes=np.arange(4), y=steps[steps != PADDING])
    assert balanced(TASKS["tags"], steps, 4) == pytest.approx(wanted)
    assert not weights_of(TASKS["tags"], steps, wanted)[steps == PADDING].any()
    sets = (RNG.random((300, 2)) < (0.1, 0.6)).astype(np.float32)
    for at, weights in enumerate(balanced(TASKS["multi-label"], sets, 2)):
        one = compute_class_weight("balanced", classes=np.arange(2), y=sets[:, at].astype(int))
        assert weights == pytest.approx(one)


def config(**settings: Any) -> TrainConfig:
    small = {"units": 3, "dropout": 0.0, "averaging": 0.0, "batch_size": 16, "epochs": 1}
    small["label_smoothing"] = 0.0
    return TrainConfig(data=Path("d.npz"), out=Path("run"), **(small | settings))


CASES: dict[str, tuple[Any, int]] = {
    "binary": (lambda n: RNG.integers(0, 2, n).astype(np.int32), 2),
    "multiclass": (lambda n: (np.arange(n) % 3).astype(np.int32), 3),
    "multi-label": (lambda n: (RNG.random((n, 3)) < 0.4).astype(np.float32), 3),
    "regression": (lambda n: RNG.normal(size=(n, 2)).astype(np.float32), 2),
    "tags": (lambda n: RNG.integers(-1, 3, (n, 4)).astype(np.int32), 3),
}


@pytest.mark.ci  # 10 s: two models of each task
@pytest.mark.parametrize(
    ("name", "weighted"),
    # values have no class weights
    [(name, weighted) for name in CASES for weighted in sorted({False, TASKS[name].labelled})],
)
def test_a_step_is_keras_own(name: str, weighted: bool) -> None:
    """One step of Adam over one batch, by ours and by Keras' own `fit` with sample weights."""
    keras, task = import_keras(), TASKS[name]
    make, width = CASES[name]
    x, targets = RNG.normal(size=(16, 4, 2)).astype(np.float32), make(16)
    features = Features(4, (0.1, -0.2), (1.5, 0.7))
    settings = config(class_weights="balanced" if weighted else None)
    network = Network.build(settings, labels=width, task=task, features=features)
    other = keras.models.clone_model(network.model)
    other.set_weights(network.weights())
    weights = balanced(task, targets, width) if weighted else None
    prepared: Any = Prepared(
        parts=None,  # type: ignore[arg-type]  # a step looks at none
        labels=tuple("abc"[:width]) if task.labelled else (),
        words=None,
        source={},
        task=task,
        features=features,
        weights=weights,
    )
    trainer = Trainer(network, settings, rows=2, prepared=prepared)
    rows = Examples(x, targets)
    epoch = trainer.fit_epoch(1, rows, rows, on_step=lambda done: None)

    counts = weights_of(task, targets, weights)
    scores = other(x)
    if name == "multi-label":  # Keras has no weights of each label: each is an answer of its own
        loss_of = keras.losses.binary_crossentropy(targets[..., None], scores[..., None])
        losses = np.asarray(loss_of) * counts
        assert epoch.loss == pytest.approx(losses.mean(), rel=1e-5)
    else:
        kept = np.maximum(targets, 0) if task.steps else targets
        real = (targets != PADDING).mean() if task.steps else 1.0
        other.compile(keras.optimizers.Adam(settings.learning_rate), task.loss)
        given = {"sample_weight": counts / real} if weighted or task.steps else {}
        # Keras divides by all answers, padding too
        other.fit(x, kept, batch_size=16, epochs=1, shuffle=False, verbose=0, **given)
        for one, same in zip(network.weights(), other.get_weights(), strict=True):
            assert np.abs(one - same).max() < 2e-5
    right = np.asarray(network.model(x), np.float64)
    assert epoch.val_loss == pytest.approx(mean_loss(task, targets, right), rel=1e-5)


def test_labels_stand_where_their_tokens_are() -> None:
    rows = Dataset(("A b c d", "x"), None, "d", label_lists=(("1", "2", "3", "4"), ("5",)))
    settings: dict[str, Any] = {"num_words": None, "maxlen": 3}
    texts = ["a b c d"]
    pre = Vectorizer.fit(texts, oov_token="?", **settings)
    assert aligned(rows, pre) == [["2", "3", "4"], [None, None, "5"]]
    post = Vectorizer.fit(texts, padding="post", truncating="post", oov_token="?", **settings)
    assert aligned(rows, post) == [["1", "2", "3"], ["5", None, None]]
    dropping = Vectorizer.fit(["a c d"], **settings)
    assert aligned(rows, dropping) == [["1", "3", "4"], [None, None, None]]
    for spec in (pre, post, dropping):
        ids = [spec.pad(text) for text in rows.texts]
        assert [[i != 0 for i in row] for row in ids] == [
            [label is not None for label in row] for row in aligned(rows, spec)
        ]
    characters = Vectorizer.fit(["abc"], char_level=True, **settings)
    word = Dataset(("abc",), None, "d", label_lists=(("BIE",),))
    assert aligned(word, characters) == [["B", "I", "E"]]
