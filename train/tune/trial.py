"""One trial: settings in, a trained network and the figures of its epochs out.

The test part is not here: what is given has none. Not which settings, nor what becomes of the
figures: those are `gatelet.train.tune.sampling` and `gatelet.train.tune.search`.
"""

import gc
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatelet.errors import TrainingError
from gatelet.train.config import TrainConfig
from gatelet.train.epochs import Epoch
from gatelet.train.fitting import Watch, build_network, fit_stages
from gatelet.train.model import Network, import_keras
from gatelet.train.prepare import Prepared
from gatelet.train.tune.front import Finished, better_one

if TYPE_CHECKING:
    from gatelet.train.model import Weights


@dataclass(frozen=True)
class Task:
    """What a trial needs.

    Args:
        number: From 0.
        config: Its settings.
        cost: Of its model, as it is compared.
        bytes: Of its artifact.
        finished: Trials that may make it pointless.
        measure: Of quality.
    """

    number: int
    config: TrainConfig
    cost: float
    bytes: int
    finished: tuple[Finished, ...]
    measure: str


@dataclass(frozen=True)
class Outcome:
    """What a trial gave.

    Args:
        finished: Its figures.
        weights: Of the epoch that was kept; None where the trial did not run to its end.
        processor_s: What it took.
    """

    finished: Finished
    weights: "Weights | None"
    processor_s: float


class _Pointless(Exception):
    def __init__(self, better: Finished) -> None:
        super().__init__(better.number)
        self.better = better


def run_trial(
    task: Task,
    prepared: Prepared,
    *,
    on_step: Callable[[int], None] = lambda done: None,
    report: Callable[[int, Epoch], None] = lambda number, epoch: None,
) -> Outcome:
    """Train, and stop where a finished trial that costs no more was better.

    Args:
        task: What to train.
        prepared: Rows to learn from and to measure on, and the vectorizer of these settings.
        on_step: Called after each step; what it raises ends the trial.
        report: Called after each epoch.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    began_s, config = time.process_time(), task.config
    network = new_network(config, prepared)
    epochs: list[Epoch] = []

    def after(number: int, epoch: Epoch) -> None:
        epochs.append(epoch)
        report(number, epoch)
        better = better_one(epochs, task.cost, task.finished, measure=task.measure)
        if better is not None:
            raise _Pointless(better)

    stopped_by, problem, best = None, "", 1
    try:
        history = fit_stages(network, config, prepared, Watch(on_step=on_step, report=after))
        if history.interrupted:
            raise KeyboardInterrupt
        best = history.best
    except _Pointless as stop:
        stopped_by, best = stop.better.number, _lowest(epochs)
    except TrainingError as error:
        problem = str(error)
    finished = Finished(
        task.number, task.cost, task.bytes, tuple(epochs), best, stopped_by, problem
    )
    weights = network.weights() if finished.is_whole else None
    return Outcome(finished, weights, time.process_time() - began_s)


def new_network(config: TrainConfig, prepared: Prepared) -> Network:
    """Build the network of a trial, and forget those of the trials before."""
    keras = import_keras()
    # that each trial compiles its own step is meant so, and no warning
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    keras.backend.clear_session()
    gc.collect()  # a trial's compiled steps refer to each other: they would pile up
    return build_network(config, prepared)


def _lowest(epochs: Sequence[Epoch]) -> int:
    return 1 + min(range(len(epochs)), key=lambda place: epochs[place].val_loss)
