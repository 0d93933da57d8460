"""A step of training and one of scoring, compiled once for batches of any size and length.

Not the batches, nor what is done with the figures: `gatelet.train.trainer`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gatelet.runtime.data.tags import PADDING
from gatelet.train.tasks import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Steps:
    """What TensorFlow compiles of a model.

    Args:
        model: Built; from ids [B, T] or features [B, T, F] to scores [B, C] or [B, T, C].
        optimizer: Built for it.
        averages: A variable for each of its weights, which follows it.
        task: What is learned.
        features: The model takes features, not ids.
        weighted: Answers count by weights, which each step is given; else all alike.
        scale: Of values, what 1 is in the unit of the data, [K].
        changed: What is changed in the place of its weights, in their order; None for these.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        averages: list[Any],
        *,
        task: Task,
        features: bool = False,
        weighted: bool = False,
        scale: Any = 1.0,
        changed: list[Any] | None = None,
    ) -> None:
        import keras
        import tensorflow as tf

        weighted = weighted or task.steps  # there padding has none
        changed = list(model.weights) if changed is None else changed
        learned = [one for one, own in zip(changed, model.weights, strict=True) if own.trainable]
        losses_of = _losses(keras, tf, task)
        figures_of = _figures(tf, task, scale)
        inputs = tf.TensorSpec((None,) * (2 + features), tf.float32 if features else tf.int32)
        is_number = task.labelled and task.name != "multi-label"
        targets = tf.TensorSpec(
            (None,) * (1 + (task.steps or not is_number)), tf.int32 if is_number else tf.float32
        )
        weights = tf.TensorSpec(targets.shape, tf.float32) if weighted else None

        def learn(inputs: Any, targets: Any, rate: Any, weights: Any = None) -> Any:
            with tf.GradientTape() as tape:
                scores = model(inputs, training=True)
                loss = _mean(tf, losses_of(targets, scores), weights)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, learned, strict=True))
            for average, weight in zip(averages, changed, strict=True):
                average.assign(average + rate * (weight - average))
            return loss, _mean_of_real(tf, figures_of(targets, scores), targets, task)

        signature = [inputs, targets, tf.TensorSpec((), tf.float32)]
        signature += [weights] if weights is not None else []
        self.weighted = weighted
        self._learn = tf.function(learn, input_signature=signature)
        self._score = tf.function(lambda x: model(x, training=False), input_signature=[inputs])

    def learn(
        self,
        inputs: "NDArray[Any]",
        targets: "NDArray[Any]",
        rate: float,
        weights: "NDArray[np.float32] | None" = None,
    ) -> tuple[float, float]:
        """Take a step; the averages go so far towards the new weights as `rate` says.

        Args:
            inputs: Ids or features of a batch.
            targets: As `Examples` has them.
            rate: In 0..1.
            weights: Of each answer, where they count by weights: 0 of padding.

        Returns:
            The mean loss of the batch, and its figure: accuracy, or mean absolute error.
        """
        given = (weights,) if self.weighted else ()
        loss, figure = self._learn(inputs, targets, rate, *given)
        return float(loss), float(figure)

    def score(self, inputs: "NDArray[Any]") -> "NDArray[np.float32]":
        """Return the model's scores [B, C] or [B, T, C]."""
        scores: NDArray[np.float32] = self._score(inputs).numpy()
        return scores


def _losses(keras: Any, tf: Any, task: Task) -> Callable[[Any, Any], Any]:
    """Return a function from targets and scores to the loss of each answer."""
    loss_of: Callable[[Any, Any], Any] = getattr(keras.losses, task.loss)
    if task.is_single:
        return lambda targets, scores: loss_of(tf.cast(targets, tf.float32)[:, None], scores)
    if task.name == "multi-label":  # of each label, not of each row
        return lambda targets, scores: loss_of(targets[..., None], scores[..., None])
    if task.steps:
        return lambda targets, scores: loss_of(tf.maximum(targets, 0), scores)
    return loss_of


def _figures(tf: Any, task: Task, scale: Any) -> Callable[[Any, Any], Any]:
    """Return a function from targets and scores to the figure of each answer."""
    if not task.labelled:
        return lambda targets, scores: tf.abs(scores - targets) * scale
    if task.is_single:
        return lambda t, scores: tf.cast(tf.cast(scores[:, 0] > 0.5, tf.int32) == t, tf.float32)
    if task.name == "multi-label":
        return lambda targets, scores: tf.cast(
            tf.reduce_all((scores > 0.5) == (targets > 0.5), axis=1), tf.float32
        )
    return lambda targets, scores: tf.cast(
        tf.argmax(scores, axis=-1, output_type=tf.int32) == targets, tf.float32
    )


def _mean(tf: Any, losses: Any, weights: Any) -> Any:
    """Return the mean loss over all answers but padding, as Keras weighs them."""
    if weights is None:
        return tf.reduce_mean(losses)
    real = tf.reduce_sum(tf.cast(weights > 0, tf.float32))
    return tf.reduce_sum(losses * weights) / tf.maximum(real, 1.0)


def _mean_of_real(tf: Any, figures: Any, targets: Any, task: Task) -> Any:
    if not task.steps:
        return tf.reduce_mean(figures)
    real = tf.cast(targets != PADDING, tf.float32)
    return tf.reduce_sum(figures * real) / tf.maximum(tf.reduce_sum(real), 1.0)
