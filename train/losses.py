"""What a step makes smaller, and the figure that it tells: of each answer, on any backend of Keras.

Not the figures of a part of the data, which are `gatelet.train.tasks` and `gatelet.runtime.data`.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from gatelet.runtime.data.tags import PADDING
from gatelet.train.tasks import Task

OfAnswers = Callable[[Any, Any], Any]
"""From targets and scores to a number for each answer."""


def losses(keras: ModuleType, task: Task, *, smoothing: float = 0.0) -> OfAnswers:
    """Return a function from targets and scores to the loss of each answer.

    Args:
        keras: The module.
        task: What is learned.
        smoothing: Share of each label that is spread over all labels.

    Source: Szegedy et al. 2016, section 7, of the smoothing.
    """
    ops, loss_of = keras.ops, getattr(keras.losses, task.loss)
    if task.is_single:
        return lambda targets, scores: loss_of(
            ops.cast(targets, "float32")[:, None], scores, label_smoothing=smoothing
        )
    if task.name == "multi-label":  # of each label, not of each row
        return lambda targets, scores: loss_of(
            targets[..., None], scores[..., None], label_smoothing=smoothing
        )
    if not task.labelled:
        return lambda targets, scores: loss_of(targets, scores)
    if not smoothing:
        return lambda targets, scores: loss_of(ops.maximum(targets, 0), scores)
    return lambda targets, scores: keras.losses.categorical_crossentropy(
        ops.one_hot(ops.maximum(targets, 0), scores.shape[-1]), scores, label_smoothing=smoothing
    )


def losses_of_scores(keras: ModuleType, task: Task) -> OfAnswers:
    """Return a function from scores of a teacher and of a model to the loss of each answer.

    Source: Hinton, Vinyals & Dean 2015, with a temperature of 1.
    """
    if task.is_single or not task.labelled:
        return getattr(keras.losses, task.loss)  # type: ignore[no-any-return]
    if task.name == "multi-label":  # of each label, not of each row
        return lambda wanted, scores: keras.losses.binary_crossentropy(
            wanted[..., None], scores[..., None]
        )
    return keras.losses.categorical_crossentropy  # type: ignore[no-any-return]


def figures(keras: ModuleType, task: Task, scale: Any) -> OfAnswers:
    """Return a function from targets and scores to the figure of each answer.

    Args:
        keras: The module.
        task: What is learned.
        scale: Of values, what 1 is in the unit of the data, [K].
    """
    ops = keras.ops
    if not task.labelled:
        return lambda targets, scores: ops.abs(scores - targets) * scale
    if task.is_single:
        return lambda targets, scores: ops.cast(
            ops.cast(scores[:, 0] > 0.5, "int32") == targets, "float32"
        )
    if task.name == "multi-label":
        return lambda targets, scores: ops.cast(
            ops.all((scores > 0.5) == (targets > 0.5), axis=1), "float32"
        )
    return lambda targets, scores: ops.cast(
        ops.cast(ops.argmax(scores, axis=-1), "int32") == targets, "float32"
    )


def mean_loss(keras: ModuleType, found: Any, weights: Any) -> Any:
    """Return the mean loss over all answers that have a weight, as Keras weighs them.

    Args:
        keras: The module.
        found: The loss of each answer.
        weights: Of each, 0 of padding; None for all alike.
    """
    ops = keras.ops
    if weights is None:
        return ops.mean(found)
    real = ops.sum(ops.cast(weights > 0, "float32"))
    return ops.sum(found * weights) / ops.maximum(real, 1.0)


def mean_figure(keras: ModuleType, found: Any, targets: Any, task: Task) -> Any:
    """Return the mean figure over all answers but padding."""
    ops = keras.ops
    if not task.steps:
        return ops.mean(found)
    real = ops.cast(targets != PADDING, "float32")
    return ops.sum(found * real) / ops.maximum(ops.sum(real), 1.0)
