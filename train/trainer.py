"""One epoch after the other: batches, steps, the average of the weights, and what a stop keeps.

Not which epoch is the best, nor when to end: `gatelet.train.epochs`. Between epochs the network
holds the average of the weights; the steps go on from where the last one left them.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gatelet.train.config import TrainConfig
from gatelet.train.epochs import Epoch
from gatelet.train.model import Examples, Network, import_keras, known_warnings
from gatelet.train.regularize import forget_words, step_size
from gatelet.train.skipping import batches_of, can_skip, cut, real_lengths, skipping_model
from gatelet.train.steps import Steps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = list[NDArray[Any]]

OnStep = Callable[[int], None]

SCORING_ROWS = 256  # rows a step where nothing is learned: the steps' overhead hardly counts
_EPSILON = 1e-7  # by which Keras keeps scores from 0 and 1 in a logarithm


class Trainer:
    """A network in training.

    Args:
        network: Fresh from `Network.build`, of the same configuration.
        config: The schedule, the dropout and the seed.
        steps: Of an epoch.
    """

    def __init__(self, network: Network, config: TrainConfig, *, steps: int) -> None:
        keras = import_keras()
        self._network = network
        self._config = config
        self._skips = can_skip(config)
        self._momentum = _momentum(config.averaging * steps)
        # one of its own: between epochs the network holds the averages, and this goes on
        self._model = (
            skipping_model(keras, config, network)
            if self._skips
            else keras.models.clone_model(network.model)
        )
        self._model(keras.ops.zeros((1, config.maxlen), "int32"))  # which builds it
        self._model.set_weights(network.weights())
        self._optimizer = keras.optimizers.Adam(
            config.learning_rate, weight_decay=config.weight_decay or None
        )
        self._optimizer.build(self._model.trainable_variables)
        self._averages = [keras.Variable(one, trainable=False) for one in self._model.weights]
        self._steps = Steps(
            self._model,
            self._optimizer,
            self._averages,
            loss=network.loss,
            label_smoothing=config.label_smoothing,
        )
        self._steps_an_epoch = steps
        self._taken = 0

    def fit_epoch(
        self, number: int, train: Examples, validation: Examples, *, on_step: OnStep
    ) -> Epoch:
        """Learn from every training row once, in an order that seed and number decide.

        Args:
            number: Of the epoch, from 1.
            train: The rows to learn from.
            validation: The rows to measure only.
            on_step: Called after each step with the number of steps done. What it raises ends the
                epoch.

        Returns:
            The figures of both parts.
        """
        import numpy as np

        config = self._config
        ids, labels = np.asarray(train.ids, np.int32), np.asarray(train.labels, np.int32)
        ids = forget_words(ids, config, number=number)
        batches = batches_of(
            real_lengths(ids) if self._skips else None,
            rows=len(ids),
            batch_size=config.batch_size,
            seed=(config.seed, number),
        )
        figures = np.zeros(2)
        with known_warnings():
            for done, rows in enumerate(batches, 1):
                taken = cut(ids[rows]) if self._skips else ids[rows]
                # the first step's weights are the first average
                rate = 1.0 if not self._taken else 1 - self._momentum
                self._set_step_size()
                figures += len(rows) * np.array(self._steps.learn(taken, labels[rows], rate))
                self._taken += 1
                on_step(done)
            scores = self._scores(validation)
        loss, accuracy = (figures / len(ids)).tolist()
        truth = np.asarray(validation.labels)
        return Epoch(
            loss=loss,
            accuracy=accuracy,
            val_loss=_cross_entropy(scores, truth),
            val_accuracy=_accuracy(scores, truth),
        )

    def _set_step_size(self) -> None:
        if self._config.schedule != "constant":
            self._optimizer.learning_rate = step_size(
                self._config, taken=self._taken, steps=self._steps_an_epoch
            )

    def state(self) -> "Arrays":
        """Copy all that the next epoch starts from."""
        import numpy as np

        with known_warnings():
            return [np.array(self._taken), *(np.asarray(one) for one in self._variables())]

    def go_on(self, state: "Sequence[NDArray[Any]]") -> None:
        """Put back what `state` gave."""
        taken, *values = state
        self._taken = int(taken)
        for variable, value in zip(self._variables(), values, strict=True):
            variable.assign(value)

    def _variables(self) -> list[Any]:
        """List what a step changes: weights and seeds of dropout, their averages, the optimizer."""
        return [*self._model.variables, *self._averages, *self._optimizer.variables]

    def _scores(self, examples: Examples) -> "NDArray[np.float64]":
        """Put the averages into the network, and return their scores [B, C]."""
        import numpy as np

        last = self._model.get_weights()
        self._model.set_weights(self._averages)
        self._network.restore(self._model.get_weights())
        try:
            return self._in_order_of_length(np.asarray(examples.ids, np.int32))
        finally:
            self._model.set_weights(last)

    def _in_order_of_length(self, ids: "NDArray[np.int32]") -> "NDArray[np.float64]":
        import numpy as np

        order = np.argsort(real_lengths(ids), kind="stable")
        parts = []
        for at in range(0, len(order), SCORING_ROWS):
            rows = ids[order[at : at + SCORING_ROWS]]
            parts.append(self._steps.score(cut(rows) if self._skips else rows))
        scores = np.concatenate(parts).astype(np.float64)
        placed = np.empty_like(scores)
        placed[order] = scores
        return placed


def _momentum(window_steps: float) -> float:
    """Return the decay whose moving average looks back over so many steps; 0 for no average.

    Source: Polyak & Juditsky 1992, with the exponential weights of Kingma & Ba 2015, section 7.2.
    """
    return 1 - 1 / window_steps if window_steps > 1 else 0.0


def _cross_entropy(scores: "NDArray[np.float64]", truth: "NDArray[Any]") -> float:
    """Return the mean loss in nats, as Keras counts it."""
    import numpy as np

    kept = np.clip(scores, _EPSILON, 1 - _EPSILON)
    if kept.shape[1] == 1:
        right = np.where(truth == 1, kept[:, 0], 1 - kept[:, 0])
    else:
        right = kept[np.arange(len(kept)), truth]
    return float(-np.log(right).mean())


def _accuracy(scores: "NDArray[np.float64]", truth: "NDArray[Any]") -> float:
    said = scores[:, 0] > 0.5 if scores.shape[1] == 1 else scores.argmax(axis=1)
    return float((said == truth).mean())
