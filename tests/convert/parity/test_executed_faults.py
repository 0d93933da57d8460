"""The sweep of faults in executed lines: what it draws from, and that parity finds one.

The sweep itself is benchmarks/executed_faults.py.
"""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.adversary.text_models import WORDS, texts_of, write_model
from tests.small_vectorizer import vectorizer_of

ROOT = Path(__file__).resolve().parents[3]
BENCHMARKS = ROOT / "benchmarks"
KERNEL = "convert/exporters/c/kernels/lstm.c"
EXECUTED = {
    "texts": {
        "convert/exporters/onnx/recurrent.py": {*range(60, 90)},
        "convert/lowering/lstm.py": {*range(1, 60)},
        "runtime/backends/onnx.py": {*range(40, 120)},
    },
    "sensor": {
        KERNEL: {*range(20, 80)},
        "convert/exporters/onnx/recurrent.py": {*range(160, 240)},
        "runtime/vectorizer/tokenizer.py": {*range(200, 300)},
    },
}


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("executed_faults")


def test_faults_are_drawn_from_executed_lines_only(sweep: Any) -> None:
    ran = {(p, n) for lines in EXECUTED.values() for p in lines for n in lines[p]}
    drawn, again, others = (
        {room: list(islice(faults, 8)) for room, faults in sweep.faults_of(EXECUTED, seed).items()}
        for seed in (3, 3, 4)
    )
    assert list(drawn) == ["exporters", "vectorizers", "backends", "C sources"]
    for room, faults in drawn.items():
        places = [(one.path, one.line) for one in faults]
        assert places and ran.issuperset(places) and len(set(places)) == len(places)
        assert {one.room for one in faults} == {room}
    assert drawn == again != others


def test_so_many_of_each_room_have_something_to_judge(sweep: Any) -> None:
    results = iter([sweep.REFUSED, sweep.SAME] + [sweep.PARITY, sweep.NOTHING] * 4)
    drawn = sweep.drawn(EXECUTED, 1, 8, lambda fault: {"found": next(results)})
    counted = [f for f, one in drawn if one["found"] in (sweep.PARITY, sweep.NOTHING)]
    assert len(drawn) == 10
    assert [one.room for one in counted] == list(sweep.ROOMS) * 2


def test_lines_of_functions_that_ran_are_noted(tmp_path: Path) -> None:
    tree, noted = tmp_path / "tree", tmp_path / "noted"
    (tree / "gatelet" / "runtime").mkdir(parents=True)
    code = "LIMIT = 3\ndef f(x, y=2):\n    if x > LIMIT:\n        return y\n    return x\nf(1)\n"
    for folder in ("gatelet", "gatelet/runtime"):
        (tree / folder / "__init__.py").touch()
    (tree / "gatelet" / "runtime" / "one.py").write_text(code, "utf-8")
    started = (
        f"import line_trace\nline_trace.start()\nimport sys\nsys.path.insert(0, {str(tree)!r})"
    )
    told = {"GATELET_TRACED_TREE": str(tree), "GATELET_TRACED_LINES": str(noted)}
    subprocess.run(
        [sys.executable, "-c", f"{started}\nimport gatelet.runtime.one"],
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS), **told},
        check=True,
    )
    assert noted.read_text("utf-8").split() == ["runtime/one.py:3", "runtime/one.py:5"]


@pytest.mark.ci
def test_lines_of_c_that_ran_are_counted_where_they_come_from(sweep: Any, tmp_path: Path) -> None:
    lines = importlib.import_module("executed_lines")
    kernel = (
        "int twice(int x) {\n    if (x < 0) {\n        return 0;\n    }\n    return 2 * x;\n}\n"
    )
    call = "\nint main(void) {\n$told\n    return twice(0);\n}\n"
    made = lines.marked(call, "convert/exporters/c/templates/call.c").replace("$told", "\n\n;\n")
    source = tmp_path / "model.c"
    source.write_text(lines.marked(kernel, KERNEL) + made, "utf-8")
    program = tmp_path / "program"
    assert not lines.compile_counted(["-O3", "-o", str(program), str(source)], str(tmp_path), ())
    subprocess.run([program], check=True)
    found = lines.counted_lines(tmp_path)
    assert found[KERNEL] == {1, 2, 5}
    assert found["convert/exporters/c/templates/call.c"] == {2, 4}


@pytest.mark.ci
def test_parity_finds_a_planted_fault_and_passes_what_is_the_same(
    sweep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two conversions to onnx without TensorFlow: 10 s of processor time."""
    trials = importlib.import_module("executed_trials")
    work, name = trials.Work(tmp_path), trials.TEXTS
    folder, words = work.models / name, sorted({one.lower() for one in WORDS})
    folder.mkdir(parents=True)
    vectorizer = vectorizer_of(words, maxlen=10)
    write_model(folder / "model.keras", vectorizer)
    (folder / "vectorizer.json").write_text(vectorizer.to_json(), "utf-8")
    texts = texts_of(words, rows=20)
    (folder / "rows.jsonl").write_text("".join(f'{{"text": "{one}"}}\n' for one in texts), "utf-8")
    given = ("--vectorizer", "vectorizer.json", "--labels", "0,1", "--scheme", "float32")
    kind = importlib.import_module("executed_models").Conversion
    only = kind(lambda folder: None, ("onnx",), given, "rows.jsonl")
    monkeypatch.setattr(trials, "CONVERSIONS", dict.fromkeys(trials.CONVERSIONS, only))
    trials.copy_of_tree(work.honest)
    path = "convert/exporters/onnx/recurrent.py"
    text = (ROOT / path).read_text("utf-8").split("\n")
    for before, after, found in (
        ('settings["direction"] = "reverse"', 'settings["direction"] = "forward"', sweep.SAME),
        ("if bias is None:", "if bias is not None:", sweep.PARITY),
    ):
        (line,) = (n for n, one in enumerate(text, 1) if one.strip() == before)
        fault = trials.Fault("exporters", path, line, before, after)
        executed = {one: {path: {line}} if one == name else {} for one in trials.CONVERSIONS}
        result = trials.judge(fault, executed, work)
        assert result["found"] == found, result
    assert result["of"] == name and "scores_max" in result["by"]
