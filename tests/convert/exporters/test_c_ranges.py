"""What a header of full-int8 says of the range that it was calibrated for."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.onnx_graphs import GraphMaker

COUNT = """
#include <math.h>
#include <stdio.h>
#include "model.h"
int main(void) {
    static const float range[] = M_RANGE, features[2][3] = {{9, 0, -2}, {-11, 1, 3}};
    int outside = 0;
    for (int i = 0; i < 6; i++) {
        outside += fabsf(features[i / 3][i % 3]) > range[i % 3];
    }
    printf("%d %d", outside, (int)(sizeof range / sizeof *range));
    return 0;
}
"""


def graph_of(inputs: int) -> Graph:
    maker = GraphMaker()
    states: list[str] = []
    for number in range(inputs):
        x = maker.input(f"x{number}", None, None, 3)
        states += maker.recurrence("GRU", [x], features=3, units=4)
    last = states[0]
    if inputs > 1:
        last = maker.one("Concatenate", states, (None, 4 * inputs), axis=-1)
    return maker.finish(
        maker.one("Dense", [last], (None, 2), weights={"kernel": maker.weight(4 * inputs, 2)})
    )


def header_of(graph: Graph, scheme: str) -> str:
    largest = np.array([5.0, 0.0, 1.25], np.float32)
    rows = {one.name: np.ones((8, 4, 1), np.float32) * largest for one in graph.inputs}
    model = Exportable(graph, graph, name="m", calibration=Calibration(rows, "test"))
    made = render(write_model(model, SCHEMES[scheme]), model, SCHEMES[scheme])
    (header,) = (one for one in made["companions"] if one.role == "header")
    return str(header.data.decode())


def test_a_header_has_the_range_of_each_input_and_of_floats_none() -> None:
    text = header_of(graph_of(1), "full-int8")
    assert re.findall(r"#define (M_RANGE\w*) \{(.*)\}", text) == [("M_RANGE", "10.0f, 2.0f, 2.5f")]
    names = re.findall(r"#define (M_RANGE\w*)", header_of(graph_of(2), "full-int8"))
    assert names == ["M_RANGE_0", "M_RANGE_1"]
    assert "M_RANGE" not in header_of(graph_of(1), "dynamic-int8")


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_program_counts_values_outside_by_it(tmp_path: Path) -> None:
    (tmp_path / "model.h").write_text(header_of(graph_of(1), "full-int8"), "utf-8")
    (tmp_path / "count.c").write_text(COUNT, "utf-8")
    strict = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    subprocess.run(["cc", *strict, "-o", "count", "count.c"], cwd=tmp_path, check=True)
    found = subprocess.run([tmp_path / "count"], capture_output=True, check=True, text=True)
    assert found.stdout == "2 3"
