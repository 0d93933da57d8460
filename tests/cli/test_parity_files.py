"""The files that `gatelet parity` writes beside its table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.fixture_types import PutPart

RunCli = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "".join(f"w{i} secret{i},{i % 2}\n" for i in range(1, 31)))
    return path


def test_parity_writes_a_report_and_junit(
    cli: RunCli, written_bundle: Path, data: Path, tmp_path: Path
) -> None:
    report, junit = tmp_path / "report.html", tmp_path / "junit.xml"
    words = ("--data", data, "--no-keras", "--report", report, "--junit", junit)
    done = cli("parity", written_bundle, *words)

    assert done.code == 0, done
    assert done.out.splitlines()[-1].startswith("parity over 30 texts of 'data.csv' against")
    assert f"wrote {report}\nwrote {junit}\n" in done.err
    text = report.read_text("utf-8")
    assert "Parity of small" in text and "secret" in text and "rows of data.csv" in text
    assert str(tmp_path) not in text, "a report names no folder of this machine"
    assert "median" in text
    suites = ElementTree.parse(junit).getroot()
    assert [suite.get("failures") for suite in suites] == ["0", "0", "0"]


def test_the_report_of_private_data_holds_no_text(
    cli: RunCli, written_bundle: Path, data: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    words = ("--data", data, "--no-keras", "--report", report, "--no-texts")
    assert cli("parity", written_bundle, *words).code == 0
    assert "secret" not in report.read_text("utf-8")


def test_a_failed_verdict_is_reported_and_exits_1(
    cli: RunCli, bundle: Path, data: Path, tmp_path: Path, put_part: PutPart
) -> None:
    put_part(bundle, "onnx", b"no model")
    report, junit = tmp_path / "report.html", tmp_path / "junit.xml"
    words = ("--data", data, "--no-keras", "--report", report, "--junit", junit)
    done = cli("parity", bundle, *words)

    assert done.code == 1
    assert "✗ fail" in report.read_text("utf-8")
    *suites, files = ElementTree.parse(junit).getroot()
    assert sum(len(suite.findall(".//failure")) for suite in suites) == 2
    assert len(files.findall(".//failure")) == 2


@pytest.mark.parametrize("flag", ["--report", "--junit"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    cli: RunCli, written_bundle: Path, tmp_path: Path, flag: str
) -> None:
    for place, said in ((tmp_path, "is a folder"), (tmp_path / "no" / "file", "does not exist")):
        done = cli("parity", written_bundle, flag, place)
        assert said in done.complaint
        assert done.out == ""


def test_without_rows_the_report_is_written_too(
    cli: RunCli, written_bundle: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    assert cli("parity", written_bundle, "--no-keras", "--report", report).code == 0
    text = report.read_text("utf-8")
    assert "Left out: the data have no labels." in text
    assert "over 256 rows, made up: give --data to learn what" in text
