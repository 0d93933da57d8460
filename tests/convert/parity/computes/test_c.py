"""C libraries are held to their oracle: step by step, whole, and in integers to the bit."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c import build as building
from gatelet.convert.exporters.c import export_c
from gatelet.convert.exporters.c.blob import sums_of
from gatelet.convert.exporters.exported import Exported
from gatelet.convert.rows.calibration import choose_rows
from gatelet.convert.rows.drawn import random_inputs
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.graph.graph import Graph
from tests.convert.parity.computes.models import T, ask, exportable, model

Change = Callable[[str], str]


def _export(graph: Graph, scheme: str) -> Exported:
    given = exportable(graph)
    if SCHEMES[scheme].activations != "float32":
        rows = {one.name: random_inputs(one, timesteps=T, rows=64) for one in graph.inputs}
        given = replace(given, calibration=choose_rows(rows, source="drawn here"))
    return export_c(given, SCHEMES[scheme])


@pytest.fixture(autouse=True)
def _quick_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile one level of x86-64, with little optimisation."""
    monkeypatch.setattr(building, "FLAGS", ("-O1", *building.FLAGS[2:]))


@pytest.mark.parametrize(
    ("scheme", "names"),
    [
        ("float32", {"computes_steps", "computes_whole"}),
        ("dynamic-int8", {"computes_steps", "computes_whole"}),
        ("full-int8", {"computes_whole"}),
    ],
)
def test_an_honest_library_passes(scheme: str, names: set[str], tmp_path: Path) -> None:
    graph = model(("GRU", "LSTM"))
    checks = ask(graph, "c", scheme, _export(graph, scheme), tmp_path)
    assert {one.name for one in checks} == names
    assert all(one.verdict == "pass" for one in checks), checks
    if scheme == "full-int8":
        assert [one.figure for one in checks] == [0.0]


def test_an_integer_that_is_one_off_is_seen(tmp_path: Path) -> None:
    graph = model()
    made = _export(graph, "full-int8")
    observed = {name: np.asarray(one) * 1.01 for name, one in made.facts["observed"].items()}
    facts = {**made.facts, "observed": observed}
    (check,) = ask(graph, "c", "full-int8", replace(made, facts=facts), tmp_path)
    assert check.verdict == "fail"
    assert check.limit == 0.0


@pytest.mark.parametrize(
    ("cell", "shape", "named"),
    [
        ("LSTM", (24, 128), "kernel of layer 'cell_0'"),
        ("GRU", (20, 96), "recurrent_kernel of layer 'cell_0'"),
        ("LSTM", (20, 64), "kernel of layer 'hidden'"),
    ],
)
def test_a_wrong_sum_is_seen_where_no_processor_reads_it(
    cell: str,
    shape: tuple[int, ...],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def one_more(values: Any) -> Any:
        sums = sums_of(values)
        sums[0, 0] += values.shape == shape
        return sums

    monkeypatch.setattr("gatelet.convert.exporters.c.writer.sums_of", one_more)
    monkeypatch.setenv("GATELET_LEVEL", "plain")
    graph = model((cell,))
    made = _export(graph, "dynamic-int8")
    checks = {one.name: one for one in ask(graph, "c", "dynamic-int8", made, tmp_path)}
    wrong = checks.pop("computes_steps_sums")
    assert (wrong.verdict, wrong.by) == ("fail", "steps") and named in wrong.note
    assert {one.verdict for one in checks.values()} == {"pass"}
