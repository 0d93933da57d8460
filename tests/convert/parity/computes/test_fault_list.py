"""The list of one-line faults that a sweep plants is about this tree, and about all of it."""

import csv
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]


def test_each_fault_changes_one_line_that_is_there_once() -> None:
    with (ROOT / "benchmarks" / "parity_faults.tsv").open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert len({tuple(row.values()) for row in rows}) == len(rows) >= 120
    for row in rows:
        old, new = (row[key].replace("\\n", "\n") for key in ("old", "new"))
        assert (ROOT / row["file"]).read_text("utf-8").count(old) == 1, row
        changed = [a != b for a, b in zip(old.splitlines(), new.splitlines(), strict=True)]
        assert sum(changed) == 1, row
    targets, kinds = (Counter(row[key] for row in rows) for key in ("target", "kind"))
    assert min(targets[name] for name in ("c", "litert", "onnx")) >= 12
    assert kinds["kernel"] + kinds["wiring"] >= 30
