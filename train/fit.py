"""Training from a configuration to a run directory.

Not the loop (`gatelet.train.epochs`), the model (`gatelet.train.model`) or the data
(`gatelet.train.prepare`).
"""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gatelet.errors import GateletError, OutputError
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.run import MARKER, Run, is_run
from gatelet.runtime.stages import (
    check_output_directory,
    check_space,
    kept_on_failure,
    replace_directory,
    stage_beside,
)
from gatelet.train import distributed
from gatelet.train.baseline import Baseline, measure_baseline
from gatelet.train.checkpoints import (
    Checkpoint,
    Recipe,
    check_place,
    checkpoint_of,
    load_checkpoint,
    save_checkpoint,
)
from gatelet.train.config import TrainConfig
from gatelet.train.epochs import Course, Epoch, History
from gatelet.train.events import write_events
from gatelet.train.fitting import Watch, fit_network, steps_of
from gatelet.train.inputs.telling import Rows
from gatelet.train.model import Network
from gatelet.train.prepare import Prepared, prepare
from gatelet.train.progress import Progress
from gatelet.train.tasks import Figures, Rules, headline, measure
from gatelet.train.thresholds import tuned
from gatelet.train.trainer import Trainer
from gatelet.train.writing import Trained, engines, settings_of, version_of

if TYPE_CHECKING:
    from gatelet.train.model import Weights


_WRITTEN = "the run is written"


def train(config: TrainConfig, *, resume: bool = False, tensorboard: Path | None = None) -> Run:
    """Train a model, measure it on texts that it has not seen, and write the run directory.

    Progress goes to stderr. After each epoch a checkpoint is written beside the run, which goes
    when the run is complete. Ctrl-C ends training early, keeps the best epoch so far and leaves
    the checkpoint: the run's provenance says 'interrupted'.

    Args:
        config: Data, model, schedule, seed and the directory to write.
        resume: Go on from the checkpoint, if there is one: on the same machine the weights are
            those of a training that nothing stopped, bit for bit.
        tensorboard: A folder for event files with the figures of each epoch; None for none.

    Returns:
        The complete run at `config.out`; a run that was there is replaced.

    Raises:
        BackendMissing: Keras or TensorFlow is not installed.
        TrainingError: The loss does not stay finite.
        DataError: The texts cannot be used, or are not those of the checkpoint.
        ConfigError: The checkpoint is of other settings.
        ModelError: The checkpoint is damaged.
        GateletError: Ctrl-C before the first epoch ended.
        OutputError: `config.out` is some other folder, or cannot be written; the message says
            where the trained run is if that shows after the training only.
    """
    processes = distributed.begin()
    _check_out(config, tensorboard)
    if processes.is_first:
        with stage_beside(config.out, marker=MARKER):
            pass  # a place that cannot be written is told before the training
    try:
        prepared = prepare(config)
        figure = prepared.task.figure
        progress = Progress(
            epochs=config.most_epochs,
            steps=steps_of(config, prepared),
            stream=None if processes.is_first else io.StringIO(),
            figure=figure,
        )
        progress.say(_describe(prepared))
        progress.say(f"recipe: {config.described()}")
        recipe = _recipe(config, prepared)
        if resume and _is_complete(config, recipe):
            progress.say(f"'{config.out}' is complete: there is nothing to resume")
            return Run.open(config.out)
        # not at the end: Ctrl-C loses no training
        is_first = processes.is_first
        baseline = baseline_beside(config, prepared, progress.say) if is_first else None
        with _told_to_resume(config.out):
            network, history = _fit(
                prepared,
                config=config,
                progress=progress,
                recipe=recipe,
                resume=resume,
                report=_report(config, prepared, progress, tensorboard if is_first else None),
            )
    except KeyboardInterrupt as error:
        raise GateletError(
            "training was interrupted before its first epoch ended: nothing was written"
        ) from error
    if not processes.is_first:
        processes.wait(_WRITTEN)
        return Run.open(config.out)
    with _told_to_resume(config.out):
        figures = write_run(config, prepared, network, history, baseline)
    if history.interrupted:
        progress.say(
            f"the checkpoint '{checkpoint_of(config.out)}' stays: the same command with --resume "
            "goes on from it"
        )
    else:
        checkpoint_of(config.out).unlink(missing_ok=True)
    kept = f"epoch {history.best} of {len(history.epochs)} kept"
    stopped = "interrupted: " if history.interrupted else ""
    progress.say(
        f"{stopped}{kept}, test {headline(figures.to_dict())} on {figures.rows:,} "
        f"{'timesteps' if prepared.task.steps else 'rows'}, written to {config.out}"
    )
    processes.wait(_WRITTEN)
    return Run.open(config.out)


