"""What do few bits cost that were trained? `python benchmarks/aware.py RUNS [SEEDS [CORPORA]]`.

Trains the default recipe of each corpus and seed, in float32 and with `--aware` (runs that are
there are taken), and converts the latter. Prints a table, and exits 1 where a file takes more
than 120 KB, is not passed by parity, or the drop of the test accuracy may, with 95 % confidence
over all pairs, be more than a point. Not a test.
"""

import json
import sys
import tempfile
from pathlib import Path

from gatelet.convert import convert
from gatelet.runtime.data.intervals import grouped_mean
from gatelet.runtime.data.run import Run
from gatelet.train import TrainConfig, train

SCHEME = "dynamic-int4-emb1"
SEEDS, CORPORA = 5, ("reviews-en", "reviews-zh")
MOST_BYTES, LARGEST_DROP = 120 * 1024, 0.01


def main(runs: Path, seeds: int, corpora: tuple[str, ...]) -> int:
    """Measure every pair; return 1 if a figure misses its goal."""
    drops, missed = [], 0
    print("| corpus | seed | float32 | aware | drop | c bytes | parity |", flush=True)
    print("|---|---|---|---|---|---|---|", flush=True)
    for corpus in corpora:
        for seed in range(1, seeds + 1):
            usual = _accuracy(_trained(runs, corpus, seed, aware=None))
            run = _trained(runs, corpus, seed, aware=SCHEME)
            accuracy = _accuracy(run)
            with tempfile.TemporaryDirectory() as folder:
                bundle = convert(run.path, Path(folder) / "b", targets=["c"], schemes=[SCHEME])
                (one,) = bundle.artifacts
            drops.append(usual - accuracy)
            missed += one.bytes > MOST_BYTES or one.verdict != "pass"
            figures = f"{usual:.4f} | {accuracy:.4f} | {drops[-1]:+.4f} | {one.bytes:,}"
            print(f"| {corpus} | {seed} | {figures} | {one.verdict} |", flush=True)
    found = grouped_mean(drops, None)
    print(
        f"\nthe accuracy drops by {found.estimate:.4f} (95 % interval {found.low:.4f} to "
        f"{found.high:.4f}) over {len(drops)} pairs; {missed} files missed their goal"
    )
    return int(missed > 0 or not found.high <= LARGEST_DROP)


def _trained(runs: Path, corpus: str, seed: int, *, aware: str | None) -> Run:
    place = runs / f"{corpus}-{seed}{'-aware' if aware else ''}"
    if place.exists():
        return Run.open(place)
    given = {"out": place, "corpus": corpus, "seed": seed, "aware": aware}
    return train(TrainConfig.resolve(overrides=given))


def _accuracy(run: Run) -> float:
    return float(json.loads((run.path / "metrics.json").read_text("utf-8"))["accuracy"])


if __name__ == "__main__":
    sys.exit(
        main(
            Path(sys.argv[1]),
            int(sys.argv[2]) if len(sys.argv) > 2 else SEEDS,
            tuple(sys.argv[3:]) or CORPORA,
        )
    )
