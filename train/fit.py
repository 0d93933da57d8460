"""Training from a configuration to a run directory.

Not the loop (`gatelet.train.epochs`), the model (`gatelet.train.model`) or the data
(`gatelet.train.prepare`).
"""

import importlib.metadata
import json
import math
import platform
from dataclasses import asdict
from pathlib import Path

from gatelet.errors import GateletError, OutputError
from gatelet.runtime.data import dataset, metrics
from gatelet.runtime.data.metrics import Metrics
from gatelet.runtime.data.run import MARKER, Run
from gatelet.runtime.files import (
    check_output_directory,
    replace_directory,
    stage_beside,
    write_atomically,
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
        OutputError: `config.out` is some other folder, or cannot be written.
    """
    _check_out(config)
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
    with stage_beside(config.out) as stage:
        network.save(stage / "model.keras")
        run = Run(
            path=stage,
            labels=prepared.labels,
            task="binary" if len(prepared.labels) == 2 else "multiclass",
            threshold=config.threshold,
            provenance=_provenance(config, prepared, history),
        )
        _write_parts(run, config=config, prepared=prepared, history=history, figures=figures)
        check_output_directory(config.out, marker=MARKER, kind="run")
        replace_directory(stage, config.out)
    kept = f"epoch {history.best} of {len(history.epochs)} kept"
    stopped = "interrupted: " if history.interrupted else ""
    progress.say(
        f"{stopped}{kept}, test accuracy {figures.accuracy:.4f} on {figures.rows:,} rows, "
        f"written to {config.out}"
    )
    return Run.open(config.out)


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
