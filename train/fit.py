"""Training from a configuration to a run directory.

Not the loop (`gatelet.train.epochs`), the model (`gatelet.train.model`) or the data
(`gatelet.train.prepare`).
"""

import importlib.metadata
import json
import math
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gatelet.errors import GateletError, OutputError
from gatelet.runtime.data import dataset, metrics
from gatelet.runtime.data.metrics import Metrics
from gatelet.runtime.data.run import MARKER, Run, is_run
from gatelet.runtime.files import write_atomically
from gatelet.runtime.stages import (
    check_output_directory,
    check_space,
    kept_on_failure,
    replace_directory,
    stage_beside,
)
from gatelet.train.checkpoints import (
    Checkpoint,
    Recipe,
    check_place,
    checkpoint_of,
    load_checkpoint,
    save_checkpoint,
)
from gatelet.train.config import TrainConfig
from gatelet.train.epochs import Course, Epoch, History, fit_epochs
from gatelet.train.interrupt import hold_interrupts
from gatelet.train.layers import described
from gatelet.train.model import Network
from gatelet.train.plot import plot_history
from gatelet.train.prepare import Prepared, prepare
from gatelet.train.progress import Progress
from gatelet.train.trainer import Trainer

if TYPE_CHECKING:
    from gatelet.train.model import Weights


