"""Does parity raise false alarms? `python benchmarks/parity_seeds.py RUNS [SEEDS]`.

Trains the quickstart's model with each seed (a run that is there is taken), converts it, and prints
what parity says of the untouched artifacts as a table for docs/parity.md. Exits 1 if one of them is
not passed. Not a test.
"""

import sys
import tempfile
from pathlib import Path

from gatelet.convert import convert_with_report
from gatelet.convert.parity import ArtifactReport, Check
from gatelet.train import train
from gatelet.train.config import TrainConfig

SEEDS = 20
# of these, the figure is not a share of its limit
_NOT_COMPARED = ("weights",)


def main(runs: Path, seeds: int) -> int:
    """Judge the artifacts of every seed; return how many are not passed."""
    judged, alarms = 0, 0
    for seed in range(1, seeds + 1):
        run = runs / f"run-{seed}"
        if not run.exists():
            train(TrainConfig(out=run, corpus="reviews-en", seed=seed))
        with tempfile.TemporaryDirectory() as folder:
            _, report = convert_with_report(run, Path(folder) / "bundle")
        if seed == 1:
            names = [f"{one.target} {one.scheme}" for one in report.artifacts]
            print(f"| seed | {' | '.join(names)} |\n|---|{'---|' * len(names)}", flush=True)
        judged += len(report.artifacts)
        alarms += sum(one.verdict != "pass" for one in report.artifacts)
        print(f"| {seed} | {' | '.join(map(_cell, report.artifacts))} |", flush=True)
    print(f"\n{alarms} of {judged} artifacts of {seeds} seeds are not passed")
    return alarms


def _cell(one: ArtifactReport) -> str:
    near = max(one.checks, key=_share_of_limit)
    return f"{one.verdict}; {near.name}, {_share_of_limit(near):.0%}"


def _share_of_limit(check: Check) -> float:
    if not check.limit or check.figure is None or check.name in _NOT_COMPARED:
        return 0.0
    return check.figure / check.limit


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else SEEDS) > 0)
