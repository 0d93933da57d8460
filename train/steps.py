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
        label_smoothing: Share of each label that is spread over all labels in what is learned.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        averages: list[Any],
        *,
        loss: str,
        label_smoothing: float = 0.0,
    ) -> None:
        import keras
        import tensorflow as tf

        is_one = loss == BINARY
        loss_of: Callable[[Any, Any], Any] = getattr(keras.losses, loss)
        smooth = float(label_smoothing)
        ids = tf.TensorSpec((None, None), tf.int32)
        labels = tf.TensorSpec((None,), tf.int32)

        def smoothed(truth: Any, scores: Any) -> Any:
            if is_one:
                soft = keras.losses.binary_crossentropy(truth, scores, label_smoothing=smooth)
            else:
                hot = tf.one_hot(truth, scores.shape[-1])
                soft = keras.losses.categorical_crossentropy(hot, scores, label_smoothing=smooth)
            return tf.reduce_mean(soft)

        def learn(ids: Any, labels: Any, rate: Any) -> Any:
            with tf.GradientTape() as tape:
                scores = model(ids, training=True)
                truth = tf.cast(labels, tf.float32)[:, None] if is_one else labels
                loss = tf.reduce_mean(loss_of(truth, scores))
                aim = loss if not smooth else smoothed(truth, scores)
            gradients = tape.gradient(aim, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            for average, weight in zip(averages, model.weights, strict=True):
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
