"""Each way from a text to another decision than the model's is seen by parity.

Words or settings that differ in one copy of the vectorizer, and one that replaces the bundle's own.
Digests are repaired; where a file is compiled against its digest the exporter is faulty instead.
"""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert import convert_with_report
from gatelet.convert.bundle.writer import BundleWriter
from gatelet.convert.exporters.c import export as export_c
from gatelet.convert.exporters.c.vocabulary import write_vocabulary
from gatelet.convert.exporters.identity import vocabulary_lines
from gatelet.convert.parity import ParityReport
from gatelet.convert.parity.texts.copies import differences, read_copy
from gatelet.convert.proving import prove
from gatelet.convert.rows.vocabulary import vocabulary_sha256
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.data import dataset
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.graph.interface import interface_to_dict
from gatelet.runtime.predictor import scoring
from gatelet.runtime.predictor.batches import text_batches
from gatelet.runtime.predictor.loading import load
from gatelet.runtime.predictor.predictor import Predictor
from gatelet.runtime.vectorizer.opening import AnyVectorizer, load_vectorizer
from gatelet.runtime.vectorizer.text_vectorization import TextVectorization
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.adversary.text_models import (
    WORDS,
    build_quickly,
    change_file,
    convert_texts,
    failed,
    in_json,
    read_manifest,
    texts_of,
    write_manifest,
    write_model,
    write_regression,
)
from tests.shared import made_once

WORD_BY_WORD = Vectorizer.fit(
    [*texts_of(WORDS), " ".join(WORDS)], num_words=None, maxlen=10, oov_token="<oov>"
)
CHARACTERS = Vectorizer.fit([*texts_of(WORDS), "vwxyz"], num_words=None, maxlen=24, char_level=True)
DROPPING = replace(WORD_BY_WORD, oov_token=None, oov_id=None, padding="post", truncating="post")
LAYER = TextVectorization(
    standardize="lower_and_strip_punctuation",
    split="whitespace",
    ngrams=None,
    maxlen=10,
    vocabulary={"": 0, "[UNK]": 1, **{word: n for n, word in enumerate(WORDS, 2)}},
)

Change = Callable[[Any], Any]


def last_words(vectorizer: AnyVectorizer) -> list[str]:
    """Return the two words of the highest ids: no text holds them."""
    return sorted(vectorizer.vocabulary, key=vectorizer.vocabulary.__getitem__)[-2:]


def swapped(vectorizer: Any) -> Any:
    """Exchange the ids of the last words."""
    one, other = last_words(vectorizer)
    ids = vectorizer.vocabulary
    return replace(vectorizer, vocabulary={**ids, one: ids[other], other: ids[one]})


def setting(**fields: Any) -> Change:
    return lambda vectorizer: replace(vectorizer, **fields)


def other_word(vectorizer: Any) -> Any:
    """Let one word be another: what the training knew is unknown."""
    _, last = last_words(vectorizer)
    words = {w if w != last else f"{w}x": i for w, i in vectorizer.vocabulary.items()}
    return replace(vectorizer, vocabulary=words)


