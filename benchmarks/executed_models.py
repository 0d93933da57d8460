"""The three models of `executed_faults.py`, trained on made data, and what each is converted with.

Not a test.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

WORDS = tuple(f"{first}{last}" for first in "bdgklmn" for last in ("an", "eu", "or", "ix", "ÖL"))
TIMESTEPS, FEATURES, ROWS = 10, 3, 240
WIDTH = 32
"""Of embeddings: kernels of 1,024 numbers or more, as smaller ones stay float32."""
NOISE, EPOCHS = 0.2, 6
"""The models are not sure, so that their scores spread."""
TEXTS, SENSOR, TAGGER = "texts", "sensor", "tagger"


@dataclass(frozen=True)
class Conversion:
    """A model that is converted.

    Args:
        write: Writes the model, its rows and its vectorizer to a folder.
        targets: What it is converted to.
        words: What `gatelet convert` is given besides; files are those of the folder.
        data: The file of its rows.
        device: What libraries of c are built for besides.
    """

    write: Callable[[Path], None]
    targets: tuple[str, ...]
    words: tuple[str, ...]
    data: str
    device: str = ""

    def arguments(self, only: Collection[str] = ()) -> list[str]:
        """Return what `gatelet convert` is given besides the model and its rows.

        Args:
            only: The targets that are made; () for all of them.
        """
        made = [one for one in self.targets if not only or one in only]
        asked = [word for one in made for word in ("--target", one)]
        device = ["--device", self.device] if self.device and "c" in made else []
        return [*self.words, *asked, *device]


def write_texts(folder: Path) -> None:
    """Write a classifier of texts with a Tokenizer: one LSTM, padding in front, not masked."""
    import keras

    texts, known = texts_of(1), [word.lower() for word in WORDS[:-4]]
    index = {word: number for number, word in enumerate(["<oov>", *known], 1)}
    kept = len(index) - 2  # as most are: the rarest words are cut
    config = {
        "num_words": kept,
        "filters": "!,.\t\n",
        "lower": True,
        "split": " ",
        "char_level": False,
        "oov_token": "<oov>",
        "document_count": ROWS,
        "word_index": json.dumps(index),
        **dict.fromkeys(("index_word", "word_counts", "word_docs", "index_docs"), "{}"),
    }
    told = json.dumps({"class_name": "Tokenizer", "config": config})
    (folder / "tokenizer.json").write_text(told, "utf-8")
    ids = np.zeros((ROWS, TIMESTEPS), np.int32)
    for row, text in zip(ids, texts, strict=True):
        found = [index.get(one.strip("!,."), 1) for one in text.lower().split()]
        found = [one if one < kept else 1 for one in found]
        row[-min(len(found), TIMESTEPS) :] = found[-TIMESTEPS:]
    y = (ids % 2 * (ids > 0)).sum(1) * 2 > (ids > 0).sum(1)
    y ^= np.random.default_rng(4).random(ROWS) < NOISE
    given = keras.Input((TIMESTEPS,), dtype="int32", name="ids")
    x = keras.layers.Embedding(len(index) + 1, WIDTH, name="words")(given)
    x = keras.layers.LSTM(18, name="lstm")(x)
    model = keras.Model(given, keras.layers.Dense(1, activation="sigmoid", name="score")(x))
    _fit(model, ids, y.astype(np.float32), "binary_crossentropy")
    model.save(folder / "model.keras")
    lines = [{"text": t, "label": str(int(one))} for t, one in zip(texts, y, strict=True)]
    _write_lines(folder / "rows.jsonl", lines)


def write_sensor(folder: Path) -> None:
    """Write a classifier of features that streams: GRU, LSTM, three labels."""
    import keras

    rng = np.random.default_rng(2)
    x = rng.normal(0, 1.5, (ROWS, TIMESTEPS, FEATURES)).astype(np.float32)
    noise = rng.normal(0, 2, (ROWS, FEATURES))
    y = (x[:, -4:].sum(1) + noise).argmax(1).astype(np.int32)
    given = keras.Input((TIMESTEPS, FEATURES), name="features")
    made = keras.layers.GRU(20, return_sequences=True, name="gru")(given)
    made = keras.layers.LSTM(17, name="lstm")(made)
    model = keras.Model(given, keras.layers.Dense(3, activation="softmax", name="scores")(made))
    _fit(model, x, y, "sparse_categorical_crossentropy")
    model.save(folder / "model.keras")
    np.savez(folder / "rows.npz", x=x, y=y)


def write_tagger(folder: Path) -> None:
    """Write a tagger with a TextVectorization layer, and a second output of several labels."""
    import keras

    texts = texts_of(3)
    vectorization = keras.layers.TextVectorization(
        output_sequence_length=TIMESTEPS,
        vocabulary=[word.lower() for word in WORDS[:-4]],
        name="words_to_ids",
    )
    ids = np.asarray(vectorization(np.array(texts)))
    given = keras.Input((1,), dtype="string", name="texts")
    table = keras.layers.Embedding(len(WORDS) - 2, WIDTH, mask_zero=True, name="words")
    x = table(vectorization(given))
    x = keras.layers.Bidirectional(keras.layers.LSTM(16, return_sequences=True), name="both")(x)
    tags = keras.layers.Dense(3, activation="softmax", name="tags")(x)
    last = keras.layers.GRU(19, name="gru")(x)
    topics = keras.layers.Dense(2, activation="sigmoid", name="topics")(last)
    model = keras.Model(given, [tags, topics])
    before = np.concatenate([np.zeros((ROWS, 1), int), ids[:, :-1]], 1)
    told = np.stack([(ids % 5 == k).any(1) for k in (2, 3)], 1)
    told ^= np.random.default_rng(6).random(told.shape) < NOISE
    wanted = [(ids + before) % 3, told.astype(np.float32)]
    inner = keras.Input((TIMESTEPS,), dtype="int64")
    trained = keras.Model(inner, _again(model, inner))
    _fit(trained, ids, wanted, ["sparse_categorical_crossentropy", "binary_crossentropy"])
    model.save(folder / "model.keras")
    _write_lines(folder / "rows.jsonl", [{"text": text} for text in texts])


def _again(model: Any, ids: Any) -> Any:
    """Call the layers behind a TextVectorization with ids."""
    x = model.get_layer("both")(model.get_layer("words")(ids))
    return [model.get_layer("tags")(x), model.get_layer("topics")(model.get_layer("gru")(x))]


def texts_of(seed: int) -> list[str]:
    """Draw texts: unknown words, capitals and signs too, some longer than the model reads."""
    rng = np.random.default_rng(seed)
    signs = np.array([" ", " ", " ", ", ", ". ", "! "])
    return [
        "".join(
            (word.upper() if rng.random() < 0.1 else word) + str(rng.choice(signs))
            for word in rng.choice(WORDS, rng.integers(1, TIMESTEPS + 5))
        )
        for _ in range(ROWS)
    ]


def _fit(model: Any, x: Any, y: Any, loss: str | Sequence[str]) -> None:
    import keras

    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss)
    model.fit(x, y, epochs=EPOCHS, batch_size=32, verbose=0)


def _write_lines(path: Path, lines: Sequence[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(one) + "\n" for one in lines), "utf-8")


CONVERSIONS = {
    TEXTS: Conversion(
        write_texts,
        ("c", "litert", "onnx", "tflm", "onnx-text"),
        (
            *("--vectorizer", "tokenizer.json", "--labels", "0,1", "--stream"),
            *("--scheme", "all"),
        ),
        "rows.jsonl",
        "raspberry-pi-4",
    ),
    SENSOR: Conversion(
        write_sensor,
        ("c", "litert", "onnx", "tflm"),
        ("--labels", "0,1,2", "--stream", "--scheme", "all"),
        "rows.npz",
    ),
    TAGGER: Conversion(
        write_tagger,
        ("c", "litert", "onnx"),
        (
            *("--labels", "tags=A,B,C", "--labels", "topics=news,sport", "--multi-label"),
            *("--scheme", "float32", "--scheme", "dynamic-int8"),
        ),
        "rows.jsonl",
    ),
}


def write_models(folder: Path) -> None:
    """Write those models that are not there yet, each to a folder of its name."""
    for number, (name, one) in enumerate(CONVERSIONS.items()):
        made = folder / name
        if made.exists():
            continue
        import keras

        keras.utils.set_random_seed(number)
        stage = folder / f"{name}-stage"
        stage.mkdir(parents=True, exist_ok=True)
        one.write(stage)
        stage.rename(made)
