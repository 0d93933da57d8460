"""Where the processor time of a conversion goes: this process and the worker, step by step.

Not wall-clock time, which depends on what else the machine does.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from gatelet.convert.worker.worker import Worker

# utime, stime, cutime and cstime in /proc/PID/stat, counted from the field after the name
_TIMES = slice(11, 15)


class Timings:
    """Splits processor time by what a conversion tells that it is doing.

    Args:
        progress: Where that is told; `tell` takes its place.
    """

    def __init__(self, progress: Callable[[str], None]) -> None:
        self.processor_s: dict[str, float] = {}
        self._progress = progress
        self._worker: Worker | None = None
        self._worker_s = 0.0
        self._step, self._since_s = "preparing", time.process_time()

    def watch(self, worker: Worker) -> None:
        """Count a worker's time too, until it is closed."""
        self._worker = worker

    def tell(self, text: str) -> None:
        """Begin a step; a remark, which has a colon, begins none."""
        if ": " not in text:
            self.end()
            self._step = text
        self._progress(text)

    def end(self) -> None:
        """End the step at hand: call it before the worker is closed, and at last."""
        now_s = time.process_time()
        worker_s = _seconds_of(self._worker.pid) if self._worker is not None else 0.0
        used = now_s - self._since_s + max(0.0, worker_s - self._worker_s)
        self.processor_s[self._step] = round(self.processor_s.get(self._step, 0.0) + used, 3)
        self._since_s, self._worker_s = now_s, worker_s

    @property
    def total_s(self) -> float:
        """All of it."""
        return round(sum(self.processor_s.values()), 3)


def spent_s(worker: Worker) -> float:
    """Return the processor time so far of this process, its ended children and a worker."""
    own = os.times()
    children_s = own.children_user + own.children_system
    return own.user + own.system + children_s + _seconds_of(worker.pid)


def _seconds_of(pid: int | None) -> float:
    """Return the processor time of a process and of its ended children; 0 where it is not told."""
    if pid is None:
        return 0.0
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[_TIMES])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0
