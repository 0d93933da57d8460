"""Packages that tests make, and the tools that look at them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gatelet.convert.packages import open_package, write_package

TOOLS = os.environ.get("GATELET_PACKAGE_TOOLS")
"""The folder of the ecosystems' tools that come from PyPI; none of them may be missing then."""


def export(bundle: Path, form: str, out: Path, *, scheme: str, name: str | None = None) -> Path:
    """Write a package."""
    write_package(open_package(bundle, scheme=scheme, name=name), form, out)
    return out


def tool(name: str, hint: str, *, required: bool) -> str:
    """Return the path of a tool; skip the test where there is none, unless it is required."""
    found = shutil.which(name, path=os.pathsep.join(filter(None, (TOOLS, os.environ["PATH"]))))
    if found is None:
        assert not required, f"{name} is required here, and there is none: {hint}"
        pytest.skip(f"there is no {name} here: {hint}")
    return found


def run(*command: str, folder: Path, stdin: str = "") -> str:
    """Run a command that must end well, and return what it prints."""
    done = subprocess.run(
        command, cwd=folder, input=stdin, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, (command, (done.stdout + done.stderr)[-3000:])
    return done.stdout
