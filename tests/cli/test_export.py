"""`gatelet export`: what it prints, what it refuses, and that a folder is whole or as it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.convert.packages import writing
from gatelet.runtime.bundle.opening import open_bundle
from tests.cli.conftest import RunCli
from tests.fixture_types import EditManifest, WriteBundle
from tests.shared import made_once

Tree = Callable[[Path], dict[str, bytes]]


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory, write_bundle: WriteBundle) -> Path:
    """Return a bundle with two c artifacts. Tests must not change it."""
    artifacts = (("c", "float32"), ("c", "full-int8"))
    made = made_once(
        tmp_path_factory, "exported", lambda it: write_bundle(it / "demo", artifacts=artifacts)
    )
    return made / "demo"


def test_says_what_was_written_and_what_it_needs(cli: RunCli, packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "it"
    done = cli("export", packed, out, "--to", "c", "--scheme", "full-int8")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == f"{out}: 'model_model' 1.0.0 for any C compiler"
    assert lines[1].startswith("Parity of c full-int8: pass")
    assert any(line.startswith("scratch of a whole row, 10 timesteps  RAM") for line in lines)
    assert (out / "model.c").is_file()


def test_json_says_what_the_marker_says(cli: RunCli, packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "it"
    flags = ("--name", "Words", "--package-version", "2.3.4", "--license", "CC-BY-4.0")
    done = cli("export", packed, out, "--to", "arduino", "--json", *flags)
    found = json.loads(done.out)
    assert found.pop("path") == str(out)
    assert found == json.loads((out / "gatelet-package.json").read_text())
    assert found["scheme"] == "float32" and found["version"] == "2.3.4"
    assert found["memory"]["weights_bytes"] == open_bundle(packed).artifacts[0].bytes
    assert "version=2.3.4\n" in (out / "library.properties").read_text()
    assert "Their license is: CC-BY-4.0." in (out / "LICENSE").read_text()


def test_an_earlier_export_is_replaced_whole(
    cli: RunCli, packed: Path, tmp_path: Path, tree: Tree
) -> None:
    out, fresh = tmp_path / "it", tmp_path / "fresh"
    out.mkdir()
    for form in ("zephyr", "c"):
        assert cli("export", packed, out, "--to", form).code == 0
        (out / "more").write_text("of an earlier export")
    assert cli("export", packed, out, "--to", "c").code == 0
    assert cli("export", packed, fresh, "--to", "c").code == 0
    assert tree(out) == tree(fresh)  # and the same bytes, twice
    assert {one.name for one in tmp_path.iterdir()} == {"it", "fresh"}


def test_what_fails_leaves_the_earlier_export_as_it_was(
    cli: RunCli, packed: Path, tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "it"
    assert cli("export", packed, out, "--to", "cmake").code == 0
    before = tree(tmp_path)

    def fails(*_: Any) -> str:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(writing, "license_text", fails)
    done = cli("export", packed, out, "--to", "c")
    assert done.complaint == "No space left on device: 'somewhere'"
    assert tree(tmp_path) == before


def test_refuses_a_folder_that_is_something_else(
    cli: RunCli, packed: Path, tmp_path: Path, tree: Tree
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = tree(tmp_path)
    for name, expected in (
        ("mine", "is a folder that is no package (it has no gatelet-package.json)"),
        ("file", "is not a folder: choose another DIR"),
        ("no/where", "does not exist: create it, or choose another DIR"),
    ):
        done = cli("export", packed, tmp_path / name, "--to", "c")
        assert expected in done.complaint
    assert "copied and replaced as one" in cli("export", packed, packed / "x", "--to", "c").err
    assert "no package" in cli("export", packed, packed, "--to", "c").complaint
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--name", "9lives"), "expected a letter, then at most 62 letters, digits and _"),
        (("--name", "a-b"), "--name is 'a-b': expected a letter"),
        (("--name", "x" * 64), "expected a letter, then at most 62"),
        (("--name", "String"), "which is a header of C programs too"),
        (("--name", "model"), "which is a header of C programs too"),
        (("--name", "test"), "which is a target of CMake too"),
        (("--package-version", "1.0"), "expected three numbers, such as 1.0.0"),
        (("--package-version", "1.0.0\n"), "expected three numbers"),
        (("--license", "MIT; rm"), "expected an SPDX expression"),
    ],
)
def test_a_setting_that_no_package_can_have_is_one_sentence(
    cli: RunCli, packed: Path, tmp_path: Path, flags: tuple[str, ...], expected: str
) -> None:
    done = cli("export", packed, tmp_path / "it", "--to", "c", *flags)
    assert expected in done.misuse
    assert not (tmp_path / "it").exists()


def test_what_a_bundle_lacks_is_one_sentence(
    cli: RunCli, packed: Path, bundle: Path, tmp_path: Path, edit_manifest: EditManifest
) -> None:
    out = tmp_path / "it"
    done = cli("export", bundle, out, "--to", "c")
    assert "has no c artifact, of which packages are made; it has: onnx float32" in done.complaint
    done = cli("export", packed, out, "--to", "c", "--scheme", "int3")
    assert "has no artifact for target c, scheme int3; it has: c float32" in done.complaint
    done = cli("export", packed, out, "--to", "fortran")
    assert done.code == 2 and "invalid choice: 'fortran' (choose from 'c'" in done.err
    assert "is no bundle" in cli("export", tmp_path, out, "--to", "c").complaint
    assert not out.exists()


def test_a_bundle_without_golden_rows_is_one_sentence(
    cli: RunCli, write_bundle: WriteBundle, tmp_path: Path, edit_manifest: EditManifest
) -> None:
    bundle = write_bundle(tmp_path / "demo", artifacts=(("c", "float32"),))
    edit_manifest(bundle, golden=None)
    done = cli("export", bundle, tmp_path / "it", "--to", "c")
    assert "has no golden rows, which a package's self-test feeds" in done.complaint
    assert not (tmp_path / "it").exists()
