"""A step of training and one of scoring, compiled once for batches of any size and length.

Not the batches, nor what is done with the figures: `gatelet.train.trainer`.
"""

from typing import TYPE_CHECKING, Any

from gatelet.train.losses import figures, losses, losses_of_scores, mean_figure, mean_loss
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
        label_smoothing: Share of each label that is spread over all labels in what is learned.
        teacher: A model whose scores are learned in the place of the targets; None for these.
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
        label_smoothing: float = 0.0,
        teacher: Any = None,
    ) -> None:
        import keras
        import tensorflow as tf

        weighted = weighted or task.steps  # there padding has none
        changed = list(model.weights) if changed is None else changed
        learned = [one for one, own in zip(changed, model.weights, strict=True) if own.trainable]
        losses_of, figures_of = losses(keras, task), figures(keras, task, scale)
        aims_of = (
            losses(keras, task, smoothing=label_smoothing)
            if teacher is None
            else losses_of_scores(keras, task)
        )
        inputs = tf.TensorSpec((None,) * (2 + features), tf.float32 if features else tf.int32)
        is_number = task.labelled and task.name != "multi-label"
        targets = tf.TensorSpec(
            (None,) * (1 + (task.steps or not is_number)), tf.int32 if is_number else tf.float32
        )
        weights = tf.TensorSpec(targets.shape, tf.float32) if weighted else None

        def learn(inputs: Any, targets: Any, rate: Any, weights: Any = None) -> Any:
            wanted = targets if teacher is None else teacher(inputs, training=False)
            with tf.GradientTape() as tape:
                scores = model(inputs, training=True)
                aim = mean_loss(keras, aims_of(wanted, scores), weights)
            gradients = tape.gradient(aim, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, learned, strict=True))
            for average, weight in zip(averages, changed, strict=True):
                average.assign(average + rate * (weight - average))
            loss = mean_loss(keras, losses_of(targets, scores), weights)
            return loss, mean_figure(keras, figures_of(targets, scores), targets, task)

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
