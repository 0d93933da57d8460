"""Recipes against the honest baseline: `python benchmarks/recipes.py --corpus reviews-en`.

Each recipe trains as `gatelet train` does; TF-IDF with logistic regression learns the same rows.
Exits 1 where the first recipe is worse than the baseline with 95 % confidence.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.runtime.data.dataset import Split
from gatelet.runtime.data.run import Run
from gatelet.runtime.decision import decide
from gatelet.train import TrainConfig, keras_scores, train
from gatelet.train.baseline import train_baseline
from gatelet.train.config import CELLS
from gatelet.train.prepare import prepare

RESAMPLES = 4_000
GATES = dict(zip(CELLS, (4, 3, 1), strict=True))


@dataclass(frozen=True)
class Learned:
    """What a recipe learned of a corpus, with one seed.

    Args:
        right: Of each row of the test part [N], whether it is right.
        validation: Accuracy on the validation part.
        processor_s: Of the training, the baseline left out.
    """

    right: Any
    validation: float
    processor_s: float


def main(given: list[str]) -> int:
    """Train, compare, print; 1 where the first recipe is worse than the baseline."""
    asked = _arguments().parse_args(given)
    worse = False
    places = [{"corpus": name} for name in asked.corpus] + [{"data": path} for path in asked.data]
    for place in places:
        first = TrainConfig.resolve(overrides={**place, "out": "unused"})
        name, parts = first.corpus or Path(str(first.data)).name, prepare(first).parts
        baseline = _baseline_right(parts, char_level=first.char_level)
        print(f"{name} baseline: {baseline.mean():.4f} on {len(baseline):,} rows", flush=True)
        for recipe in asked.recipe or ["default", "seed"]:
            config = TrainConfig.resolve(recipe=recipe, overrides={**place, "out": "unused"})
            print(f"{name} {recipe}: {_macs(config):,} multiply-adds a token", flush=True)
            learned = [_learned(config, seed) for seed in range(1, asked.seeds + 1)]
            for seed, one in enumerate(learned, 1):
                print(
                    f"{name} {recipe} seed {seed}: {one.right.mean():.4f}, validation "
                    f"{one.validation:.4f}, {one.processor_s:.0f} s of processor time"
                )
            low, high = paired_interval(np.stack([one.right for one in learned]), baseline)
            gap = np.mean([one.right.mean() for one in learned]) - baseline.mean()
            print(f"{name} {recipe} - baseline: {gap:+.4f} [{low:+.4f}, {high:+.4f}]", flush=True)
            worse |= recipe == (asked.recipe or ["default"])[0] and high < 0
    return int(worse)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", action="append", default=[], help="by name; may be repeated")
    parser.add_argument("--data", action="append", default=[], type=Path, help="a file of texts")
    parser.add_argument("--recipe", action="append", help="names or files: default and seed")
    parser.add_argument("--seeds", type=int, default=5)
    return parser


def _learned(config: TrainConfig, seed: int) -> Learned:
    with tempfile.TemporaryDirectory() as folder:
        asked = replace(config, seed=seed, baseline=False, out=Path(folder) / "run")
        began = time.process_time()
        run = train(asked)
        spent = time.process_time() - began
        test, validation = run.test(), prepare(asked).parts.validation
        right = [_right(run, part.texts, part.labels) for part in (test, validation)]
    return Learned(right[0], float(right[1].mean()), spent)


def _right(run: Run, texts: Any, labels: Any) -> Any:
    said = [decide(row, run.threshold) for row in keras_scores(run, texts, run.vectorizer())]
    return np.array([run.labels[one] == label for one, label in zip(said, labels, strict=True)])


def _baseline_right(parts: Split, *, char_level: bool) -> Any:
    labels = parts.train.label_names()
    model = train_baseline(parts, labels, char_level=char_level)
    said = np.argmax(model.scores(parts.test.texts), axis=1)
    return said == np.array(parts.test.label_ids(labels))


def paired_interval(right: Any, baseline: Any) -> tuple[float, float]:
    """Bound the difference of two accuracies on the same rows with 95 % confidence.

    Seeds and rows are drawn anew, both: another training on other rows of this kind.

    Args:
        right: Of each of S seeds and N rows, [S, N].
        baseline: Of each row, [N].

    Source: Efron & Tibshirani 1993, section 13.3 (percentiles).
    """
    rng = np.random.default_rng(1)
    gaps = right.astype(float) - baseline.astype(float)
    seeds, rows = gaps.shape
    drawn = [
        gaps[rng.integers(seeds, size=seeds)].mean(axis=0)[rng.integers(rows, size=rows)].mean()
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5]).tolist()
    return low, high


def _macs(config: TrainConfig) -> int:
    """Count the multiply-adds of a timestep in recurrent layers."""
    ways, gates, width, total = 1 + config.bidirectional, GATES[config.cell], config.embedding, 0
    for _ in range(config.layers):
        total += ways * gates * config.units * (width + config.units)
        width = ways * config.units
    return total


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