@pytest.fixture(scope="module", autouse=True)
def quick_libraries() -> Iterator[None]:
    """Compile C for one level: which of them runs is no matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_c, "build_libraries", build_quickly)
        yield


# ---- the reader in C ---------------------------------------------------------------------------

IN_C: dict[str, tuple[AnyVectorizer, Change]] = {
    "two words' ids": (WORD_BY_WORD, swapped),
    "one word": (WORD_BY_WORD, other_word),
    "a filter": (WORD_BY_WORD, setting(filters=WORD_BY_WORD.filters.replace("!", ""))),
    "case": (WORD_BY_WORD, setting(lower=False)),
    "the unknown id": (WORD_BY_WORD, setting(oov_token="<unknown>", oov_id=0)),
    "no unknown id": (WORD_BY_WORD, setting(oov_token=None, oov_id=None)),
    "the side that is cut": (WORD_BY_WORD, setting(truncating="post")),
    "the side that is padded": (DROPPING, setting(padding="pre")),
    "the separator": (DROPPING, setting(split="  ")),
    "two characters": (CHARACTERS, swapped),
    "characters' case": (CHARACTERS, setting(lower=False)),
    "two words of a layer": (LAYER, swapped),
    "a layer's punctuation": (LAYER, setting(standardize="lower")),
}


def break_c(monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    """Let the exporter of c write another vectorizer."""
    monkeypatch.setattr(export_c, "write_vocabulary", lambda one: write_vocabulary(change(one)))


@pytest.mark.parametrize("name", IN_C)
def test_a_reader_in_c_that_differs_fails(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectorizer, change = IN_C[name]
    break_c(monkeypatch, change)
    _, report = convert_texts(tmp_path, vectorizer, ("c",))
    seen = failed(report, "c")
    assert "vocabulary" in seen
    if change is not swapped:
        return
    # no text holds these words, so nothing but the check of every word can tell
    assert set(seen) - {"golden_texts"} == {"vocabulary"}
    assert vectorizer is CHARACTERS or "golden_texts" not in seen
    one, other = last_words(vectorizer)
    number = vectorizer.vocabulary_size - 1
    assert seen["vocabulary"].figure == 2
    assert seen["vocabulary"].note == (
        f"{one!r} gives the id {number} ({other!r}), expected {number - 1} ({one!r}); "
        f"{other!r} gives the id {number - 1} ({one!r}), expected {number} ({other!r})"
    )


def test_texts_have_one_reader_however_many_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_c(monkeypatch, setting(lower=False))
    bundle, _ = convert_texts(tmp_path, WORD_BY_WORD, ("c",))
    predictor = load(bundle, target="c", scheme="float32")
    texts = [text.upper() for text in texts_of(WORDS)]
    together = np.array(predictor.scores(texts))
    assert len(texts) > 64
    alone = np.array([predictor.scores([text])[0] for text in texts])
    assert np.abs(together - alone).max() < 1e-6
    in_python = np.array(predictor.scores([WORD_BY_WORD.pad(text) for text in texts]))
    assert np.abs(together - in_python).max() > 1e-3


# ---- one changed file of a bundle --------------------------------------------------------------


@pytest.fixture(scope="module")
def converted(quick_libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a bundle that has every copy which needs no TensorFlow, and its rows."""
    return made_once(
        tmp_path_factory,
        "adversary-texts",
        lambda folder: convert_texts(folder, WORD_BY_WORD, ("c", "onnx", "onnx-text"), labels=True),
    )


@pytest.fixture
def bundle(converted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(converted / "bundle", tmp_path / "bundle"))


@pytest.fixture
def rows(converted: Path) -> Dataset:
    return dataset.read(converted / "texts.jsonl", text_column="text", label_column="label")


def judged(bundle: Path, rows: Dataset | Arrays | None = None) -> ParityReport:
    return prove(open_bundle(bundle), rows, with_keras=False)


def test_the_untouched_bundle_passes_every_check(bundle: Path, rows: Dataset) -> None:
    for report in (judged(bundle, rows), judged(bundle)):
        checks = {(one.target, c.name): c for one in report.artifacts for c in one.checks}
        assert {c.verdict for c in checks.values()} <= {"pass", "shown", "not checked"}
        for target in ("c", "onnx", "onnx-text"):
            for name in ("vectorizer", "vocabulary"):
                assert (checks[target, name].figure, checks[target, name].note) == (
                    0,
                    "400 entries",
                )
            assert ((target, "same_rows") in checks) != report.made_up
        assert ("onnx-text", "text_ids") in checks


# the vectorizer in an onnx file


def in_onnx(change: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        import onnx

        model = onnx.load_from_string(data)
        change(model)
        return bytes(model.SerializeToString())

    return edit


def attribute(model: Any, op: str, name: str) -> Any:
    (node,) = (one for one in model.graph.node if one.op_type == op)
    return next(one for one in node.attribute if one.name == name)


def swap_ids(model: Any) -> None:
    ids = attribute(model, "LabelEncoder", "values_int64s").ints
    ids[-1], ids[-2] = ids[-2], ids[-1]


def change_key(model: Any) -> None:
    attribute(model, "LabelEncoder", "keys_strings").strings[-1] = b"other"


def change_default(model: Any) -> None:
    attribute(model, "LabelEncoder", "default_int64").i = 5


def change_separators(model: Any) -> None:
    strings = attribute(model, "Tokenizer", "separators").strings
    strings[0] = strings[0].replace(rb"\x{21}", b"")


def change_padding_value(model: Any) -> None:
    import onnx

    expand = next(one for one in model.graph.node if one.op_type == "Expand")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([9]), "nine"))
    expand.input[0] = "nine"


def change_settings(model: Any) -> None:
    (told,) = (one for one in model.metadata_props if one.key == "gatelet.vectorizer")
    told.value = told.value.replace('"padding": "pre"', '"padding": "post"')


def change_digest(model: Any) -> None:
    (told,) = (one for one in model.metadata_props if one.key == "gatelet.vectorizer_sha256")
    told.value = "0" * 64


