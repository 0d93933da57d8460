import math
from collections.abc import Callable, Sequence

import pytest

from gatelet.errors import TrainingError
from gatelet.train.epochs import Course, Epoch, History, fit_epochs


class Counter:
    """Weights that are the number of epochs trained."""

    def __init__(self) -> None:
        self.value = 0

    def weights(self) -> int:
        return self.value

    def restore(self, weights: int) -> None:
        self.value = weights


def figures(val_loss: float, *, loss: float = 0.5, val_accuracy: float = 0.5) -> Epoch:
    return Epoch(loss=loss, accuracy=0.5, val_loss=val_loss, val_accuracy=val_accuracy)


def run(
    course: Sequence[Epoch | BaseException], *, epochs: int = 10, patience: int = 2
) -> tuple[History, Counter, list[int]]:
    network = Counter()
    reported: list[int] = []

    def fit_epoch(number: int) -> Epoch:
        assert number == network.value + 1
        step = course[network.value]
        network.value += 1
        if isinstance(step, BaseException):
            raise step
        return step

    report: Callable[[int, Epoch], None] = lambda number, _: reported.append(number)  # noqa: E731
    history = fit_epochs(network, fit_epoch, epochs=epochs, patience=patience, report=report)
    return history, network, reported


def test_stops_after_epochs_without_a_better_one_and_restores_the_best() -> None:
    history, network, reported = run([figures(x) for x in (0.6, 0.5, 0.4, 0.45, 0.5, 0.3)])
    assert (history.best, len(history.epochs), network.value) == (3, 5, 3)
    assert reported == [1, 2, 3, 4, 5]
    assert not history.interrupted


def test_trains_no_more_than_the_epochs_asked_for() -> None:
    history, network, _ = run([figures(x) for x in (0.6, 0.5, 0.4, 0.3)], epochs=3)
    assert (history.best, len(history.epochs), network.value) == (3, 3, 3)


def test_the_best_epoch_is_the_first_of_the_lowest_validation_loss() -> None:
    course = [
        figures(0.5, val_accuracy=0.9, loss=0.1),
        figures(0.4, val_accuracy=0.8, loss=0.3),
        figures(0.4, val_accuracy=0.9, loss=0.2),
    ]
    history, _, _ = run(course, epochs=3)
    assert history.best == 2


@pytest.mark.parametrize(
    ("losses", "best", "trained"), [((0.7, 0.6, 0.65, 0.7), 5, 7), ((0.7, 0.8, 0.9, 0.1), 4, 6)]
)
def test_a_second_stage_has_its_own_epochs_patience_and_best(
    losses: Sequence[float], best: int, trained: int
) -> None:
    network = Counter()
    network.value = 3
    before = Course(tuple(map(figures, (0.3, 0.4, 0.5))), 1, 1, before=3)
    kept: list[Course[int]] = []

    def fit_epoch(number: int) -> Epoch:
        network.value = number
        return figures(losses[number - 4])

    history = fit_epochs(
        network,
        fit_epoch,
        epochs=4,
        patience=2,
        report=lambda number, epoch: None,
        start=before,
        keep=kept.append,
    )
    assert (history.best, len(history.epochs), network.value) == (best, trained, best)
    assert {one.before for one in kept} == {3} and kept[0].best == 4


@pytest.mark.parametrize("finished", [1, 3])
def test_an_interrupt_keeps_the_best_epoch_so_far(finished: int) -> None:
    course = [figures(x) for x in (0.6, 0.4, 0.5)][:finished]
    history, network, _ = run([*course, KeyboardInterrupt()])
    assert history.interrupted
    assert len(history.epochs) == finished
    assert history.best == network.value == min(finished, 2)


def test_an_interrupt_of_the_first_epoch_leaves_nothing_to_keep() -> None:
    with pytest.raises(KeyboardInterrupt):
        run([KeyboardInterrupt()])


def test_a_loss_that_is_not_finite_ends_training_with_the_best_epoch() -> None:
    history, network, _ = run([figures(0.6), figures(0.3, loss=math.nan)])
    assert (history.best, len(history.epochs), network.value) == (1, 1, 1)
    history, network, _ = run([figures(0.6), figures(-math.inf)])
    assert (history.best, len(history.epochs), network.value) == (1, 1, 1)


def test_a_first_loss_that_is_not_finite_says_what_to_lower() -> None:
    with pytest.raises(TrainingError, match="not finite after the first epoch: lower the learning"):
        run([figures(0.6, loss=math.nan)])


def test_goes_on_from_what_was_kept_after_each_epoch() -> None:
    course = [figures(x) for x in (0.6, 0.4, 0.5, 0.3, 0.35)]
    kept: list[Course[int]] = []
    report: Callable[[int, Epoch], None] = lambda number, _: None  # noqa: E731
    network = Counter()

    def fit_epoch(number: int) -> Epoch:
        network.value = number
        return course[number - 1]

    whole = fit_epochs(network, fit_epoch, epochs=5, patience=3, report=report, keep=kept.append)
    assert [len(one.epochs) for one in kept] == [1, 2, 3, 4, 5]
    for start in kept:
        again = fit_epochs(network, fit_epoch, epochs=5, patience=3, report=report, start=start)
        assert (again, network.value) == (whole, 4)
