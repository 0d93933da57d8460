"""One epoch after the other: batches, steps, the average of the weights, and what a stop keeps.

Not which epoch is the best, nor when to end: `gatelet.train.epochs`. Between epochs the network
holds the average of the weights; the steps go on from where the last one left them.
"""

import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gatelet.errors import ConfigError
from gatelet.runtime.data.tags import PADDING
from gatelet.train.config import TrainConfig
from gatelet.train.distributed import ALONE, JAX, TENSORFLOW, World
from gatelet.train.epochs import Epoch
from gatelet.train.inputs.fragments import Stored
from gatelet.train.jax_steps import JaxSteps
from gatelet.train.model import Examples, Network, import_keras, known_warnings
from gatelet.train.regularize import forget_words, step_size
from gatelet.train.rounding import Rounding
from gatelet.train.skipping import batches_of, can_skip, cut, real_lengths, skipping_model
from gatelet.train.steps import Steps
from gatelet.train.tasks import LOSS, Rules, mean_figure, mean_loss, metric_of, of_labels
from gatelet.train.weighting import weights_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gatelet.train.prepare import Prepared, Unit

    Arrays = list[NDArray[Any]]

OnStep = Callable[[int], None]

SCORING_ROWS = 256  # rows a step where nothing is learned: the steps' overhead hardly counts


class Trainer:
    """A network in training.

    With `aware` its weights are rounded in each step, and what is learned are the scores that it
    has before the first one: small weights come nearer to these than to the labels, which say less.

    Args:
        network: From `Network.build`, of the same configuration; trained before with `aware`.
        config: The schedule, the dropout and the seed.
        rows: Of the training part.
        prepared: What is learned; None for one label a text, all alike.
        processes: That train it together.

    Raises:
        ConfigError: Keras' backend cannot train it.
    """

    def __init__(
        self,
        network: Network,
        config: TrainConfig,
        *,
        rows: int,
        prepared: "Prepared | None" = None,
        processes: World = ALONE,
    ) -> None:
        self._rows_a_step = config.rows_a_step(rows)
        steps = math.ceil(rows / self._rows_a_step)
        keras = import_keras()
        backend = backend_of(keras, config)
        self._network = network
        self._config = config
        one_label = of_labels(2 if network.model.output_shape[-1] == 1 else 0)
        self._task = one_label if prepared is None else prepared.task
        self._rules = Rules(() if prepared is None else prepared.labels, config.threshold)
        self._weights = None if prepared is None else prepared.weights
        of_texts = len(network.model.input_shape) == 2
        self._of_texts = of_texts
        is_usual = backend != TENSORFLOW or not of_texts or self._task.steps
        self._skips = not is_usual and can_skip(config)
        self._momentum = _momentum(config.averaging * steps)
        if config.aware:  # the seeds of its dropout are the same where a stage is gone on with
            keras.utils.set_random_seed(config.seed)
        # one of its own: between epochs the network holds the averages, and this goes on
        self._model = self._copied(keras)
        self._teacher = self._copied(keras) if config.aware else None
        self._optimizer = keras.optimizers.Adam(
            config.learning_rate, weight_decay=config.weight_decay or None
        )
        self._rounding = Rounding(config.aware, self._model) if config.aware else None
        self._changed = self._rounding.weights if self._rounding else list(self._model.weights)
        learned = self._rounding.trainable if self._rounding else self._model.trainable_variables
        self._optimizer.build(learned)
        self._averages = [keras.Variable(one, trainable=False) for one in self._changed]
        unit = None if prepared is None else prepared.unit
        self._unit = unit
        self._scale = _scale_of(unit)
        given: dict[str, Any] = {
            "task": self._task,
            "weighted": self._weights is not None,
            "scale": self._scale,
            "label_smoothing": config.label_smoothing,
        }
        variables = (self._model, self._optimizer, self._averages)
        self._steps: Steps | JaxSteps
        if backend == JAX:
            given |= {"batch_size": self._rows_a_step, "processes": processes}
            self._steps = JaxSteps(*variables, **given)
        else:
            given |= {"features": not of_texts, "changed": self._changed, "teacher": self._teacher}
            self._steps = Steps(*variables, **given)
        self._steps_an_epoch = steps
        self._taken = 0

    def _copied(self, keras: ModuleType) -> Any:
        """Return a model with the weights of the network, for steps."""
        if not self._skips:
            model = keras.models.clone_model(self._network.model)
        else:
            model = skipping_model(keras, self._config, self._network)
            model(keras.ops.zeros((1, self._config.maxlen), "int32"))  # which builds it
        model.set_weights(self._network.weights())
        return model

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
        inputs, targets = train.inputs, train.targets
        if self._of_texts:
            inputs = forget_words(inputs, config, number=number, in_place=self._task.steps)
        weights = weights_of(self._task, targets, self._weights) if self._steps.weighted else None
        batches = batches_of(
            real_lengths(inputs) if self._skips else None,
            rows=len(inputs),
            batch_size=self._rows_a_step,
            seed=(config.seed, number),
            shuffled=inputs.shuffled if isinstance(inputs, Stored) else None,
        )
        figures, counted = np.zeros(2), 0
        with known_warnings():
            for done, rows in enumerate(batches, 1):
                taken = cut(inputs[rows], config) if self._skips else inputs[rows]
                if self._rounding is not None:
                    self._rounding.copy(taken)
                # the first step's weights are the first average
                rate = 1.0 if not self._taken else 1 - self._momentum
                if config.schedule != "constant":
                    self._optimizer.learning_rate = step_size(
                        config, taken=self._taken, steps=self._steps_an_epoch
                    )
                count = _answers(targets[rows], steps=self._task.steps)
                given = None if weights is None else weights[rows]
                found = self._steps.learn(taken, targets[rows], rate, given)
                figures += count * np.array(found)
                counted += count
                self._taken += 1
                on_step(done)
            scores = self._scores(validation)
        loss, figure = (figures / max(counted, 1)).tolist()
        right = validation.targets
        return Epoch(
            loss=loss,
            accuracy=figure,
            val_loss=mean_loss(self._task, right, scores),
            val_accuracy=mean_figure(self._task, right, scores, self._scale),
            val_metric=self._metric(right, scores),
        )

    def _metric(self, targets: "NDArray[Any]", scores: "NDArray[np.float64]") -> float | None:
        """Return the figure that selects the epoch; None where the loss does."""
        if self._config.metric == LOSS:
            return None
        if self._unit is not None:
            targets, scores = (
                one * self._unit.deviation + self._unit.mean for one in (targets, scores)
            )
        return metric_of(self._config.metric, self._task, targets, scores, self._rules)

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
        """List what a step changes: weights and seeds of dropout, their averages, the optimizer.

        And what an `aware` training began with.
        """
        apart = [] if self._rounding is None else self._rounding.trainable
        apart += [] if self._teacher is None else self._teacher.weights
        return [*self._model.variables, *apart, *self._averages, *self._optimizer.variables]

    def settle(self) -> None:
        """Round the weights of the network as files of the scheme have them."""
        if self._rounding is not None:
            self._network.restore(self._rounding.settled(self._network.model.weights))

    def _scores(self, examples: Examples) -> "NDArray[np.float64]":
        """Put the averages, rounded where they shall be, into the network; return its scores."""
        import numpy as np

        last = self._model.get_weights()
        kept = self._averages if self._rounding is None else self._rounding.settled(self._averages)
        self._model.set_weights(kept)
        self._network.restore(self._model.get_weights())
        try:
            if not self._skips:
                return self._in_order(examples.inputs, np.arange(len(examples.inputs)))
            order = np.argsort(real_lengths(examples.inputs), kind="stable")
            return self._in_order(examples.inputs, order)
        finally:
            self._model.set_weights(last)

    def _in_order(self, inputs: "NDArray[Any]", order: "NDArray[np.intp]") -> "NDArray[np.float64]":
        import numpy as np

        parts = []
        for at in range(0, len(order), SCORING_ROWS):
            rows = inputs[order[at : at + SCORING_ROWS]]
            parts.append(self._steps.score(cut(rows, self._config) if self._skips else rows))
        scores = np.concatenate(parts).astype(np.float64)
        placed = np.empty_like(scores)
        placed[order] = scores
        return placed


