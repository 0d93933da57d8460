"""The commands that `storage_faults.py` disturbs: what each works on, and what must be there then.

Not the faults' choice, nor the table.
"""

import ctypes
import json
import os
import re
import signal
import sys
import tempfile
import traceback
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

WRITE, RENAME, OTHER = 1, 2, 4
ANY = WRITE | RENAME | OTHER
NEVER = 2**40
KEPT = re.compile(r"(?:kept in|written to) '([^']+)'")
KILLED = 128 + signal.SIGKILL


@dataclass(frozen=True)
class Fault:
    """What happens, and when.

    Args:
        name: In the table.
        kinds: Of the changes that count.
        at: How many of them, or bytes, are as always.
        number: The error of those that follow; 0 kills the process at the first.
        in_bytes: Bytes are counted.
    """

    name: str
    kinds: int
    at: int
    number: int = 0
    in_bytes: bool = False


@dataclass(frozen=True)
class Done:
    """What a command did: its exit code, and its standard error."""

    code: int
    said: str

    @property
    def kept(self) -> Path | None:
        """Where it says that the finished work is."""
        found = KEPT.search(self.said)
        return Path(found[1]) if found else None


class World(ABC):
    """A folder in which a command works, and what must be in it. The other classes are commands.

    Args:
        folder: Empty.
        is_over: Something is there, to be replaced.
    """

    name = ""
    data: ClassVar[Path]
    """A table to train with; the models and the bundle lie beside it."""

    def __init__(self, folder: Path, *, is_over: bool) -> None:
        self.work, self.temporary = folder / "work", folder / "temporary"
        self.is_over = is_over
        for one in (self.work, self.temporary):
            one.mkdir(parents=True)
        if is_over:
            self.attempt("old", None)

    def attempt(self, version: str, fault: Fault | None) -> Done:
        """Run the command in a child process, with a fault or without."""
        log = self.temporary.parent / "log"
        child = os.fork()
        if child == 0:
            code = 70
            try:
                with log.open("w") as file:
                    os.dup2(file.fileno(), 2)
                    os.dup2(file.fileno(), 1)
                tempfile.tempdir = str(self.temporary)
                if fault is not None:
                    arm(self.work, fault)
                code = self.run(version)
                log.with_name("left").write_text(str(shim().storage_faults_left()))
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        status = os.waitpid(child, 0)[1]
        code = os.waitstatus_to_exitcode(status)
        return Done(128 - code if code < 0 else code, log.read_text(errors="replace"))

    @abstractmethod
    def run(self, version: str) -> int:
        """Run the command, which is to write a version: 'old', 'new' or 'next'."""

    @abstractmethod
    def look(self, done: Done) -> str:
        """Return what is wrong after a fault; '' for nothing."""

    def finish(self) -> str:
        """Run the command once more; return what is wrong then."""
        done = self.attempt("next", None)
        if done.code:
            return f"the next run fails: {done.said[-200:]}"
        left = [path.name for path in self.work.iterdir() if ".finished-" not in path.name]
        left += [path.name for path in self.temporary.glob("gatelet-stage-*")]
        strays = sorted(set(left) - self.expected())
        return f"the next run leaves {strays}" if strays else ""

    @abstractmethod
    def expected(self) -> set[str]:
        """Return the names that belong in the folder."""


class Train(World):
    """`gatelet train`, with a stand-in for the network."""

    name = "train"
    exchanges = True

    def run(self, version: str) -> int:
        """Train; the version 'failing' ends before it has anything."""
        from gatelet.cli import main
        from gatelet.runtime import stages
        from gatelet.train import fit, writing
        from gatelet.train.epochs import Epoch, History

        def fit_at_once(*_: object, **__: object) -> tuple[StandIn, History]:
            if version == "failing":
                raise SystemExit(9)
            (self.temporary.parent / "trained").touch()
            return StandIn(version), History((Epoch(1.0, 0.5, 1.0, 0.5),), best=1)

        # this process alone, a forked child, is given a stand-in and an older system
        setattr(fit, "_fit", fit_at_once)  # noqa: B010
        for module in (fit, writing):  # what computes: Keras is not loaded
            module.engines = tuple
        if not self.exchanges:
            setattr(stages, "_exchange", lambda *_: False)  # noqa: B010
        words = [
            "train",
            "--no-baseline",
            "--data",
            str(self.data),
            "--out",
            str(self.work / "run"),
            "--maxlen",
            "8",
        ]
        return main(words)

    def which(self, run: Path) -> str:
        """Return the version of a whole run; '' for none."""
        from gatelet.errors import GateletError
        from gatelet.runtime.data.run import Run

        try:
            opened = Run.open(run)
            if len(opened.test()) == 0 or not (run / "metrics.json").is_file():
                return ""
            model = opened.model_path.read_bytes()
        except (GateletError, OSError):
            return ""
        return next((v for v in ("old", "new", "next") if model == model_of(v)), "")

    def look(self, done: Done) -> str:
        """Check that the old run or the new one is there, and that no trained one is lost."""
        out, found = self.work / "run", self.which(self.work / "run")
        trained = (self.temporary.parent / "trained").exists()
        if done.code == 0:
            return "" if found == "new" else "success without the new run"
        if done.code != KILLED:
            kept = self.which(done.kept) if done.kept else ""
            if trained and "new" not in (found, kept):
                return f"the trained run is lost: {done.said[-300:]}"
            return "" if found or kept or not self.is_over else "the old run is lost"
        whole = any(self.which(path) == "new" for path in (out, *self.work.glob(".*/content")))
        self.attempt("failing", None)
        found = self.which(out)
        if whole and found != "new":
            return f"a complete run was deleted; there is '{found}'"
        return "" if found or not self.is_over else "neither run is there"

    def expected(self) -> set[str]:
        """Return the names that belong in the folder."""
        return {"run"} if self.which(self.work / "run") == "next" else set()


