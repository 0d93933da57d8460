"""The tokenizer that people have goes in, whichever form it was kept in, and gives Keras' ids."""

import json
import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from gatelet.convert.reading.vectorizer_files import Padding, read_vectorizer
from gatelet.errors import ConfigError, ModelError
from gatelet.runtime import load
from tests.late import keras, keras_text, layers
from tests.users.stand_ins import pretended

# Keras' own, with NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RunCli = Callable[..., Any]
TEXTS = ["a good film", "a bad film!", "good, good"]
WORDS = {"<OOV>": 1, "good": 2, "a": 3, "film": 4, "bad": 5}
MAXLEN = 5
IDS = [0, 3, 2, 1, 4]  # of 'A GOOD, odd film', in each form that has a place for unknown words
QUERY = "A GOOD, odd film"
STATE: Mapping[str, Any] = {
    "word_counts": OrderedDict([("a", 2), ("good", 3), ("film", 2), ("bad", 1)]),
    "word_docs": defaultdict(int, {"a": 2, "good": 2, "film": 2, "bad": 1}),
    "filters": '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n',
    "split": " ",
    "lower": True,
    "num_words": None,
    "document_count": 3,
    "char_level": False,
    "oov_token": "<OOV>",
    "index_docs": defaultdict(int, {3: 2, 2: 2, 4: 2, 5: 1}),
    "word_index": WORDS,
    "index_word": {number: word for word, number in WORDS.items()},
}
HOMES = (
    "keras.preprocessing.text.Tokenizer",
    "keras.src.preprocessing.text.Tokenizer",
    "keras.src.legacy.preprocessing.text.Tokenizer",
    "keras_preprocessing.text.Tokenizer",
    "tensorflow.python.keras.preprocessing.text.Tokenizer",
    "tf_keras.src.preprocessing.text.Tokenizer",
)
LAYER = {"name": "words", "standardize": "lower_and_strip_punctuation", "split": "whitespace"}
TOKENS = ["", "[UNK]", "good", "a", "film", "bad"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(1)
    x = keras.Input((MAXLEN,), dtype="int32")
    y = layers.LSTM(2)(layers.Embedding(6, 3)(x))
    path = tmp_path_factory.mktemp("model") / "model.keras"
    keras.Model(x, layers.Dense(1, activation="sigmoid")(y)).save(path)
    return path


def ids_of(path: Path, model: Path, **padded: Any) -> tuple[list[int], list[str]]:
    told: list[str] = []
    found = read_vectorizer(path, model, padded=Padding(**padded), progress=told.append)
    assert found is not None
    return found.pad(QUERY), told


def pickled_tokenizer(path: Path, home: str = HOMES[0], protocol: int = 4, **more: Any) -> Path:
    with pretended(home, {**STATE, **more}) as tokenizer:
        path.write_bytes(pickle.dumps(tokenizer, protocol))
    return path


@pytest.mark.parametrize("home", HOMES)
def test_a_pickled_tokenizer_of_each_home(tmp_path: Path, model: Path, home: str) -> None:
    ids, told = ids_of(pickled_tokenizer(tmp_path / "tokenizer.pickle", home), model)
    assert ids == IDS
    assert "taking maxlen 5, padding 'pre', truncating 'pre'" in told[0]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_tokenizer_of_each_protocol(tmp_path: Path, model: Path, protocol: int) -> None:
    path = pickled_tokenizer(tmp_path / "tokenizer.pkl", protocol=protocol)
    assert ids_of(path, model, padding="post")[0] == [3, 2, 1, 4, 0]


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3)])
def test_a_tokenizer_of_joblib(tmp_path: Path, model: Path, compress: Any) -> None:
    with pretended(HOMES[0], STATE) as tokenizer:
        joblib.dump(tokenizer, tmp_path / "tokenizer.joblib", compress=compress)
    assert ids_of(tmp_path / "tokenizer.joblib", model)[0] == IDS


def test_a_tokenizer_of_keras_1_has_fewer_settings(tmp_path: Path, model: Path) -> None:
    state = {"word_index": {"good": 1, "a": 2, "film": 3, "bad": 4}, "nb_words": 4, "filters": ""}
    with pretended(HOMES[0], state) as tokenizer:
        (tmp_path / "old.p").write_bytes(pickle.dumps(tokenizer, 2))
    assert ids_of(tmp_path / "old.p", model)[0] == [0, 0, 0, 2, 3]  # 'good,' is another word


def test_a_real_tokenizer_converts_and_predicts_what_keras_does(
    cli: RunCli, tmp_path: Path, model: Path
) -> None:
    tokenizer = keras_text.Tokenizer(num_words=6, oov_token="<OOV>")
    tokenizer.fit_on_texts(TEXTS)
    (tmp_path / "tokenizer.pickle").write_bytes(pickle.dumps(tokenizer))
    done = cli(
        *("convert", model, "--out", tmp_path / "out", "--target", "onnx", "--scheme", "float32"),
        *("--vectorizer", tmp_path / "tokenizer.pickle", "--no-keras"),
    )
    assert done.code == 0, done.err
    ids = keras.utils.pad_sequences(tokenizer.texts_to_sequences([QUERY]), MAXLEN)
    expected = float(keras.models.load_model(model)(ids)[0, 0])
    ((score,),) = load(tmp_path / "out").scores([QUERY])
    assert score == pytest.approx(expected, abs=1e-6)


