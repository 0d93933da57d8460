"""A report on a pruned bundle says what the pruning cost: its oracle is the pruned Graph."""

import json
from pathlib import Path
from typing import Any

import pytest

from gatelet.cli.main import main
from tests.fixture_types import EditManifest

PRUNING = {
    "from": 20000,
    "to": 5000,
    "rows": 1200,
    "flips": 0.04,
    "accuracy_before": 0.8825,
    "accuracy_after": 0.8517,
    "accuracy_difference": {"estimate": -0.0308, "low": -0.0421, "high": -0.0195},
}


def pruned(bundle: Path, edit_manifest: EditManifest, pruning: Any) -> Path:
    old = json.loads((bundle / "manifest.json").read_bytes()).get("provenance") or {}
    edit_manifest(bundle, provenance={**old, "pruning": pruning})
    return bundle


def test_the_cost_of_pruning_is_in_the_text_the_json_and_the_page(
    bundle: Path, edit_manifest: EditManifest, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pruned(bundle, edit_manifest, PRUNING)
    page = tmp_path / "report.html"
    assert main(["parity", str(bundle), "--no-keras", "--report", str(page)]) == 0
    said = "20,000 -> 5,000 ids"
    cost = "accuracy 0.8825 -> 0.8517 (-0.0421 to -0.0195) on 1,200 rows"
    printed = capsys.readouterr().out
    (line,) = (line for line in printed.splitlines() if line.startswith("note: "))
    assert said in line and cost in line
    assert main(["parity", str(bundle), "--no-keras", "--json"]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert line == f"note: {note}"
    assert cost in page.read_text("utf-8").replace("&gt;", ">")


@pytest.mark.parametrize(
    ("pruning", "said"),
    [
        ({"from": 40, "to": 20, "rows": 0}, "cost was not measured"),
        (
            {"from": 40, "to": 20, "rows": 9, "mean_difference": 0.0125},
            "scores moved by 0.0125 on average on 9 rows",
        ),
        ({**PRUNING, "accuracy_before": "much", "accuracy_difference": None}, "not measured"),
        ({}, "cost was not measured"),
    ],
)
def test_what_was_not_measured_is_said(
    bundle: Path,
    edit_manifest: EditManifest,
    capsys: pytest.CaptureFixture[str],
    pruning: Any,
    said: str,
) -> None:
    assert main(["parity", str(pruned(bundle, edit_manifest, pruning)), "--no-keras"]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("pruning", [None, 3, [], "all"])
def test_no_note_where_nothing_was_pruned(
    bundle: Path,
    edit_manifest: EditManifest,
    capsys: pytest.CaptureFixture[str],
    pruning: Any,
) -> None:
    assert main(["parity", str(pruned(bundle, edit_manifest, pruning)), "--no-keras"]) == 0
    assert "note: " not in capsys.readouterr().out