@pytest.mark.parametrize(
    ("target", "change", "said"),
    [
        ("onnx-text", swap_ids, "gives the id"),
        ("onnx-text", change_key, "gives the id 1 (no word), expected 401"),
        ("onnx-text", change_default, "unknown words have the id 5 in the file, expected 1"),
        ("onnx-text", change_separators, "expected"),
        ("onnx-text", change_padding_value, "expected"),
        ("onnx", change_settings, "the file says padding 'post', the vectorizer 'pre'"),
        ("onnx", change_digest, "the file was made with another vectorizer: 000000000000, the"),
    ],
)
def test_a_copy_in_an_onnx_file_that_differs_fails(
    bundle: Path, target: str, change: Callable[[Any], None], said: str
) -> None:
    (artifact,) = (one for one in open_bundle(bundle).artifacts if one.target == target)
    change_file(bundle, artifact.path, in_onnx(change))
    report = judged(bundle)
    assert said in failed(report, target)["vocabulary"].note
    others = {one.target for one in report.artifacts if one.verdict == "fail"}
    assert others == {target}


# the vectorizer of the bundle


def change_vectorizer(bundle: Path, change: Change) -> Vectorizer:
    path = open_bundle(bundle).part("vectorizer")
    assert path is not None
    changed: Vectorizer = change(load_vectorizer(path))
    change_file(bundle, path.name, lambda data: changed.to_json().encode())
    return changed


def shuffle_words(bundle: Path) -> Vectorizer:
    """Let all words of the bundle's vectorizer change places that golden texts do not hold."""
    golden = open_bundle(bundle).golden()
    assert golden is not None
    (ids,) = golden.inputs.values()
    kept = {number for row in ids for number in row}

    def shuffled(vectorizer: Any) -> Any:
        free = {word: i for word, i in vectorizer.vocabulary.items() if i not in kept}
        assert len(free) > 200
        numbers = list(free.values())
        moved = dict(zip(free, [*numbers[7:], *numbers[:7]], strict=True))
        return replace(vectorizer, vocabulary={**vectorizer.vocabulary, **moved})

    return change_vectorizer(bundle, shuffled)


def test_a_shuffled_vocabulary_fails_on_the_data_of_the_conversion(
    bundle: Path, rows: Dataset
) -> None:
    shuffle_words(bundle)
    report = judged(bundle, rows)
    for target in ("c", "onnx", "onnx-text"):
        found = failed(report, target)
        assert {"vectorizer", "vocabulary", "same_rows"} <= set(found)
        assert "and was 0.8 at conversion on the same rows" in found["same_rows"].note


@pytest.mark.parametrize(
    ("kept", "target", "name", "said"),
    [
        ("manifest", "onnx", "vectorizer", "in the manifest "),
        ("golden", "onnx", "vectorizer", "in the golden vectors "),
        ("", "onnx", "vocabulary", "the file was made with another vectorizer"),
        ("", "onnx-text", "vocabulary", "gives the id"),
        ("", "c", "vocabulary", "gives the id"),
    ],
)
def test_a_shuffled_vocabulary_fails_without_data_by_each_copy_alone(
    bundle: Path, kept: str, target: str, name: str, said: str
) -> None:
    digest = vocabulary_sha256(shuffle_words(bundle).vocabulary)
    manifest = read_manifest(bundle)
    if kept != "manifest":
        manifest["provenance"]["vocabulary_sha256"] = digest
    manifest["artifacts"] = [one for one in manifest["artifacts"] if one["target"] == target]
    write_manifest(bundle, manifest)
    if kept != "golden":
        change_file(bundle, manifest["golden"], in_json(vocabulary_sha256=digest))
    found = failed(judged(bundle), target)
    assert said in found[name].note
    if target == "c":  # no text was judged, so nothing else could tell
        assert set(found) == {"vocabulary"}


@pytest.mark.parametrize(
    "change",
    [
        setting(lower=False),
        setting(filters=""),
        setting(truncating="post"),
        setting(maxlen=9),
        setting(oov_token="<unknown>", oov_id=0),
        swapped,
        other_word,
    ],
)
def test_another_vectorizer_fails_every_artifact(bundle: Path, change: Change) -> None:
    change_vectorizer(bundle, change)
    report = judged(bundle)
    assert {one.verdict for one in report.artifacts} == {"fail"}


