"""What cannot be learned from ends `train` and `tune` in one sentence, and nothing is lost."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gatelet.cli import main

ROWS = 120
HALF = np.arange(ROWS) % 2
X = np.random.default_rng(4).normal(size=(ROWS, 5, 2)).astype(np.float32)
Write = Callable[[Path], Path]


def arrays(**changed: object) -> Write:
    """Return what writes arrays; x, y and others are changed as told."""

    def write(folder: Path) -> Path:
        np.savez(folder / "d.npz", **{"x": X, "y": HALF, **changed})  # type: ignore[arg-type]  # wrong kinds too
        return folder / "d.npz"

    return write


def table(header: str, row: Callable[[int], str], *, name: str = "d.csv") -> Write:
    """Return what writes a table."""

    def write(folder: Path) -> Path:
        lines = [header, *map(row, range(ROWS))]
        (folder / name).write_text("\n".join([*lines, ""]), "utf-8")
        return folder / name

    return write


def lines(row: Callable[[int], str]) -> Write:
    """Return what writes JSONL."""
    return table(row(ROWS), row, name="d.jsonl")


def texts(label: Callable[[int], object], *, header: str = "text,label") -> Write:
    """Return what writes texts with labels."""
    return table(header, lambda row: f"w{row} x,{label(row)}")


def recordings(
    label: Callable[[int], object] = lambda row: "ab"[row % 2], *, length: int = 12
) -> Write:
    """Return what writes recordings of so many rows each."""
    return table(
        "who,a,b,label", lambda row: f"r{row // length},{row % 7},{row / 3:.3f},{label(row)}"
    )


SETS = "text,p,q"
WINDOW = "--window 4 --group who"
BAD: dict[str, tuple[Write, str, str]] = {
    "empty class of arrays": (
        arrays(y=np.stack([HALF, HALF * 0, HALF], 1)),
        "",
        "no row has the label '1', of 120",
    ),
    "empty class of columns": (
        table(SETS, lambda row: f"w{row},{row % 2},0"),
        "--label-columns p,q",
        "no row has the label 'q', of 120",
    ),
    "class of all rows": (
        table(SETS, lambda row: f"w{row},{row % 2},1"),
        "--label-columns p,q",
        "every row has the label 'q', of 120",
    ),
    "class without a name": (
        texts(lambda row: "" if row == 5 else "ab"[row % 2]),
        "",
        "line 7: the label in column 'label' is empty",
    ),
    "class of arrays without a name": (
        arrays(y=np.array(["a", "b", ""])[np.arange(ROWS) % 3]),
        "",
        "a label of row 2 (counted from 0) is empty",
    ),
    "class of a token without a name": (
        lines(lambda row: f'{{"text": "a{row} b", "labels": ["x", {"null" if row == 9 else 1}]}}'),
        "",
        "a label of row 11 is empty",
    ),
    "class of a window without a name": (
        recordings(lambda row: "" if row == 30 else "ab"[row % 2]),
        WINDOW,
        "line 32: the column 'label' is empty",
    ),
    "one class of texts": (texts(lambda row: "a"), "", "has only the label 'a' in 120 rows"),
    "one class of arrays": (arrays(y=HALF * 0), "", "has only the label '0' in 120 rows"),
    "one class of windows": (recordings(lambda row: "a"), WINDOW, "has only the label 'a' in 30"),
    "one class of tokens": (
        lines(lambda row: f'{{"text": "a{row} b", "labels": "x x"}}'),
        "",
        "has only the label 'x' in 242 rows",
    ),
    "NaN target of arrays": (
        arrays(y=np.where(HALF, np.nan, 0.5)),
        "",
        "'y' is no finite number in row 1 (counted from 0)",
    ),
    "infinite target of arrays": (
        arrays(y=np.where(HALF, 0.5, np.inf)),
        "--task regression",
        "'y' is no finite number in row 0 (counted from 0)",
    ),
    "NaN target of texts": (
        texts(lambda row: "nan" if row == 7 else row / 10),
        "--task regression",
        "has the label 'nan' (row 8), and the model gives numbers",
    ),
    "NaN target ahead": (
        recordings(lambda row: "NaN" if row == 50 else row),
        f"{WINDOW} --horizon 2",
        "line 52: the column 'label' is 'NaN', expected a finite number",
    ),
    "complex target": (arrays(y=HALF + 1j), "", "'y' holds complex128, expected numbers or texts"),
    "long window": (
        recordings(),
        "--window 13 --group who",
        "a window has 13 rows, and the longest recording of '{data}' has 12",
    ),
    "long window of one recording": (
        recordings(),
        "--window 121",
        "a window has 121 rows, and the longest recording of '{data}' has 120",
    ),
    "long horizon": (
        recordings(lambda row: row),
        f"{WINDOW} --horizon 9",
        "a window has 4 rows and 9 of the horizon, and the longest recording of '{data}' has 12",
    ),
    "window of arrays": (
        arrays(),
        "--window 2",
        "'window' is for tables, and each row of '{data}'",
    ),
    "no group column": (
        recordings(),
        "--window 4 --group whom",
        "has no column 'whom'; found: 'who', 'a', 'b', 'label'; name the right one with --group",
    ),
    "no group of texts": (
        texts(lambda row: "ab"[row % 2]),
        "--group author",
        "has no column 'author'; found: 'text', 'label'; name the right one with --group",
    ),
    "no group of arrays": (
        arrays(group=HALF),
        "--group who",
        "has no array 'who' (the groups); it has 'x', 'y', 'group': name the right one with",
    ),
    "column twice": (recordings(), f"{WINDOW} --columns a,a", "'columns' names 'a' twice"),
    "no column": (recordings(), f"{WINDOW} --columns ,", "'columns' is ',', and names none"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("command", ["train", "tune"])
def test_bad_data_end_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, kind: str
) -> None:
    if command == "tune" and importlib.util.find_spec("optuna") is None:
        pytest.skip("Optuna is not installed: pip install 'gatelet[tune]'")
    write, flags, said = BAD[kind]
    data, out = write(tmp_path), tmp_path / "out"
    out.mkdir()
    for name in ("run.json", "study.json", "kept"):  # what is there stays
        (out / name).write_text("{}", "utf-8")

    code = main([command, "--data", str(data), "--out", str(out), *flags.split()])

    told = capsys.readouterr()
    assert code in (1, 2) and told.out == ""
    assert told.err.count("\n") == 1, told.err
    assert said.format(data=data) in told.err
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([data.name, "out"])
    assert {path.name: path.read_text("utf-8") for path in out.iterdir()} == dict.fromkeys(
        ("run.json", "study.json", "kept"), "{}"
    )
