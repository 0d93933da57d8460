"""Is a commit slower than another? `python benchmarks/compare_commits.py OLD NEW`.

Both are checked out into a temporary folder, and everything is measured in turns, either side first
in half of the turns: processes from their start to their first prediction and their peak memory,
calls of the Predictor, and the kernels of the target c. The two get the same bundle, which OLD
made; for the kernels each converts the same model itself. A round takes the least disturbed of a
few runs of each side, and gives a ratio; the median of the rounds is judged. Processor time is
judged, wall time is shown beside it for starts. Exits 1 where NEW is slower or larger than the
limits allow.

Not the comparison with other engines: that is benchmarks/engines.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
CHILD = Path(__file__).with_name("compare_commits_child.py")
ROUNDS = 9
LARGEST_RATIO = 1.03
MOST_ADDED_MB = 0.5
STARTS = 3  # a round and side
BATCHES = 10  # of calls, a round and side
TEXT = "word1 word20 word300 unknown word4000"

FIRST = """
from gatelet.runtime import load
load({bundle!r}, target={target!r}, scheme="float32").{call}
"""
COMMAND = "import sys\nsys.argv[1:] = {words!r}\nimport gatelet.__main__ as m\nm.main()\n"
UNENDED = """
try:
    exec({script!r})
except SystemExit as end:
    assert not end.code
