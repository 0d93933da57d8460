"""Is tuning worth it? `python benchmarks/tune_front.py`: 6 minutes of processor time, on Linux.

Searches as `gatelet tune --corpus reviews-en --trials 30` does, killed twice on the way and begun
again by the same command. Then, by the validation part alone: all trials have ended, a point of at
most 50 KB is within 2.5 points of the default recipe and one of at most 150 KB within 1 point,
predicted bytes are within 1 % of exported ones, and all processes together took at most 400 s of
processor time. A second step trains these three models again by their settings, converts them, and
scores them on the test part. Exits 1 where a goal is missed; test figures are no goal.
"""

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy: as the command does, to the same bits
import numpy as np
from recipes import paired_interval

from gatelet.convert import convert_with_report
from gatelet.errors import GateletError
from gatelet.runtime.data.run import Run
from gatelet.runtime.decision import decide
from gatelet.runtime.predictor.loading import load
from gatelet.train import TrainConfig, keras_scores, train
from gatelet.train.tune.folder import TRIALS

LIMIT_S = 400
SCHEME = "dynamic-int8"
GOALS = ((50_000, 0.025), (150_000, 0.01))
"""Bytes of a c artifact, and how far below the default recipe's accuracy its best may be."""
EXACT = 0.01
LONGEST_S = 5.0
"""A kill comes so many processor seconds after the end of a trial, at most: within the next."""


@dataclass(frozen=True)
class Chosen:
    """A model that is scored.

    Args:
        name: In the table.
        point: The trial, as trials.jsonl has it.
    """

    name: str
    point: dict[str, Any]


