"""The training loop: early stopping that keeps the best epoch, also when it is interrupted.

Not the model (`gatelet.train.model`), nor what is written (`gatelet.train.fit`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from gatelet.errors import TrainingError

W = TypeVar("W")


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch.

    Attributes:
        loss: In nats; of values the squared error, in units of their variance.
        accuracy: In 0..1; of values their mean absolute error, in the unit of the data.
        val_loss: Likewise, of the validation part.
        val_accuracy: Likewise.
        val_metric: What selects the epoch, of that part; None where the loss does.
    """

    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    val_metric: float | None = None


@dataclass(frozen=True)
class History:
    """What training went through.

    Attributes:
        epochs: The finished epochs, in order.
        best: The number, from 1, of the epoch whose weights were kept.
        interrupted: Whether Ctrl-C ended it.
    """

    epochs: tuple[Epoch, ...]
    best: int
    interrupted: bool = False


class Trainable(Protocol[W]):
    """What the loop needs of a model."""

    def weights(self) -> W:
        """Copy the weights."""

    def restore(self, weights: W) -> None:
        """Put weights back."""


@dataclass(frozen=True)
class Course(Generic[W]):
    """A training between two epochs.

    Attributes:
        epochs: The finished epochs, in order.
        best: The number, from 1, of the best.
        weights: Those of the best.
        before: How many of the epochs are of an earlier stage: none of these is a rival of one
            that follows.
    """

    epochs: tuple[Epoch, ...]
    best: int
    weights: W
    before: int = 0


def fit_epochs(
    network: Trainable[W],
    fit_epoch: Callable[[int], Epoch],
    *,
    epochs: int,
    patience: int,
    report: Callable[[int, Epoch], None],
    start: Course[W] | None = None,
    keep: Callable[[Course[W]], None] = lambda course: None,
    better: Callable[[Epoch, Epoch], bool] = lambda one, other: one.val_loss < other.val_loss,
) -> History:
    """Train until nothing gets better, and leave the network at its best epoch.

    The best epoch is that of the lowest validation loss, unless told otherwise. The highest
    validation accuracy gives no better test accuracy, but on 2,000 rows it jumps by a point of
    luck, and so picks later epochs that are as often right and much too sure of themselves.

    Args:
        network: Left with the weights of the best epoch.
        fit_epoch: Trains the epoch of that number, from 1, and returns its figures.
        epochs: The most to train in this stage.
        patience: Epochs without a better one before training stops.
        report: Called after each epoch with its number, from 1, and its figures.
        start: What was trained before; None for nothing.
        keep: Called after each epoch with what `start` goes on from.
        better: Whether one epoch is better than another.

    Returns:
        The figures of all finished epochs, and which was the best.

    Raises:
        TrainingError: The loss is not finite after the first epoch.
        KeyboardInterrupt: Ctrl-C before the first epoch ended.
    """
    # Replaced whole, by one assignment: Ctrl-C may come between any two instructions.
    state = start
    interrupted, before = False, 0 if start is None else start.before
    try:
        while state is None or (
            len(state.epochs) - before < epochs
            and len(state.epochs) - max(state.best, before) < patience
        ):
            epoch = fit_epoch(1 if state is None else len(state.epochs) + 1)
            if not math.isfinite(epoch.loss) or not math.isfinite(epoch.val_loss):
                break
            if state is None:
                state = Course((epoch,), 1, network.weights())
            elif state.best <= before or better(epoch, state.epochs[state.best - 1]):
                every = (*state.epochs, epoch)
                state = Course(every, len(every), network.weights(), before)
            else:
                state = replace(state, epochs=(*state.epochs, epoch))
            report(len(state.epochs), epoch)
            keep(state)
    except KeyboardInterrupt:
        if state is None:
            raise
        interrupted = True
    if state is None:
        raise TrainingError(
            "the loss is not finite after the first epoch: lower the learning rate",
            field="learning_rate",
        )
    network.restore(state.weights)
    return History(state.epochs, state.best, interrupted)
