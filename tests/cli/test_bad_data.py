"""What every command that reads a data file says of a bad one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RunCli = Callable[..., Any]
BAD = {
    "columns.csv": (b"body,stars\nw1,1\n", "' has no column 'text'; found: 'body', 'stars'; name"),
    "empty.csv": (b"", "' is empty: expected texts"),
    "header.csv": (b"text,label\n", "' has no rows: expected texts"),
    "bytes.csv": (b"text,label\nw1,0\nw\xff,1\n", "' line 3: byte 0xff at offset "),
    "bytes.jsonl": (b'{"text": "a", "label": 1}\n{"text": "\xff"}\n', "' line 2: byte 0xff at "),
    "data.gz.csv": (b"\x1f\x8b\x08\0", "gzip"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", ["train", "evaluate", "parity", "convert", "predict"])
def test_a_bad_data_file_is_one_line(
    cli: RunCli, written_bundle: Path, tmp_path: Path, command: str, name: str
) -> None:
    content, expected = BAD[name]
    path = tmp_path / name
    path.write_bytes(content)
    words: dict[str, tuple[object, ...]] = {
        "train": ("--data", path, "--out", tmp_path / "out"),
        "evaluate": (written_bundle, "--data", path),
        "parity": (written_bundle, "--data", path, "--no-keras"),
        "convert": (tmp_path / "model.keras", "--data", path, "--out", tmp_path / "out"),
        "predict": (written_bundle, "--file", path),
    }
    done = cli(command, *words[command])
    assert expected in done.complaint
    assert str(path) in done.complaint
    assert done.out == ""
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text,label\nw1,a\nw2,a\n", "has only the label 'a' in 2 rows: expected two labels"),
        ("text,stars\nw1,1\n", "has no column 'label'; found: 'text', 'stars'; name the right one"),
        ("text,label\nw1,a\nw2,b\n", "training needs 50 or more"),
    ],
)
def test_training_data_that_cannot_be_used(
    cli: RunCli, tmp_path: Path, content: str, expected: str
) -> None:
    (tmp_path / "x.csv").write_text(content)
    done = cli("train", "--data", tmp_path / "x.csv", "--out", tmp_path / "out")
    assert expected in done.complaint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text,label\nw1,0\nw2,2\n", "has the label '2' (row 2); the model knows: '0', '1'"),
        ("text\nw1\n", "has no column 'label'"),
    ],
)
def test_data_that_a_bundle_cannot_be_measured_on(
    cli: RunCli, written_bundle: Path, tmp_path: Path, content: str, expected: str
) -> None:
    (tmp_path / "x.csv").write_text(content)
    assert expected in cli("evaluate", written_bundle, "--data", tmp_path / "x.csv").complaint


@pytest.mark.parametrize("command", ["train", "convert", "quickstart"])
@pytest.mark.parametrize(
    "kind", ["other folder", "file", "missing parent", "link to nothing", "bundle"]
)
def test_an_out_that_is_something_else(
    cli: RunCli,
    tmp_path: Path,
    command: str,
    kind: str,
    tree: Callable[[Path], dict[str, bytes]],
) -> None:
    out = tmp_path / "out"
    expected = "is not a folder: choose another --out"
    if kind == "other folder":
        out.mkdir()
        (out / "precious").write_text("x")
        expected = "nothing was written; choose another --out, or empty it first"
    elif kind == "file":
        out.write_text("x")
    elif kind == "link to nothing":
        out.symlink_to(tmp_path / "nothing")
    elif kind == "bundle":
        out.mkdir()
        (out / "manifest.json").write_text('{"format_version": 1, "artifacts": []}')
        out = out / "new"
        expected = "copied and replaced as one: choose another --out beside it"
    else:
        out = tmp_path / "no" / "parent"
        expected = "does not exist: create it, or choose another --out"
    (tmp_path / "x.csv").write_text("text,label\nw1,0\nw2,1\n")
    (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
    before = tree(tmp_path)
    words: dict[str, tuple[object, ...]] = {
        "train": ("--data", tmp_path / "x.csv"),
        "convert": (tmp_path / "model.keras",),
        "quickstart": (),
    }
    done = cli(command, *words[command], "--out", out)
    assert done.complaint.endswith(expected)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--target", "bogus"), "target 'bogus' is not known; known are c, litert, onnx"),
        (
            ("--scheme", "bogus"),
            "scheme 'bogus' is not known; known are float32, float16",
        ),
        ((), "No such file or directory"),
        (("--vectorizer", "/nothing"), "cannot read the vectorizer '/nothing'"),
    ],
)
def test_a_conversion_that_cannot_begin(
    cli: RunCli, tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    done = cli("convert", tmp_path / "model.keras", "--out", tmp_path / "out", *words)
    assert expected in (done.misuse if "bogus" in words else done.complaint)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--out", "out"), "corpus"),
        (("--corpus", "bogus", "--out", "out"), "corpus 'bogus' is unknown; known: reviews-en"),
        (("--data", "x.csv"), "'out' is missing: name the run directory to write, --out RUN"),
        (("--data", "x.csv", "--out", "out", "--epochs", "0"), "'epochs' is 0; allowed: an int"),
        (("--data", "x.csv", "--out", "out", "--padding", "in"), "allowed: 'pre' or 'post'"),
        (("--config", "nothing.toml"), "cannot read 'nothing.toml': No such file or directory"),
    ],
)
def test_a_training_that_cannot_begin(
    cli: RunCli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in cli("train", *words).misuse
    assert list(tmp_path.iterdir()) == []
