"""Reading, de-duplicating, splitting and writing of labelled texts."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gatelet.errors import DataError
from gatelet.runtime.data.dataset import (
    Dataset,
    Dropped,
    deduplicate,
    read,
    require_two_labels,
    sha256_of,
    split,
    write_jsonl,
)

TEXTS = ("a good film", 'she said "no", twice', "two\nlines", "tab\there", "", "naïve 映画 😀")
LABELS = ("1", "0", "0", "1", "1", "0")
FILE_NAMES = [
    "d.csv",
    "d.tsv",
    "d.jsonl",
    "d.ndjson",
    "d.json",
    "d.csv.gz",
    "d.tsv.gz",
    "D.JSONL.GZ",
]


def put(path: Path, content: str | bytes) -> Path:
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if path.suffix.lower() == ".gz" else raw)
    return path


def delimited(rows: list[tuple[str, str]], delimiter: str, end: str = "\r\n") -> str:
    def quoted(field: str) -> str:
        return '"' + field.replace('"', '""') + '"'

    table = [("text", "label"), *rows]
    return "".join(delimiter.join(map(quoted, row)) + end for row in table)


def content_for(name: str) -> str:
    rows = list(zip(TEXTS, LABELS, strict=True))
    if "csv" in name or "tsv" in name:
        return delimited(rows, "," if "csv" in name else "\t")
    return "".join(json.dumps({"label": b, "text": a, "id": 7}) + "\n" for a, b in rows)


def refusal(action: Callable[[], object]) -> DataError:
    """Run what must fail; its message is one line."""
    with pytest.raises(DataError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", FILE_NAMES)
def test_reads_every_kind_of_file(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / name, content_for(name))
    dataset = read(path)
    assert dataset == Dataset(TEXTS, LABELS, str(path))
    assert len(dataset) == 6


def test_reads_gzip_without_the_name(tmp_path: Path) -> None:
    path = put(tmp_path / "d.csv", gzip.compress(content_for("csv").encode()))
    assert read(path).texts == TEXTS


def test_reads_a_folder_per_label(tmp_path: Path) -> None:
    for name, text in [("pos/b.txt", "fine\n"), ("pos/a.txt", "good"), ("neg/a.txt", "bad")]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        put(tmp_path / name, text)
    (tmp_path / ".cache").mkdir()
    put(tmp_path / "README.md", "not a text")
    put(tmp_path / "pos" / "note.md", "not a text")
    dataset = read(tmp_path)
    assert dataset.texts == ("bad", "good", "fine\n")
    assert dataset.labels == ("neg", "pos", "pos")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_takes_every_line_end(tmp_path: Path, end: str) -> None:
    rows = [("one", "1"), ("a\rb\r\nc\nd", "0"), ("u\u2028v\x85w", "1")]
    path = put(tmp_path / "d.csv", delimited(rows, ",", end))
    assert read(path).texts == tuple(text for text, _ in rows)


def test_skips_the_byte_order_mark_and_blank_lines(tmp_path: Path) -> None:
    csv_file = put(tmp_path / "d.csv", "\ufefftext,label\n\n\ufeffx,1\n\n")
    jsonl = put(tmp_path / "d.jsonl", '\ufeff{"text": "x", "label": 1}\n\n \r\n')
    assert read(csv_file).texts == ("\ufeffx",)
    assert read(jsonl).texts == ("x",)


def test_keeps_nul_and_very_long_fields_and_the_limit_of_csv(tmp_path: Path) -> None:
    before = csv.field_size_limit(12_345)
    text = "a\x00b" * 100_000
    path = put(tmp_path / "d.csv", delimited([(text, "1")], ","))
    assert read(path).texts == (text,)
    assert csv.field_size_limit() == 12_345
    path = put(tmp_path / "d.csv", 'text,label\n"x')
    refusal(lambda: read(path))
    assert csv.field_size_limit(before) == 12_345


def test_names_other_columns(tmp_path: Path) -> None:
    path = put(tmp_path / "d.csv", "id,stars,review\n1, 5 ,good\n")
    dataset = read(path, text_column="review", label_column="stars")
    assert (dataset.texts, dataset.labels) == (("good",), ("5",))


def test_turns_json_labels_into_strings(tmp_path: Path) -> None:
    labels = [1, 0, 1.0, -0.0, 0.5, True, False, "x ", 10**20]
    lines = [json.dumps({"text": "t", "label": label}) for label in labels]
    path = put(tmp_path / "d.jsonl", "\n".join(lines))
    expected = ("1", "0", "1", "0", "0.5", "true", "false", "x", "1" + "0" * 20)
    assert read(path).labels == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.csv", "text\nx\ny\n"),
        ("d.csv", "text,label\nx,1\ny,\n"),
        ("d.jsonl", '{"text": "x"}\n{"text": "y"}\n'),
        ("d.jsonl", '{"text": "x", "label": 1}\n{"text": "y", "label": null}\n'),
    ],
)
def test_reads_without_labels_on_request_only(tmp_path: Path, name: str, content: str) -> None:
    path = put(tmp_path / name, content)
    dataset = read(path, require_labels=False)
    assert (dataset.texts, dataset.labels, dataset.label_names()) == (("x", "y"), None, ())
    refusal(lambda: read(path))


REFUSED = [
    ("d.csv", "", "'{}' is empty: expected texts and labels under the columns 'text' and 'label'"),
    ("d.csv.gz", "", "'{}' has no rows: expected texts and labels under"),
    ("d.csv", "text,label\n", "'{}' has no rows: expected texts and labels under"),
    ("d.jsonl", "\n\n", "'{}' has no rows"),
    ("d.csv", "review,label\nx,1\n", "'{}' has no column 'text'; found: 'review', 'label'; "
     "name the right one with --text-column"),
    ("d.tsv", "text\tstars\nx\t1\n", "'{}' has no column 'label'; found: 'text', 'stars'; "
     "name the right one with --label-column"),
    ("d.csv", '"no\nheader ' + "x" * 50 + '",1\n', "found: 'no\\nheader " + "x" * 30 + "...', '1'"),
    ("d.csv", ",".join(map(str, range(15))), "'11', and 3 more; name"),
    ("d.csv", "text,text,label\nx,y,1\n", "'{}' has 2 columns named 'text': expected one"),
    ("d.csv", 'text,label\n"a\nb",1\n\nx,y,1\n', "'{}' line 5: expected 2 fields, as in the "
     "header, got 3"),
    ("d.csv", "text,label\nx\n", "'{}' line 2: expected 2 fields, as in the header, got 1"),
    ("d.csv", 'text,label\nx,1\n"y,0\nz,1\n', "'{}' line 3: the row that starts here has a quote "
     "that is not closed or not doubled"),
    ("d.csv", 'text,label\n"a" b,1\n', "'{}' line 2: the row that starts here has a quote"),
    ("d.csv", "text,label\nx, \n", "'{}' line 2: the label in column 'label' is empty"),
    ("d.jsonl", '{"text": "x", "label": ""}', "'{}' line 1: the label in column 'label' is empty"),
    ("d.jsonl", '{"text": "x", "label": null}', "'{}' line 1: the label in column 'label' is"),
    ("d.jsonl", '{"text": "x"}', "'{}' line 1 has no column 'label'; found: 'text'; name the right "
     "one with --label-column"),
    ("d.jsonl", '{"label": 1}', "'{}' line 1 has no column 'text'; found: 'label'; name the right "
     "one with --text-column"),
    ("d.jsonl", "{}", "'{}' line 1 has no column 'text'; found: none;"),
    ("d.jsonl", '{"text": "x", "label": [1]}', "'{}' line 1: 'label' is a list, expected a string"),
    ("d.jsonl", '{"text": "x", "label": {}}', "'{}' line 1: 'label' is an object, expected"),
    ("d.jsonl", '{"text": "x", "label": NaN}', "'{}' line 1: 'label' is the number nan, expected"),
    ("d.jsonl", '{"text": 5, "label": 1}', "'{}' line 1: 'text' is a number, expected a string"),
    ("d.jsonl", '{"text": ["a", "b"], "label": 1}', "'{}' line 1: 'text' is a list, expected a "
        "string; join its words with spaces"),
    ("d.jsonl", '{"text": "a", "text": "b", "label": 1}', "'{}' line 1 is not JSON (it has the key "
        "'text' twice): expected one object a line"),
    ("d.csv", "text;label\nx,y;1\n", "'{}' looks separated by ';', and its name says ',': save it "
        "with commas as .csv, or with tabs as .tsv"),
    ("d.tsv", "text,label\nx,1\n", "'{}' looks separated by ',', and its name says "),
    ("d.jsonl", '{"text": null, "label": 1}', "'{}' line 1: 'text' is null, expected a string"),
    ("d.json", '[{"text": "x", "label": 1}]', "'{}' line 1: expected a JSON object such as "
     '{{"text": ..., "label": ...}}, got a list'),
    ("d.jsonl", '{"text": "x", "label": 1}\nx\n', "'{}' line 2 is not JSON (Expecting value"),
    ("d.jsonl", '{"text": ' + "[" * 100_000, "'{}' line 1 is not JSON ("),
    ("d.csv", b"text,label\nx,1\nab\xe9,0\n", "'{}' line 3: byte 0xe9 at offset 17 is not UTF-8; "
     "save the file as UTF-8"),
    ("d.csv.gz", b"\xef\xbb\xbftext\xff,label\n", "'{}' line 1: byte 0xff at offset 7 is not"),
    ("d.jsonl", b'{"text": "\xed\xa0\x80"}', "'{}' line 1: byte 0xed at offset 10 is not UTF-8"),
    ("d.csv", "text,label\nx,1".encode("utf-16"), "'{}' line 1: byte 0xff at offset 0 is not"),
    ("d.txt", "x", "the kind of '{}' is unknown: expected a name that ends in .csv, .tsv or"),
    ("d", "x", "the kind of '{}' is unknown"),
    ("d.csv.bz2", "x", "the kind of '{}' is unknown"),
    ("d.gz", "x", "the kind of '{}' is unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), REFUSED)
def test_refuses_a_file_in_one_line(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = put(tmp_path / name, content)
    error = refusal(lambda: read(path))
    assert message.format(path) in str(error)
    assert error.facts["path"] == str(path)


def test_an_error_carries_its_line(tmp_path: Path) -> None:
    path = put(tmp_path / "d.csv", "text,label\nx,1\ny\n")
    assert refusal(lambda: read(path)).facts == {
        "path": str(path),
        "line": 3,
        "expected": 2,
        "got": 1,
    }


def test_refuses_damaged_gzip(tmp_path: Path) -> None:
    whole = gzip.compress(delimited([(str(n) * 9, "1") for n in range(9999)], ",").encode())
    path = tmp_path / "d.csv.gz"
    no_deflate = whole[:10] + b"\xff" * 99
    for damaged in [whole[:-200], no_deflate, whole[:-8] + bytes(8), whole[:3], whole + b"x"]:
        path.write_bytes(damaged)
        message = str(refusal(lambda: read(path)))
        assert message.startswith(f"the gzip data of '{path}' is damaged (")
    path.write_bytes(b"text,label\n")
    assert f"'{path}' is not gzip data" in str(refusal(lambda: read(path)))


def test_refuses_a_place_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "missing.csv"
    assert str(refusal(lambda: read(missing))) == f"'{missing}' does not exist: check the path"
    (tmp_path / "labels.csv").mkdir()
    folder = refusal(lambda: read(tmp_path / "labels.csv"))
    assert "has no sub-folder: expected one a label" in str(folder)
    (tmp_path / "labels.csv" / "pos").mkdir()
    error = refusal(lambda: read(tmp_path / "labels.csv"))
    assert "the sub-folder 'pos' of" in str(error)
    assert "has no .txt file" in str(error)
    (tmp_path / "labels.csv" / "pos" / "inner").mkdir()
    error = refusal(lambda: read(tmp_path / "labels.csv"))
    assert "has no .txt file but the folders 'inner': expected one sub-folder a" in str(error)

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = put(tmp_path / "d.csv", "text,label\nx,1\n")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", deny)
        patch.setattr(Path, "iterdir", deny)
        assert f"cannot read '{path}': Permission denied" in str(refusal(lambda: read(path)))
        message = str(refusal(lambda: read(tmp_path)))
        assert f"cannot read the folder '{tmp_path}': Permission denied" in message


def test_a_text_of_a_folder_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "pos").mkdir()
    path = put(tmp_path / "pos" / "1.txt", b"fine\nna\xefve")
    assert f"'{path}' line 2: byte 0xef at offset 7" in str(refusal(lambda: read(tmp_path)))


def test_orders_labels_by_value_or_else_by_letter() -> None:
    def names(*labels: str) -> tuple[str, ...]:
        return Dataset(labels, labels, "d").label_names()

    assert names("10", "9", "-1", "9") == ("-1", "9", "10")
    assert names("10", "9", "x") == ("10", "9", "x")
    assert names("pos", "neg") == ("neg", "pos")


def test_gives_the_number_of_each_label() -> None:
    dataset = Dataset(("a", "b", "c"), ("1", "0", "2"), "d.csv")
    assert dataset.label_ids(("0", "1", "2")) == [1, 0, 2]
    assert str(refusal(lambda: dataset.label_ids(("0", "1")))) == (
        "'d.csv' has the label '2' (row 3); the model knows: '0', '1'; "
        "correct the label, or train with it"
    )
    assert "'d.csv' has no labels" in str(
        refusal(lambda: Dataset(("a",), None, "d.csv").label_ids(("0", "1")))
    )


def test_a_label_must_belong_to_each_text() -> None:
    with pytest.raises(ValueError, match="2 texts but 1 labels"):
        Dataset(("a", "b"), ("1",), "d")


def test_requires_two_labels() -> None:
    assert require_two_labels(Dataset(("a", "b"), ("x", "y"), "d")) == ("x", "y")
    error = refusal(lambda: require_two_labels(Dataset(("a", "b"), ("x", "x"), "d.csv")))
    assert "'d.csv' has only the label 'x' in 2 rows: expected two labels or more" in str(error)
    error = refusal(lambda: require_two_labels(Dataset(("a", "b"), None, "d.csv")))
    assert "'d.csv' has no labels in 2 rows" in str(error)


def test_drops_copies_contradictions_and_empty_rows() -> None:
    texts = (
        "Good  film",
        "good film ",
        "bad",
        "so so",
        "SO SO",
        " \t",
        "Straße",
        "STRASSE",
        "so so",
    )
    labels = ("1", "1", "0", "0", "1", "0", "1", "1", "0")
    dataset, dropped = deduplicate(Dataset(texts, labels, "d", (("neutral", 4),)))
    assert dataset == Dataset(
        ("Good  film", "bad", "Straße"), ("1", "0", "1"), "d", (("neutral", 4),)
    )
    assert dropped == Dropped(empty=1, duplicates=2, contradictory=3)


def test_drops_copies_without_labels() -> None:
    dataset, dropped = deduplicate(Dataset(("a", "A", "b"), None, "d"))
    assert dataset == Dataset(("a", "b"), None, "d")
    assert dropped == Dropped(empty=0, duplicates=1, contradictory=0)


def test_refuses_to_be_left_with_nothing() -> None:
    error = refusal(lambda: deduplicate(Dataset(("", "a", "a"), ("1", "1", "0"), "d.csv")))
    assert "'d.csv': no row is left of 3 (1 empty, 0 duplicates, 2 of contradictory" in str(error)


def numbered(rows: int) -> Dataset:
    return Dataset(tuple(f"Text {n}" for n in range(rows)), ("0", "1") * (rows // 2), "d")


def test_splits_in_the_given_fractions_without_overlap() -> None:
    dataset = numbered(10_000)
    parts = split(dataset)
    rows = parts.rows()
    assert sum(rows.values()) == 10_000
    assert {name: round(count, -2) for name, count in rows.items()} == {
        "train": 8000,
        "validation": 1000,
        "test": 1000,
    }
    together = parts.train.texts + parts.validation.texts + parts.test.texts
    assert sorted(together) == sorted(dataset.texts)
    assert dataset.labels is not None
    label_of = dict(zip(dataset.texts, dataset.labels, strict=True))
    for part in (parts.train, parts.validation, parts.test):
        assert part.labels == tuple(label_of[text] for text in part.texts)
    assert parts.test.name == "d (test)"
    assert split(dataset, fractions=(0.5, 0, 0.5)).rows()["validation"] == 0


def test_a_texts_part_depends_on_the_text_alone() -> None:
    test = split(numbered(1000)).test
    assert test.texts[:3] == ("Text 22", "Text 35", "Text 36")  # the same in every process
    more = numbered(4000)
    assert set(split(more).test.texts) & set(numbered(1000).texts) == set(test.texts)
    turned = Dataset(tuple(f" {t.upper()}  " for t in more.texts[:1000][::-1]), None, "d")
    assert [t.strip().capitalize() for t in split(turned).test.texts][::-1] == list(test.texts)
    split(Dataset(("\ud800", *more.texts), None, "d"))


def test_refuses_a_split_with_an_empty_part() -> None:
    message = str(refusal(lambda: split(numbered(2))))
    assert "'d' has 2 rows, too few to split: the " in message


@pytest.mark.parametrize("fractions", [(0.8, 0.2), (0.9, 0.2, -0.1), (0.8, 0.1, 0.2)])
def test_fractions_must_sum_to_one(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="three that sum to 1"):
        split(numbered(100), fractions=fractions)


@pytest.mark.parametrize("labelled", [True, False])
def test_a_written_dataset_comes_back(tmp_path: Path, labelled: bool) -> None:
    texts = (*TEXTS, "\ud83d alone", "\x00\u2028\r\n\ufeff", "\ufeff")
    path = tmp_path / "part.jsonl"
    dataset = Dataset(texts, ("0", "1", "x") * 3 if labelled else None, str(path))
    write_jsonl(dataset, path)
    assert read(path, require_labels=False) == dataset
    assert list(tmp_path.iterdir()) == [path]


def test_the_hash_is_of_texts_labels_and_order() -> None:
    dataset = Dataset(("a", "b"), ("0", "1"), "d")
    known = "18f0acb47b153d0a2bc340ca40ccd52e65eecb8b465042e7f982e426e01060a3"
    assert sha256_of(dataset) == known
    assert sha256_of(Dataset(("a", "b"), ("0", "1"), "elsewhere")) == known
    others = [
        Dataset(("b", "a"), ("1", "0"), "d"),
        Dataset(("a", "b"), ("1", "0"), "d"),
        Dataset(("a", "b"), None, "d"),
        Dataset(("a", "\ud800"), ("0", "1"), "d"),
    ]
    assert len({known, *map(sha256_of, others)}) == 5