@contextlib.contextmanager
def _told_to_resume(out: Path) -> Iterator[None]:
    """Say of what could not be written how the training goes on, if there is a checkpoint."""
    try:
        yield
    except OutputError as error:
        place = checkpoint_of(out)
        if "kept" in error.facts or not place.exists():
            raise
        raise OutputError(
            f"{error}; the checkpoint '{place}' stays: make room, and the same command with "
            "--resume goes on from it",
            **error.facts,
        ) from error


def write_run(
    config: TrainConfig,
    prepared: Prepared,
    network: Network,
    history: History,
    baseline: Baseline | None = None,
) -> Figures:
    """Measure a network on the test part, and write its run at `config.out`.

    Args:
        config: What it was trained with.
        prepared: On what.
        network: With the weights of the best epoch.
        history: Of the epochs.
        baseline: What is written beside its figures.

    Returns:
        The figures of the test part.

    Raises:
        OutputError: As `train`.
    """
    rules = rules_of(config, prepared, network)
    figures = measure_part(network, prepared, prepared.parts.test, rules)
    trained = Trained(config, prepared, network, history, figures, rules, baseline)
    try:
        with stage_beside(config.out, marker=MARKER) as stage:
            trained.write(stage)
            with kept_on_failure(stage, config.out):
                check_output_directory(config.out, marker=MARKER, kind="run")
                replace_directory(stage, config.out)
    except Exception as error:  # a full disk makes Keras and HDF5 raise what they like
        if "kept" in vars(error):
            raise
        raise _rescue(trained, error) from error
    return figures


def _rescue(trained: Trained, failure: Exception) -> OutputError:
    """Write a run elsewhere that cannot be written where it should be, and say where."""
    out = trained.config.out
    why = str(failure) if isinstance(failure, GateletError) else f"cannot write '{out}': {failure}"
    for place in dict.fromkeys((Path(tempfile.gettempdir()), Path.cwd(), _home())):
        try:
            folder = Path(tempfile.mkdtemp(prefix=f"{out.name}.finished-", dir=place))
        except OSError:
            continue
        try:
            trained.write(folder)
        except Exception:  # as above; the next place may have room
            shutil.rmtree(folder, ignore_errors=True)
            continue
        return OutputError(
            f"{why}; the trained run was written to '{folder}' instead: use it there, or move it "
            f"to '{out}' when there is room",
            path=str(out),
            kept=str(folder),
        )
    return OutputError(f"{why}; there was room for the trained run nowhere else", path=str(out))


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # there is none
        return Path.cwd()


def _check_out(config: TrainConfig, tensorboard: Path | None) -> None:
    check_output_directory(config.out, marker=MARKER, kind="run")
    check_place(checkpoint_of(config.out))
    for name, path in (("data", config.data), ("event files", tensorboard)):
        if path is not None and path.resolve().is_relative_to(config.out.resolve()):
            raise OutputError(
                f"the {name} '{path}' {'is' if name == 'data' else 'would be'} in the folder "
                f"'{config.out}' that would be replaced: choose another --out",
                path=str(config.out),
            )
    for path in sorted(config.out.glob("*")):
        if path.is_dir():  # a bundle, say: training writes none
            raise OutputError(
                f"the run '{config.out}' that would be replaced holds the folder '{path.name}', "
                "which training did not write: move it, or choose another --out",
                path=str(config.out),
            )


def _describe(prepared: Prepared) -> str:
    rows = ", ".join(f"{name} {n:,}" for name, n in prepared.parts.rows().items())
    kept = prepared.source.get("test_rows_kept")
    rows += f" ({kept:,} of them kept in the run)" if kept else ""
    dropped = prepared.source["dropped"]
    assert isinstance(dropped, dict)
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in dropped.items() if n)
    answers = f"{len(prepared.labels)} labels" if prepared.labels else f"{prepared.width} values"
    return (
        f"{prepared.source['name']}: {rows} rows; dropped: {reasons or 'none'}; "
        f"{prepared.task.name}: {answers}, {_inputs(prepared)}"
    )


