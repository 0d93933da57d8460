"""The guides of boards: every command is run, up to the flashing, and prints what is said."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.convert.packages.made import TOOLS
from tests.shared import made_once

pytestmark = pytest.mark.ci  # a training, and compilers
GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
_BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
_END = "## Flash"
NEEDED = {
    "pico": ("cmake", "arm-none-eabi-gcc", "micropython", "mpy-cross"),
    "esp32-c3": ("compote", "riscv64-unknown-elf-gcc"),
    "arduino": ("arduino-builder", "simavr", "avr-gcc"),
}


def environment(folder: Path) -> dict[str, str]:
    """Return one in which `gatelet` and `python` are those of this test."""
    (folder / "gatelet").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gatelet "$@"\n')
    (folder / "gatelet").chmod(0o755)
    (folder / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "python").chmod(0o755)
    path = os.pathsep.join(filter(None, (str(folder), TOOLS, os.environ["PATH"])))
    return {**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}


def run(script: str, folder: Path, tools: Path) -> str:
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env=environment(tools),
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, (script, (done.stdout + done.stderr)[-3000:])
    return done.stdout


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the model is trained and converted, as all guides begin."""

    def make(folder: Path) -> None:
        (folder / "tools").mkdir()
        (folder / "work").mkdir()
        text, _, _ = (GUIDES / "pico.md").read_text("utf-8").partition("\n## In C")
        (code,) = (block for kind, block in _BLOCK.findall(text) if kind == "python")
        (folder / "work" / "train.py").write_text(code)
        for kind, block in _BLOCK.findall(text):
            if kind == "sh":
                run(block, folder / "work", folder / "tools")

    return made_once(tmp_path_factory, "guides", make)


@pytest.mark.parametrize("guide", NEEDED)
def test_every_command_up_to_the_flashing_runs(guide: str, begun: Path, tmp_path: Path) -> None:
    path = environment(begun / "tools")["PATH"]
    missing = [name for name in NEEDED[guide] if shutil.which(name, path=path) is None]
    if missing:
        assert "GATELET_GUIDES" not in os.environ, f"{missing} are required, and not here"
        pytest.skip(f"there is no {', '.join(missing)} here")
    text = (GUIDES / f"{guide}.md").read_text("utf-8")
    first = (GUIDES / "pico.md").read_text("utf-8").split("## A model")[1].split("\n## In C")[0]
    assert first in text, "all guides begin with the same commands, which run once"
    rest, found, flashing = text.split(first)[1].partition(_END)
    assert found and flashing
    work = Path(shutil.copytree(begun / "work", tmp_path / "work"))
    blocks = _BLOCK.findall(rest)
    assert sum(kind == "sh" for kind, _ in blocks) >= 2
    said = ""
    for kind, block in blocks:
        if kind == "sh":
            lines = (f"({line})" if line.startswith("cd ") else line for line in block.splitlines())
            said = run("\n".join(lines), work, begun / "tools")
        else:
            printed = re.findall(r"wrong \d+", said)
            assert printed == block.splitlines(), said


def test_every_guide_is_tested() -> None:
    assert {one.stem for one in GUIDES.glob("*.md")} == set(NEEDED)
