"""Is work ever lost? `python benchmarks/storage_faults.py [--sample]`, on Linux with a C compiler.

Trains, converts and checks parity while every change of a file in turn is the last one, or fails:
SIGKILL, ENOSPC at a number of bytes, EXDEV and EBUSY at renames, EROFS. Each time it looks at what
is there, and at what the next run leaves. Prints a table; exits 1 if anything was lost or left.
The network is a stand-in whose training takes no time. `--sample` runs a few cases of each kind.
"""

import argparse
import ctypes
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHIM_SOURCE = Path(__file__).with_suffix(".c")
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


class World:
    """A folder in which a command works, and what must be in it. The other classes are commands.

    Args:
        folder: Empty.
        is_over: Something is there, to be replaced.
    """

    name = ""

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

    def run(self, version: str) -> int:
        """Run the command, which is to write a version: 'old', 'new' or 'next'."""
        raise NotImplementedError

    def look(self, done: Done) -> str:
        """Return what is wrong after a fault; '' for nothing."""
        raise NotImplementedError

    def finish(self) -> str:
        """Run the command once more; return what is wrong then."""
        done = self.attempt("next", None)
        if done.code:
            return f"the next run fails: {done.said[-200:]}"
        left = [path.name for path in self.work.iterdir() if ".finished-" not in path.name]
        left += [path.name for path in self.temporary.glob("gatelet-stage-*")]
        strays = sorted(set(left) - self.expected())
        return f"the next run leaves {strays}" if strays else ""

    def expected(self) -> set[str]:
        """Return the names that belong in the folder."""
        raise NotImplementedError


class Train(World):
    """`gatelet train`, with a stand-in for the network."""

    name = "train"
    exchanges = True

    def run(self, version: str) -> int:
        """Train; the version 'failing' ends before it has anything."""
        from gatelet.cli import main
        from gatelet.runtime import stages
        from gatelet.train import fit
        from gatelet.train.epochs import Epoch, History

        def fit_at_once(*_: object, **__: object) -> tuple[StandIn, History]:
            if version == "failing":
                raise SystemExit(9)
            (self.temporary.parent / "trained").touch()
            return StandIn(version), History((Epoch(1.0, 0.5, 1.0, 0.5),), best=1)

        fit._fit = fit_at_once  # type: ignore[assignment]
        if not self.exchanges:
            stages._exchange = lambda *_: False  # type: ignore[assignment]
        words = ["train", "--data", str(DATA), "--out", str(self.work / "run"), "--maxlen", "8"]
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

    def scores(self, ids: list[Any]) -> list[list[float]]:
        """Return made-up scores."""
        return [[0.25 + i % 2 / 2] for i in range(len(ids))]


class Convert(World):
    """`gatelet convert` of a small model to onnx."""

    name = "convert"

    def run(self, version: str) -> int:
        """Convert the model of a version."""
        from gatelet.cli import main

        model = str(DATA.with_name(f"{version}.keras"))
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

        bundle = str(DATA.with_name("bundle"))
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