def train(config: TrainConfig, *, resume: bool = False) -> Run:
    """Train a model, measure it on texts that it has not seen, and write the run directory.

    Progress goes to stderr. After each epoch a checkpoint is written beside the run, which goes
    when the run is complete. Ctrl-C ends training early, keeps the best epoch so far and leaves
    the checkpoint: the run's provenance says 'interrupted'.

    Args:
        config: Data, model, schedule, seed and the directory to write.
        resume: Go on from the checkpoint, if there is one: on the same machine the weights are
            those of a training that nothing stopped, bit for bit.

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
    _check_out(config)
    with stage_beside(config.out, marker=MARKER):
        pass  # a place that cannot be written is told before the training
    try:
        prepared = prepare(config)
        progress = Progress(epochs=config.epochs, steps=_steps(config, prepared))
        progress.say(_describe(prepared))
        recipe = _recipe(config, prepared)
        if resume and _is_complete(config, recipe):
            progress.say(f"'{config.out}' is complete: there is nothing to resume")
            return Run.open(config.out)
        network, history = _fit(
            prepared, config=config, progress=progress, recipe=recipe, resume=resume
        )
    except KeyboardInterrupt as error:
        raise GateletError(
            "training was interrupted before its first epoch ended: nothing was written"
        ) from error
    figures = write_run(config, prepared, network, history)
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
        f"{stopped}{kept}, test accuracy {figures.accuracy:.4f} on {figures.rows:,} rows, "
        f"written to {config.out}"
    )
    return Run.open(config.out)


def write_run(
    config: TrainConfig, prepared: Prepared, network: Network, history: History
) -> Metrics:
    """Measure a network on the test part, and write its run at `config.out`.

    Args:
        config: What it was trained with.
        prepared: On what.
        network: With the weights of the best epoch.
        history: Of the epochs.

    Returns:
        The figures of the test part.

    Raises:
        OutputError: As `train`.
    """
    figures = _measure(network, prepared, threshold=config.threshold)
    trained = Trained(config, prepared, network, history, figures)
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


@dataclass(frozen=True)
class Trained:
    """All that a run is made of, as often as it takes.

    Args:
        config: What was asked for.
        prepared: The data.
        network: The best epoch's.
        history: Of the epochs.
        figures: Of the test part.
    """

    config: TrainConfig
    prepared: Prepared
    network: Network
    history: History
    figures: Metrics

    def write(self, folder: Path) -> None:
        """Write the run into an empty folder."""
        self.network.save(folder / "model.keras")
        with (folder / "model.keras").open("rb") as file:
            os.fsync(file.fileno())  # a disk may say only now that it is full
        labels = self.prepared.labels
        run = Run(
            path=folder,
            labels=labels,
            task="binary" if len(labels) == 2 else "multiclass",
            threshold=self.config.threshold,
            provenance=_provenance(self.config, self.prepared, self.history),
        )
        _write_parts(
            run,
            config=self.config,
            prepared=self.prepared,
            history=self.history,
            figures=self.figures,
        )


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


def _steps(config: TrainConfig, prepared: Prepared) -> int:
    return math.ceil(len(prepared.parts.train) / config.batch_size)


def _check_out(config: TrainConfig) -> None:
    check_output_directory(config.out, marker=MARKER, kind="run")
    check_place(checkpoint_of(config.out))
    if config.data is not None and config.data.resolve().is_relative_to(config.out.resolve()):
        raise OutputError(
            f"the data '{config.data}' is in the folder '{config.out}' that would be replaced: "
            "choose another --out",
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
    dropped = prepared.source["dropped"]
    assert isinstance(dropped, dict)
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in dropped.items() if n)
    return (
        f"{prepared.source['name']}: {rows} rows; dropped: {reasons or 'none'}; "
        f"{len(prepared.labels)} labels, {len(prepared.vectorizer.vocabulary):,} "
        f"{'characters' if prepared.vectorizer.char_level else 'words'}"
    )


def _fit(
    prepared: Prepared,
    *,
    config: TrainConfig,
    progress: Progress,
    recipe: Recipe,
    resume: bool,
) -> tuple[Network, History]:
    place = checkpoint_of(config.out)
    with hold_interrupts() as interrupt:
        network = Network.build(
            config,
            vocabulary_size=prepared.vectorizer.vocabulary_size,
            labels=len(prepared.labels),
        )
        texts = sum(map(len, prepared.parts.test.texts))
        check_space(config.out, network.saved_bytes + texts)
        learned = prepared.examples(prepared.parts.train)
        validation = prepared.examples(prepared.parts.validation)

        def on_step(done: int) -> None:
            progress.step(done)
            interrupt.check()

        trainer = Trainer(network, config, steps=_steps(config, prepared))

        start = _begun(place, recipe, progress) if resume else None
        if start is not None:
            trainer.go_on(start.state)

        def keep(course: "Course[Weights]") -> None:
            save_checkpoint(place, Checkpoint(course, trainer.state()), recipe)

        def fit_epoch(number: int) -> Epoch:
            interrupt.check()
            return trainer.fit_epoch(number, learned, validation, on_step=on_step)

        history = fit_epochs(
            network,
            fit_epoch,
            epochs=config.epochs,
            patience=config.patience,
            report=progress.epoch,
            start=None if start is None else start.course,
            keep=keep,
        )
    return network, history


def _begun(place: Path, recipe: Recipe, progress: Progress) -> Checkpoint | None:
    """Return the checkpoint to go on from; None where training begins."""
    if not place.exists():
        progress.say(f"there is no checkpoint '{place}' yet: training begins")
        return None
    found = load_checkpoint(place, recipe)
    progress.say(f"going on after epoch {len(found.course.epochs)}")
    return found


def _recipe(config: TrainConfig, prepared: Prepared) -> Recipe:
    versions = {name: _version(name) for name in ("keras", "tensorflow", "numpy")}
    return Recipe(_settings(config), str(prepared.source["sha256"]), versions)


def _is_complete(config: TrainConfig, recipe: Recipe) -> bool:
    """Return whether this very training has ended: its run is there, and no checkpoint."""
    if checkpoint_of(config.out).exists() or not is_run(config.out):
        return False
    made = Run.open(config.out).provenance
    data = made.get("data")
    same = isinstance(data, Mapping) and data.get("sha256") == recipe.data_sha256
    return same and made.get("config") == recipe.config and not made.get("interrupted")


def _settings(config: TrainConfig) -> dict[str, str | int | float | bool]:
    """Return the settings but for where the run is: that is where it is, until it is moved."""
    return {name: value for name, value in config.to_dict().items() if name != "out"}


def _measure(network: Network, prepared: Prepared, *, threshold: float) -> Metrics:
    test = prepared.examples(prepared.parts.test)
    return metrics.evaluate(
        test.labels,
        network.scores(test.ids),
        label_names=prepared.labels,
        threshold=threshold,
    )


def _write_parts(
    run: Run, *, config: TrainConfig, prepared: Prepared, history: History, figures: Metrics
) -> None:
    prepared.vectorizer.save(run.vectorizer_path)
    dataset.write_jsonl(prepared.parts.test, run.test_path)
    dataset.write_jsonl(prepared.calibration(), run.calibration_path)
    _write_json(run.path / "metrics.json", {"part": "test", **figures.to_dict()})
    _write_json(run.path / "history.json", asdict(history))
    title = f"{described(config)} on {prepared.source['name']}"
    picture = plot_history(history, title=title)
    write_atomically(run.path / "history.svg", picture.encode("utf-8"))
    write_atomically(run.path / "config.toml", config.to_toml().encode("utf-8"))
    run.save()


def _write_json(path: Path, value: object) -> None:
    write_atomically(path, json.dumps(value, indent=2, allow_nan=False).encode("ascii") + b"\n")


def _provenance(config: TrainConfig, prepared: Prepared, history: History) -> dict[str, object]:
    packages = ("gatelet", "keras", "tensorflow", "numpy")
    return {
        "versions": {"python": platform.python_version(), **{p: _version(p) for p in packages}},
        "data": prepared.source,
        "seed": config.seed,
        "config": _settings(config),
        "best_epoch": history.best,
        "epochs_run": len(history.epochs),
        "interrupted": history.interrupted,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