def backend_of(keras: ModuleType, config: TrainConfig) -> str:
    """Return the name of Keras' backend, which must be able to train.

    Raises:
        ConfigError: It is none of ours, or not that of what is asked for.
    """
    found = str(keras.backend.backend())
    if found not in (TENSORFLOW, JAX):
        raise ConfigError(
            f"Keras' backend is '{found}'; allowed: '{TENSORFLOW}' or '{JAX}', in the environment "
            "variable KERAS_BACKEND"
        )
    if config.aware and found != TENSORFLOW:
        raise ConfigError(
            f"'aware' rounds weights on Keras' backend '{TENSORFLOW}' alone, and this one is "
            f"'{found}': leave it out, or set KERAS_BACKEND={TENSORFLOW}",
            field="aware",
        )
    return found


def _momentum(window_steps: float) -> float:
    """Return the decay whose moving average looks back over so many steps; 0 for no average.

    Source: Polyak & Juditsky 1992, with the exponential weights of Kingma & Ba 2015, section 7.2.
    """
    return 1 - 1 / window_steps if window_steps > 1 else 0.0


def _answers(targets: "NDArray[Any]", *, steps: bool) -> int:
    """Return how many answers a batch has: its rows, or its real timesteps."""
    return int((targets != PADDING).sum()) if steps else len(targets)


def _scale_of(unit: "Unit | None") -> "NDArray[np.float32]":
    """Return what 1 is in the unit of the data."""
    import numpy as np

    return np.ones(1, np.float32) if unit is None else unit.deviation.astype(np.float32)
