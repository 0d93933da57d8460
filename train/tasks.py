"""What can be learned: one row a task, with its last layer, its loss and its figures.

Not how a task is told from data (`gatelet.train.inputs`), nor the steps (`gatelet.train.steps`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gatelet.errors import ConfigError, DataError
from gatelet.runtime.data.distinct import Distinct
from gatelet.runtime.data.metrics import Metrics, SetMetrics, evaluate, evaluate_sets
from gatelet.runtime.data.regression import RegressionMetrics, evaluate_regression
from gatelet.runtime.data.tags import PADDING
from gatelet.train.epochs import Epoch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Figures = Metrics | SetMetrics | RegressionMetrics

LOSS = "loss"
_OF_LABELS = ("accuracy", "macro_f1", "precision", "recall", "roc_auc", "brier")
_OF_VALUES = ("mae", "rmse", "r2", "max_error")
METRICS = (LOSS, *_OF_LABELS, *_OF_VALUES)
SMALLER_IS_BETTER = (LOSS, "brier", "mae", "rmse", "max_error")


class _Asked(Protocol):
    """The settings that a task may refuse."""

    @property
    def metric(self) -> str: ...
    @property
    def pooling(self) -> str: ...
    @property
    def class_weights(self) -> str | None: ...
    @property
    def tune_threshold(self) -> bool: ...


@dataclass(frozen=True)
class Task:
    """What a model learns.

    Args:
        name: Its name, in settings and runs.
        activation: Of the last layer.
        loss: Keras' name of it.
        figure: What each epoch tells beside the loss, in words.
        metrics: What may select the epoch.
        is_single: One score stands for two labels: that of the second.
        steps: There is an answer for each timestep.
        labelled: The answers are labels, not values.
        thresholds: Scores become labels by thresholds; else the largest wins.
    """

    name: str
    activation: str
    loss: str
    figure: str = "accuracy"
    metrics: tuple[str, ...] = (LOSS, *_OF_LABELS)
    is_single: bool = False
    steps: bool = False
    labelled: bool = True
    thresholds: bool = False

    def check(self, asked: _Asked) -> None:
        """Refuse settings that this task has no use for.

        Raises:
            ConfigError: One is set.
        """
        if asked.metric not in self.metrics:
            raise ConfigError(
                f"'metric' is '{asked.metric}', which a {self.name} model does not have; "
                f"allowed: {', '.join(self.metrics)}",
                field="metric",
                value=asked.metric,
            )
        if self.steps and asked.pooling != "last":
            raise ConfigError(
                f"'pooling' is '{asked.pooling}', and a model of {self.name} answers each "
                "timestep: leave it out",
                field="pooling",
            )
        if asked.class_weights is not None and not self.labelled:
            raise ConfigError(
                "'class_weights' is for labels, and a regression gives values: leave it out",
                field="class_weights",
            )
        if asked.tune_threshold and not self.thresholds:
            raise ConfigError(
                f"'tune_threshold' is for models whose scores have thresholds, binary and "
                f"multi-label ones, and this one is '{self.name}': leave it out",
                field="tune_threshold",
            )

    def width(self, labels: int) -> int:
        """Return how many scores a row, or a timestep, of so many labels has."""
        return 1 if self.is_single else labels


TASKS = {
    one.name: one
    for one in (
        Task("binary", "sigmoid", "binary_crossentropy", is_single=True, thresholds=True),
        Task("multiclass", "softmax", "sparse_categorical_crossentropy"),
        Task("multi-label", "sigmoid", "binary_crossentropy", thresholds=True),
        Task(
            "regression",
            "linear",
            "mean_squared_error",
            figure="mean absolute error",
            metrics=(LOSS, *_OF_VALUES),
            labelled=False,
        ),
        Task("tags", "softmax", "sparse_categorical_crossentropy", steps=True),
    )
}


def of_labels(count: int) -> Task:
    """Return the task of rows that have one of so many labels each."""
    return TASKS["binary" if count == 2 else "multiclass"]


@dataclass(frozen=True)
class Rules:
    """What turns scores into answers.

    Args:
        labels: C names; () for values.
        threshold: Of a single score.
        thresholds: Of several, one a label.
    """

    labels: tuple[str, ...]
    threshold: float = 0.5
    thresholds: tuple[float, ...] = ()


def measure(
    task: Task,
    targets: "NDArray[Any]",
    scores: "NDArray[Any]",
    rules: Rules,
    *,
    distinct: Distinct | None = None,
) -> Figures:
    """Compare scores with what is right.

    Args:
        task: What was learned.
        targets: Label numbers [N] or [N, T], whether each label is so [N, C], or values [N, K].
        scores: The model's own, [N, K] or [N, T, C].
        rules: Which answer a score is.
        distinct: Which rows count for an interval; None for no interval, and of timesteps.
    """
    import numpy as np

    right, rows = np.asarray(targets), np.asarray(scores, np.float64)
    if task.steps:
        kept = right != PADDING
        right, rows, distinct = right[kept], rows[kept], None
    if not task.labelled:
        return evaluate_regression(_lists(right), _lists(rows), distinct=distinct)
    if task.name == "multi-label":
        return evaluate_sets(
            (right > 0.5).tolist(),
            _lists(rows),
            label_names=rules.labels,
            thresholds=rules.thresholds or (rules.threshold,) * len(rules.labels),
            distinct=distinct,
        )
    return evaluate(
        right.astype(int).tolist(),
        _lists(rows),
        label_names=rules.labels,
        threshold=rules.threshold,
        distinct=distinct,
    )


def metric_of(
    metric: str, task: Task, targets: "NDArray[Any]", scores: "NDArray[Any]", rules: Rules
) -> float:
    """Return one figure of scores.

    Args:
        metric: One of the task's, but the loss.
        task: What was learned.
        targets: As `measure` takes them.
        scores: Likewise.
        rules: Likewise.

    Raises:
        DataError: The rows do not have that figure.
    """
    found = measure(task, targets, scores, rules).to_dict()[metric]
    if found is None:
        raise DataError(
            f"the metric '{metric}' is not defined on the validation part: a label does not occur "
            "in it, or no row lacks it; choose another --metric, or add rows"
        )
    return float(found)


def better_by(metric: str) -> Callable[[Epoch, Epoch], bool]:
    """Return whether one epoch is better than another, by a metric of the validation part."""
    sign = 1 if metric in SMALLER_IS_BETTER else -1

    def figure(one: Epoch) -> float:
        return sign * (one.val_loss if one.val_metric is None else one.val_metric)

    return lambda one, other: figure(one) < figure(other)


def headline(figures: Mapping[str, Any]) -> str:
    """Return the figure that says most, in words.

    Args:
        figures: Of a part, as JSON has them.
    """
    if "accuracy" in figures:
        return f"accuracy {figures['accuracy']:.4f}"
    return f"mean absolute error {figures['mae']:.4g}"


def _lists(array: "NDArray[Any]") -> Sequence[Sequence[float]]:
    found: list[list[float]] = array.tolist()
    return found


_EPSILON = 1e-7  # by which Keras keeps scores from 0 and 1 in a logarithm


def mean_loss(task: Task, targets: "NDArray[Any]", scores: "NDArray[np.float64]") -> float:
    """Return the mean loss of scores, as Keras counts it, over real timesteps.

    Args:
        task: What is learned.
        targets: As `measure` takes them; values as the model in training gives them.
        scores: Likewise.

    Returns:
        Nats, or of values the mean squared error.
    """
    import numpy as np

    if not task.labelled:
        return float(np.square(scores - targets).mean())
    kept = np.clip(scores, _EPSILON, 1 - _EPSILON)
    if task.steps:
        real = targets != PADDING
        kept, targets = kept[real], targets[real]
    if task.activation == "sigmoid":
        is_so = targets[:, None] if task.is_single else targets
        return float(-np.log(np.where(is_so > 0.5, kept, 1 - kept)).mean())
    return float(-np.log(kept[np.arange(len(kept)), targets]).mean())


def mean_figure(
    task: Task, targets: "NDArray[Any]", scores: "NDArray[np.float64]", scale: "NDArray[Any]"
) -> float:
    """Return an epoch's figure: the share of right answers, or the mean absolute error.

    Args:
        task: What is learned.
        targets: As `mean_loss` takes them.
        scores: Likewise.
        scale: What one of these values is in the unit of the data, [K].
    """
    import numpy as np

    if not task.labelled:
        return float((np.abs(scores - targets) * scale).mean())
    if task.is_single:
        return float(((scores[:, 0] > 0.5) == targets).mean())
    if task.activation == "sigmoid":
        return float(((scores > 0.5) == (targets > 0.5)).all(axis=1).mean())
    right = scores.argmax(axis=-1) == targets
    return float(right[targets != PADDING].mean() if task.steps else right.mean())
