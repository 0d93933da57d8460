"""The results of a study: its trials as data, and the files that show them.

Not the search, which is `gatelet.train.tune.search`, nor the drawing: `picture` and `page`.
"""

import json
from dataclasses import dataclass
from typing import Any

from gatelet.runtime.data.run import Run
from gatelet.runtime.files import write_atomically
from gatelet.train.config import TrainConfig
from gatelet.train.tune.config import TuneConfig
from gatelet.train.tune.folder import TRIALS
from gatelet.train.tune.front import Finished


@dataclass(frozen=True, kw_only=True)
class Point:
    """A trial that has ended, with all that is known of it.

    Args:
        trial: Its figures.
        settings: Complete: what `gatelet train --config` makes the same model of.
        macs: Multiply-adds of a timestep.
        processor_s: What the trial took.
        exported_bytes: Of the artifact that was made; None where none was.
        on_front: No other is equal or better in quality and cost.
        is_chosen: Its run was written.
    """

    trial: Finished
    settings: TrainConfig
    macs: int
    processor_s: float
    exported_bytes: int | None = None
    on_front: bool = False
    is_chosen: bool = False

    @property
    def state(self) -> str:
        """'complete', 'stopped' or 'failed'."""
        if self.trial.problem:
            return "failed"
        return "complete" if self.trial.is_whole else "stopped"


@dataclass(frozen=True)
class Result:
    """A study with enough trials.

    Args:
        config: What was asked for.
        points: The trials, by number.
        run: Of the chosen one.
        name: Of the rows.
    """

    config: TuneConfig
    points: tuple[Point, ...]
    run: Run
    name: str

    @property
    def front(self) -> list[Point]:
        """The points of the Pareto front, the cheapest first."""
        on_front = [one for one in self.points if one.on_front]
        return sorted(on_front, key=lambda one: one.trial.cost)

    @property
    def chosen(self) -> Point:
        """The point whose run was written."""
        return next(one for one in self.points if one.is_chosen)

    def varied(self, point: Point) -> dict[str, Any]:
        """Return the settings of a point that vary within the study."""
        return {name: getattr(point.settings, name) for name in self.config.space.names}

    def to_dict(self, point: Point) -> dict[str, Any]:
        """Return a point as JSON values."""
        trial = point.trial
        kept = trial.epochs[trial.best - 1] if trial.epochs else None
        return {
            "trial": trial.number,
            "state": point.state,
            "val_accuracy": None if kept is None else kept.val_accuracy,
            "val_loss": None if kept is None else kept.val_loss,
            "bytes": trial.bytes,
            "exported_bytes": point.exported_bytes,
            "macs_per_timestep": point.macs,
            "latency_us": trial.cost if self.config.against == "latency" else None,
            "epochs": len(trial.epochs),
            "stopped_by": trial.stopped_by,
            "problem": trial.problem,
            "processor_s": point.processor_s,
            "on_front": point.on_front,
            "chosen": point.is_chosen,
            "seed": point.settings.seed,
            "settings": self.varied(point),
        }


def write_results(result: Result) -> None:
    """Write trials.jsonl, front.svg and front.html, and the settings of the front's trials.

    Raises:
        OutputError: They cannot be written.
    """
    from gatelet.train.tune.page import page
    from gatelet.train.tune.picture import plot_front

    out = result.config.out
    lines = [json.dumps(result.to_dict(one), allow_nan=False) for one in result.points]
    write_atomically(out / "trials.jsonl", "".join(f"{line}\n" for line in lines).encode("ascii"))
    picture = plot_front(result)
    write_atomically(out / "front.svg", picture.encode("utf-8"))
    write_atomically(out / "front.html", page(result, picture).encode("utf-8"))
    for one in result.points:
        if one.on_front or one.is_chosen:
            place = out / TRIALS / f"{one.trial.number:04}.toml"
            write_atomically(place, one.settings.to_toml().encode("utf-8"))
