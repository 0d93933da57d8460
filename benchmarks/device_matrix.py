"""Does each device give this machine's scores? `python benchmarks/device_matrix.py WORK`.

Three models (the quickstart's shape, a sensor model with Normalization, a stream of a GRU) x every
profile that is emulated x three schemes: each is verified where it fits, and refused by its bytes
where it does not. Prints a row each, and keeps them in WORK/matrix.jsonl: the next run in WORK does
the others. Exits 1 if one fails, is refused without its bytes, or fewer than eight cores were run.
Not a test.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.convert.onboard.verdict import TOO_LARGE, Verdict
from gatelet.convert.onboard.verify import Question, c_artifacts, verify
from gatelet.convert.onboard.ways import Way
from gatelet.devices import profile_names, read_profile
from gatelet.errors import GateletError
from gatelet.runtime.bundle.opening import Artifact, open_bundle

SCHEMES = ("float32", "dynamic-int8", "full-int8")
LARGEST = {"float32": 1e-6, "dynamic-int8": 1e-5, "full-int8": 0.0}
"""Difference of a score from this machine's, relative to max(1, y)."""
LEAST_CORES = 8
_BYTES = re.compile(r"^needs (at least )?[\d,]+ bytes of .* offers [\d,]+ \(over by [\d,]+\)$")


def quickstart(rng: np.random.Generator) -> tuple[Any, Any]:
    """Return Embedding(10,000, 64), LSTM(64) over 100 words, and rows of every length."""
    from keras import Input, Sequential, layers

    model = Sequential(
        [
            Input((100,), dtype="int32", name="ids"),
            layers.Embedding(10000, 64),
            layers.LSTM(64),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    rows = rng.integers(1, 10000, (64, 100)).astype(np.int32)
    for row, pads in zip(rows, rng.integers(0, 90, 64), strict=True):
        row[:pads] = 0
    return model, rows


def sensor(rng: np.random.Generator) -> tuple[Any, Any]:
    """Return LSTM(32) over [128, 9] behind a Normalization, six classes."""
    from keras import Input, Sequential, layers

    rows = rng.normal(1, 3, (64, 128, 9)).astype(np.float32)
    normalized = layers.Normalization()
    normalized.adapt(rows)
    model = Sequential(
        [Input((128, 9)), normalized, layers.LSTM(32), layers.Dense(6, activation="softmax")]
    )
    return model, rows


def stream(rng: np.random.Generator) -> tuple[Any, Any]:
    """Return GRU(16) with a score for each timestep, of any number of them."""
    from keras import Input, Sequential, layers

    model = Sequential(
        [
            Input((None, 4)),
            layers.GRU(16, return_sequences=True),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    return model, rng.normal(0, 1, (64, 40, 4)).astype(np.float32)


MODELS: dict[str, Callable[[np.random.Generator], tuple[Any, Any]]] = {
    "quickstart": quickstart,
    "sensor": sensor,
    "stream": stream,
}


def convert(name: str, work: Path) -> Path:
    """Make a bundle of a seeded model with kernels of twice the usual size, unless it is there."""
    bundle = work / name
    if bundle.exists():
        return bundle
    import keras

    keras.utils.set_random_seed(3)
    model, rows = MODELS[name](np.random.default_rng(3))
    for layer in model.layers:
        if not layer.name.startswith("normalization"):
            layer.set_weights([2 * one if one.ndim > 1 else one for one in layer.get_weights()])
    model.save(work / f"{name}.keras")
    np.savez(work / f"{name}.npz", x=rows)
    labels = ",".join(map(str, range(max(2, model.outputs[0].shape[-1]))))
    words = ["convert", work / f"{name}.keras", "--out", bundle, "--data", work / f"{name}.npz"]
    words += ["--target", "c", "--no-keras", "--labels", labels]
    for scheme in SCHEMES:
        words += ["--scheme", scheme]
    command = [sys.executable, "-m", "gatelet", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    if not bundle.exists():
        sys.exit(f"{name} cannot be converted: {done.stderr}")
    return bundle


def is_right(found: Verdict) -> bool:
    """Return whether a verdict is what it shall be."""
    if found.verdict == TOO_LARGE:
        return _BYTES.match(found.note) is not None
    difference = found.largest_difference
    return (
        found.verdict == "pass" and difference is not None and difference <= LARGEST[found.scheme]
    )


def kept_rows(path: Path) -> dict[tuple[str, ...], dict[str, Any]]:
    """Return what an earlier run found right, by model, scheme, device and compiler."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    # a run that was ended may have left half a line
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    if path.exists():
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {tuple(row["key"]): row for row in rows if row["right"]}


def judged(question: Question, artifact: Artifact, key: tuple[str, ...]) -> dict[str, Any]:
    """Verify one, and return its row."""
    try:
        found = verify(question, artifact)
    except GateletError as error:
        return {"key": key, "right": False, "told": str(error), "cpu": question.profile.cpu}
    told = found.note or shown(found)
    return {"key": key, "right": is_right(found), "told": told, **found.to_manifest()}


def main() -> int:
    """Verify all, and return 1 where one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--device", action="append", choices=profile_names())
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--compiler", choices=("gcc", "zig"), default="")
    parser.add_argument("--golden", type=int, default=3, help="golden rows of each")
    arguments = parser.parse_args()
    arguments.work.mkdir(exist_ok=True)
    path = arguments.work / "matrix.jsonl"
    kept = kept_rows(path)
    wrong, cores = 0, set()
    for model in arguments.model or MODELS:
        bundle = open_bundle(convert(model, arguments.work))
        for name in arguments.device or profile_names():
            profile = read_profile(name)
            if not profile.is_emulated:
                continue
            question = Question(
                bundle,
                profile,
                Way(),
                compiler=arguments.compiler,
                budget=1,
                golden=arguments.golden,
                cache=arguments.work / "zig",
            )
            for artifact in c_artifacts(bundle, SCHEMES):
                key = (model, artifact.scheme, name, arguments.compiler)
                row = kept.get(key)
                if row is None:
                    row = judged(question, artifact, key)
                    with path.open("a") as journal:
                        journal.write(json.dumps(row) + "\n")
                cores |= {profile.cpu} if row.get("verdict") == "pass" else set()
                wrong += not row["right"]
                sign = "ok   " if row["right"] else "WRONG"
                print(f"{sign} {model:10} {artifact.scheme:12} {name:22} {row['told']}", flush=True)
    print(f"{wrong} wrong; {len(cores)} cores: {', '.join(sorted(cores))}")
    return 1 if wrong or (len(cores) < LEAST_CORES and not arguments.device) else 0


def shown(found: Verdict) -> str:
    """Return the figures of a verdict."""
    count = found.count.get("row")
    each = "" if count is None else f", {count / 1e6:.2f} M {found.count['unit']} a row"
    return (
        f"{found.form}: {found.same_bits} of {found.numbers} bits, {found.largest_difference:.1e}; "
        f"flash {found.flash_bytes:,}, code {found.code_bytes:,}, RAM {found.linked_ram_bytes:,}, "
        f"stack {found.stack_bytes:,}{each}; {found.compiler}"
    )


if __name__ == "__main__":
    sys.exit(main())
