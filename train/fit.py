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
from dataclasses import asdict, dataclass
from pathlib import Path

from gatelet.errors import GateletError, OutputError
from gatelet.runtime.data import dataset, metrics
from gatelet.runtime.data.metrics import Metrics
from gatelet.runtime.data.run import MARKER, Run
from gatelet.runtime.files import write_atomically
from gatelet.runtime.stages import (
    check_output_directory,
    check_space,
    kept_on_failure,
    replace_directory,
    stage_beside,
)
from gatelet.train.config import TrainConfig
from gatelet.train.epochs import Epoch, History, fit_epochs
from gatelet.train.interrupt import hold_interrupts
from gatelet.train.model import Network
from gatelet.train.plot import plot_history
from gatelet.train.prepare import Prepared, prepare
from gatelet.train.progress import Progress


def train(config: TrainConfig) -> Run:
    """Train a model, measure it on texts that it has not seen, and write the run directory.

    Progress goes to stderr. Ctrl-C ends training early and keeps the best epoch so far.

    Args:
        config: Data, model, schedule, seed and the directory to write.

    Returns:
        The complete run at `config.out`; a run that was there is replaced.

    Raises:
        BackendMissing: Keras or TensorFlow is not installed.
        TrainingError: The loss does not stay finite.
        DataError: The texts cannot be used.
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
        network, history = _fit(prepared, config=config, progress=progress)
    except KeyboardInterrupt as error:
        raise GateletError(
            "training was interrupted before its first epoch ended: nothing was written"
        ) from error
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
    kept = f"epoch {history.best} of {len(history.epochs)} kept"
    stopped = "interrupted: " if history.interrupted else ""
    progress.say(
        f"{stopped}{kept}, test accuracy {figures.accuracy:.4f} on {figures.rows:,} rows, "
        f"written to {config.out}"
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


def _fit(prepared: Prepared, *, config: TrainConfig, progress: Progress) -> tuple[Network, History]:
    with hold_interrupts() as interrupt:
        network = Network.build(
            config,
            vocabulary_size=prepared.vectorizer.vocabulary_size,
            labels=len(prepared.labels),
            steps=_steps(config, prepared),
        )
        texts = sum(map(len, prepared.parts.test.texts))
        check_space(config.out, network.saved_bytes + texts)
        learned = prepared.examples(prepared.parts.train)
        validation = prepared.examples(prepared.parts.validation)

        def on_step(done: int) -> None:
            progress.step(done)
            interrupt.check()

        def fit_epoch() -> Epoch:
            interrupt.check()
            return network.fit_epoch(
                learned, validation, batch_size=config.batch_size, on_step=on_step
            )

        history = fit_epochs(
            network,
            fit_epoch,
            epochs=config.epochs,
            patience=config.patience,
            report=progress.epoch,
        )
    return network, history


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
    title = f"{config.cell.upper()}({config.units}) on {prepared.source['name']}"
    picture = plot_history(history, title=title)
    write_atomically(run.path / "history.svg", picture.encode("utf-8"))
    write_atomically(run.path / "config.toml", config.to_toml().encode("utf-8"))
    run.save()


def _write_json(path: Path, value: object) -> None:
    write_atomically(path, json.dumps(value, indent=2, allow_nan=False).encode("ascii") + b"\n")


def _provenance(config: TrainConfig, prepared: Prepared, history: History) -> dict[str, object]:
    packages = ("gatelet", "keras", "tensorflow", "numpy")
    # Not where it was written: that is where it is, until it is moved.
    settings = {name: value for name, value in config.to_dict().items() if name != "out"}
    return {
        "versions": {"python": platform.python_version(), **{p: _version(p) for p in packages}},
        "data": prepared.source,
        "seed": config.seed,
        "config": settings,
        "best_epoch": history.best,
        "epochs_run": len(history.epochs),
        "interrupted": history.interrupted,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