def _inputs(prepared: Prepared) -> str:
    if prepared.features is not None:
        names = prepared.source.get("columns")
        told = f" ({', '.join(names)})" if isinstance(names, list) else ""
        count = len(prepared.features.mean)
        return f"{prepared.features.timesteps:,} timesteps of {count:,} features{told}"
    kind = "characters" if prepared.vectorizer.char_level else "words"
    return f"{len(prepared.vectorizer.vocabulary):,} {kind}"


def _fit(
    prepared: Prepared,
    *,
    config: TrainConfig,
    progress: Progress,
    recipe: Recipe,
    resume: bool,
    report: Callable[[int, Epoch], None],
) -> tuple[Network, History]:
    place = checkpoint_of(config.out)

    def begin() -> Checkpoint | None:
        start = _begun(place, recipe, progress) if resume else None
        if start is not None:
            progress.finished = len(start.course.epochs)
        return start

    def keep(course: "Course[Weights]", trainer: Trainer) -> None:
        if distributed.world().is_first:
            save_checkpoint(place, Checkpoint(course, trainer.state()), recipe)

    def check(network: Network) -> None:
        check_space(config.out, network.saved_bytes + _bytes_of(prepared.kept_test()))

    watch = Watch(check, begin, keep, progress.step, report)
    return fit_network(config, prepared, watch)


def _report(
    config: TrainConfig, prepared: Prepared, progress: Progress, tensorboard: Path | None
) -> Callable[[int, Epoch], None]:
    """Return what tells the figures of an epoch, to everybody who wants to know."""
    if tensorboard is None:
        return progress.epoch
    figure = "accuracy" if prepared.task.labelled else "mae"
    write = write_events(tensorboard, figure=figure, metric=config.metric, say=progress.say)

    def report(number: int, epoch: Epoch) -> None:
        progress.epoch(number, epoch)
        write(number, epoch)

    return report


def _bytes_of(part: Rows) -> int:
    if isinstance(part, Dataset):
        return sum(map(len, part.texts))
    return int(part.inputs[0].nbytes)


def rules_of(config: TrainConfig, prepared: Prepared, network: Network) -> Rules:
    """Return what turns scores into answers: thresholds as they are set, or chosen."""
    thresholds = (config.threshold,) * len(prepared.labels)
    several = prepared.task.name == "multi-label"
    rules = Rules(prepared.labels, config.threshold, thresholds if several else ())
    if not config.tune_threshold:
        return rules
    part = prepared.parts.validation
    scores = network.predict(prepared.inputs(part))
    return tuned(prepared.task, prepared.targets(part), scores, rules, metric=config.metric)


def _begun(place: Path, recipe: Recipe, progress: Progress) -> Checkpoint | None:
    """Return the checkpoint to go on from; None where training begins."""
    if not place.exists():
        progress.say(f"there is no checkpoint '{place}' yet: training begins")
        return None
    found = load_checkpoint(place, recipe)
    progress.say(f"going on after epoch {len(found.course.epochs)}")
    return found


def _recipe(config: TrainConfig, prepared: Prepared) -> Recipe:
    versions = {name: version_of(name) for name in engines()}
    return Recipe(settings_of(config), str(prepared.source["sha256"]), versions)


def _is_complete(config: TrainConfig, recipe: Recipe) -> bool:
    """Return whether this very training has ended: its run is there, and no checkpoint."""
    if checkpoint_of(config.out).exists() or not is_run(config.out):
        return False
    made = Run.open(config.out).provenance
    data = made.get("data")
    same = isinstance(data, Mapping) and data.get("sha256") == recipe.data_sha256
    return same and made.get("config") == recipe.config and not made.get("interrupted")


def measure_part(network: Network, prepared: Prepared, part: Rows, rules: Rules) -> Figures:
    """Measure a network on one part of the data."""
    scores = network.predict(prepared.inputs(part))
    return measure(prepared.task, prepared.targets(part), scores, rules)


def baseline_beside(
    config: TrainConfig, prepared: Prepared, say: Callable[[str], None]
) -> Baseline | None:
    """Train what is shown beside a network's figures; None where there is none for the task.

    Args:
        config: Whether it is asked for.
        prepared: The rows.
        say: Called before it begins.
    """
    one_label = prepared.task.name in ("binary", "multiclass")
    if not config.baseline or prepared.words is None or not one_label:
        return None
    say("training the baseline, TF-IDF with logistic regression")
    return measure_baseline(prepared.parts, prepared.labels, char_level=prepared.words.char_level)