def faults_of(kind: type[World], folder: Path, *, is_over: bool, is_sample: bool) -> list[Fault]:
    """Return the faults of a command: it is run to see how much it changes."""
    counted = {}
    measures = {"any": (ANY, False), "rename": (RENAME, False), "bytes": (WRITE, True)}
    for key, (kinds, in_bytes) in measures.items():
        world = kind(folder / key, is_over=is_over)
        done = world.attempt("new", Fault(key, kinds, NEVER, in_bytes=in_bytes))
        assert done.code == 0, done.said
        counted[key] = NEVER - int((folder / key / "left").read_text())
    few = 2 if is_sample else 14
    # the last one puts the work in its place
    renames = range(counted["rename"])[-1 if is_sample else None :]
    return [
        *(Fault("SIGKILL", ANY, at) for at in spread(counted["any"], few)),
        # the last ones put things in place
        *(
            Fault("SIGKILL at a rename", RENAME, at)
            for at in (renames[-1:] if is_sample else renames)
        ),
        *(
            Fault("ENOSPC", WRITE, at, errno.ENOSPC, in_bytes=True)
            for at in spread(counted["bytes"], 1 if is_sample else 8)
        ),
        *(
            Fault(name, RENAME, at, number)
            for name, number in (("EXDEV", errno.EXDEV), ("EBUSY", errno.EBUSY))
            for at in sorted({renames[0], renames[-1]})
        ),
        *(Fault("EROFS", ANY, at, errno.EROFS) for at in spread(counted["any"], few // 2)),
    ]


def spread(count: int, points: int) -> list[int]:
    """Return numbers below `count` at equal distances, the last one among them."""
    return sorted({count - 1 - i * count // points for i in range(points)})


def run_all(root: Path, *, is_sample: bool) -> int:
    """Run every fault in a world of its own, and print the table; return how many went wrong."""
    ran: Counter[tuple[str, str]] = Counter()
    wrong = []
    for kind, is_over in (one for one in WORLDS if one[1] or not is_sample):
        title = f"{kind.name}, over {'an old one' if is_over else 'nothing'}"
        folder = root / f"{kind.__name__}-{is_over}"
        print(title, file=sys.stderr, flush=True)
        for fault in faults_of(kind, folder, is_over=is_over, is_sample=is_sample):
            world = kind(folder / "one", is_over=is_over)
            (folder / "one" / "trained").unlink(missing_ok=True)
            done = world.attempt("new", fault)
            problem = world.look(done) or world.finish()
            if not problem and fault.number == 0 and done.code != KILLED:
                problem = "the process was not killed"
            ran[title, fault.name] += 1
            if problem:
                wrong.append(f"{title}: {fault.name} after {fault.at:,}: {problem}")
                print(wrong[-1], file=sys.stderr)
            shutil.rmtree(folder / "one")
    names = list(dict.fromkeys(name for _, name in ran))
    print(f"| command | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for title in dict.fromkeys(title for title, _ in ran):
        print(f"| {title} | {' | '.join(str(ran[title, name]) for name in names)} |")
    print(f"\n{sum(ran.values())} faults, {len(wrong)} that lost or left something")
    return len(wrong)


def prepare(root: Path, write_model: Callable[[Path, float], None]) -> None:
    """Write what the commands read: rows, three models, a bundle; and import what they import."""
    global DATA
    from gatelet.cli import main

    DATA = root / "rows.csv"
    rows = [
        f"{('good', 'bad')[i % 2]} film number w{i},{('pos', 'neg')[i % 2]}\n" for i in range(60)
    ]
    DATA.write_text("text,label\n" + "".join(rows), "utf-8")
    for index, version in enumerate(("old", "new", "next")):
        write_model(root / f"{version}.keras", 1.0 + index)
    flags = ["--target", "onnx", "--scheme", "float32", "--no-keras"]
    child = os.fork()  # engines that ran before a fork may hang after it
    if child == 0:
        os._exit(main(["convert", str(root / "old.keras"), "--out", str(root / "bundle"), *flags]))
    assert os.waitpid(child, 0)[1] == 0
    for name in ("train", "convert", "parity"):
        __import__(f"gatelet.cli.{name}")


def write_model(path: Path, factor: float) -> None:
    """Write a Keras file of a small network."""
    from tests.convert.reading.hostile_files import fill, write_keras

    def scaled(file: Any) -> None:
        fill(file)
        file.visititems(lambda name, one: _scale(one, factor))

    write_keras(path, weights=scaled)


def _scale(one: Any, factor: float) -> None:
    if hasattr(one, "shape"):
        one[...] = one[...] * factor


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", action="store_true", help="a few cases of each kind")
    given = parser.parse_args()
    if "STORAGE_FAULTS" not in os.environ:
        with tempfile.TemporaryDirectory() as made:
            library = Path(made) / "faults.so"
            flags = ["-shared", "-fPIC", "-O1", "-o", str(library), str(SHIM_SOURCE), "-ldl"]
            subprocess.run(["cc", *flags], check=True)
            environment = {**os.environ, "LD_PRELOAD": str(library), "STORAGE_FAULTS": made}
            sys.exit(subprocess.run([sys.executable, *sys.argv], env=environment).returncode)
    del os.environ["LD_PRELOAD"]
    place = Path(os.environ["STORAGE_FAULTS"]).resolve()
    sys.path.insert(0, str(Path(__file__).parent.parent))
    prepare(place, write_model)
    sys.exit(run_all(place, is_sample=given.sample) > 0)
