"""What a search says on stderr: a line a trial, with the best so far and the time left.

Not its results: those are `gatelet.train.tune.results`.
"""

import sys
import time
from collections.abc import Mapping, Sequence

from gatelet.runtime.terminal import escaped
from gatelet.train.epochs import Epoch
from gatelet.train.tune.config import TuneConfig
from gatelet.train.tune.front import Finished, choose, front_of


class Watching:
    """Print the course of a search.

    Args:
        config: What is searched.
    """

    def __init__(self, config: TuneConfig) -> None:
        self._config = config
        self._began_s = time.monotonic()
        self._before = 0

    def begin(self, finished: Sequence[Finished], *, name: str, rows: Mapping[str, int]) -> None:
        """Say what is searched, and what there is of it."""
        self._before = len(finished)
        config = self._config
        parts = ", ".join(f"{part} {rows[part]:,}" for part in ("train", "validation"))
        self.say(
            f"{name}: {parts} rows; {config.trials} trials over {', '.join(config.space.names)}"
        )
        if finished:
            self.say(f"going on: {len(finished)} trials have ended before")

    def epoch(self, number: int, epoch: int, figures: Epoch) -> None:
        """Show an epoch of the running trial, where somebody watches."""
        if sys.stderr is not None and sys.stderr.isatty():
            figure = f"{self._config.figure} {figures.val_accuracy:.4f}"
            text = f"trial {number}, epoch {epoch}: validation {figure}"
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    def trial(self, one: Finished, trials: Sequence[Finished]) -> None:
        """Say what became of a trial, and of the search so far.

        Args:
            one: The trial.
            trials: All that have ended, it included.
        """
        config = self._config
        text = f"trial {one.number} ({len(trials)} of {config.trials}): {self._ended(one)}"
        best = choose(trials, measure=config.quality, budget_bytes=config.budget_bytes)
        highest = front_of(trials, measure=config.quality)[-1:]
        if highest:
            text += f"; best so far {self._figures(highest[0])} (trial {highest[0].number})"
        if best is not None and best.number != highest[0].number:
            text += f", chosen {self._figures(best)} (trial {best.number})"
        self.say(f"{text}; {self._left(len(trials))}")

    def judging(self, number: int) -> None:
        """Say that the test part is opened now."""
        self.say(f"judging trial {number} on the test part")

    def exporting(self, number: int) -> None:
        """Say that an artifact is made."""
        self.say(f"exporting trial {number}")

    def interrupted(self, ended: int) -> None:
        """Say how to go on."""
        self.say(
            f"interrupted: {ended} of {self._config.trials} trials have ended; the same command "
            "goes on"
        )

    def _ended(self, one: Finished) -> str:
        if one.problem:
            return one.problem
        if one.stopped_by is None:
            return f"{self._figures(one)}, epoch {one.best} of {len(one.epochs)}"
        epochs = f"{len(one.epochs)} epoch{'s' if len(one.epochs) > 1 else ''}"
        return f"stopped after {epochs}, trial {one.stopped_by} was better"

    def _figures(self, one: Finished) -> str:
        kept = one.epochs[one.best - 1]
        measured = (
            f"accuracy {kept.val_accuracy:.4f}"
            if self._config.quality == "accuracy"
            else f"loss {kept.val_loss:.4f}"
        )
        return f"{measured} at {one.bytes:,} bytes"

    def _left(self, ended: int) -> str:
        spent_s = time.monotonic() - self._began_s
        to_do = self._config.trials - ended
        left_s = spent_s / max(1, ended - self._before) * to_do
        if self._config.minutes is not None:
            left_s = min(left_s, max(0.0, 60 * self._config.minutes - spent_s))
        return f"{spent_s:.0f} s, about {left_s:.0f} s left" if to_do else f"{spent_s:.0f} s"

    def say(self, text: str) -> None:
        """Print a line."""
        if sys.stderr is not None:
            clear = "\r\x1b[K" if sys.stderr.isatty() else ""
            print(f"{clear}{escaped(text)}", file=sys.stderr, flush=True)
