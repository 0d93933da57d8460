"""Rows that a run was trained on are told, by `parity` and `evaluate`; others are not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gatelet.runtime.data.dataset import read, sha256_of
from gatelet.runtime.data.run import SEEN
from tests.cli.conftest import Done

RunCli = Callable[..., Done]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    rows = (f"w{i % 40 + 1} w{i % 7 + 1},{i % 2}\n" for i in range(40))
    path.write_text("text,label\n" + "".join(rows))
    return path


@pytest.fixture
def trained_on_data(bundle: Path, data: Path, edit_manifest: Callable[..., None]) -> Path:
    """Return a bundle whose run was trained on the data."""
    digest = sha256_of(read(data, text_column="text", label_column="label"))
    edit_manifest(bundle, provenance={"training": {"data": {"sha256": digest}}})
    return bundle


@pytest.mark.parametrize("command", ["parity", "evaluate"])
@pytest.mark.parametrize("change", ["none", "one row less", "another order"])
def test_rows_of_the_training_are_told_by_their_digest(
    cli: RunCli, trained_on_data: Path, data: Path, command: str, change: str
) -> None:
    header, *rows = data.read_text().splitlines(keepends=True)
    rows = {"none": rows, "one row less": rows[:-1], "another order": rows[::-1]}[change]
    data.write_text(header + "".join(rows))
    flags = ("--no-keras",) if command == "parity" else ()
    done = cli(command, trained_on_data, "--data", data, *flags)
    assert done.code == 0, done
    assert (SEEN in done.out + done.err) == (change == "none")


@pytest.mark.parametrize("command", ["parity", "evaluate"])
def test_a_bundle_that_knows_no_training_rows_is_not_doubted(
    cli: RunCli, bundle: Path, data: Path, command: str
) -> None:
    flags = ("--no-keras",) if command == "parity" else ()
    done = cli(command, bundle, "--data", data, *flags)
    assert done.code == 0 and SEEN not in done.out + done.err


def test_the_warning_says_what_it_cannot_see() -> None:
    assert "a part of those rows would not be noticed" in SEEN and "--data" in SEEN