"""
PEAK = """
import sys
# ru_maxrss would begin with the memory of the process that started this one
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(status["VmHWM"].split()[0], file=sys.stderr)
"""
TARGETS = ["--target", "c", "--target", "onnx"]
SCHEMES = ["--scheme", "float32", "--scheme", "dynamic-int8"]


class Side(NamedTuple):
    """One of the two commits.

    Args:
        name: 'old' or 'new', of the same length: the folders' names cost the same.
        tree: Its files.
        work: For what it makes.
    """

    name: str
    tree: Path
    work: Path

    def run(self, *words: object) -> str:
        """Run Python with this commit's gatelet, and return what it printed."""
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.work,
            env=self.environment(),
        )
        if done.returncode:
            sys.exit(f"{self.name}: {' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def environment(self) -> dict[str, str]:
        """Return an environment in which this commit's gatelet is imported."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GATELET_", "PYTHON"))}
        return {**kept, "PYTHONPATH": str(self.tree), "PYTHONHASHSEED": "0", "PYTHONSAFEPATH": "1"}


class Figures:
    """What was measured, by what it is: a pair (old, new) for each round."""

    def __init__(self) -> None:
        self.times: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.memory: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.walls: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def report(self) -> int:
        """Print the tables, and return how many figures are beyond the limits."""
        beyond = 0
        print(f"\n{'processor time, medians':42} {'old':>9} {'new':>9}  ratio   wall")
        for name, pairs in self.times.items():
            old, new, ratio = _medians(pairs)
            wall = f"{_medians(self.walls[name])[2]:6.3f}" if name in self.walls else " " * 6
            bad = ratio > LARGEST_RATIO
            beyond += bad
            print(f"{name:42} {old:9.2f} {new:9.2f} {ratio:6.3f} {wall}{_mark(bad)}")
        print(f"\n{'peak memory, medians':42} {'old MB':>9} {'new MB':>9}  added")
        for name, pairs in self.memory.items():
            old, new, _ = _medians(pairs)
            added = statistics.median(b - a for a, b in pairs)
            bad = added > MOST_ADDED_MB
            beyond += bad
            print(f"{name:42} {old:9.2f} {new:9.2f} {added:6.2f}{_mark(bad)}")
        return beyond


def _medians(pairs: list[tuple[float, float]]) -> tuple[float, float, float]:
    old, new = (statistics.median(values) for values in zip(*pairs, strict=True))
    return old, new, statistics.median(b / a for a, b in pairs)


def _mark(bad: bool) -> str:
    return "  ABOVE THE LIMIT" if bad else ""


def main() -> None:
    """Check out, measure, print, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[1],
        epilog="example: python benchmarks/compare_commits.py main HEAD --rounds 9",
    )
    parser.add_argument("old", metavar="OLD", help="a commit")
    parser.add_argument("new", metavar="NEW", help="a commit")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="default: 9")
    taken = parser.parse_args()
    if taken.rounds < 1:
        parser.error(f"--rounds is {taken.rounds}: expected 1 or more")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the folder goes then too
    commits = [_commit(parser, name) for name in (taken.old, taken.new)]
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        sides = [
            _check_out(Path(folder), name, commit)
            for name, commit in zip(("old", "new"), commits, strict=True)
        ]
        bundles = _make_bundles(sides)
        figures = Figures()
        _tell("starting everything once: that fills the caches of files")
        _measure_starts(Figures(), sides, bundles, 0)
        for number in range(1, taken.rounds + 1):
            _tell(f"round {number} of {taken.rounds}")
            _measure_starts(figures, sides, bundles, number)
            _measure_calls(figures, sides, bundles.tiny, number)
            _measure_kernels(figures, sides, bundles.own, number)
        names = " and ".join(commit[:10] for commit in commits)
        print(f"{names}, {taken.rounds} rounds, Python {sys.version.split()[0]}")
        beyond = figures.report()
    load, processors = os.getloadavg()[1], os.cpu_count() or 1
    if load > processors:
        print(f"\nload {load:.0f} on {processors} processors: starts vary by 5 %, try again")
    limits = f"ratio at most {LARGEST_RATIO}, memory at most {MOST_ADDED_MB} MB more"
    print(f"\n{limits}: {f'{beyond} figures are beyond' if beyond else 'all figures hold'}")
    sys.exit(1 if beyond else 0)


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _commit(parser: argparse.ArgumentParser, name: str) -> str:
    words = ["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        parser.error(f"'{name}' is no commit of this repository")
    return done.stdout.strip()


def _check_out(folder: Path, name: str, commit: str) -> Side:
    """Write a commit's files, which leaves no trace in the repository, and compile them."""
    side = Side(name, folder / name, folder / f"{name}-work")
    for made in (side.tree, side.work):
        made.mkdir()
    archive = ["git", "-C", str(ROOT), "archive", commit]
    with subprocess.Popen(archive, stdout=subprocess.PIPE) as packed:
        subprocess.run(["tar", "-x", "-C", str(side.tree)], stdin=packed.stdout, check=True)
    side.run("-m", "compileall", "-q", "-x", "/(tests|benchmarks)/", side.tree)
    found = side.run("-c", "import gatelet; print(gatelet.__file__)").strip()
    if not Path(found).is_relative_to(side.tree):
        sys.exit(f"{sys.executable} imports {found}, not the gatelet of PYTHONPATH")
    return side


class Bundles(NamedTuple):
    """What is measured.

    Args:
        usual: Of a usual model, made by OLD.
        tiny: Of a model that takes hardly any time, made by OLD: what is left is the Predictor.
        own: A folder of each side, with the bundles that it made for the kernels.
    """

    usual: Path
    tiny: Path
    own: list[Path]


def _make_bundles(sides: list[Side]) -> Bundles:
    """Write the models, and convert them."""
    old = sides[0]
    models = old.work / "models"
    _tell("making models")
    old.run(CHILD, "models", models)
    usual, tiny = old.work / "usual", old.work / "tiny"
    _tell("converting with OLD what both are given")
    float32 = [*TARGETS, "--scheme", "float32"]
    _convert(old, models / "reviews", usual, *float32)
    _convert(old, models / "tiny", tiny, *float32, "--target", "litert", "--stream")
    own = []
    for side in sides:
        _tell(f"converting to c with {side.name.upper()}")
        folder = side.work / "own"
        folder.mkdir()
        every = ["--scheme", "dynamic-int8-emb4", "--scheme", "full-int8"]
        _convert(side, models / "reviews", folder / "reviews", "--target", "c", *SCHEMES, *every)
        _convert(side, models / "sensors", folder / "sensors", "--target", "c", *SCHEMES)
        own.append(folder)
    return Bundles(usual, tiny, own)


def _convert(side: Side, model: Path, out: Path, *options: str) -> None:
    words = ["convert", f"{model}.keras", "--out", out, "--strip", "--no-keras", *options]
    vectorizer = model.with_suffix(".json")
    if vectorizer.exists():
        words += ["--vectorizer", vectorizer]
    side.run("-m", "gatelet", *words)


def _turns(number: int, count: int) -> Iterator[int]:
    """Say whose turn it is: each side `count` times, either first in half of the pairs."""
    for pair in range(count):
        first = (number + pair) % 2
        yield first
        yield 1 - first


def _measure_starts(figures: Figures, sides: list[Side], bundles: Bundles, number: int) -> None:
    """Measure processes from their start to their end."""
    usual, tiny = str(bundles.usual), str(bundles.tiny)
    ids, text = f"scores({[[0] * 95 + [1, 20, 300, 1, 4000]]!r})", f"predict([{TEXT!r}])"
    scripts = {"start: import gatelet.runtime": "import gatelet.runtime\n"}
    for bundle, target, call, what in (
        (usual, "c", ids, "ids"),
        (usual, "c", text, "a text"),
        (usual, "onnx", text, "a text"),
        (tiny, "litert", text, "a text"),
        (usual, "pure", ids, "ids"),
    ):
        script = FIRST.format(bundle=bundle, target=target, call=call)
        scripts[f"start: first prediction, {target}, {what}"] = script
    words = ["predict", usual, TEXT, "--target", "c"]
    scripts["start: gatelet predict, c"] = COMMAND.format(words=words)
    scripts["start: gatelet --help"] = COMMAND.format(words=["--help"])
    both = {name: (script, script) for name, script in scripts.items()}
    own = [
        FIRST.format(bundle=str(folder / "reviews"), target="c", call=ids) for folder in bundles.own
    ]
    both["start: first prediction, c, own bundle"] = (own[0], own[1])
    for name, pair in both.items():
        found: tuple[list[Start], list[Start]] = ([], [])
        for turn in _turns(number, STARTS):
            found[turn].append(start(sides[turn], pair[turn]))
        least = [[min(values) for values in zip(*one, strict=True)] for one in found]
        (old_wall, old_time, old_mb), (new_wall, new_time, new_mb) = least
        figures.walls[f"{name}, ms"].append((old_wall, new_wall))
        figures.times[f"{name}, ms"].append((old_time, new_time))
        figures.memory[name].append((old_mb, new_mb))


class Start(NamedTuple):
    """A process from its start to its end."""

    wall_ms: float
    processor_ms: float
    peak_mb: float


def start(side: Side, script: str) -> Start:
    """Run a script, which may end itself."""
    script = (
        f"try:\n    exec({script!r})\nexcept SystemExit as end:\n    assert not end.code\n{PEAK}"
    )
    before, begun = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        cwd=side.work,
        env=side.environment(),
    )
    wall_ms, after = 1000 * (time.perf_counter() - begun), getrusage(RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{side.name}: {script}\n{done.stderr}")
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Start(wall_ms, 1000 * spent, int(done.stderr.split()[-1]) / 1024)


def _measure_calls(figures: Figures, sides: list[Side], bundle: Path, number: int) -> None:
    """Measure calls of the Predictor in two processes that wait for their turn."""
    children = [_Child(side, "calls", bundle) for side in sides]
    cases, _ = (child.ask() for child in children)
    for name in cases:
        found: tuple[list[float], list[float]] = ([], [])
        for turn in _turns(number, BATCHES):
            found[turn].append(children[turn].ask(name))
        figures.times[f"call: {name}, us"].append((min(found[0]), min(found[1])))
    memory = [child.ask("") for child in children]
    figures.memory["calls of all targets"].append((memory[0], memory[1]))


class _Child:
    """A process that answers a line with a line of JSON."""

    def __init__(self, side: Side, *words: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, CHILD, *map(str, words)],
            cwd=side.work,
            env=side.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, question: str | None = None) -> Any:
        """Send a line, unless the child speaks first, and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if question is not None:
            self._process.stdin.write(f"{question}\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if question == "" or not line:
            code = self._process.wait()
            if code or not line:
                assert self._process.stderr is not None
                sys.exit(f"{self._process.stderr.read()}\nthe measuring process ended with {code}")
        return json.loads(line)


def _measure_kernels(figures: Figures, sides: list[Side], folders: list[Path], number: int) -> None:
    """Measure the C code of both sides in one process, opened and called with NEW's runtime."""
    words = [CHILD, "kernels", *folders, number % 2]
    for name, (old, new) in json.loads(sides[1].run(*words)).items():
        figures.times[f"c: {name}, us"].append((old, new))


if __name__ == "__main__":
    main()