@pytest.mark.parametrize(
    ("change", "name"),
    [(swapped, "vectorizer"), (other_word, "vectorizer"), (setting(lower=False), "ids")],
)
def test_a_bundle_without_a_graph_is_held_to_its_words_too(
    bundle: Path, change: Change, name: str
) -> None:
    manifest = read_manifest(bundle)
    manifest["interface"] = interface_to_dict(open_bundle(bundle).graph())
    manifest |= {"graph": None, "weights": None}
    manifest["artifacts"] = [one for one in manifest["artifacts"] if one["target"] == "onnx"]
    write_manifest(bundle, manifest)
    assert failed(judged(bundle), "onnx") == {}
    change_vectorizer(bundle, change)
    assert set(failed(judged(bundle), "onnx")) == {name}


def test_a_bundle_that_noted_no_figure_has_those_of_its_artifacts(
    bundle: Path, rows: Dataset
) -> None:
    """Bundles of an older gatelet."""
    manifest = read_manifest(bundle)
    del manifest["provenance"]["judged"], manifest["provenance"]["vocabulary_sha256"]
    write_manifest(bundle, manifest)
    untouched = judged(bundle, rows)
    assert {one.verdict for one in untouched.artifacts} == {"pass"}
    assert "same_rows" in {check.name for check in untouched.artifacts[0].checks}
    shuffle_words(bundle)
    note = failed(judged(bundle, rows), "onnx")["same_rows"].note
    assert note.endswith("and was 0.8 at conversion on the same rows")


def test_other_rows_have_no_figure_of_the_conversion(bundle: Path, rows: Dataset) -> None:
    others = rows.rows(range(1, len(rows)))
    report = judged(bundle, others)
    assert "same_rows" not in {check.name for check in report.artifacts[0].checks}


def test_a_regression_has_the_error_of_its_conversion(tmp_path: Path) -> None:
    inputs = np.random.default_rng(2).normal(size=(40, 6, 4)).astype(np.float32)
    rows = Arrays((inputs,), inputs.sum(axis=(1, 2))[:, None], "rows.npz")
    bundle, report = convert_with_report(
        write_regression(tmp_path / "model.keras"),
        tmp_path / "bundle",
        targets=("onnx",),
        schemes=("float32",),
        data=rows,
        with_keras=False,
    )
    (again,) = judged(bundle.path, rows).artifacts
    assert "pass" in {check.verdict for check in again.checks if check.name == "same_rows"}
    manifest = read_manifest(bundle.path)
    assert manifest["provenance"]["judged"]["mae"] == report.quality["mae"]
    manifest["provenance"]["judged"]["mae"] *= 1.001
    write_manifest(bundle.path, manifest)
    assert set(failed(judged(bundle.path, rows), "onnx")) == {"same_rows"}


# calls as users make them


