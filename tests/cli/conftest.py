"""Fixtures of the command line's tests: commands run in this process, or in one of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatelet.cli import main

HIDING = """
import sys
hidden = set(sys.argv.pop(1).split(","))
class Finder:
    def __init__(self, finder): self.finder = finder
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in hidden: return self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Finder(finder) for finder in sys.meta_path]
from gatelet.cli import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line of a named error; nothing else may look like one, or like a traceback."""
        return self._last_line(1)

    @property
    def misuse(self) -> str:
        """The one line about a setting that cannot be used."""
        return self._last_line(2)

    def _last_line(self, code: int) -> str:
        lines = self.err.splitlines()
        assert self.code == code, self
        assert [line for line in lines if line.startswith("gatelet: ")] == lines[-1:], self
        assert "Traceback" not in self.err
        assert "defect of gatelet" not in self.err
        return lines[-1].removeprefix("gatelet: ")


RunCli = Callable[..., Done]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> RunCli:
    """Return a function that runs a command in this process."""

    def run(*words: object) -> Done:
        capsys.readouterr()
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run


@pytest.fixture
def cli_process() -> RunCli:
    """Return a function that runs a command in a process, without some packages if told so."""

    def run(*words: object, without: tuple[str, ...] = (), stdin: bytes | None = None) -> Done:
        start = ["-c", HIDING, ",".join(without)] if without else ["-m", "gatelet"]
        done = subprocess.run(
            [sys.executable, *start, *(os.fsencode(str(word)) for word in words)],
            check=False,
            capture_output=True,
            input=stdin,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes]]:
    """Return a function that reads all files below a folder: before and after must be the same."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"a folder"
            for path in folder.rglob("*")
        }

    return read
