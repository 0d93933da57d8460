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
        self._began_s = self._drawn_s = time.monotonic()

    def say(self, text: str) -> None:
        """Print one line."""
        print(escaped(text), file=self._stream, flush=True)

    def step(self, done: int) -> None:
        """Draw the bar of the running epoch.

        Args:
            done: Steps that are done.
        """
        now_s = time.monotonic()
        if not self.watched or now_s - self._drawn_s < REDRAW_S:
            return
        self._drawn_s = now_s
        filled = BAR_WIDTH * done // self._steps
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        self._stream.write(f"\r[{bar}] {done}/{self._steps}")
        self._stream.flush()

    def epoch(self, number: int, figures: Epoch) -> None:
        """Print the line of a finished epoch.

        Args:
            number: From 1.
            figures: Its losses and accuracies.
        """
        now_s = time.monotonic()
        if self.watched:
            self._stream.write("\r\x1b[K")
        self.say(
            f"epoch {number}/{self._epochs}: loss {figures.loss:.4f}, "
            f"{self._figure} {_shown(figures.accuracy)}, validation loss {figures.val_loss:.4f}, "
            f"validation {self._figure} {_shown(figures.val_accuracy)}, "
            f"{now_s - self._began_s:.1f} s"
        )
        self._began_s = now_s


def _shown(figure: float) -> str:
    """Write a share, or an error in any unit."""
    return f"{figure:.4f}" if figure < 10 else f"{figure:.6g}"