class TrainInTwoSteps(Train):
    """The same where two folders cannot be exchanged in one step."""

    name = "train, without RENAME_EXCHANGE"
    exchanges = False


class StandIn:
    """What a trained network does."""

    def __init__(self, version: str) -> None:
        self.version = version

    def save(self, path: Path) -> None:
        """Write as Keras does: in several pieces."""
        with path.open("wb", buffering=0) as file:
            data = model_of(self.version)
            for start in range(0, len(data), 4096):
                file.write(data[start : start + 4096])

    def predict(self, ids: list[Any]) -> list[list[float]]:
        """Return made-up scores."""
        return [[0.25 + i % 2 / 2] for i in range(len(ids))]


class Convert(World):
    """`gatelet convert` of a small model to onnx."""

    name = "convert"

    def run(self, version: str) -> int:
        """Convert the model of a version."""
        from gatelet.cli import main

        model = str(self.data.with_name(f"{version}.keras"))
        flags = ["--target", "onnx", "--scheme", "float32", "--no-keras"]
        return main(["convert", model, "--out", str(self.work / "demo"), *flags])

    def which(self, bundle: Path) -> str:
        """Return the version of a whole bundle; '' for none."""
        from gatelet.errors import GateletError
        from gatelet.runtime.bundle.opening import open_bundle

        try:
            opened = open_bundle(bundle)
        except (GateletError, OSError):
            return ""
        return str(opened.manifest["provenance"]["model"])

    def look(self, done: Done) -> str:
        """Check that the old bundle or the new one is there, whole."""
        found = self.which(self.work / "demo")
        if done.code == 0:
            return "" if found == "new" else "success without the new bundle"
        if done.kept is not None and self.which(done.kept) != "new":
            return "the bundle that is said to be kept is not whole"
        return "" if found or not self.is_over else "neither bundle is there"

    def expected(self) -> set[str]:
        """Return the names that belong in the folder; the bundle has its listed files only."""
        bundle = self.work / "demo"
        manifest = json.loads((bundle / "manifest.json").read_bytes())
        listed = {one["path"] for one in (*manifest["files"], *manifest["artifacts"])}
        there = {path.name for path in bundle.iterdir()} - {"manifest.json"}
        return {"demo"} if there == listed and self.which(bundle) == "next" else set()


class Parity(World):
    """`gatelet parity` that writes its two reports."""

    name = "parity"
    names = ("report.html", "junit.xml")

    def run(self, version: str) -> int:
        """Check the bundle, and write the reports."""
        from gatelet.cli import main

        bundle = str(self.data.with_name("bundle"))
        places = [str(self.work / name) for name in self.names]
        words = ["parity", bundle, "--no-keras", "--report", places[0], "--junit", places[1]]
        return main(words)

    def look(self, done: Done) -> str:
        """Check that each report is whole, old or new."""
        for name, end in zip(self.names, ("</html>", "</testsuites>"), strict=True):
            path = self.work / name
            if path.exists() and not path.read_text("utf-8").rstrip().endswith(end):
                return f"half of {name} is there"
            if not path.exists() and (self.is_over or done.code == 0):
                return f"{name} is not there"
        return ""

    def expected(self) -> set[str]:
        """Return the names that belong in the folder."""
        return set(self.names)


WORLDS: tuple[tuple[type[World], bool], ...] = (
    (Train, True),
    (TrainInTwoSteps, True),
    (Train, False),
    (Convert, True),
    (Convert, False),
    (Parity, True),
)


def model_of(version: str) -> bytes:
    """Return what a version's network saves: 64 KB."""
    return f"network {version} ".encode().ljust(16) * 4096


def shim() -> Any:
    """Return the functions of the library that is preloaded."""
    library = ctypes.CDLL(None)
    library.storage_faults_left.restype = ctypes.c_long
    return library


def arm(folder: Path, fault: Fault) -> None:
    """Let a fault happen below a folder, in this process."""
    below, at = os.fsencode(folder), ctypes.c_long(fault.at)
    shim().storage_faults_arm(below, fault.kinds, at, fault.number, int(fault.in_bytes))
