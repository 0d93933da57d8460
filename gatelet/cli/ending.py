"""What SIGTERM and SIGHUP do to a command that writes: it cleans up, and ends.

Not Ctrl-C, which Python makes a KeyboardInterrupt. Not for training: an exception may get lost
while TensorFlow calls back into Python, and only its last second has anything to clean up.
"""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def ended_in_order() -> Iterator[None]:
    """Make SystemExit(128 + number) of the first such signal; a second one ends at once.

    What is being written is taken away on the way out, and the converter's process is ended. A
    signal that is ignored, as by nohup, or that the program handles itself, is left as it is.
    """
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    handled = [
        number
        for number in (getattr(signal, name) for name in names)
        if signal.getsignal(number) == signal.SIG_DFL
    ]

    def stop(number: int, _: FrameType | None) -> None:
        for one in handled:
            signal.signal(one, signal.SIG_DFL)
        raise SystemExit(128 + number)

    try:
        for number in handled:
            signal.signal(number, stop)
    except ValueError:  # not the main thread, which is the one that signals reach
        yield
        return
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
