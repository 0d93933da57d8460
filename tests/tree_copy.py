"""Copies of the tree, for tests that plant something in one."""

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["ROOT", "copied", "tracked"]

ROOT = Path(__file__).resolve().parent.parent


def tracked() -> list[str]:
    """Return the files that git knows and that are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [name for name in listed.split("\0") if name and os.path.lexists(ROOT / name)]


def copied(names: list[str], to: Path) -> Path:
    """Copy files, links as links, and return the folder that they are in."""
    for name in names:
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    return to
