"""Ways to a device that exchange lines: a program's standard streams, a serial port.

Not what the lines mean: see `protocol.py`.
"""

import contextlib
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Self

from gatelet.errors import DeviceError

LONGEST_LINE = 1 << 20
_CLOSING_S = 2


class Streams:
    """A program that answers on its standard output, such as an emulator or ssh.

    Args:
        command: What to start.
        name: For messages.
        answer_s: How long an answer may take.
    """

    def __init__(self, command: Sequence[str], *, name: str, answer_s: float) -> None:
        self.name, self._answer_s = name, answer_s
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the program runs
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise DeviceError(f"{name} cannot be started: {error.strerror or error}") from error
        assert self._process.stdout is not None
        self._lines = _Lines(self._process.stdout.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, line: str) -> None:
        """Send a line."""
        assert self._process.stdin is not None
        # what is not read any more is told by `receive`, which knows how the program ended
        with contextlib.suppress(OSError):
            self._process.stdin.write(f"{line}\n".encode())

    def receive(self) -> str:
        """Return the next line; see `Link.receive`."""
        line = self._lines.next(self._answer_s)
        if line is not None:
            return line
        if self._lines.is_ended:
            raise DeviceError(f"{self.name} ended before it was done{self._how()}")
        raise DeviceError(
            f"{self.name} gave no answer within {self._answer_s:g} s: it hangs, and was ended"
        )

    def _how(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSING_S)
        code = self._process.returncode
        how = "" if not code else f", by signal {-code}" if code < 0 else f", with code {code}"
        self._said.seek(0)
        lines = self._said.read(1 << 16).decode("utf-8", "replace").split("\n")
        last = next((" ".join(one.split()) for one in reversed(lines) if one.strip()), "")
        return f"{how}: {last[:200]}" if last else how

    def close(self) -> None:
        """End the program, if it has not ended."""
        streams = (self._process.stdin, self._process.stdout, self._said)
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_CLOSING_S if self._lines.is_ended else 0.2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in streams:
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


class SerialPort:
    """A serial port, of a real board.

    Args:
        path: Such as /dev/ttyACM0.
        answer_s: How long an answer may take.
        begin_s: How long a board may take to begin: opening the port restarts many.
        baud: Its speed.
    """

    def __init__(self, path: str, *, answer_s: float, begin_s: float, baud: int = 115_200) -> None:
        self.name = f"the board on {path}"
        self._answer_s, self._begin_s = answer_s, begin_s
        try:
            import termios
            import tty
        except ImportError as error:
            raise DeviceError("serial ports are for Linux and macOS here") from error
        try:
            self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            raise DeviceError(f"the port {path} cannot be opened: {error.strerror}") from error
        try:
            tty.setraw(self._file)
            settings = termios.tcgetattr(self._file)
            settings[4] = settings[5] = getattr(termios, f"B{baud}")
            termios.tcsetattr(self._file, termios.TCSANOW, settings)
        except (termios.error, OSError) as error:
            os.close(self._file)
            raise DeviceError(f"{path} is no serial port: {error}") from error
        self._lines = _Lines(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def begin(self) -> None:
        """Wait until the board answers, and forget what it says when it starts.

        Raises:
            DeviceError: It does not, within `begin_s`.
        """
        until = time.monotonic() + self._begin_s
        while time.monotonic() < until:
            self.send("sync")  # a word that no self-test knows
            waits = until if self._lines.is_ended else min(until, time.monotonic() + 1)
            while (left := waits - time.monotonic()) > 0:
                line = self._lines.next(left)
                if line == "what":
                    return self._drain()
                if line is None:
                    break
        raise DeviceError(
            f"{self.name} did not answer within {self._begin_s:g} s: is the self-test on it?"
        )

    def _drain(self) -> None:
        """Take the answers to earlier words."""
        while self._lines.next(0.2) is not None:
            pass

    def send(self, line: str) -> None:
        """Send a line."""
        data = f"{line}\n".encode()
        until = time.monotonic() + self._answer_s
        while data:
            try:
                data = data[os.write(self._file, data) :]
            except BlockingIOError:
                left = until - time.monotonic()
                if left <= 0 or not select.select([], [self._file], [], left)[1]:
                    raise DeviceError(
                        f"{self.name} took nothing within {self._answer_s:g} s"
                    ) from None
            except OSError as error:
                raise DeviceError(f"{self.name} is gone: {error.strerror}") from error

    def receive(self) -> str:
        """Return the next line; see `Link.receive`."""
        line = self._lines.next(self._answer_s)
        if line is not None:
            return line
        if self._lines.is_ended:
            raise DeviceError(f"{self.name} is gone: it stopped halfway")
        raise DeviceError(
            f"{self.name} stopped: no answer within {self._answer_s:g} s; reset it and try again"
        )


class Recorded:
    """What a program said of its own, where it takes no input: simavr.

    Args:
        text: All of it.
        name: For messages.
    """

    def __init__(self, text: str, *, name: str) -> None:
        self.name = name
        self._lines = iter(text.splitlines())

    def send(self, line: str) -> None:
        """Do nothing: it was sent before."""

    def receive(self) -> str:
        """Return the next line; see `Link.receive`."""
        line = next(self._lines, None)
        if line is None:
            raise DeviceError(f"{self.name} ended before it was done")
        return line


class _Lines:
    """Lines as they come from a file."""

    def __init__(self, file: int) -> None:
        self._file, self._waiting = file, b""
        self.is_ended = False

    def next(self, most_s: float) -> str | None:
        """Return a line, or None where none comes within so many seconds, or the file ends."""
        until = time.monotonic() + most_s
        while b"\n" not in self._waiting:
            left = until - time.monotonic()
            if self.is_ended or left <= 0 or len(self._waiting) > LONGEST_LINE:
                return None
            if not select.select([self._file], [], [], left)[0]:
                return None
            try:
                data = os.read(self._file, 1 << 16)
            except BlockingIOError:
                continue
            except OSError:  # a port that was pulled out
                data = b""
            self.is_ended = not data
            self._waiting += data
        line, _, self._waiting = self._waiting.partition(b"\n")
        return line.decode("utf-8", "replace").strip("\r")
