import io

import pytest

from gatelet.train import progress as module
from gatelet.train.epochs import Epoch
from gatelet.train.progress import Progress

FIGURES = Epoch(loss=0.5, accuracy=0.75, val_loss=0.25, val_accuracy=0.875)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(module, "time", found)
    return found


def test_a_file_gets_one_plain_line_an_epoch() -> None:
    stream = io.StringIO()
    progress = Progress(epochs=3, steps=10, stream=stream)
    progress._drawn_s = -1.0  # as if the last drawing were long ago
    progress.step(5)
    progress.epoch(1, FIGURES)
    line = stream.getvalue()
    assert line.startswith(
        "epoch 1/3: loss 0.5000, accuracy 0.7500, "
        "validation loss 0.2500, validation accuracy 0.8750, "
    )
    assert line.endswith(" s\n")
    assert line.count("\n") == 1
    assert line[:-1].isprintable()


def drawn(stream: io.StringIO) -> str:
    """Return what stands in the line now."""
    return stream.getvalue().rpartition("\r")[2].removesuffix("\x1b[K")


def test_a_terminal_gets_a_bar_with_the_time_left_that_the_line_replaces(clock: Clock) -> None:
    stream = Terminal()
    progress = Progress(epochs=3, steps=10, stream=stream)
    clock.now_s += 30  # it compiles
    progress.step(1)
    assert drawn(stream) == "[##......................] 1/10"
    for done in range(2, 6):
        clock.now_s += 2
        progress.step(done)
    left = "10 s left, at most 50 s of training"
    assert drawn(stream) == f"[############............] 5/10, {left}"
    progress.epoch(1, FIGURES)
    assert "\r\x1b[Kepoch 1/3: " in stream.getvalue()


@pytest.mark.parametrize(
    ("finished", "step_s", "left"),
    [
        (2, 2, "16 s left"),
        (1, 2, "16 s left, at most 36 s of training"),
        (0, 10, "1 min 20 s left, at most 4 min 40 s of training"),
        (0, 1000, "2 h 13 min left, at most 7 h 46 min of training"),
    ],
)
def test_the_time_left_counts_the_epochs_that_may_follow(
    clock: Clock, finished: int, step_s: float, left: str
) -> None:
    stream = Terminal()
    progress = Progress(epochs=3, steps=10, stream=stream)
    progress.finished = finished
    progress.step(1)
    clock.now_s += step_s
    progress.step(2)
    assert drawn(stream) == f"[####....................] 2/10, {left}"


def test_an_epoch_with_more_steps_than_expected_has_no_time_left(clock: Clock) -> None:
    stream = Terminal()
    progress = Progress(epochs=1, steps=2, stream=stream)
    for done in (1, 2, 3):
        clock.now_s += 1
        progress.step(done)
    assert drawn(stream).endswith(" 3/2, 0 s left")
