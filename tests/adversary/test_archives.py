"""Archives that have two readings are refused, and none unpacks to more than its reader allows."""

import gzip
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from gatelet.convert.parity.files.parts import _named_in
from gatelet.convert.parity.texts.copies import read_copy
from gatelet.convert.reading.files import read_keras_file, read_loss
from gatelet.errors import DataError, ModelError
from gatelet.runtime.archives import TooLarge, Unpacked, read_member, twice_in
from gatelet.runtime.data import arrays, lines
from gatelet.runtime.data.arrays import read_arrays
from gatelet.runtime.data.dataset import read
from tests.adversary import keras_files as files

MEBIBYTE = 2**20


def _append(path: Path, name: str, data: bytes) -> None:
    """Add a member to an archive, of a name that it may have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, data)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return files.save(tmp_path / "model.keras", files.head(1))


@pytest.mark.parametrize(
    "name", ["model.weights.h5", "config.json", "metadata.json", "assets/words.txt"]
)
@pytest.mark.parametrize("slash", ["/", "\\"])
def test_a_keras_file_with_a_member_twice_is_refused(name: str, slash: str, model: Path) -> None:
    if name.startswith("assets"):
        _append(model, name, b"a")
    read_keras_file(model)
    with zipfile.ZipFile(model) as archive:
        content = archive.read(name)
    _append(model, name.replace("/", slash), content)
    for reads in (read_keras_file, read_loss):
        with pytest.raises(ModelError, match=f"is refused: it holds '{name}' twice"):
            reads(model)


@pytest.mark.parametrize("added", [("x.npy",), ("y",), ("z.npy", "z")])
def test_arrays_of_one_name_are_refused(added: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, x=np.zeros((2, 3, 1), np.float32), y=np.zeros(2, np.int32))
    read_arrays(path)
    content = io.BytesIO()
    np.save(content, np.ones((2, 3, 1), np.float32))
    for name in added:
        _append(path, name, content.getvalue())
    with pytest.raises(DataError, match=f"has two arrays '{added[0][0]}"):
        read_arrays(path)


@pytest.mark.parametrize("name", ["gatelet.json", "vocab.txt"])
def test_what_lies_twice_behind_a_litert_file_is_no_copy(name: str, tmp_path: Path) -> None:
    path, digest = tmp_path / "model.tflite", "a" * 64
    path.write_bytes(b"TFL3")
    about = json.dumps({"vectorizer_sha256": digest}).encode()
    _append(path, "gatelet.json", about)
    _append(path, "vocab.txt", b"\n[UNK]\nw1\n")
    copy = read_copy("litert", path)
    assert copy is not None and copy.sha256 == digest == _named_in(path, "vectorizer")
    _append(path, name, about)
    copy = read_copy("litert", path)
    assert copy is not None and copy.sha256 == "" and _named_in(path, "vectorizer") in ("", digest)


def _bomb(size_bytes: int, head: bytes, line: bytes) -> bytes:
    return gzip.compress(head + line * (size_bytes // len(line)))


BOMBS: dict[str, Callable[[int], bytes]] = {
    "a.csv.gz": lambda size: _bomb(size, b"text,label\n", b"a,1\n"),
    "b.tsv.gz": lambda size: _bomb(size, b"text\tlabel\n", b" "),  # a line without an end
    "c.jsonl.gz": lambda size: _bomb(size, b"", b"\n"),
    "d.csv": lambda size: _bomb(size, b"text,label\n", b"\n"),  # gzip by its content
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_unpacks_to_much_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "UNPACKED_BYTES", MEBIBYTE)
    path = tmp_path / name
    path.write_bytes(BOMBS[name](2 * MEBIBYTE))
    with pytest.raises(DataError, match=r"unpacks to more than 1,048,576 bytes.*gunzip"):
        read(path)


def test_a_file_that_unpacks_within_the_bound_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "UNPACKED_BYTES", 2**10)
    generator = np.random.default_rng(0)
    words = generator.integers(0, 10**6, (2000, 6)).astype(str).tolist()
    rows = "".join(f"{' '.join(row)},{row[0][-1]}\n" for row in words)
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(f"text,label\n{rows}".encode()))
    assert len(read(path)) == 2000


@pytest.mark.parametrize("at_once", [1, 7, 4096])
def test_no_more_than_the_bound_is_ever_unpacked(at_once: int) -> None:
    with gzip.open(io.BytesIO(gzip.compress(b"\0" * MEBIBYTE))) as stream:
        bounded = io.BufferedReader(Unpacked(stream, 10_000), at_once)  # type: ignore[arg-type]
        with pytest.raises(TooLarge, match="more than 10,000 bytes"):
            bounded.readline()
        assert stream.tell() <= 10_000 + io.DEFAULT_BUFFER_SIZE


@pytest.mark.parametrize("name", ["x", "y", "unused"])
def test_arrays_that_unpack_to_much_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rows = tmp_path / "rows.npz", np.zeros((2, 3, 1), np.float32)
    given = {"x": rows, "y": rows[:, 0, 0], "unused": rows}
    np.savez_compressed(path, **{**given, name: np.zeros((2, MEBIBYTE), np.float32)})  # type: ignore[arg-type]
    assert len(read_arrays(path)) == 2  # within what a file may have in any case
    monkeypatch.setattr(arrays, "UNPACKED_BYTES", MEBIBYTE)
    with pytest.raises(DataError, match=r"is refused: its arrays have .* numpy.savez"):
        read_arrays(path)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "assets/words.txt"])
def test_a_keras_file_that_unpacks_to_much_is_refused(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b" " * (2 * MEBIBYTE))
        if name != "config.json":
            archive.writestr("config.json", "{}")
    with pytest.raises(ModelError):
        read_keras_file(tmp_path / "m.keras")


def test_weights_that_unpack_to_much_are_refused(model: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        table = np.zeros((files.V, 2**19), np.float32)
        file.create_dataset("layers/embedding/vars/0", data=table, compression="gzip")
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(tmp_path / "m.keras", "w") as new:
        for name in ("config.json", "metadata.json"):
            new.writestr(name, old.read(name))
        new.writestr("model.weights.h5", buffer.getvalue())
    with pytest.raises(ModelError, match=r"claim .* bytes, and .* are stored"):
        read_keras_file(tmp_path / "m.keras")


def test_a_member_is_read_up_to_its_limit() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"\0" * 100)
        archive.writestr("b", b"")
    with zipfile.ZipFile(content) as archive:
        assert twice_in(archive) == ""
        assert read_member(archive, "a", 100) == b"\0" * 100
        with pytest.raises(TooLarge, match="'a' unpacks to more than 99 bytes"):
            read_member(archive, "a", 99)
