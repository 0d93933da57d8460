"""What benchmarks/compare_commits.py runs with the gatelet of one commit; not to be run by hand.

Only public names are used, so that modules may move between the commits.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.runtime import Vectorizer, load

VOCABULARY, MAXLEN = 10_000, 100
TINY_VOCABULARY, TINY_MAXLEN = 50, 8
FEATURES = 6
WARM_UP_CALLS = 20
CALLS = {"c": 500, "litert": 150, "onnx": 150, "reference": 30}  # a batch
PAIRS, PAIRS_OF_BATCHES = 40, 5
BATCH_ROWS = 64


def write_models(folder: Path) -> None:
    """Write models with seeded weights: of texts, of features, and a tiny one of texts."""
    import keras

    keras.utils.set_random_seed(1)
    folder.mkdir()
    layers = keras.layers
    # rows differ, and the conversion's own parity passes
    head = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.7, seed=1)}
    embedding = keras.initializers.RandomUniform(-0.7, 0.7, seed=1)
    reviews = [
        layers.Embedding(VOCABULARY, 64, embedding, mask_zero=True),
        layers.LSTM(64),
        layers.Dense(1, activation="sigmoid", **head),
    ]
    tiny = [
        layers.Embedding(TINY_VOCABULARY, 2, embedding, mask_zero=True),
        layers.LSTM(2),
        layers.Dense(1, activation="sigmoid", **head),
    ]
    sensors = [
        layers.Conv1D(32, 5, activation="relu"),
        layers.GRU(64, return_sequences=True),
        layers.GRU(32),
        layers.Dense(4, activation="softmax", **head),
    ]
    of_ids = keras.Input((None,), dtype="int32")
    keras.Sequential([of_ids, *reviews]).save(folder / "reviews.keras")
    keras.Sequential([keras.Input((None,), dtype="int32"), *tiny]).save(folder / "tiny.keras")
    keras.Sequential([keras.Input((None, FEATURES)), *sensors]).save(folder / "sensors.keras")
    sizes = (("reviews", VOCABULARY, MAXLEN), ("tiny", TINY_VOCABULARY, TINY_MAXLEN))
    for name, vocabulary, maxlen in sizes:
        words = " ".join(f"word{number}" for number in range(vocabulary - 2))
        vectorizer = Vectorizer.fit([words], num_words=vocabulary, maxlen=maxlen)
        (folder / f"{name}.json").write_text(vectorizer.to_json(), "utf-8")


def answer_calls(bundle: str) -> None:
    """Report the cases; then, for each that is asked, the microseconds that a call takes."""
    cases = _cases(bundle)
    for call in cases.values():
        for _ in range(WARM_UP_CALLS):
            call()
    print(json.dumps(list(cases)), flush=True)
    for line in sys.stdin:
        name = line.strip()
        if not name:
            break
        call, count = cases[name], CALLS[name.split()[0]]
        start = time.process_time_ns()
        for _ in range(count):
            call()
        print((time.process_time_ns() - start) / 1e3 / count, flush=True)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) / 1024)


def _cases(bundle: str) -> dict[str, Callable[[], Any]]:
    texts, ids = ["word1 word2 unknown word3 word40"], [[0, 0, 0, 3, 4, 1, 5, 42]]
    arrays = np.array(ids, np.int32)
    cases: dict[str, Callable[[], Any]] = {}
    for target in CALLS:
        predictor = load(bundle, target=target, scheme="float32")
        stream = predictor.stream()
        cases[f"{target} predict, a text"] = lambda p=predictor: p.predict(texts)
        cases[f"{target} scores, ids in an array"] = lambda p=predictor: p.scores(arrays)
        cases[f"{target} scores, ids in lists"] = lambda p=predictor: p.scores(ids)
        cases[f"{target} step of a stream"] = lambda s=stream: s.step(arrays[:, 3:4])
    return cases


def compare_kernels(folders: list[str], first: int) -> None:
    """Print the least microseconds of each side's C code by case, called in turns."""
    taken: dict[str, list[float]] = {}
    for name, scheme in (
        ("reviews", "float32"),
        ("reviews", "dynamic-int8"),
        ("reviews", "dynamic-int8-emb4"),
        ("reviews", "full-int8"),
        ("sensors", "float32"),
        ("sensors", "dynamic-int8"),
    ):
        order = (first, 1 - first)
        opened = {at: load(f"{folders[at]}/{name}", target="c", scheme=scheme) for at in order}
        runs = [opened[at].scores for at in (0, 1)]
        for rows, steps in ((1, 100), (1, 20), (BATCH_ROWS, 100)):
            pairs = PAIRS if rows == 1 else PAIRS_OF_BATCHES
            inputs = _inputs(name, rows, steps, pairs + 2)
            case = f"{name} {scheme}, {rows} x {steps}"
            taken[case] = _in_turns(runs, inputs, first)
    print(json.dumps(taken))


def _inputs(name: str, rows: int, steps: int, count: int) -> Iterator[Any]:
    draw = np.random.default_rng(steps)
    for _ in range(count):
        if name == "sensors":
            yield draw.normal(size=(rows, steps, FEATURES)).astype(np.float32)
        else:
            ids = np.zeros((rows, MAXLEN), np.int32)
            ids[:, MAXLEN - steps :] = draw.integers(1, VOCABULARY, (rows, steps))
            yield ids


def _in_turns(runs: list[Callable[[Any], Any]], inputs: Iterator[Any], first: int) -> list[float]:
    times: list[list[float]] = [[], []]
    for number, given in enumerate(inputs):
        for at in (0, 1) if (number + first) % 2 else (1, 0):
            start = time.thread_time_ns()
            runs[at](given)
            if number >= 2:
                times[at].append((time.thread_time_ns() - start) / 1e3)
    return [min(one) for one in times]


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    what, *given = sys.argv[1:]
    if what == "models":
        write_models(Path(given[0]))
    elif what == "calls":
        answer_calls(given[0])
    else:
        compare_kernels(given[:2], int(given[2]))
