"""A child process for code that can crash: one worker, reused, watched.

Not the code that runs in it: modules named job or jobs hold that.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import gatelet.errors
from gatelet.errors import (
    ConversionError,
    GateletError,
    OutputError,
    WorkerDied,
    WorkerMemory,
    WorkerTimeout,
)
from gatelet.runtime.stages import temporary_folder

TIMEOUT_S = 900.0
MEMORY_LIMIT_BYTES = 8 * 2**30
_POLL_S = 0.05
_COMMAND = (sys.executable, "-P", "-m", "gatelet.convert.worker.child")


class Worker:
    """Runs functions in a child process, which starts at the first call and is reused.

    After a crash, a timeout or too much memory the next call starts a new one.

    Args:
        timeout_s: The longest that one call may take.
        memory_limit_bytes: The most resident memory that the child may use (where the system
            tells it: Linux).
        scratch: Where files are exchanged and the child's temporary files lie; the system's
            temporary folder unless given.
    """

    def __init__(
        self,
        *,
        timeout_s: float = TIMEOUT_S,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        scratch: Path | None = None,
    ) -> None:
        self.scratch = scratch
        self._timeout_s = timeout_s
        self._memory_limit_bytes = memory_limit_bytes
        self._folder: contextlib.ExitStack | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._log: IO[bytes] | None = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def call(
        self, function: str, arguments: Mapping[str, Any], *, step: str, advice: str = ""
    ) -> Any:
        """Run a function in the child.

        Args:
            function: 'package.module:name'.
            arguments: What to call it with; anything that JSON holds.
            step: What it does, for messages: 'export to litert dynamic-int8'.
            advice: What the user can do if the child dies.

        Returns:
            What the function returned, by way of JSON.

        Raises:
            WorkerDied: The child ended; the message names the step and the signal.
            WorkerTimeout: It took too long, and was ended.
            WorkerMemory: It used too much memory, and was ended.
            GateletError: What the function raised, with its class.
            ConversionError: The function raised some other error.
        """
        if self._process is None:
            self._start()
        assert self._process is not None and self._process.stdin is not None
        request = json.dumps({"function": function, "arguments": dict(arguments)})
        with contextlib.suppress(BrokenPipeError):  # its death is told below
            self._process.stdin.write(request.encode() + b"\n")
            self._process.stdin.flush()
        try:
            answer = json.loads(self._wait(self._process, step, advice))
        except BaseException:  # an interrupted call must not answer the next one
            self.close()
            raise
        if "error" in answer:
            kind = getattr(gatelet.errors, answer["type"], None)
            if isinstance(kind, type) and issubclass(kind, GateletError):
                raise kind(answer["error"])
            raise ConversionError(f"{step} failed: {answer['type']}: {answer['error']}", step=step)
        return answer["result"]

    @contextlib.contextmanager
    def exchange(self) -> Iterator[Path]:
        """Yield a folder for files that go to the child and come back."""
        try:
            with _folder_in(self.scratch) as folder:
                yield folder
        except OSError as error:
            said = error.strerror or error
            raise OutputError(f"cannot write temporary files: {said}") from error

    @property
    def pid(self) -> int | None:
        """The child's number; None while there is none."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """End the child, with what it started and its temporary files."""
        process, self._process = self._process, None
        folder, self._folder = self._folder, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout, self._log):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
        if folder is not None:
            folder.close()

    def _start(self) -> None:
        self._folder = contextlib.ExitStack()
        folder = self._folder.enter_context(_folder_in(self.scratch))
        self._log = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed later
        self._answers = queue.Queue()
        self._process = subprocess.Popen(
            (*_COMMAND, str(os.getpid())),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "TMPDIR": str(folder)},
            start_new_session=True,  # Ctrl-C is the parent's, and the whole group can be ended
        )
        threading.Thread(
            target=_pass_on, args=(self._process.stdout, self._answers), daemon=True
        ).start()

    def _wait(self, process: subprocess.Popen[bytes], step: str, advice: str) -> bytes:
        deadline = time.monotonic() + self._timeout_s
        while True:
            # a process that it started may hold the pipe open: look at the child itself too
            has_ended = process.poll() is not None
            answer: bytes | None
            try:
                answer = self._answers.get(timeout=_POLL_S)
            except queue.Empty:
                answer = b"" if has_ended else None
            if answer:
                return answer
            if answer == b"":
                raise self._death(process, step, advice)
            used = _resident_bytes(process.pid)
            if used > self._memory_limit_bytes:
                raise WorkerMemory(
                    f"{step} used {used:,} bytes of memory, {self._memory_limit_bytes:,} is the "
                    "limit: it was ended, and nothing was written",
                    step=step,
                )
            if time.monotonic() > deadline:
                raise WorkerTimeout(
                    f"{step} took longer than {self._timeout_s:g} s: it was ended, and nothing "
                    "was written",
                    step=step,
                    timeout_s=self._timeout_s,
                )

    def _death(self, process: subprocess.Popen[bytes], step: str, advice: str) -> WorkerDied:
        code = process.wait()
        said = self._last_line()
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            how = f"died with {name}"
        else:
            how = f"ended with exit code {code}"
        return WorkerDied(
            f"{step}: the converter's process {how}{f' ({said})' if said else ''}; nothing was "
            f"written{f'; {advice}' if advice else ''}",
            step=step,
            exit_code=code,
        )

    def _last_line(self) -> str:
        if self._log is None:
            return ""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 2000))
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:200] if lines else ""


@contextlib.contextmanager
def _folder_in(scratch: Path | None) -> Iterator[Path]:
    """Yield a folder in a stage, which goes with that, or one in the system's temporary one."""
    if scratch is None:
        with temporary_folder() as folder:
            yield folder
        return
    with tempfile.TemporaryDirectory(
        prefix="gatelet-", dir=scratch, ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


def _pass_on(stream: IO[bytes], answers: "queue.Queue[bytes]") -> None:
    """Hand lines from a pipe to a queue; an empty one says that the pipe has ended."""
    with contextlib.suppress(ValueError, OSError):
        for line in stream:
            answers.put(line)
    answers.put(b"")


def _resident_bytes(pid: int) -> int:
    """Return a process' resident memory; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