def to_json(words: Mapping[str, int] = WORDS) -> str:
    config = {**STATE, "word_index": json.dumps(words)}
    return json.dumps({"class_name": "Tokenizer", "config": config})


FORMS: dict[str, Callable[[], str]] = {
    "tokenizer.json": to_json,
    "twice.json": lambda: json.dumps(to_json()),
    "word_index.json": lambda: json.dumps(WORDS),
    "index_word.json": lambda: json.dumps({number: word for word, number in WORDS.items()}),
}


@pytest.mark.parametrize("name", FORMS)
def test_json_of_a_tokenizer(tmp_path: Path, model: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMS[name](), "utf-8")
    assert ids_of(tmp_path / name, model)[0] == IDS


def test_a_word_index_says_what_was_taken_for_granted(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "word_index.pkl"
    path.write_bytes(pickle.dumps({**WORDS, "odd": 6, "rare": 7}))
    ids, told = ids_of(path, model)
    assert ids == IDS  # 'odd' has no row in Embedding(6)
    assert told[0] == (
        "'word_index.pkl' holds words and ids only: taking lower case, and the filters and spaces "
        "of Keras' Tokenizer; '<OOV>', which no text gives, for unknown words; ids below 6 only, "
        "the rows of the model's Embedding"
    )


LAYERS: dict[str, Callable[[], bytes]] = {
    "vocabulary.txt": lambda: "\n".join(TOKENS).encode(),
    "unpadded.txt": lambda: "\r\n".join([*TOKENS[1:], ""]).encode(),
    "words.txt": lambda: "\n".join(TOKENS[2:]).encode(),
    "list.json": lambda: json.dumps(TOKENS).encode(),
    "list.pkl": lambda: pickle.dumps(TOKENS[2:]),
    "array.pkl": lambda: pickle.dumps(np.array(TOKENS)),
    "object.pkl": lambda: pickle.dumps(np.array(TOKENS, object), 2),
    "config.json": lambda: json.dumps({"config": LAYER, "vocabulary": TOKENS}).encode(),
    "within.json": lambda: json.dumps({**LAYER, "vocabulary": TOKENS[2:]}).encode(),
    "weights.pkl": lambda: pickle.dumps({"config": LAYER, "weights": [np.array(TOKENS, object)]}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_what_is_left_of_a_text_vectorization(tmp_path: Path, model: Path, name: str) -> None:
    (tmp_path / name).write_bytes(LAYERS[name]())
    ids, told = ids_of(tmp_path / name, model)
    assert ids == [3, 2, 1, 4, 0]
    only_tokens = b"standardize" not in LAYERS[name]()
    assert [f"'{name}' holds tokens only: taking them for" in line for line in told] == (
        [True] if only_tokens else []
    )


@pytest.mark.parametrize("suffix", [".keras"])
def test_a_small_model_that_holds_the_layer(tmp_path: Path, model: Path, suffix: str) -> None:
    texts = keras.Input((1,), dtype="string")
    words = layers.TextVectorization(vocabulary=TOKENS[2:], output_sequence_length=MAXLEN)
    keras.Model(texts, words(texts)).save(tmp_path / f"words{suffix}")
    assert ids_of(tmp_path / f"words{suffix}", model)[0] == [3, 2, 1, 4, 0]
    with pytest.raises(ModelError, match="is a model without a TextVectorization layer"):
        ids_of(model, model)
    with pytest.raises(ConfigError, match="has a length of its own"):
        ids_of(tmp_path / f"words{suffix}", model, maxlen=3)


def test_what_cannot_be_kept_as_data_is_refused_by_its_name(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "t.pickle"
    pickled_tokenizer(path, analyzer=len)
    with pytest.raises(ModelError, match=r"holds 'builtins.len', which is not one of the classes"):
        ids_of(path, model)
    pickled_tokenizer(path, analyzer="words")
    with pytest.raises(ModelError, match="has an analyzer, a function of its own"):
        ids_of(path, model)
    with pretended("mine.Tokens", {"words": WORDS}) as other:
        path.write_bytes(pickle.dumps(other))
    with pytest.raises(ModelError, match=r"holds 'mine.Tokens', which is not one of the classes"):
        ids_of(path, model)
    pickled_tokenizer(path, word_index={"a": "b"})
    with pytest.raises(ModelError, match="gives 'a' the id 'b'"):
        ids_of(path, model)
    path.write_bytes(pickle.dumps({"config": LAYER, "weights": []}))
    with pytest.raises(ModelError, match=r"without its vocabulary: write get_vocabulary\(\)"):
        ids_of(path, model)
    path.write_bytes(pickle.dumps(3.5))
    with pytest.raises(ModelError, match="holds no vectorizer but a float"):
        ids_of(path, model)
    (tmp_path / "v.txt").write_text("\n".join(TOKENS))
    with pytest.raises(ConfigError, match="always pads and cuts at the end"):
        ids_of(tmp_path / "v.txt", model, padding="pre")


def test_a_pickle_as_json_no_longer_ends_in_a_codec(
    cli: RunCli, tmp_path: Path, model: Path
) -> None:
    path = tmp_path / "tokenizer.json"  # named wrongly, told by its bytes
    pickled_tokenizer(path)
    assert ids_of(path, model)[0] == IDS
    path.write_bytes(b"\xff\xfe\x00")
    done = cli("convert", model, "--out", tmp_path / "out", "--vectorizer", path)
    assert done.code == 1
    assert "expected a vectorizer.json, Tokenizer.to_json(), a pickled Tokenizer" in done.err
