"""The front, the rule that stops trials, and the choice, against what the definitions say."""

import itertools
import random
from typing import Any

import pytest

from gatelet.train.epochs import Epoch
from gatelet.train.tune.front import Finished, better_one, choose, front_of


def epoch(accuracy: float, loss: float = 0.5) -> Epoch:
    return Epoch(loss=0.1, accuracy=0.9, val_loss=loss, val_accuracy=accuracy)


def trial(number: int, cost: float, *epochs: Epoch, **facts: Any) -> Finished:
    losses = [one.val_loss for one in epochs]
    best = 1 + losses.index(min(losses)) if losses else 1
    return Finished(number, cost, int(cost), epochs, best, **facts)


def dominated(one: Finished, other: Finished, measure: str) -> bool:
    """Return whether another is as good in both figures, and better in one, or came first."""
    mine, others = ((x.quality(measure), -x.cost) for x in (one, other))
    if mine == others:
        return other.number < one.number
    return all(b >= a for a, b in zip(mine, others, strict=True))


@pytest.mark.parametrize("measure", ["accuracy", "loss"])
@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_nothing_dominates(seed: int, measure: str) -> None:
    generator = random.Random(seed)
    trials = [
        trial(
            number,
            generator.randrange(1, 8),
            epoch(generator.randrange(8) / 8, generator.randrange(8) / 8),
            stopped_by=0 if generator.random() < 0.2 else None,
        )
        for number in range(25)
    ]
    whole = [one for one in trials if one.stopped_by is None]

    found = front_of(trials, measure=measure)

    assert {one.number for one in found} == {
        one.number for one in whole if not any(dominated(one, other, measure) for other in whole)
    }
    assert [one.cost for one in found] == sorted(one.cost for one in found)


def test_trials_that_did_not_run_to_their_end_are_on_no_front() -> None:
    assert front_of([trial(0, 1, problem="not finite")], measure="accuracy") == []


def test_a_trial_stops_where_one_that_costs_no_more_was_better() -> None:
    other = trial(3, 100, epoch(0.70, 0.60), epoch(0.80, 0.40))

    def stops(cost: float, *epochs: Epoch) -> bool:
        return better_one(epochs, cost, [other], measure="accuracy") is not None

    assert stops(100, epoch(0.69, 0.61))
    assert stops(150, epoch(0.70, 0.61))
    assert not stops(99, epoch(0.1, 0.9)), "it costs less"
    assert not stops(100, epoch(0.71, 0.61)), "its quality is higher"
    assert not stops(100, epoch(0.69, 0.59)), "its loss is lower"
    assert not stops(100, epoch(0.70, 0.60)), "it is as good"


def test_epochs_of_the_same_number_are_compared() -> None:
    other = trial(3, 100, epoch(0.70, 0.60), epoch(0.80, 0.40))
    slow = (epoch(0.72, 0.55),)

    assert better_one(slow, 100, [other], measure="accuracy") is None
    assert better_one((*slow, epoch(0.78, 0.45)), 100, [other], measure="accuracy") is other


def test_the_lowest_loss_so_far_counts() -> None:
    other = trial(3, 100, epoch(0.80, 0.40), epoch(0.70, 0.60))
    own = (epoch(0.82, 0.39), epoch(0.60, 0.90))

    assert better_one(own, 100, [other], measure="accuracy") is None


def test_one_that_took_fewer_epochs_is_taken_at_its_end() -> None:
    other = trial(3, 100, epoch(0.80, 0.40))
    own = (epoch(0.81, 0.45), epoch(0.79, 0.44))

    assert better_one(own[:1], 100, [other], measure="accuracy") is None
    assert better_one(own, 100, [other], measure="accuracy") is other


def test_a_trial_that_gets_worse_is_compared_with_the_others_end() -> None:
    other = trial(3, 100, epoch(0.60, 0.60), epoch(0.80, 0.40), epoch(0.85, 0.30))
    own = [epoch(0.70, 0.50), epoch(0.82, 0.38)]

    assert better_one(own, 100, [other], measure="accuracy") is None
    assert better_one([*own, epoch(0.7, 0.39)], 100, [other], measure="accuracy") is other
    short = [own[0], epoch(0.7, 0.55)]
    assert better_one(short, 100, [other], measure="accuracy") is other


def test_only_trials_with_a_model_stop_others() -> None:
    bad = epoch(0.1, 0.9)
    stopped = trial(3, 10, epoch(0.8, 0.4), stopped_by=1)

    assert better_one([bad], 100, [stopped], measure="accuracy") is None


@pytest.mark.parametrize("seed", range(10))
def test_the_choice_is_on_the_front(seed: int) -> None:
    generator = random.Random(seed)
    trials = [
        trial(number, generator.randrange(10, 99), epoch(generator.randrange(80, 99) / 100))
        for number in range(12)
    ]
    front = front_of(trials, measure="accuracy")
    best = max(one.quality("accuracy") for one in trials)

    chosen = choose(trials, measure="accuracy", budget_bytes=None)

    assert chosen in front
    near = [one.cost for one in trials if one.quality("accuracy") >= best - 0.01]
    assert chosen is not None and chosen.cost == min(near)


@pytest.mark.parametrize("budget", [9, 40, 99])
def test_within_a_budget_the_best_is_chosen(budget: int) -> None:
    figures = itertools.product((10, 40, 41, 99), (0.6, 0.7))
    trials = [
        trial(number, cost, epoch(accuracy + cost / 1000))
        for number, (cost, accuracy) in enumerate(figures)
    ]

    chosen = choose(trials, measure="accuracy", budget_bytes=budget)

    within = [one for one in trials if one.bytes <= budget]
    expected = max(within, key=lambda one: one.quality("accuracy")) if within else None
    assert chosen is expected
