"""A network, trained to its best epoch.

Not what becomes of it, nor of the epochs on the way: that is `gatelet.train.fit`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatelet.train import distributed
from gatelet.train.checkpoints import Checkpoint
from gatelet.train.config import TrainConfig
from gatelet.train.distributed import ALONE, World
from gatelet.train.epochs import Course, Epoch, History, fit_epochs
from gatelet.train.interrupt import hold_interrupts
from gatelet.train.model import Network, import_keras
from gatelet.train.neighbours import embeddings_of
from gatelet.train.prepare import Prepared
from gatelet.train.tasks import better_by
from gatelet.train.trainer import Trainer, backend_of

if TYPE_CHECKING:
    from gatelet.train.model import Weights


@dataclass(frozen=True)
class Watch:
    """What happens beside the training of a network; by default nothing.

    Args:
        check: Called with the network before the first step.
        begin: Returns what was trained before, and with what it goes on.
        keep: Called after each epoch with what the next one starts from.
        on_step: Called after each step with how many of the epoch are done.
        report: Called after each epoch with its number and figures.
    """

    check: Callable[[Network], None] = lambda network: None
    begin: Callable[[], Checkpoint | None] = lambda: None
    keep: "Callable[[Course[Weights], Trainer], None]" = lambda course, trainer: None
    on_step: Callable[[int], None] = lambda done: None
    report: Callable[[int, Epoch], None] = lambda number, epoch: None


def fit_network(
    config: TrainConfig, prepared: Prepared, watch: Watch = Watch()
) -> tuple[Network, History]:
    """Build a network, train it, and leave it at its best epoch; values have the data's unit.

    Args:
        config: How.
        prepared: The data.
        watch: What happens beside it.

    Raises:
        TrainingError: The loss does not stay finite.
        KeyboardInterrupt: Ctrl-C before the first epoch ended.
    """
    with hold_interrupts() as interrupt:
        network = build_network(config, prepared)
        watch.check(network)

        def on_step(done: int) -> None:
            watch.on_step(done)
            interrupt.check()

        processes = distributed.world()
        watched = replace(watch, on_step=on_step)
        history = fit_stages(network, config, prepared, watched, processes=processes)
    if processes.size > 1:
        weights = network.weights()
        distributed.end(processes)
        network = build_network(config, prepared)
        network.restore(weights)
    if prepared.unit is not None:
        network.scale_values(prepared.unit.deviation, prepared.unit.mean)
    return network, history


def fit_stages(
    network: Network,
    config: TrainConfig,
    prepared: Prepared,
    watch: Watch,
    *,
    processes: World = ALONE,
) -> History:
    """Train a network, and leave it at its best epoch.

    With `aware` it is trained as without it, to its best epoch; and from there with rounded
    weights, to the best one of these.

    Args:
        network: From `build_network`.
        config: How.
        prepared: The data.
        watch: What happens beside it, but for `check`.
        processes: That train it together.

    Raises:
        TrainingError: The loss does not stay finite.
        ConfigError: Keras' backend cannot train it.
        KeyboardInterrupt: Ctrl-C before the first epoch ended.
    """
    backend_of(import_keras(), config)  # before anything is trained
    learned = prepared.examples(prepared.parts.train)
    validation = prepared.examples(prepared.parts.validation)

    def trainer_of(config: TrainConfig) -> Trainer:
        rows = len(prepared.parts.train)
        return Trainer(network, config, rows=rows, prepared=prepared, processes=processes)

    def fit(trainer: Trainer, epochs: int, start: "Course[Weights] | None") -> History:
        return fit_epochs(
            network,
            lambda number: trainer.fit_epoch(number, learned, validation, on_step=watch.on_step),
            epochs=epochs,
            patience=config.patience,
            report=watch.report,
            start=start,
            keep=lambda course: watch.keep(course, trainer),
            better=better_by(config.metric),
        )

    found = watch.begin()
    start = None if found is None else found.course
    if start is None or not start.before:
        trainer = trainer_of(replace(config, aware=None))
        if found is not None:
            trainer.go_on(found.state)
        history = fit(trainer, config.epochs, start)
        if config.aware is None:
            return history
        count = len(history.epochs)
        start, found = Course(history.epochs, history.best, network.weights(), count), None
    else:
        history = History(start.epochs, start.best)
    trainer = trainer_of(replace(config, epochs=config.aware_epochs))
    if found is not None:
        trainer.go_on(found.state)
    if not history.interrupted:
        history = fit(trainer, config.aware_epochs, start)
    if history.best <= start.before:  # no epoch has ended that rounds
        trainer.settle()
    return history


def build_network(config: TrainConfig, prepared: Prepared) -> Network:
    """Build the network that the configuration asks for, of what the data are.

    Raises:
        BackendMissing: `pretrained` needs scikit-learn.
    """
    network = Network.build(
        config,
        vocabulary_size=0 if prepared.words is None else prepared.words.vocabulary_size,
        labels=prepared.width if prepared.unit is not None else len(prepared.labels),
        task=prepared.task,
        features=prepared.features,
    )
    if config.pretrained and prepared.words is not None:
        first, *others = network.weights()
        ids = prepared.inputs(prepared.parts.train)
        network.restore([embeddings_of(ids, first, spread=config.pretrained), *others])
    return network


def steps_of(config: TrainConfig, prepared: Prepared) -> int:
    """Return the steps of an epoch."""
    rows = len(prepared.parts.train)
    return math.ceil(rows / config.rows_a_step(rows))
