"""The settings of a trial: those of the recipe, then what Optuna proposes of the space.

A proposal follows from the study's seed, the number of the trial and the trials that have ended,
and from nothing else: a study that was killed proposes again what it had proposed.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from gatelet.train.config import TrainConfig, settings
from gatelet.train.tune.space import Space, Value

if TYPE_CHECKING:
    import optuna

STARTUP_TRIALS = 10
"""Trials at random before the sampler learns from them; the default of Optuna's."""
_SEEDS = 2**32


@dataclass(frozen=True)
class Running:
    """A trial that another worker trains.

    Args:
        params: What was proposed.
    """

    params: dict[str, Value]


def seed_of(config: TrainConfig, number: int) -> int:
    """Return the seed of a trial: the study's own for trial 0, the next ones for the others."""
    return (config.seed + number) % _SEEDS


def settings_of(config: TrainConfig, number: int, params: dict[str, Value]) -> TrainConfig:
    """Return the settings of a trial.

    Raises:
        ConfigError: The proposed values exclude each other.
    """
    chosen: dict[str, Any] = dict(params)
    return replace(config, **chosen, seed=seed_of(config, number))


def default_params(space: Space, config: TrainConfig) -> dict[str, Value]:
    """Return the recipe's own values of what varies; {} where the space does not hold them.

    What has one value only does not vary, and may be another one in the recipe.
    """
    values = {name: getattr(config, name) for name in space.names if not space.fixes(name)}
    return values if space.holds(values) else {}


def proposals(
    space: Space,
    finished: "Sequence[optuna.trial.FrozenTrial]",
    running: Sequence[Running],
    *,
    seed: int,
    number: int,
) -> Iterator[dict[str, Value]]:
    """Propose values for a trial, and others for as long as they are asked for.

    The first ones come from Optuna's TPE; those after the twentieth are random, for the case that
    what has been learnt leads to values that cannot be used.

    Args:
        space: What varies.
        finished: The trials that have ended, in order.
        running: Those that have not.
        seed: Of the study.
        number: Of the trial.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for attempt in range(_ATTEMPTS):
        own = [seed, number, attempt]
        study = _study(space, finished, running, seed=own, learns=attempt < _LEARNT_ATTEMPTS)
        trial = study.ask(distributions(space, space.names))
        yield dict(trial.params)


_ATTEMPTS, _LEARNT_ATTEMPTS = 100, 20


def _study(
    space: Space,
    finished: "Sequence[optuna.trial.FrozenTrial]",
    running: Sequence[Running],
    *,
    seed: list[int],
    learns: bool,
) -> "optuna.Study":
    import numpy as np
    import optuna

    number = int(np.random.SeedSequence(seed).generate_state(1)[0])
    with warnings.catch_warnings():
        # options of TPE whose names may change
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: optuna.samplers.BaseSampler = (
            optuna.samplers.TPESampler(
                seed=number,
                n_startup_trials=STARTUP_TRIALS,
                multivariate=True,
                constant_liar=bool(running),
            )
            if learns
            else optuna.samplers.RandomSampler(seed=number)
        )
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    study.add_trials(finished)
    for one in running:
        study.add_trial(
            optuna.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=dict(one.params),
                distributions=distributions(space, one.params),
            )
        )
    return study


DIRECTIONS: list[Literal["maximize", "minimize"]] = ["maximize", "minimize"]
"""Of quality and cost."""


def distributions(
    space: Space, names: Iterable[str]
) -> "dict[str, optuna.distributions.BaseDistribution]":
    """Return what Optuna calls the ranges and choices of some settings."""
    import optuna

    found: dict[str, optuna.distributions.BaseDistribution] = {}
    for name in names:
        if name in space.choices:
            found[name] = optuna.distributions.CategoricalDistribution(space.choices[name])
        elif _is_whole(name):
            one = space.ranges[name]
            found[name] = optuna.distributions.IntDistribution(
                int(one.low), int(one.high), log=one.log, step=int(one.step or 1)
            )
        else:
            one = space.ranges[name]
            found[name] = optuna.distributions.FloatDistribution(
                one.low, one.high, log=one.log, step=one.step
            )
    return found


def _is_whole(name: str) -> bool:
    return next(one.kind is int for one in settings() if one.name == name)
