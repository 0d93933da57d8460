"""Files as people have them are read as they mean, or refused by line."""

import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.errors import DataError
from gatelet.runtime.data.datafiles import Columns, read_file
from gatelet.runtime.data.delimited import read_fields
from tests.fixture_types import WriteBundle

RunCli = Callable[..., Any]


@pytest.fixture(scope="module")
def sensors(tmp_path_factory: pytest.TempPathFactory, write_bundle: WriteBundle) -> Path:
    """Write a bundle of features [B, T, 3] with a streaming onnx file."""
    out = tmp_path_factory.mktemp("streams") / "sensors"
    return write_bundle(out, features=3, outputs=4, with_vectorizer=False, stream=True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,2,,3", "line 2: field 3 is empty: expected a number"),
        ("1;;3", "line 2: field 2 is empty: expected a number"),
        (",2,3", "line 2: field 1 is empty: expected a number"),
        ("0,5;1,2", "line 2: '0,5' has a decimal comma: write '0.5'"),
        ("1;2;-3,25", "line 2: '-3,25' has a decimal comma: write '-3.25'"),
        ("1\t\t3", "line 2: field 2 is empty: expected a number"),
        ("1,2,n/a", "line 2: 'n/a' is no number"),
    ],
)
def test_a_line_of_a_stream_takes_no_other_columns(
    cli: RunCli, sensors: Path, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    data = f"1,2,3\n{line}\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    done = cli("predict", sensors, "--stream")
    assert done.complaint.startswith(said)
    assert len(done.out.splitlines()) == 1  # the first line's


@pytest.mark.parametrize("line", ["1;2;3", "1, 2, 3", "[1, 2, 3]", "1 2 3", "1,2,3,", "1\t2\t3"])
def test_a_line_of_a_stream_may_be_written_in_many_ways(
    cli: RunCli, sensors: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    out = []
    for text in ("1,2,3", line):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{text}\n".encode())))
        out.append(cli("predict", sensors, "--stream").out)
    assert out[0] == out[1] and out[0].startswith("1  ")


def test_a_workbook_is_named_for_what_it_is(cli: RunCli, sensors: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    said = r"is a workbook \(.xlsx\) or another zip archive, not text: save the sheet as CSV"
    with pytest.raises(DataError, match=said):
        list(read_fields(path))
    with pytest.raises(DataError, match=said):
        read_file(path, Columns("text", "label", require_labels=True))
    done = cli("predict", sensors, "--stream", "--file", path)
    assert done.complaint.startswith("the steps are a workbook (.xlsx) or another zip archive")
