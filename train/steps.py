"""A step of training and one of scoring, compiled once for batches of any size and length.

Not the batches, nor what is done with the figures: `gatelet.train.trainer`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Steps:
    """What TensorFlow compiles of a model.

    Args:
        model: Built; from ids [B, T] to scores [B, C].
        optimizer: Built for it.
        averages: A variable for each of its weights, which follows it.
        loss: Keras' name of it.
        weights: What is changed in the place of its weights, in their order; None for these.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        averages: list[Any],
        *,
        loss: str,
        weights: list[Any] | None = None,
    ) -> None:
        import keras
        import tensorflow as tf

        is_one = loss == BINARY
        changed = list(model.weights) if weights is None else weights
        learned = [one for one, own in zip(changed, model.weights, strict=True) if own.trainable]
        loss_of: Callable[[Any, Any], Any] = getattr(keras.losses, loss)
        ids = tf.TensorSpec((None, None), tf.int32)
        labels = tf.TensorSpec((None,), tf.int32)

        def learn(ids: Any, labels: Any, rate: Any) -> Any:
            with tf.GradientTape() as tape:
                scores = model(ids, training=True)
                truth = tf.cast(labels, tf.float32)[:, None] if is_one else labels
                loss = tf.reduce_mean(loss_of(truth, scores))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, learned, strict=True))
            for average, weight in zip(averages, changed, strict=True):
                average.assign(average + rate * (weight - average))
            said = tf.cast(scores[:, 0] > 0.5, tf.int32) if is_one else _largest(tf, scores)
            return loss, tf.reduce_mean(tf.cast(said == labels, tf.float32))

        self._learn = tf.function(
            learn, input_signature=[ids, labels, tf.TensorSpec((), tf.float32)]
        )
        self._score = tf.function(lambda ids: model(ids, training=False), input_signature=[ids])

    def learn(
        self, ids: "NDArray[np.int32]", labels: "NDArray[np.int32]", rate: float
    ) -> tuple[float, float]:
        """Take a step; the averages go so far towards the new weights as `rate` says.

        Returns:
            The mean loss of the batch, in nats, and its accuracy.
        """
        loss, accuracy = self._learn(ids, labels, rate)
        return float(loss), float(accuracy)

    def score(self, ids: "NDArray[np.int32]") -> "NDArray[np.float32]":
        """Return the model's scores [B, C]."""
        scores: NDArray[np.float32] = self._score(ids).numpy()
        return scores


BINARY = "binary_crossentropy"
"""The loss of a single score."""


def _largest(tf: Any, scores: Any) -> Any:
    return tf.argmax(scores, axis=1, output_type=tf.int32)
