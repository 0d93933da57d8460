"""Trials compared: the Pareto front, which trials stop early, and which one is chosen.

Not how a trial is trained: that is `gatelet.train.tune.trial`. Quality is the figure that is to be
large, cost the one that is to be small.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from gatelet.train.epochs import Epoch

QUALITIES = ("accuracy", "loss")
"""Figures of the validation part that trials can be judged by."""
POINTS = 0.01
"""How far below the best the chosen trial may be, where no budget says how large it may be."""


@dataclass(frozen=True)
class Finished:
    """A trial that has ended.

    Args:
        number: From 0.
        cost: Bytes, multiply-adds or microseconds.
        bytes: Of its artifact.
        epochs: The figures of each.
        best: The number, from 1, of the epoch that was kept.
        stopped_by: The number of the trial that was better; None for one that ran to its end.
        problem: Why there is no model; '' where there is one.
    """

    number: int
    cost: float
    bytes: int
    epochs: tuple[Epoch, ...]
    best: int
    stopped_by: int | None = None
    problem: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it ran to its end, and has a model."""
        return self.stopped_by is None and not self.problem

    def quality(self, measure: str) -> float:
        """Return what is to be large of the epoch that was kept."""
        return quality_of(self.epochs[self.best - 1], measure)


T = TypeVar("T", bound=Finished)


def quality_of(epoch: Epoch, measure: str) -> float:
    """Return the figure of the validation part that is to be large: a loss is negative."""
    return epoch.val_accuracy if measure == "accuracy" else -epoch.val_loss


def front_of(trials: Sequence[T], *, measure: str) -> list[T]:
    """Return the trials to which no other is equal or better in both figures, the cheapest first.

    Of trials with the same figures the first one counts. Only those that ran to their end do.
    """
    whole = [one for one in trials if one.is_whole]
    order = sorted(whole, key=lambda one: (one.cost, -one.quality(measure), one.number))
    found: list[T] = []
    for one in order:
        if not found or one.quality(measure) > found[-1].quality(measure):
            found.append(one)
    return found


def better_one(
    epochs: Sequence[Epoch], cost: float, finished: Sequence[Finished], *, measure: str
) -> Finished | None:
    """Return a finished trial that makes it pointless to go on; None where there is none.

    It costs no more, ran to its end, and was better after as many epochs, in loss and in quality.
    Of both, the epoch of the lowest loss until then counts. It is taken at its end where it took
    fewer epochs, and where the last epoch of the running one has made nothing better.

    Args:
        epochs: Of the running trial, so far.
        cost: Of the running trial.
        finished: Others.
        measure: Of quality.
    """
    own = _best(epochs)
    is_over = own is not epochs[-1]
    for one in finished:
        if not one.is_whole or one.cost > cost:
            continue
        other = _best(one.epochs if is_over else one.epochs[: len(epochs)])
        is_better = quality_of(other, measure) >= quality_of(own, measure)
        if is_better and other.val_loss < own.val_loss:
            return one
    return None


def _best(epochs: Sequence[Epoch]) -> Epoch:
    return min(epochs, key=lambda one: one.val_loss)


def choose(trials: Sequence[T], *, measure: str, budget_bytes: int | None) -> T | None:
    """Choose a trial: within a budget the best one, else the cheapest of those near the best.

    Near is within a point (0.01 of accuracy, or of loss in nats). What is chosen is on the front.

    Args:
        trials: Those that have ended.
        measure: Of quality.
        budget_bytes: The most bytes that it may have; None for no budget.

    Returns:
        None where no trial ran to its end, or none is within the budget.
    """
    if budget_bytes is not None:
        within = [one for one in trials if one.bytes <= budget_bytes]
        front = front_of(within, measure=measure)
        return front[-1] if front else None
    front = front_of(trials, measure=measure)
    if not front:
        return None
    least = front[-1].quality(measure) - POINTS
    return next(one for one in front if one.quality(measure) >= least)
