"""A network, trained to its best epoch.

Not what becomes of it, nor of the epochs on the way: that is `gatelet.train.fit`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatelet.train import distributed
from gatelet.train.config import TrainConfig
from gatelet.train.epochs import Course, Epoch, History, fit_epochs
from gatelet.train.interrupt import hold_interrupts
from gatelet.train.model import Network
from gatelet.train.neighbours import embeddings_of
from gatelet.train.prepare import Prepared
from gatelet.train.tasks import better_by
from gatelet.train.trainer import Trainer

if TYPE_CHECKING:
    from gatelet.train.model import Weights


@dataclass(frozen=True)
class Watch:
    """What happens beside the training of a network; by default nothing.

    Args:
        check: Called with the network before the first step.
        begin: Returns the epochs that were trained before, and puts their state back.
        keep: Called after each epoch with what the next one starts from.
        on_step: Called after each step with how many of the epoch are done.
        report: Called after each epoch with its number and figures.
    """

    check: Callable[[Network], None] = lambda network: None
    begin: "Callable[[Trainer], Course[Weights] | None]" = lambda trainer: None
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
        learned = prepared.examples(prepared.parts.train)
        validation = prepared.examples(prepared.parts.validation)

        def on_step(done: int) -> None:
            watch.on_step(done)
            interrupt.check()

        processes = distributed.world()
        trainer = Trainer(
            network,
            config,
            rows=len(prepared.parts.train),
            prepared=prepared,
            processes=processes,
        )

        def fit_epoch(number: int) -> Epoch:
            interrupt.check()
            return trainer.fit_epoch(number, learned, validation, on_step=on_step)

        history = fit_epochs(
            network,
            fit_epoch,
            epochs=config.epochs,
            patience=config.patience_epochs,
            report=watch.report,
            start=watch.begin(trainer),
            keep=lambda course: watch.keep(course, trainer),
            better=better_by(config.metric),
        )
    if processes.size > 1:
        weights = network.weights()
        distributed.end(processes)
        network = build_network(config, prepared)
        network.restore(weights)
    if prepared.unit is not None:
        network.scale_values(prepared.unit.deviation, prepared.unit.mean)
    return network, history


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
