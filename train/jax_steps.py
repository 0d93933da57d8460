"""A step of training and one of scoring on Keras' JAX backend, in one process or several.

Not TensorFlow's, which is `gatelet.train.steps` and skips padding. JAX compiles each shape, so all
batches of a training have one: the last one is filled up with rows that count nothing.
"""

from typing import TYPE_CHECKING, Any

from gatelet.runtime.data.tags import PADDING
from gatelet.train.distributed import ALONE, World, spread
from gatelet.train.losses import figures, losses, mean_loss
from gatelet.train.tasks import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class JaxSteps:
    """What JAX compiles of a model; the arguments are those of `gatelet.train.steps.Steps`.

    Args:
        model: Built; from ids [B, T] or features [B, T, F] to scores [B, C] or [B, T, C].
        optimizer: Built for it.
        averages: A variable for each of its weights, which follows it.
        task: What is learned.
        weighted: Answers count by weights, which each step is given; else all alike.
        scale: Of values, what 1 is in the unit of the data, [K].
        label_smoothing: Share of each label that is spread over all labels in what is learned.
        batch_size: B.
        processes: That take a step together.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        averages: list[Any],
        *,
        task: Task,
        weighted: bool = False,
        scale: Any = 1.0,
        label_smoothing: float = 0.0,
        batch_size: int,
        processes: World = ALONE,
    ) -> None:
        import jax
        import keras

        self.weighted = weighted or task.steps
        self._task = task
        self._processes = processes
        self._rows = -(-batch_size // processes.size) * processes.size
        self._trained = list(model.trainable_variables)
        self._others = list(model.non_trainable_variables)
        self._optimizer, self._averages = list(optimizer.variables), averages
        losses_of, figures_of = losses(keras, task), figures(keras, task, scale)
        aims_of = losses(keras, task, smoothing=label_smoothing)
        places = {id(one): place for place, one in enumerate([*self._trained, *self._others])}
        order = [places[id(one)] for one in model.weights]

        def aim(trained: Any, others: Any, inputs: Any, targets: Any, weights: Any) -> Any:
            scores, others = model.stateless_call(trained, others, inputs, training=True)
            return mean_loss(keras, aims_of(targets, scores), weights), (scores, others)

        def learn(values: Any, batch: Any, rate: Any) -> Any:
            trained, others, moments, averages = values
            inputs, targets, weights, counts = batch
            (_, (scores, others)), gradients = jax.value_and_grad(aim, has_aux=True)(
                trained, others, inputs, targets, weights
            )
            trained, moments = optimizer.stateless_apply(moments, gradients, trained)
            every = [*trained, *others]
            averages = [
                old + rate * (every[place] - old)
                for old, place in zip(averages, order, strict=True)
            ]
            loss = mean_loss(keras, losses_of(targets, scores), weights)
            figure = mean_loss(keras, figures_of(targets, scores), counts)
            return (trained, others, moments, averages), loss, figure

        def score(trained: Any, others: Any, inputs: Any) -> Any:
            return model.stateless_call(trained, others, inputs, training=False)[0]

        self._learn, self._score = jax.jit(learn), jax.jit(score)

    def learn(
        self,
        inputs: "NDArray[Any]",
        targets: "NDArray[Any]",
        rate: float,
        weights: "NDArray[np.float32] | None" = None,
    ) -> tuple[float, float]:
        """Take a step; the averages go so far towards the new weights as `rate` says.

        Args:
            inputs: Ids or features of a batch, of which this process learns from its share.
            targets: As `Examples` has them.
            rate: In 0..1.
            weights: Of each answer, where they count by weights: 0 of padding.

        Returns:
            The mean loss of the batch, and its figure: accuracy, or mean absolute error.
        """
        import numpy as np

        counts = np.ones(len(inputs), np.float32)
        if self._task.steps:
            counts = (targets != PADDING).astype(np.float32)
        elif not self._task.labelled:
            counts = np.ones(targets.shape, np.float32)
        if weights is None:
            several = self._task.name == "multi-label"
            weights = np.ones(targets.shape if several else targets.shape[:1], np.float32)
        filled = (
            _filled(inputs, self._rows),
            _filled(targets, self._rows),
            _filled(weights, self._rows, 0),
            _filled(counts, self._rows, 0),
        )
        share = self._processes.share(self._rows)
        batch = tuple(spread(self._processes, one[share]) for one in filled)
        groups = (self._trained, self._others, self._optimizer, self._averages)
        values = tuple([one.value for one in group] for group in groups)
        values, loss, figure = self._learn(values, batch, np.float32(rate))
        for group, new in zip(groups, values, strict=True):
            for variable, value in zip(group, new, strict=True):
                variable.assign(value)
        return float(loss), float(figure)

    def score(self, inputs: "NDArray[Any]") -> "NDArray[np.float32]":
        """Return the model's scores [B, C] or [B, T, C]."""
        import numpy as np

        rows = len(inputs)
        values = [[one.value for one in group] for group in (self._trained, self._others)]
        # few shapes: a part of the validation rows is as long as the others but for the last
        found = self._score(*values, _filled(inputs, -(-rows // self._rows) * self._rows))
        return np.asarray(found)[:rows]


def _filled(array: "NDArray[Any]", rows: int, value: int | None = None) -> "NDArray[Any]":
    """Return so many rows: copies of the first follow, or a value."""
    import numpy as np

    missing = rows - len(array)
    if not missing:
        return array
    more = np.repeat(array[:1], missing, axis=0)
    return np.concatenate([array, more if value is None else np.full_like(more, value)])
