"""Does parity raise false alarms? `python benchmarks/parity_seeds.py RUNS [SEEDS]`.

Trains the quickstart's model with each seed (a run that is there is taken), converts it, and prints
what parity says of the untouched artifacts as rows of a table for docs/parity.md. Not a test.
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


def main(runs: Path, seeds: int) -> None:
    """Judge the artifacts of every seed."""
    print("| seed | artifact | verdict | not passed | nearest to its limit | accuracy drop, 95 % |")
    print("|---|---|---|---|---|---|", flush=True)
    alarms = judged = 0
    for seed in range(1, seeds + 1):
        run = runs / f"run-{seed}"
        if not run.exists():
            train(TrainConfig(out=run, corpus="reviews-en", seed=seed))
        with tempfile.TemporaryDirectory() as folder:
            _, report = convert_with_report(run, Path(folder) / "bundle")
        for one in report.artifacts:
            judged += 1
            alarms += one.verdict == "fail"
            print(f"| {seed} | {one.target} {one.scheme} | {_row(one)} |", flush=True)
    print(f"\n{alarms} false alarms in {judged} artifacts of {seeds} seeds")


def _row(one: ArtifactReport) -> str:
    others = [f"{c.name} {c.verdict}" for c in one.checks if c.verdict != "pass"]
    near = max(one.checks, key=_share_of_limit)
    drop = next(c for c in one.checks if c.name == "accuracy_drop")
    low, high = drop.interval or (0.0, 0.0)
    return (
        f"{one.verdict} | {', '.join(others) or '-'} | {near.name}, {_share_of_limit(near):.0%} | "
        f"{low:.4f} to {high:.4f}"
    )


def _share_of_limit(check: Check) -> float:
    if not check.limit or check.figure is None or check.name in _NOT_COMPARED:
        return 0.0
    return check.figure / check.limit


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else SEEDS)
