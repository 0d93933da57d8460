"""Every command of docs/tuning.md runs as it is pasted, on made reviews; one is cut short."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from gatelet.cli import main
from gatelet.train.tune import read_space

PAGE = Path(__file__).parents[3] / "docs" / "tuning.md"
FEWER = {"--trials 30": "--trials 2 --epochs 3"}
"""What a real search is given, and this test: that is enough to see the commands run."""


def blocks(kind: str) -> list[str]:
    """Return the blocks of the page in a language, without the indent of a list's."""
    found = re.findall(rf"^ *```{kind}\n(.*?)^ *```", PAGE.read_text("utf-8"), re.M | re.S)
    return [re.sub(r"^  ", "", one, flags=re.M) for one in found]


def test_the_spaces_of_the_page_are_read(tmp_path: Path) -> None:
    place = tmp_path / "space.toml"
    spaces = blocks("toml")
    assert len(spaces) == 2
    for text in spaces:
        place.write_text(text, "utf-8")
        assert {"cell", "units"} <= set(read_space(place).names)


@pytest.mark.ci  # 25 s: nine trainings, and a conversion with proof
def test_the_commands_of_the_page_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    write_reviews: Callable[..., Path],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_reviews(tmp_path / "reviews.csv", rows=400)
    (tmp_path / "space.toml").write_text(blocks("toml")[-1], "utf-8")
    commands = [line for one in blocks("sh") for line in one.splitlines()]
    assert [line.split()[1] for line in commands] == ["tune", "convert", "tune", "train"]
    for line in commands:
        for words, fewer in FEWER.items():
            line = line.replace(words, fewer)
        place = re.search(r"(\w+)/trials/(\d{4})\.toml", line)
        if place is not None:  # which trial is chosen depends on the machine's rounding
            points = map(json.loads, Path(place[1], "trials.jsonl").read_text().splitlines())
            chosen = next(one["trial"] for one in points if one["chosen"])
            line = line.replace(place[2], f"{chosen:04}")
        assert main(shlex.split(line)[1:]) == 0, (line, capsys.readouterr().err)
    told = capsys.readouterr()
    assert "of 6): " in told.err and "chosen: trial " in told.out