def main(given: list[str]) -> int:
    """Search, judge, score; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", default="reviews-en")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1, help="of the study and of the kills")
    parser.add_argument("--engine", default="optuna", help="optuna, or ray with two workers")
    parser.add_argument(
        "--study", type=Path, help="a folder to keep; a complete one is judged as it is"
    )
    parser.add_argument("--unscored", action="store_true", help="leave the second step out")
    asked = parser.parse_args(given)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        study = asked.study or folder / "study"
        missed = [] if (study / "trials.jsonl").is_file() else search(asked, study)
        chosen, problems = judge(study, asked.trials)
        for problem in missed + problems:
            print(f"MISSED: {problem}")
        if not asked.unscored:
            score(chosen, asked, study, folder)
    return int(bool(missed + problems))


def search(asked: argparse.Namespace, study: Path) -> list[str]:
    """Run the command, kill it, and run it again until it ends; return what is missed."""
    draw = random.Random(asked.seed)
    stops = sorted(draw.sample(range(1, asked.trials - 1), asked.kills))
    words = ["tune", "--corpus", asked.corpus, "--out", str(study), f"--trials={asked.trials}"]
    words += [f"--seed={asked.seed}", f"--engine={asked.engine}"]
    # Ray starts workers with a niceness of 15: beside other work they would not get anywhere
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    for number, stop in enumerate([*stops, None], 1):
        child = subprocess.Popen(
            [sys.executable, "-m", "gatelet", *words],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert child.stderr is not None
        for line in child.stderr:
            sys.stderr.write(line)
            if stop is not None and f"({stop + 1} of " in line:
                if asked.engine == "optuna":  # Ray's workers do the work
                    _wait(child.pid, draw.uniform(0, LONGEST_S))
                child.kill()
                print(f"killed after {stop + 1} trials", flush=True)
                break
        child.stderr.read()
        code = child.wait()
        if code != (0 if stop is None else -signal.SIGKILL):
            raise SystemExit(f"run {number} of the command ended with {code}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent_s = used.ru_utime + used.ru_stime
    beside = ""
    if asked.engine == "ray":  # its workers are no children of the command's
        lines = (study / "trials.jsonl").read_text().splitlines()
        in_trials_s = sum(json.loads(line)["processor_s"] for line in lines)
        beside = f", {in_trials_s:.0f} s of them in trials of Ray's workers"
        spent_s += in_trials_s
    print(f"{spent_s:.0f} s of processor time in {asked.kills + 1} commands{beside}", flush=True)
    return [f"{spent_s:.0f} s, and not {LIMIT_S}"] if spent_s > LIMIT_S else []


def _wait(process: int, spent_s: float) -> None:
    """Wait until a process has used so much more processor time."""
    clock = (~process << 3) | 2  # clock_getcpuclockid(3) of Linux
    until = time.clock_gettime(clock) + spent_s
    while time.clock_gettime(clock) < until:
        time.sleep(0.01)


def judge(study: Path, trials: int) -> tuple[list[Chosen], list[str]]:
    """Choose the models to score by the validation part; return what is missed too."""
    points = [json.loads(line) for line in (study / "trials.jsonl").read_text().splitlines()]
    states = [one["state"] for one in points]
    print(", ".join(f"{states.count(one)} {one}" for one in sorted(set(states))))
    missed = [] if len(points) == trials else [f"{len(points)} trials, and not {trials}"]
    exported = [one for one in points if one["exported_bytes"]]
    furthest = max(abs(one["bytes"] / one["exported_bytes"] - 1) for one in exported)
    print(f"bytes of {len(exported)} artifacts: at most {furthest:.3%} off what was predicted")
    if furthest > EXACT:
        missed.append(f"predicted bytes are {furthest:.1%} off")
    default = points[0]
    chosen = [Chosen("default", default)]
    print(f"default: validation {default['val_accuracy']:.4f} at {default['bytes']:,} bytes")
    for limit, most in GOALS:
        within = [one for one in exported if one["exported_bytes"] <= limit]
        best = max(within, key=lambda one: one["val_accuracy"], default=None)
        if best is None:
            missed.append(f"no point has at most {limit:,} bytes")
            continue
        drop = default["val_accuracy"] - best["val_accuracy"]
        print(
            f"at most {limit:,} bytes: trial {best['trial']}, validation "
            f"{best['val_accuracy']:.4f} at {best['exported_bytes']:,} bytes, drop {drop:+.4f}"
        )
        chosen.append(Chosen(f"at most {limit:,}", best))
        if drop > most:
            missed.append(f"at most {limit:,} bytes: {drop:.4f} below the default, not {most}")
    return chosen, missed


def score(chosen: list[Chosen], asked: argparse.Namespace, study: Path, folder: Path) -> None:
    """Train the models again, convert them, and show how often they are right on the test part."""
    first: Any = None
    for number, one in enumerate(chosen):
        run = _trained(one, asked, study, folder / f"run-{number}")
        test = run.test()
        truth = np.array([run.labels.index(label) for label in test.labels])
        said = keras_scores(run, test.texts, run.vectorizer())
        right = {"keras": _right(said, truth, run)}
        bundle = folder / f"bundle-{number}"
        convert_with_report(run, bundle, targets=["c"], schemes=[SCHEME], with_keras=False)
        predictor = load(bundle, target="c", scheme=SCHEME)
        right["c " + SCHEME] = _right(predictor.scores(list(test.texts)), truth, run)
        first = right if first is None else first
        for name, hits in right.items():
            low, high = paired_interval(hits[None], np.zeros(len(hits)))
            text = f"{one.name}, {name}: test {hits.mean():.4f} [{low:.4f}, {high:.4f}]"
            if first is not right:
                low, high = paired_interval(hits[None], first[name])
                gap = hits.mean() - first[name].mean()
                text += f", against the default {gap:+.4f} [{low:+.4f}, {high:+.4f}]"
            print(f"{text} on {len(hits):,} rows", flush=True)


def _trained(one: Chosen, asked: argparse.Namespace, study: Path, out: Path) -> Run:
    """Train a trial again, which has to give the same figures on the validation part."""
    number = one.point["trial"]
    if number:
        config = TrainConfig.from_toml(study / TRIALS / f"{number:04}.toml", out=out)
    else:
        given = {"corpus": asked.corpus, "seed": asked.seed, "out": out}
        config = TrainConfig.resolve(overrides=given)
    run = train(config)
    history = json.loads((run.path / "history.json").read_text())
    again = history["epochs"][history["best"] - 1]["val_loss"]
    if again != one.point["val_loss"]:
        raise GateletError(f"trial {number} has another loss when it is trained again: {again}")
    return run


def _right(scores: Any, truth: Any, run: Run) -> Any:
    return np.array([decide(row, run.threshold) for row in scores]) == truth


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main(sys.argv[1:]))
