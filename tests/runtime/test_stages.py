"""Staging folders: they go, whoever left them, and take nothing else along."""

import os
from pathlib import Path

import pytest

from gatelet.runtime import stages
from gatelet.runtime.stages import replace_directory, stage_beside, temporary_folder


def test_a_stage_is_new_and_goes_even_if_it_is_gone_already(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with stage_beside(out) as stage:
        assert stage.parent.parent == tmp_path and not list(stage.iterdir())
        stage.rename(tmp_path / "moved")
    assert [one.name for one in tmp_path.iterdir()] == ["moved"]
    with pytest.raises(KeyError), stage_beside(out) as stage:
        (stage / "half").touch()
        raise KeyError
    assert [one.name for one in tmp_path.iterdir()] == ["moved"]


def test_what_a_killed_process_left_is_removed_and_a_running_ones_stays(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with stage_beside(out) as running:
        (running / "file").touch()
        left = leave(tmp_path, ".bundle.stage-0123456789abcdef", "file")
        empty = tmp_path / ".bundle.stage-fedcba9876543210"
        empty.mkdir()
        with stage_beside(out):
            assert not left.exists() and not empty.exists()
            assert (running / "file").exists()


def leave(parent: Path, name: str, *files: str) -> Path:
    """Leave a stage as a killed process does: nobody holds its lock."""
    left = parent / name
    content = left / "content"
    content.mkdir(parents=True)
    for file in files:
        (content / file).write_text(name)
    (left / "lock").write_text(str(content.stat().st_ino))
    return left


def test_a_folder_that_looks_like_a_stage_and_is_none_stays(tmp_path: Path) -> None:
    mine = tmp_path / ".bundle.stage-mine"
    mine.mkdir()
    (mine / "file").touch()
    with stage_beside(tmp_path / "bundle"):
        pass
    assert (mine / "file").exists()


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_is_replaced_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    if not exchanges:
        monkeypatch.setattr(stages, "_exchange", lambda *given: False)
    out = tmp_path / "out"
    out.mkdir(mode=0o700)
    (out / "old").touch()
    with stage_beside(out) as stage:
        (stage / "new").touch()
        replace_directory(stage, out)
    assert [one.name for one in out.iterdir()] == ["new"]
    assert [one.name for one in tmp_path.iterdir()] == ["out"]
    assert out.stat().st_mode & 0o777 == 0o700


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    (disk / "run").mkdir(parents=True)
    (tmp_path / "out").symlink_to(disk / "run")
    with stage_beside(tmp_path / "out") as stage:
        (stage / "new").touch()
        replace_directory(stage, tmp_path / "out")
    assert (tmp_path / "out").is_symlink() and (disk / "run" / "new").exists()
    assert [one.name for one in disk.iterdir()] == ["run"]


def test_temporary_folders_are_private_and_those_of_killed_processes_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = leave(tmp_path, "gatelet-stage-0123456789abcdef", "texts.json")
    with temporary_folder() as folder, temporary_folder() as other:
        assert not left.exists() and folder != other
        assert folder.parent.stat().st_mode & 0o077 == 0
    if hasattr(os, "geteuid"):
        left = leave(tmp_path, "gatelet-stage-0123456789abcdef", "texts.json")
        user = os.geteuid()
        monkeypatch.setattr("os.geteuid", lambda: user + 1)
        with temporary_folder():
            assert left.exists(), "another user's folder is not ours to remove"
        monkeypatch.undo()
