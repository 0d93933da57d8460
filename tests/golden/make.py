"""Makes the golden bundles and what they predict: `python tests/golden/make.py text`.

Not run by tests: what is stored beside this file was made once, see README.md. Without a name all
three are made. Folders that exist are replaced.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.runtime import load, open_bundle

FOLDER = Path(__file__).parent
LARGEST_BYTES = 300 * 1024
SEED = 20
TIMESTEPS = 20
KINDS = ("still", "walking", "running")


def main(names: list[str]) -> None:
    """Make the bundles of some names."""
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            options, rows = MODELS[name](work)
            out = work / name
            words = ["convert", str(work / "model.keras"), "--out", str(out), "--strip", *options]
            subprocess.run([sys.executable, "-m", "gatelet", *words], check=True)
            expected = expected_scores(out, rows)
            shutil.rmtree(FOLDER / name, ignore_errors=True)
            shutil.copytree(out, FOLDER / name / "bundle")
        (FOLDER / name / "expected.json").write_text(as_json(expected), "utf-8")
        large = [p for p in (FOLDER / name).rglob("*") if p.stat().st_size > LARGEST_BYTES]
        if large:
            sys.exit(f"these are above {LARGEST_BYTES:,} bytes: {', '.join(map(str, large))}")


def expected_scores(bundle: Path, rows: list[Any]) -> dict[str, Any]:
    """Return what each artifact, the NumPy and the pure backend give for each row alone."""
    artifacts = [(one.target, one.scheme) for one in open_bundle(bundle).artifacts]
    found: dict[str, Any] = {"rows": rows, "scores": {}, "labels": {}, "streams": {}}
    with plain_level():
        for target, scheme in [*artifacts, ("reference", "float32"), ("pure", "float32")]:
            predictor, key = load(bundle, target=target, scheme=scheme), f"{target} {scheme}"
            found["scores"][key] = [as_lists(predictor.scores(given(row))) for row in rows]
            if "several" not in bundle.name:
                labels = [predictor.predict(given(row))[0].label for row in rows]
                found["labels"][key] = labels
            if bundle.name == "sensors":
                found["streams"][key] = [steps_of(predictor, row) for row in rows[:4]]
    return found


def steps_of(predictor: Any, row: Any) -> list[Any]:
    """Return what a stream gives after each timestep of one row."""
    stream = predictor.stream()
    return [as_lists(stream.step(step)) for step in row]


def given(row: Any) -> Any:
    """Return one row as a batch: a text, features, or several inputs by name."""
    if isinstance(row, dict):
        return {name: [value] for name, value in row.items()}
    return [row]


def as_lists(scores: Any) -> Any:
    """Return the scores of one row as nested lists, which JSON keeps to the bit."""
    if isinstance(scores, dict):
        return {name: as_lists(value) for name, value in scores.items()}
    return np.asarray(scores)[0].tolist()


def as_json(expected: dict[str, Any]) -> str:
    """Return readable JSON: a line for each row of each artifact."""
    lines: list[str] = []
    for key, value in expected.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        written = ",\n".join(
            (f"{json.dumps(name)}: " if name else "")
            + "[\n"
            + ",\n".join(json.dumps(one, ensure_ascii=False) for one in rows)
            + "\n]"
            for name, rows in parts
        )
        is_object = isinstance(value, dict)
        lines.append(f'"{key}": ' + (f"{{\n{written}\n}}" if is_object else written))
    return "{\n" + ",\n".join(lines) + "\n}\n"


@contextlib.contextmanager
def plain_level() -> Iterator[None]:
    """Run C without the instructions that only some processors have."""
    os.environ["GATELET_LEVEL"] = "plain"
    try:
        yield
    finally:
        del os.environ["GATELET_LEVEL"]


GOOD = "wonderful lovely charming funny moving brilliant warm clever fresh honest"
BAD = "dull boring awful clumsy cold empty stupid slow tired false"
OTHER = (
    "the a film movie plot actor scene music story it was is and but with of very quite café "
    "naïve ending hero dialogue first last minutes hour never always i you they think saw seen"
)


def make_text(work: Path) -> tuple[list[str], list[Any]]:
    """Train Embedding, LSTM, Dense on invented reviews, with a Tokenizer of Keras."""
    import keras
    from keras.preprocessing.sequence import pad_sequences
    from keras.src.legacy.preprocessing.text import Tokenizer

    keras.utils.set_random_seed(SEED)
    draw = np.random.default_rng(SEED)
    texts, labels = zip(*(review(draw) for _ in range(1500)), strict=True)
    tokenizer = Tokenizer(num_words=100, oov_token="<unk>")
    tokenizer.fit_on_texts(texts)
    (work / "tokenizer.json").write_text(tokenizer.to_json(), "utf-8")
    ids = pad_sequences(tokenizer.texts_to_sequences(texts), maxlen=TIMESTEPS)
    layers = [
        keras.layers.Embedding(100, 16, mask_zero=True),
        keras.layers.LSTM(24),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
    model = keras.Sequential([keras.Input((TIMESTEPS,), dtype="int32"), *layers])
    model.compile("adam", "binary_crossentropy")
    model.fit(ids, np.array(labels), epochs=4, verbose=0)
    model.save(work / "model.keras")
    rows = zip(texts, labels, strict=True)
    lines = [json.dumps({"text": text, "label": ["neg", "pos"][n]}) for text, n in rows]
    (work / "reviews.jsonl").write_text("\n".join(lines), "utf-8")
    options = ["--vectorizer", str(work / "tokenizer.json"), "--maxlen", str(TIMESTEPS)]
    options += ["--labels", "neg,pos", "--data", str(work / "reviews.jsonl")]
    options += ["--target", "c", "--target", "litert", "--target", "onnx", "--target", "onnx-text"]
    options += ["--scheme", "dynamic-int8", "--scheme", "float16"]
    odd = ["", "Wonderful!", "no-such-word, nor this", "DULL; dull, dull... but FUNNY?"]
    return options, [*odd, *(review(draw)[0] for _ in range(12))]


def review(draw: np.random.Generator) -> tuple[str, int]:
    """Draw words, and whether more of them are good than bad."""
    good, bad, other = GOOD.split(), BAD.split(), OTHER.split()
    count, share = int(draw.integers(3, 26)), draw.uniform(0.1, 0.9)
    chosen = [
        str(draw.choice(other if draw.random() < 0.6 else good if draw.random() < share else bad))
        for _ in range(count)
    ]
    balance = sum((word in good) - (word in bad) for word in chosen)
    return " ".join(chosen), int(balance > 0 or (balance == 0 and share > 0.5))


def make_sensors(work: Path) -> tuple[list[str], list[Any]]:
    """Train GRU, LSTM, Dense on invented movements, to be fed a timestep at a time."""
    import keras

    keras.utils.set_random_seed(SEED)
    draw = np.random.default_rng(SEED)
    moves, kinds = zip(*(movement(draw) for _ in range(900)), strict=True)
    layers = [
        keras.layers.GRU(16, return_sequences=True),
        keras.layers.LSTM(12),
        keras.layers.Dense(len(KINDS), activation="softmax"),
    ]
    model = keras.Sequential([keras.Input((None, 6)), *layers])
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy")
    model.fit(np.array(moves), np.array(kinds), epochs=3, verbose=0)
    model.save(work / "model.keras")
    np.savez(work / "moves.npz", x=np.array(moves[:300]), y=np.array(KINDS)[list(kinds[:300])])
    options = ["--labels", ",".join(KINDS), "--data", str(work / "moves.npz"), "--stream"]
    options += ["--target", "c", "--target", "litert", "--target", "onnx"]
    options += ["--scheme", "float32"]
    return options, [movement(draw)[0].tolist() for _ in range(10)]


def movement(draw: np.random.Generator) -> tuple[Any, int]:
    """Draw 12 timesteps of 6 features, and which kind of movement they are."""
    kind = int(draw.integers(3))
    time = np.arange(12)[:, None] * (0.0, 0.5, 1.1)[kind] + draw.uniform(0, 6, 6)
    noise = draw.normal(0, 0.7, (12, 6))
    return (np.sin(time) * draw.uniform(0.3, 1.5) + noise).astype(np.float32), kind


def make_several(work: Path) -> tuple[list[str], list[Any]]:
    """Draw a model of ids and features with three outputs: classes, numbers, and a sequence."""
    import keras

    keras.utils.set_random_seed(SEED)
    draw = np.random.default_rng(SEED)
    large = keras.initializers.RandomNormal(stddev=0.7, seed=SEED)  # so that rows differ
    ids = keras.Input((None,), dtype="int32", name="ids")
    features = keras.Input((None, 4), name="features")
    embedded = keras.layers.Embedding(80, 16, large, mask_zero=True)(ids)
    words = keras.layers.Bidirectional(keras.layers.LSTM(16))(embedded)
    steps = keras.layers.GRU(20, return_sequences=True)(features)
    both = keras.layers.Concatenate()([words, keras.layers.LSTM(12)(steps)])
    heads = [
        keras.layers.Dense(3, activation="softmax", kernel_initializer=large, name="kind")(both),
        keras.layers.Dense(2, kernel_initializer=large, name="size")(both),
        keras.layers.Dense(2, activation="tanh", kernel_initializer=large, name="level")(steps),
    ]
    model = keras.Model([ids, features], heads)
    model.save(work / "model.keras")
    options = ["--target", "c", "--target", "litert", "--target", "onnx"]
    options += ["--scheme", "full-int8", "--scheme", "float16"]
    options += ["--data", str(write_pairs(work / "rows.npz"))]
    return options, list(drawn_pairs(draw))


def write_pairs(path: Path) -> Path:
    """Write rows of the same kind, by which integers are calibrated."""
    rows = list(drawn_pairs(np.random.default_rng(SEED + 1), rows=256))
    np.savez(
        path,
        x_0=np.array([row["ids"] for row in rows], np.int32),
        x_1=np.array([row["features"] for row in rows], np.float32),
    )
    return path


def drawn_pairs(draw: np.random.Generator, *, rows: int = 10) -> Iterator[dict[str, Any]]:
    """Draw ids, some of them padded, beside features of another length."""
    for number in range(rows):
        ids = draw.integers(1, 80, 10)
        ids[: number % 4] = 0
        features = draw.normal(0, 1.5, (7, 4)).astype(np.float32)
        yield {"ids": ids.tolist(), "features": features.tolist()}


MODELS: dict[str, Callable[[Path], tuple[list[str], list[Any]]]] = {
    "text": make_text,
    "sensors": make_sensors,
    "several": make_several,
}


if __name__ == "__main__":
    unknown = [name for name in sys.argv[1:] if name not in MODELS]
    if unknown:
        sys.exit(f"usage: python {sys.argv[0]} [{' | '.join(MODELS)}]...")
    main(sys.argv[1:] or list(MODELS))
