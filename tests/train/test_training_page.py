"""Every command of docs/training.md runs as it is pasted, on made data."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from gatelet.cli import main
from tests.train.made import write_inertial, write_series, write_several, write_tagged

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
FILES: dict[str, Callable[[Path], Path]] = {
    "imu.csv": write_inertial,
    "tagged.jsonl": write_tagged,
    "load.csv": write_series,
    "reviews.csv": write_several,
}
"""What the page calls its files, and who writes such."""


def recipes() -> dict[str, list[str]]:
    """Return the commands of each section that has any."""
    found = {}
    for section in re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"^```sh\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()]
        commands = [line for line in lines if line.startswith("gatelet ")]
        if any(name in command for command in commands for name in FILES):
            found[section.splitlines()[0]] = commands
    return found


def test_the_page_has_a_recipe_for_each_kind_of_model() -> None:
    used = {name for name in FILES for commands in recipes().values() if name in commands[0]}
    assert used == set(FILES)


@pytest.mark.ci  # 10 s each: a training, and a conversion with proof
@pytest.mark.parametrize("title", recipes())
def test_the_commands_of_a_recipe_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], title: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, write in FILES.items():
        write(tmp_path / name)
    for command in recipes()[title]:
        assert main(shlex.split(command)[1:]) == 0, (command, capsys.readouterr().err)
    assert capsys.readouterr().out
