"""The files of a run: what training leaves, in a folder.

Not the place that the folder takes, nor what is done where it cannot: `gatelet.train.fit`.
"""

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from gatelet.runtime.data import dataset
from gatelet.runtime.data.arrays import write_arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.run import Run
from gatelet.runtime.files import write_atomically
from gatelet.train.baseline import Baseline
from gatelet.train.config import TrainConfig
from gatelet.train.epochs import History
from gatelet.train.inputs.telling import Rows
from gatelet.train.layers import described
from gatelet.train.model import Network, import_keras
from gatelet.train.plot import plot_history
from gatelet.train.prepare import Prepared
from gatelet.train.tasks import Figures, Rules


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


def settings_of(config: TrainConfig) -> dict[str, str | int | float | bool]:
    """Return the settings but for where the run is: that is where it is, until it is moved."""
    return {name: value for name, value in config.to_dict().items() if name != "out"}


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
    write_rows(prepared.kept_test(), run.test_path)
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
    packages = ("gatelet", *engines())
    return {
        "versions": {"python": platform.python_version(), **{p: version_of(p) for p in packages}},
        "data": prepared.source,
        "seed": config.seed,
        "config": settings_of(config),
        "best_epoch": history.best,
        "epochs_run": len(history.epochs),
        "interrupted": history.interrupted,
    }


def engines() -> tuple[str, ...]:
    """Return the packages that compute a training."""
    beside = ("jax",) if import_keras().backend.backend() == "jax" else ()
    return ("keras", "tensorflow", "numpy", *beside)


def version_of(package: str) -> str | None:
    """Return the version of a package that is installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
