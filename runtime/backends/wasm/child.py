"""The Node child of the wasm backend: frames to it and back.

Not what is asked: see `backend`. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

from gatelet.errors import BackendError, BackendMissing
from gatelet.runtime.backends.forks import renew_after_fork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OLDEST_NODE = 18
_PROGRAM = Path(__file__).with_name("child.mjs")
_LENGTH = struct.Struct("<I")
_LARGEST_HEADER = 2**20

Answer = tuple[dict[str, "Any"], list[bytes]]


class Child:
    """A Node process with a model opened in it. Threads wait for each other.

    Args:
        opening: Gives the header and the parts of the first question, in a forked child again;
            None to open nothing.

    Raises:
        BackendMissing: There is no Node, or one that is too old.
        BackendError: It refuses what it is given.
    """

    def __init__(self, opening: Callable[[], Answer] | None) -> None:
        self._opening = opening
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._end: Any = None
        self.node = ""
        self.opened: dict[str, Any] = {}
        with self._lock:
            self._start()
        renew_after_fork(self)

    def renew(self) -> None:
        """See `Renewable`: the process belongs to the one that was forked."""
        self._lock = threading.Lock()
        if self._end is not None:
            self._end.detach()
        self._process = None

    def ask(self, header: dict[str, Any], parts: Sequence[Any] = ()) -> Answer:
        """Ask one question.

        Raises:
            BackendError: The model refuses it, or the process has ended.
        """
        with self._lock:
            if self._process is None:
                self._start()
            return self._exchange(header, parts)

    def _start(self) -> None:
        command = ["node", str(_PROGRAM)]
        environment = {k: v for k, v in os.environ.items() if k != "NODE_OPTIONS"}
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        except OSError as error:
            raise missing(f"it cannot be started: {error}") from error
        self._process = process
        self._end = weakref.finalize(self, _end, process)
        try:
            self.node = self._receive()[0]["node"]
        except BackendError:
            raise missing("the program 'node' does not answer as Node does") from None
        if int(self.node.partition(".")[0]) < OLDEST_NODE:
            self._stop()
            raise missing(f"node is {self.node}")
        if self._opening is not None:
            self.opened = self._exchange(*self._opening())[0]

    def _exchange(self, header: dict[str, Any], parts: Sequence[Any]) -> Answer:
        views = [memoryview(one).cast("B") for one in parts]
        told = json.dumps({**header, "bytes": [len(one) for one in views]}).encode()
        assert self._process is not None and self._process.stdin is not None, "it was started"
        try:
            self._process.stdin.write(_LENGTH.pack(len(told)) + told)
            for part in views:
                self._process.stdin.write(part)
            self._process.stdin.flush()
        except OSError as error:
            raise self._ended() from error
        answer, given = self._receive()
        if "error" in answer:
            raise BackendError(
                f"the engine node {self.node} failed: {answer['error']}", target="wasm"
            )
        return answer, given

    def _receive(self) -> Answer:
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        if length > _LARGEST_HEADER:
            raise self._ended()
        try:
            header: dict[str, Any] = json.loads(self._read(length))
        except ValueError:
            raise self._ended() from None
        return header, [self._read(count) for count in header["bytes"]]

    def _read(self, count: int) -> bytes:
        assert self._process is not None and self._process.stdout is not None, "it was started"
        found = self._process.stdout.read(count)
        if len(found) < count:
            raise self._ended()
        return found

    def _stop(self) -> None:
        self._process = None
        self._end()

    def _ended(self) -> BackendError:
        """Return the error of a process that has ended; the next question starts another."""
        self._stop()
        return BackendError("the engine node has ended in the middle of a question", target="wasm")


def node_version() -> str:
    """Return the version of the Node that runs models here.

    Raises:
        BackendMissing: There is none, or one that is too old.
    """
    return Child(None).node


def missing(why: str) -> BackendMissing:
    """Return the error of a machine without a Node that will do."""
    command = f"install Node.js {OLDEST_NODE} or later, such that 'node' is found"
    return BackendMissing(
        f"the wasm backend needs Node, and {why}: {command}", target="wasm", command=command
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, whose last answer nobody waits for."""
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was not written went nowhere
                pipe.close()
    process.wait()
