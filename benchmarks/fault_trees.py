"""Copies of this tree with a fault in them, and the journal of what became of each.

Not the drawing of faults, which is `fault_candidates.py`.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fault_candidates import ROOT, Fault, with_fault

HARMLESS = Path(__file__).with_name("harmless_faults.json")
"""Faults that change nothing that anybody could see, each with the reason, by their key."""


def harmless() -> dict[str, str]:
    """Read the list of harmless faults."""
    found: dict[str, str] = json.loads(HARMLESS.read_text("utf-8"))
    return found


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Read the results so far, the last of each fault last; a line that was cut off is none."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text("utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def add_to_journal(path: Path, result: Mapping[str, Any]) -> None:
    """Add a result."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")


def environment_of(tree: Path) -> dict[str, str]:
    """Return the environment in which a tree's own gatelet is imported."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**os.environ, **quiet, "PYTHONPATH": str(tree), "PATH": path}


def copy_of_tree(tree: Path, *, source: Path = ROOT) -> Path:
    """Copy what git tracks, or tracked when the source was copied; caches of tools stay."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=source, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        _copy(source / name, tree / name)
    for modules in source.glob("tests/**/node_modules"):
        link = tree / modules.relative_to(source)
        if "node_modules" not in link.parent.parts and not link.exists():
            link.symlink_to(modules)
    if not (tree / ".git").exists():  # tests ask git what is tracked
        for command in (["init", "-q"], ["add", "-A"]):
            subprocess.run(["git", *command], cwd=tree, check=True)
    return tree


def _copy(source: Path, target: Path) -> None:
    """Copy a file or link, unless it is there."""
    if not os.path.lexists(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        if not target.is_symlink():
            target.symlink_to(source.readlink())
    elif not target.exists() or target.read_bytes() != source.read_bytes():
        shutil.copyfile(source, target)
        shutil.copymode(source, target)


def plant(fault: Fault, tree: Path) -> None:
    """Change the line of a copy."""
    path = tree / fault.path
    path.write_text("\n".join(with_fault(fault, path.read_text("utf-8"))), "utf-8")


def run_in(tree: Path, *command: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run Python with a tree's own package.

    Args:
        tree: The tree.
        *command: What Python is given.
        **settings: Of `subprocess.run`, in the place of the usual ones.
    """
    usual: dict[str, Any] = {
        "cwd": tree,
        "env": environment_of(tree),
        "text": True,
        "capture_output": True,
        "check": False,
    }
    return subprocess.run([sys.executable, *command], **{**usual, **settings})
