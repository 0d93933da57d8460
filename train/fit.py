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
from gatelet.runtime.data import dataset
from gatelet.runtime.data.arrays import write_arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.regression import RegressionMetrics
from gatelet.runtime.data.run import MARKER, Run, is_run
from gatelet.runtime.files import write_atomically
from gatelet.runtime.stages import (
    check_output_directory,
    check_space,
    kept_on_failure,
    replace_directory,
    stage_beside,
)
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
from gatelet.train.epochs import Course, Epoch, History, fit_epochs
from gatelet.train.inputs.telling import Rows
from gatelet.train.interrupt import hold_interrupts
from gatelet.train.layers import described
from gatelet.train.model import Network
from gatelet.train.plot import plot_history
from gatelet.train.prepare import Prepared, prepare
from gatelet.train.progress import Progress
from gatelet.train.tasks import Figures, Rules, better_by, measure
from gatelet.train.thresholds import tuned
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
        figure = prepared.task.figure
        progress = Progress(epochs=config.epochs, steps=_steps(config, prepared), figure=figure)
        progress.say(_describe(prepared))
        progress.say(f"recipe: {config.described()}")
        recipe = _recipe(config, prepared)
        if resume and _is_complete(config, recipe):
            progress.say(f"'{config.out}' is complete: there is nothing to resume")
            return Run.open(config.out)
        baseline = _baseline(config, prepared, progress)  # not at the end: Ctrl-C loses no training
        network, history = _fit(
            prepared, config=config, progress=progress, recipe=recipe, resume=resume
        )
    except KeyboardInterrupt as error:
        raise GateletError(
            "training was interrupted before its first epoch ended: nothing was written"
        ) from error
    rules = _rules(config, prepared, network)
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
        f"{stopped}{kept}, test {_headline(figures)} on {figures.rows:,} "
        f"{'timesteps' if prepared.task.steps else 'rows'}, written to {config.out}"
    )
    return Run.open(config.out)


@dataclass(frozen=True)
class Trained:
    """All that a run is made of, as often as it takes.

    Args:
        config: What was asked for.
        prepared: The data.
        network: The best epoch's.
        history: Of the epochs.
        figures: Of the test part.
        rules: What turns its scores into answers.
        baseline: Beside the figures; None where it was not asked for.
    """

    config: TrainConfig
    prepared: Prepared
    network: Network
    history: History
    figures: Figures
    rules: Rules
    baseline: Baseline | None = None

    def write(self, folder: Path) -> None:
        """Write the run into an empty folder."""
        self.network.save(folder / "model.keras")
        with (folder / "model.keras").open("rb") as file:
            os.fsync(file.fileno())  # a disk may say only now that it is full
        run = Run(
            path=folder,
            labels=self.prepared.labels,
            task=self.prepared.task.name,
            threshold=self.rules.threshold,
            provenance={
                **_provenance(self.config, self.prepared, self.history),
                **({} if self.baseline is None else {"baseline": self.baseline.summary()}),
            },
            inputs="features" if self.prepared.words is None else "texts",
            thresholds=self.rules.thresholds,
        )
        _write_parts(
            run,
            config=self.config,
            prepared=self.prepared,
            history=self.history,
            figures={**self.figures.to_dict(), **self._beside()},
        )

    def _beside(self) -> dict[str, object]:
        return {} if self.baseline is None else {"baseline": self.baseline.to_dict()}


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


def _headline(figures: Figures) -> str:
    if isinstance(figures, RegressionMetrics):
        return f"mean absolute error {figures.mae:.4g}"
    return f"accuracy {figures.accuracy:.4f}"


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
        network = build_network(config, prepared)
        check_space(config.out, network.saved_bytes + _bytes_of(prepared.parts.test))
        learned = prepared.examples(prepared.parts.train)
        validation = prepared.examples(prepared.parts.validation)

        def on_step(done: int) -> None:
            progress.step(done)
            interrupt.check()

        trainer = Trainer(network, config, steps=_steps(config, prepared), prepared=prepared)

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
            patience=config.patience_epochs,
            report=progress.epoch,
            start=None if start is None else start.course,
            keep=keep,
            better=better_by(config.metric),
        )
    if prepared.unit is not None:
        network.scale_values(prepared.unit.deviation, prepared.unit.mean)
    return network, history


def build_network(config: TrainConfig, prepared: Prepared) -> Network:
    """Build the network that the configuration asks for, of what the data are."""
    return Network.build(
        config,
        vocabulary_size=0 if prepared.words is None else prepared.words.vocabulary_size,
        labels=prepared.width if prepared.unit is not None else len(prepared.labels),
        task=prepared.task,
        features=prepared.features,
    )


def _bytes_of(part: Rows) -> int:
    if isinstance(part, Dataset):
        return sum(map(len, part.texts))
    return int(part.inputs[0].nbytes)


def _rules(config: TrainConfig, prepared: Prepared, network: Network) -> Rules:
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


def measure_part(network: Network, prepared: Prepared, part: Rows, rules: Rules) -> Figures:
    """Measure a network on one part of the data."""
    scores = network.predict(prepared.inputs(part))
    return measure(prepared.task, prepared.targets(part), scores, rules)


def _baseline(config: TrainConfig, prepared: Prepared, progress: Progress) -> Baseline | None:
    one_label = prepared.task.name in ("binary", "multiclass")
    if not config.baseline or prepared.words is None or not one_label:
        return None
    progress.say("training the baseline, TF-IDF with logistic regression")
    return measure_baseline(prepared.parts, prepared.labels, char_level=prepared.words.char_level)


def _write_parts(
    run: Run,
    *,
    config: TrainConfig,
    prepared: Prepared,
    history: History,
    figures: Mapping[str, object],
) -> None:
    if prepared.words is not None:
        prepared.words.save(run.vectorizer_path)
    write_rows(prepared.parts.test, run.test_path)
    write_rows(prepared.calibration(), run.calibration_path)
    _write_json(run.path / "metrics.json", {"part": "test", **figures})
    values = not prepared.task.labelled
    _write_json(run.path / "history.json", _history(history, values=values))
    title = f"{described(config)} on {prepared.source['name']}"
    picture = plot_history(history, title=title, values=values)
    write_atomically(run.path / "history.svg", picture.encode("utf-8"))
    write_atomically(run.path / "config.toml", config.to_toml().encode("utf-8"))
    run.save()


def _history(history: History, *, values: bool) -> dict[str, object]:
    """Return what history.json holds: an error is called one, and nothing is there without need."""
    names = {"accuracy": "mae", "val_accuracy": "val_mae"} if values else {}
    epochs = [
        {names.get(name, name): one for name, one in asdict(epoch).items() if one is not None}
        for epoch in history.epochs
    ]
    return {**asdict(history), "epochs": epochs}


def write_rows(rows: Rows, path: Path) -> None:
    """Write rows as a run keeps them: texts as JSONL, arrays as .npz."""
    if isinstance(rows, Dataset):
        dataset.write_jsonl(rows, path)
    else:
        write_arrays(rows, path)


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
