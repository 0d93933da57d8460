"""What others put in the way of the compiler's caches is neither loaded nor linked."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gatelet.convert.exporters.c.build import compilers, kernel_object
from gatelet.errors import BackendError
from gatelet.runtime.backends.c.cache import fetch, own_folder
from gatelet.runtime.backends.c.compiler import compile_library, find_compiler
from gatelet.runtime.backends.c.library import open_library

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="folders of other users")

needs_cc = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="gives files to another user"
)
NOBODY = 65534

SOURCE = """
#include <stddef.h>
#include <stdint.h>
struct library { int32_t abi; const char *description; size_t weights_bytes; void *calls[4]; };
static const struct library made = {1, "[]", 0, {0}};
__attribute__((visibility("default"))) const struct library *gatelet_open(int32_t level) {
    return level ? NULL : &made;
}
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache folder, not made yet; there is an empty temporary folder too."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("GATELET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "model.c"
    path.write_text(SOURCE)
    return path


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def link(path: Path) -> None:
    elsewhere = path.parent.parent / f"elsewhere-{path.name}"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


def open_to_all(path: Path) -> None:
    path.chmod(0o666)


def give_away(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY)


SPOILED = [truncate, alter, empty, link, open_to_all, pytest.param(give_away, marks=as_root)]


@needs_cc
@pytest.mark.parametrize("spoil", SPOILED)
def test_a_library_that_was_spoiled_is_made_anew(
    cache: Path, source: Path, spoil: Callable[[Path], None]
) -> None:
    first = compile_library(source)
    assert first.parent == cache and stat.S_IMODE(cache.stat().st_mode) == 0o700
    before = first.read_bytes()
    spoil(first)
    again = compile_library(source)
    assert again.read_bytes() == before and not again.is_symlink()
    assert stat.S_IMODE(again.stat().st_mode) == 0o600 and again.stat().st_uid == os.geteuid()
    assert open_library(again).abi == 1
    assert list(cache.iterdir()) == [again]
    held = again.stat().st_ino
    assert compile_library(source).stat().st_ino == held, "a sound one is used as it is"


@pytest.mark.parametrize("spoil", SPOILED)
def test_what_is_fetched_is_what_was_made(
    cache: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    made = []

    def make() -> bytes:
        made.append(1)
        return bytes(range(256)) * 16

    path = fetch(own_folder(), "stem", ".o", make)
    assert fetch(own_folder(), "stem", ".o", make) == path and len(made) == 1
    spoil(path)
    assert fetch(own_folder(), "stem", ".o", make).read_bytes() == bytes(range(256)) * 16
    assert len(made) == 2


@needs_cc
def test_planted_kernels_are_not_linked(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the real ones take seconds to compile
    monkeypatch.setattr("gatelet.convert.exporters.c.build.all_kernels_text", lambda: "int ours;")
    command = compilers()["cc"]
    kernels = kernel_object(command, ("-O0", "-DGATELET_ONE_LEVEL"))
    planted = tmp_path / "planted.c"
    planted.write_text("int planted_by_another;\n")
    subprocess.run([*command, "-c", str(planted), "-o", str(kernels)], check=True)
    again = kernel_object(command, ("-O0", "-DGATELET_ONE_LEVEL"))
    assert b"planted_by_another" not in again.read_bytes()
    assert list(again.parent.iterdir()) == [again]


def test_in_a_folder_where_all_write_a_private_one_is_made(cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o1777)
    folder = own_folder()
    assert folder.parent == cache and stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert own_folder() == folder


def test_where_others_may_rename_a_private_folder_another_place_is_chosen(
    cache: Path, tmp_path: Path
) -> None:
    cache.mkdir()
    cache.chmod(0o777)  # without the sticky bit
    assert own_folder().parent == tmp_path / "temporary"


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_private_folder_that_was_opened_is_used_no_more(cache: Path, mode: int) -> None:
    cache.mkdir()
    cache.chmod(0o1777)
    first = own_folder()
    first.chmod(mode)
    second = own_folder()
    assert second != first and stat.S_IMODE(second.stat().st_mode) == 0o700
    second.chmod(mode)
    assert own_folder() not in (first, second)


@as_root
@pytest.mark.parametrize("kind", ["folder", "link", "file"])
def test_what_another_user_planted_is_not_used(cache: Path, tmp_path: Path, kind: str) -> None:
    """The names are predictable, and a sticky folder is the first come, first served."""
    temporary = tmp_path / "temporary"
    cache.mkdir()
    for shared in (cache, temporary):
        shared.chmod(0o1777)
    lure = tmp_path / "lure"
    lure.mkdir()
    planted = [cache / f"own-{os.geteuid()}", temporary / f"gatelet-{os.geteuid()}"]
    for path in planted:
        if kind == "folder":
            path.mkdir()
        elif kind == "link":
            path.symlink_to(lure)
        else:
            path.touch()
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    folder = own_folder()
    assert folder not in (*planted, lure) and folder.parent == temporary
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert own_folder() == folder, "it is found again"


def test_where_no_folder_is_private_there_is_one_sentence(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: user + 1)  # everything is another user's
    with pytest.raises(BackendError, match="this user alone writes: set GATELET_CACHE to one"):
        own_folder()
