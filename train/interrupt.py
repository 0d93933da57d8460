"""Ctrl-C that waits for a step's end, because inside TensorFlow it is lost now and then.

Not what is done about it: that is `gatelet.train.epochs` and `gatelet.train.fit`.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

NOTICE = b"\nstopping after this step, with the best epoch so far; Ctrl-C again stops at once\n"


class Interrupt:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        """Nothing was pressed yet."""
        self.asked = False

    def check(self) -> None:
        """Stop here if it was.

        Raises:
            KeyboardInterrupt: It was.
        """
        if self.asked:
            raise KeyboardInterrupt


@contextlib.contextmanager
def hold_interrupts(notice: bytes = NOTICE) -> Iterator[Interrupt]:
    """Hold back the first Ctrl-C until `check` is called; a second one stops at once.

    A KeyboardInterrupt that Python raises while TensorFlow calls back into it may end as a line
    of 'Exception ignored in', and training goes on. Where the program handles or ignores SIGINT
    in its own way, and outside the main thread, nothing is held.

    Args:
        notice: What to say when it was pressed.

    Yields:
        What to check where stopping does no harm.
    """
    interrupt = Interrupt()

    def remember(_: int, __: FrameType | None) -> None:
        interrupt.check()
        interrupt.asked = True
        with contextlib.suppress(OSError):
            os.write(2, notice)  # not print: the handler may have interrupted one

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupt
        return
    try:
        signal.signal(signal.SIGINT, remember)
    except ValueError:  # not the main thread
        yield interrupt
        return
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