def test_a_call_of_many_texts_that_mixes_rows_up_fails(
    bundle: Path, rows: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mixed(vectorizer: Any, texts: list[str], **settings: Any) -> Any:
        return text_batches(vectorizer, texts if len(texts) < 65 else texts[::-1], **settings)

    monkeypatch.setattr(scoring, "text_batches", mixed)
    assert set(failed(judged(bundle, rows), "onnx")) == {"text_scores"}


def test_a_call_of_one_text_that_is_padded_otherwise_fails(
    bundle: Path, rows: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = scoring.Scorer._ids
    monkeypatch.setattr(scoring.Scorer, "_ids", lambda *given: right(*given)[::-1])
    assert set(failed(judged(bundle, rows), "onnx")) == {"text_scores", "golden_texts"}


@pytest.mark.parametrize("target", ["c", "onnx", "onnx-text"])
def test_labels_that_calls_of_texts_give_otherwise_fail(
    bundle: Path, rows: Dataset, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    right = Predictor.predict

    def predict(self: Predictor, inputs: Any) -> Any:
        found = right(self, inputs)
        other = {"0": "1", "1": "0"}
        swap = self.target == target and len(found) == 3
        return [replace(one, label=other[str(one.label)]) if swap else one for one in found]

    monkeypatch.setattr(Predictor, "predict", predict)
    report = judged(bundle, rows)
    assert set(failed(report, target)) == {"text_labels"}
    assert {one.target for one in report.artifacts if one.verdict == "fail"} == {target}


# ---- the conversion itself ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (swapped, "has the id 400 in the bundle, 401 in its source"),
        (other_word, "has the id None in the bundle"),
        (setting(lower=False), "the source says lower True, the vectorizer False"),
        (setting(maxlen=9), "the source says maxlen 10, the vectorizer 9"),
    ],
)
def test_a_bundle_with_other_words_than_its_source_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, said: str
) -> None:
    right = BundleWriter.add_part

    def add_part(self: BundleWriter, key: str, stem: str, suffix: str, data: bytes) -> Path:
        if key == "vectorizer":
            data = change(Vectorizer.from_json(data)).to_json().encode()
        return right(self, key, stem, suffix, data)

    monkeypatch.setattr(BundleWriter, "add_part", add_part)
    _, report = convert_texts(tmp_path, WORD_BY_WORD, ("onnx",))
    assert said in failed(report, "onnx")["vectorizer"].note


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (swapped, "has the id 400 in the bundle, 401 in its source"),
        (other_word, "has the id None in the bundle, 401 in its source"),
        (setting(split="character"), "the source says split 'whitespace', the vectorizer"),
    ],
)
def test_a_layer_that_the_keras_file_has_is_the_source_of_every_later_parity(
    tmp_path: Path, change: Change, said: str
) -> None:
    settings = {
        "name": "reading",
        "standardize": LAYER.standardize,
        "split": LAYER.split,
        "output_mode": "int",
        "output_sequence_length": LAYER.maxlen,
        "vocabulary": ["", "[UNK]", *WORDS],
    }
    model = write_model(tmp_path / "model.keras", LAYER, settings)
    bundle, _ = convert_with_report(
        model, tmp_path / "bundle", targets=("onnx",), schemes=("float32",), with_keras=False
    )
    assert failed(judged(bundle.path), "onnx") == {}
    changed = change_vectorizer(bundle.path, change)
    # all that noted the words is repaired
    digest = vocabulary_sha256(changed.vocabulary)
    manifest = read_manifest(bundle.path)
    manifest["provenance"]["vocabulary_sha256"] = digest
    write_manifest(bundle.path, manifest)
    repaired = in_json(vocabulary_sha256=digest, texts=None)
    change_file(bundle.path, manifest["golden"], repaired)
    found = failed(judged(bundle.path), "onnx")
    assert said in found["vectorizer"].note


# ---- copies in files of litert -----------------------------------------------------------------


def litert_file(path: Path, vectorizer: AnyVectorizer, lines: bytes) -> Path:
    """Write what comes after a flatbuffer."""
    settings = json.loads(vectorizer.to_json())
    del settings["vocabulary"]
    digest = hashlib.sha256(vectorizer.to_json().encode()).hexdigest()
    path.write_bytes(b"TFL3" * 9)
    with zipfile.ZipFile(path, "a") as archive:
        about = {"vectorizer": settings, "vectorizer_sha256": digest}
        archive.writestr("gatelet.json", json.dumps(about))
        archive.writestr("vocab.txt", lines)
    return path


ODD = replace(
    WORD_BY_WORD,
    vocabulary={
        word: number
        for number, word in enumerate(("a\\b", "\\n", "c\nd", "\r", "e\ud800", "\\ud800", "ß"), 2)
    },
)


@pytest.mark.parametrize("vectorizer", [WORD_BY_WORD, LAYER, CHARACTERS, ODD])
def test_the_lines_of_a_litert_file_are_read_as_they_are_written(
    tmp_path: Path, vectorizer: AnyVectorizer
) -> None:
    path = litert_file(tmp_path / "model.tflite", vectorizer, vocabulary_lines(vectorizer))
    copy = read_copy("litert", path)
    assert copy is not None
    assert copy.words is not None
    assert copy.settings is not None
    assert len(copy.words) == len([word for word in vectorizer.vocabulary if word])
    assert differences(copy, vectorizer, vectorizer.to_json().encode()) == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [*lines[:-2], lines[-1], lines[-2]], "has the id 401 in the file, 400 in"),
        (lambda lines: lines[:-1], "has the id None in the file, 401 in the vectorizer"),
        (lambda lines: [*lines, b"more"], "'more' has the id 402 in the file, None in the"),
        (lambda lines: [b"", *lines], "has the id 3 in the file, 2 in the vectorizer"),
    ],
)
def test_the_lines_of_a_litert_file_are_compared(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    lines = change(vocabulary_lines(WORD_BY_WORD).split(b"\n")[:-1])
    path = litert_file(tmp_path / "model.tflite", WORD_BY_WORD, b"\n".join(lines) + b"\n")
    copy = read_copy("litert", path)
    assert copy is not None
    found = differences(copy, WORD_BY_WORD, WORD_BY_WORD.to_json().encode())
    assert said in next(iter(found.values()))


def test_a_litert_file_without_metadata_tells_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"TFL3" * 9)
    assert read_copy("litert", path) is None
