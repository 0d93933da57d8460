"""Staging folders: they go, whoever left them, and take nothing else along."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gatelet.runtime.files import replace_directory, stage_beside


def ended_process() -> int:
    """Return the number of a process that is no more."""
    return int(subprocess.check_output([sys.executable, "-c", "import os; print(os.getpid())"]))


def test_a_stage_is_new_and_goes_even_if_it_is_gone_already(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with stage_beside(out) as stage:
        assert stage.parent == tmp_path and not list(stage.iterdir())
        stage.rename(tmp_path / "moved")
    assert [one.name for one in tmp_path.iterdir()] == ["moved"]
    with pytest.raises(KeyError), stage_beside(out) as stage:
        (stage / "half").touch()
        raise KeyError
    assert [one.name for one in tmp_path.iterdir()] == ["moved"]


def test_what_a_killed_process_left_is_removed_and_a_running_ones_stays(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    left = tmp_path / f".bundle.stage-{ended_process()}"
    others = tmp_path / f".bundle.stage-{os.getppid()}"
    for folder in (left, others):
        folder.mkdir()
        (folder / "file").touch()
    with stage_beside(out):
        assert not left.exists() and others.exists()


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    out, stage = tmp_path / "out", tmp_path / "stage"
    for folder, name in ((out, "old"), (stage, "new")):
        folder.mkdir()
        (folder / name).touch()
    replace_directory(stage, out)
    assert [one.name for one in out.iterdir()] == ["new"]
    assert [one.name for one in tmp_path.iterdir()] == ["out"]
