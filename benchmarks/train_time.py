"""Does training take less time? `python benchmarks/train_time.py COMMIT [RUNS [FLAG...]]`.

Trains the quickstart's model with the tree of a commit and with this one, in turn, each in a
process of its own, by their default recipes, without the baseline where a tree has one, and prints
the user and system time of each. FLAGs are for this tree alone. Exits 1 if the median of the
ratios is more than 0.65. Not a test.
"""

import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 0.65


def main(commit: str, runs: int, flags: list[str]) -> int:
    """Measure pairs; return 1 if the ratio misses its goal."""
    ratios = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        earlier = folder / "tree"
        data = subprocess.run(
            ["git", "archive", commit], cwd=ROOT, check=True, capture_output=True
        ).stdout
        with tarfile.open(fileobj=BytesIO(data)) as archive:
            archive.extractall(earlier, filter="data")
        for number in range(runs):
            before = seconds(earlier, folder / f"before-{number}", [])
            after = seconds(ROOT, folder / f"after-{number}", ["--no-baseline", *flags])
            ratios.append(after / before)
            print(f"{before:.1f} s at {commit}, {after:.1f} s here: {ratios[-1]:.2f}", flush=True)
    ratio = statistics.median(ratios)
    print(f"median of {runs}: {ratio:.2f}, goal at most {LARGEST}")
    return int(ratio > LARGEST)


def seconds(tree: Path, out: Path, flags: list[str]) -> float:
    """Train with a tree; return the processor time of its process and the children of that."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "gatelet", "train", "--corpus", "reviews-en"]
    subprocess.run(
        [*command, "--out", str(out), *flags],
        env={**os.environ, "PYTHONPATH": str(tree)},
        check=True,
        capture_output=True,
        cwd=out.parent,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    asked = sys.argv[2:]
    sys.exit(main(sys.argv[1], int(asked[0]) if asked else 3, asked[1:]))
