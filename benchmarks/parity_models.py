"""Does a sound model convert? `python benchmarks/parity_models.py FOLDER [--only TEXT]`.

Trains small models on made data until they fit, eight uses of eight cells, converts each from its
file as most people do, once without data and once more with the rows that it was trained on as
the user's own, and prints a row a model. Exits 1 if a conversion does. Not a test.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROWS, TIMESTEPS, FEATURES, UNITS, VOCABULARY = 768, 12, 4, 16, 40
ENOUGH = 0.9
"""Accuracy, or R2: then a model fits."""
MOST_EPOCHS = 150

CELLS = ("LSTM", "GRU", "SimpleRNN", "2 LSTM", "2 GRU", "bi LSTM", "bi GRU", "bi SimpleRNN")
USES = ("labels", "words", "tagger", "states", "small units", "large units", "autoencoder", "relu")


def recurrent(cell: str, x: Any, *, sequences: bool = False, **settings: Any) -> Any:
    """Apply one of the cells: it gives its last output, or all of them."""
    import keras

    form, _, name = cell.rpartition(" ")
    layer = getattr(keras.layers, name)
    if form == "2":
        x = layer(UNITS, return_sequences=True, **settings)(x)
    inner = layer(UNITS, return_sequences=sequences, **settings)
    return (keras.layers.Bidirectional(inner) if form == "bi" else inner)(x)


def states_of(cell: str, x: Any) -> list[Any]:
    """Return the last states of one of the cells."""
    import keras

    form, _, name = cell.rpartition(" ")
    layer = getattr(keras.layers, name)
    if form == "2":
        x = layer(UNITS, return_sequences=True)(x)
    inner = layer(UNITS, return_state=True)
    _, *states = (keras.layers.Bidirectional(inner) if form == "bi" else inner)(x)
    return states


def made(use: str, cell: str, rng: np.random.Generator) -> tuple[Any, Any, Any, Any, str]:
    """Return the model that is trained, the one that is converted, x, y and the loss."""
    import keras

    dense = keras.layers.Dense
    if use in ("words", "tagger"):
        given = keras.Input((TIMESTEPS,), dtype="int32")
        x = rng.integers(1, VOCABULARY, (ROWS, TIMESTEPS)).astype(np.int32)
        for row, pads in zip(x, rng.integers(0, TIMESTEPS - 3, ROWS), strict=True):
            row[:pads] = 0
        table = keras.layers.Embedding(VOCABULARY, 8, mask_zero=use == "words")(given)
        if use == "words":
            y = ((x > VOCABULARY // 2).sum(1) * 2 > (x > 0).sum(1)).astype(np.float32)[:, None]
            model = keras.Model(given, dense(1, activation="sigmoid")(recurrent(cell, table)))
            return model, model, x, y, "binary_crossentropy"
        before = np.concatenate([np.zeros((ROWS, 1), np.int32), x[:, :-1]], axis=1)
        y = ((x > 20).astype(int) + 2 * (before > 20)).astype(np.int32)
        tags = dense(4, activation="softmax")(recurrent(cell, table, sequences=True))
        model = keras.Model(given, tags)
        return model, model, x, y, "sparse_categorical_crossentropy"
    given = keras.Input((TIMESTEPS, FEATURES))
    if use == "autoencoder":
        t = np.arange(TIMESTEPS)[:, None] / TIMESTEPS
        speed, phase = rng.uniform(2, 6, (ROWS, 1, FEATURES)), rng.uniform(0, 2, (ROWS, 1, 1))
        x = np.sin(speed[:, :1, :1] * t + phase + np.arange(FEATURES)).astype(np.float32)
        code = keras.layers.RepeatVector(TIMESTEPS)(recurrent(cell, given))
        again = recurrent(cell, code, sequences=True)
        model = keras.Model(given, keras.layers.TimeDistributed(dense(FEATURES))(again))
        return model, model, x, x, "mse"
    x = rng.normal(size=(ROWS, TIMESTEPS, FEATURES)).astype(np.float32)
    if use in ("small units", "large units"):
        unit = 1e-4 if use == "small units" else 1e4
        target = x[:, -4:, 0].sum(1) + 0.5 * x[:, -1, 1]
        core = dense(1)(recurrent(cell, given))
        trained = keras.Model(given, core)
        scaled = keras.Model(given, keras.layers.Rescaling(unit)(core))
        return trained, scaled, x, target[:, None].astype(np.float32), "mse"
    y = x[:, -5:, :3].sum(1).argmax(1).astype(np.int32)
    if use == "states":
        states = states_of(cell, given)
        joined = keras.layers.Concatenate()(states) if len(states) > 1 else states[0]
        trained = keras.Model(given, dense(3, activation="softmax")(joined))
        return trained, keras.Model(given, states), x, y, "sparse_categorical_crossentropy"
    settings = {"activation": "relu"} if use == "relu" else {}
    model = keras.Model(given, dense(3, activation="softmax")(recurrent(cell, given, **settings)))
    return model, model, x, y, "sparse_categorical_crossentropy"


def fitted(model: Any, x: Any, y: Any, loss: str) -> tuple[float, int]:
    """Train until the model fits, and return how well and after how many epochs."""
    import keras

    model.compile(optimizer=keras.optimizers.Adam(0.01, clipnorm=1.0), loss=loss)
    epochs, fit = 0, -np.inf
    while fit < ENOUGH and epochs < MOST_EPOCHS:
        model.fit(x, y, epochs=10, batch_size=64, verbose=0)
        epochs += 10
        found = model.predict(x, verbose=0)
        if loss == "mse":
            fit = 1 - float(((found - y) ** 2).mean() / y.var())
        elif loss == "binary_crossentropy":
            fit = float(((found > 0.5) == (y > 0.5)).mean())
        else:
            fit = float((found.argmax(-1) == y).mean())
    return fit, epochs


def convert(path: Path, out: Path, *words: str) -> tuple[int, str]:
    """Run the command, and return its exit code and what it kept and left out."""
    command = [sys.executable, "-m", "gatelet", "convert", str(path), "--out", str(out), "--json"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        return done.returncode, done.stderr.strip().splitlines()[-1]
    report = report.get("parity", report)
    kept = [
        f"{one['target']} {one['scheme']} {one['verdict']}"
        for one in report["artifacts"]
        if one["verdict"] != "pass"
    ]
    left = [f"without {one['target']} {one['scheme']}" for one in report.get("left_out", ())]
    return done.returncode, "; ".join(kept + left) or "all pass"


def main(folder: Path, chosen: Callable[[str], bool]) -> int:
    """Judge all models, and return the exit code."""
    import keras

    folder.mkdir(parents=True, exist_ok=True)
    print("| use | cell | fit | epochs | exit | without data | exit | with data |", flush=True)
    print("|---|---|---|---|---|---|---|---|", flush=True)
    models = red = 0
    for use in USES:
        for number, cell in enumerate(CELLS):
            name = f"{use}-{cell}".replace(" ", "-")
            if not chosen(name):
                continue
            keras.utils.set_random_seed(number)
            rng = np.random.default_rng(number)
            trained, model, x, y, loss = made(use, cell, rng)
            fit, epochs = fitted(trained, x, y, loss)
            path = folder / f"{name}.{'h5' if number % 2 else 'keras'}"
            model.save(path)
            words: tuple[str, ...] = ()
            if x.dtype == np.float32 and use != "states":
                unit = {"small units": 1e-4, "large units": 1e4}.get(use, 1)
                np.savez(folder / f"{name}.npz", x=x, y=y if unit == 1 else y * unit)
                words = ("--data", str(folder / f"{name}.npz"))
            first = convert(path, folder / f"{name}-a")
            second = convert(path, folder / f"{name}-b", *words) if words else (0, "-")
            models, red = models + 1, red + (first[0] != 0 or second[0] != 0)
            told = f"{first[0]} | {first[1]} | {second[0]} | {second[1]}"
            print(f"| {use} | {cell} | {fit:.3f} | {epochs} | {told} |", flush=True)
    print(f"\n{models} models, {red} that do not convert with exit code 0")
    return 1 if red else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="a part of the name, such as words-LSTM")
    found = parser.parse_args()
    sys.exit(main(found.folder, lambda name: found.only in name))
