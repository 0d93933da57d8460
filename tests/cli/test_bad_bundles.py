"""What every command that opens a bundle says of a bad one: one line, exit 1, nothing written."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fixture_types import EditManifest

RunCli = Callable[..., Any]
COMMANDS = {
    "predict": ("{}", "w1"),
    "inspect": ("{}",),
    "parity": ("{}", "--no-keras"),
    "evaluate": ("{}", "--data", "{}/../data.csv"),
}


@pytest.fixture(params=COMMANDS)
def complain(
    request: pytest.FixtureRequest,
    cli: RunCli,
    bundle: Path,
    tree: Callable[[Path], dict[str, bytes]],
) -> Callable[[], str]:
    """Return a function that runs a command on the bundle and gives its complaint."""
    name = request.param
    (bundle.parent / "data.csv").write_text("text,label\nw1,0\nw2,1\n")

    def run() -> str:
        before = tree(bundle)
        done = cli(name, *(word.format(bundle) for word in COMMANDS[name]))
        assert done.out == ""
        assert tree(bundle) == before
        return str(done.complaint)

    return run


def first_file(bundle: Path) -> Path:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    return bundle / str(manifest["files"][0]["path"])


def test_a_changed_byte(complain: Callable[[], str], bundle: Path) -> None:
    path = first_file(bundle)
    path.write_bytes(path.read_bytes().replace(b"LSTM", b"LSTN"))
    assert f"is damaged: '{path.name}' has sha256 " in complain()


def test_a_missing_file(complain: Callable[[], str], bundle: Path) -> None:
    first_file(bundle).unlink()
    assert "is missing: copy or convert it again" in complain()


def test_a_newer_format(
    complain: Callable[[], str], bundle: Path, edit_manifest: EditManifest
) -> None:
    edit_manifest(bundle, format_version=7)
    assert "has format_version 7, this gatelet reads up to 2: update gatelet" in complain()


def test_a_path_that_escapes(
    complain: Callable[[], str], bundle: Path, edit_manifest: EditManifest
) -> None:
    entry = {"path": "../data.csv", "bytes": 1, "sha256": "0" * 64}
    files = json.loads((bundle / "manifest.json").read_bytes())["files"]
    edit_manifest(bundle, files=[*files, entry])
    assert "the path '../data.csv' is no plain path inside the bundle" in complain()


def test_a_link_that_escapes(complain: Callable[[], str], bundle: Path) -> None:
    path = first_file(bundle)
    path.rename(bundle.parent / "outside")
    path.symlink_to(bundle.parent / "outside")
    assert "is a link out of the bundle: do not use this bundle" in complain()


def test_a_pipe_in_place_of_a_file(complain: Callable[[], str], bundle: Path) -> None:
    path = first_file(bundle)
    path.unlink()
    os.mkfifo(path)
    assert "cannot be read: not a regular file" in complain()


@pytest.mark.parametrize("command", ["predict", "inspect", "parity", "evaluate", "convert"])
@pytest.mark.parametrize("kind", ["nothing", "file", "folder", "too long"])
def test_a_place_that_is_no_bundle(cli: RunCli, tmp_path: Path, command: str, kind: str) -> None:
    place = tmp_path / (kind if kind != "too long" else "x" * 300)
    if kind == "folder":
        place.mkdir()
    elif kind == "file":
        place.write_text("x")
    (tmp_path / "data.csv").write_text("text,label\nw1,0\nw2,1\n")
    rest = {
        "predict": ("w1",),
        "evaluate": ("--data", tmp_path / "data.csv"),
        "convert": ("--out", tmp_path / "out"),
    }.get(command, ())
    complaint = cli(command, place, *rest).complaint
    assert str(place) in complaint
    assert not (tmp_path / "out").exists()


def test_a_bundle_given_as_a_file(cli: RunCli, bundle: Path) -> None:
    for command, rest in (("predict", ("w1",)), ("parity", ())):
        complaint = cli(command, bundle / "manifest.json", *rest).complaint
        assert complaint.endswith("it is not a folder: give the folder that holds its files")
