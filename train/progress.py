"""What training says on stderr: one line an epoch, and a bar where somebody watches.

Not the figures that are kept: those are in metrics.json and history.json.
"""

import sys
import time
from typing import TextIO

from gatelet.runtime.terminal import escaped
from gatelet.train.epochs import Epoch

BAR_WIDTH = 24
REDRAW_S = 0.1


class Progress:
    """Print the course of one training run."""

    def __init__(
        self, *, epochs: int, steps: int, stream: TextIO | None = None, figure: str = "accuracy"
    ) -> None:
        """Start the clock.

        Args:
            epochs: The most epochs there will be.
            steps: Steps of one epoch.
            stream: Where to print; stderr unless given.
            figure: What an epoch tells beside the loss.
        """
        self._epochs = epochs
        self._steps = steps
        self._figure = figure
        self._stream = sys.stderr if stream is None else stream
        self.watched = self._stream.isatty()
        self.finished = 0  # epochs, also those of a training that goes on
        self._began_s = self._drawn_s = self._first_s = time.monotonic()

    def say(self, text: str) -> None:
        """Print one line."""
        print(escaped(text), file=self._stream, flush=True)

    def step(self, done: int) -> None:
        """Draw the bar of the running epoch, and how long the steps to come will take.

        Args:
            done: Steps that are done.
        """
        now_s = time.monotonic()
        if done == 1:  # which compiles, and says little of the others
            self._first_s = now_s
        if not self.watched or now_s - self._drawn_s < REDRAW_S:
            return
        self._drawn_s = now_s
        filled = BAR_WIDTH * done // self._steps
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        self._stream.write(f"\r[{bar}] {done}/{self._steps}{self._left(done, now_s)}\x1b[K")
        self._stream.flush()

    def _left(self, done: int, now_s: float) -> str:
        """Say how long the epoch's other steps take, and those of all epochs that may follow."""
        if done < 2:
            return ""
        step_s = (now_s - self._first_s) / (done - 1)
        left_s = step_s * max(0, self._steps - done)
        after_s = step_s * self._steps * (self._epochs - self.finished - 1)
        most = f", at most {_duration(left_s + after_s)} of training" if after_s else ""
        return f", {_duration(left_s)} left{most}"

    def epoch(self, number: int, figures: Epoch) -> None:
        """Print the line of a finished epoch.

        Args:
            number: From 1.
            figures: Its losses and accuracies.
        """
        now_s = time.monotonic()
        self.finished = number
        if self.watched:
            self._stream.write("\r\x1b[K")
        self.say(
            f"epoch {number}/{self._epochs}: loss {figures.loss:.4f}, "
            f"{self._figure} {_shown(figures.accuracy)}, validation loss {figures.val_loss:.4f}, "
            f"validation {self._figure} {_shown(figures.val_accuracy)}, "
            f"{now_s - self._began_s:.1f} s"
        )
        self._began_s = now_s


def _duration(time_s: float) -> str:
    """Write a time: '8 s', '3 min 05 s', '2 h 07 min'."""
    seconds = round(time_s)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"


def _shown(figure: float) -> str:
    """Write a share, or an error in any unit."""
    return f"{figure:.4f}" if figure < 10 else f"{figure:.6g}"
