"""What a run knows of the baseline that was trained beside it."""

import json
from pathlib import Path

from gatelet.runtime.data.dataset import Dataset, write_jsonl
from gatelet.runtime.data.metrics import Metrics, evaluate
from gatelet.runtime.data.run import Run

ROWS = Dataset(("fine", "poor", "dire", "odd"), ("1", "0", "0", "1"), "rows")


def test_the_figures_are_known_of_the_test_part_alone(tmp_path: Path) -> None:
    run = Run(path=tmp_path, labels=("0", "1"), task="binary")
    figures = evaluate([1, 0, 0, 1], [[0.9], [0.1], [0.6], [0.7]], label_names=("0", "1"))
    assert Metrics.from_dict(json.loads(json.dumps(figures.to_dict()))) == figures
    stored = {"baseline": {"name": "another", "C": 4, **figures.to_dict()}}
    (tmp_path / "metrics.json").write_text(json.dumps(stored))
    assert run.baseline(ROWS) is None, "there is no test part"
    write_jsonl(ROWS, run.test_path)
    assert run.baseline(ROWS) == ("another", figures)
    assert run.baseline(ROWS.rows([0, 1])) is None
    for damaged in ("{", "{}", '{"baseline": {"name": "x", "missing": "y"}}', "[]"):
        (tmp_path / "metrics.json").write_text(damaged)
        assert run.baseline(ROWS) is None
