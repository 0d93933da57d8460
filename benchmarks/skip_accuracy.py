"""Does training without padding cost accuracy? `python benchmarks/skip_accuracy.py RUNS [FROM TO]`.

Trains the default recipe on reviews-en with seeds FROM to TO (1 to 30), as it is and with every
step of padding computed for every row; runs that are there are taken, so that several processes can
share the seeds. Prints the test accuracies, and exits 1 where their drop may, with 95 % confidence,
be half a point. Not a test.
"""

import json
import os
import sys
from pathlib import Path
from unittest import mock

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy: as the command does, to the same bits

from gatelet.runtime.data.intervals import grouped_mean
from gatelet.runtime.data.run import Run
from gatelet.train import TrainConfig, train, trainer

SEEDS, CORPUS = 30, "reviews-en"
LARGEST_DROP = 0.005


def main(runs: Path, first: int, last: int) -> int:
    """Measure every pair; return 1 if the drop may be too large."""
    drops = []
    for seed in range(first, last + 1):
        whole, skipped = (_accuracy(runs, seed, skips=skips) for skips in (False, True))
        drops.append(whole - skipped)
        print(f"seed {seed}: {whole:.4f}, {skipped:.4f}, drop {drops[-1]:+.4f}", flush=True)
    found = grouped_mean(drops, None)
    print(
        f"the accuracy drops by {found.estimate:.4f} (95 % interval {found.low:.4f} to "
        f"{found.high:.4f}) over {len(drops)} seeds"
    )
    return int(not found.high < LARGEST_DROP)


def _accuracy(runs: Path, seed: int, *, skips: bool) -> float:
    """Return the accuracy on the test part of a run, which is trained if it is not there."""
    place = runs / f"{seed}{'' if skips else '-whole'}"
    if not place.exists():
        given = {"out": place, "corpus": CORPUS, "seed": seed, "baseline": False}
        config = TrainConfig.resolve(overrides=given)
        can_skip = trainer.can_skip if skips else lambda _: False
        with mock.patch.object(trainer, "can_skip", can_skip):
            train(config)
    figures = json.loads((Run.open(place).path / "metrics.json").read_text("utf-8"))
    return float(figures["accuracy"])


if __name__ == "__main__":
    words = sys.argv[1:]
    asked = [int(word) for word in words[1:3]] or [1, SEEDS]
    sys.exit(main(Path(words[0]), *asked))
