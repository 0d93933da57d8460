import io

from gatelet.train.epochs import Epoch
from gatelet.train.progress import Progress

FIGURES = Epoch(loss=0.5, accuracy=0.75, val_loss=0.25, val_accuracy=0.875)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


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


def test_a_terminal_gets_a_bar_that_the_line_replaces() -> None:
    stream = Terminal()
    progress = Progress(epochs=3, steps=10, stream=stream)
    progress._drawn_s = -1.0  # as if the last drawing were long ago
    progress.step(5)
    assert stream.getvalue() == "\r[############............] 5/10"
    progress.epoch(1, FIGURES)
    assert "\r\x1b[Kepoch 1/3: " in stream.getvalue()
