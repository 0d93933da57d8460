"""An embedding beside a tflm file: the same scores, fewer bytes, and C++ that reads rows."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exported
from gatelet.convert.exporters.tflm.tables import rows_header, table_of
from gatelet.errors import BackendError
from gatelet.runtime.backends import Backend, open_backend
from gatelet.runtime.backends.tflm_tables import Table
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.onnx_graphs import GraphMaker
from tests.convert.exporters.test_tflm_file import IDS, V, expected, exported, lstm_graph

UNLIKE_ROWS = np.random.default_rng(4).normal(size=(50, 6)) * np.geomspace(1e-4, 3, 50)[:, None]


def opened(made: Exported, folder: Path) -> Backend:
    path = folder / "model.tflite"
    path.write_bytes(made.data)
    beside = {one.role: folder / one.role for one in made.companions}
    for one in made.companions:
        beside[one.role].write_bytes(one.data)
    return open_backend("tflm", path, companions=beside)


def scores(made: Exported, folder: Path) -> Any:
    (found,) = opened(made, folder).run({"ids": IDS}).values()
    return found


def both_ways() -> Graph:
    """Return a model that reads one table forwards and backwards, and another beside it."""
    maker = GraphMaker()
    ids = maker.input("ids", None, None, vocabulary=V)
    tables = [{"embeddings": maker.weight(V, 6)}, {"embeddings": maker.weight(V, 5)}]
    x, y = (
        maker.one("Embedding", [ids], (None, None, n), weights=one)
        for n, one in zip((6, 5), tables, strict=True)
    )
    (a,) = maker.recurrence("GRU", [x], features=6, units=4)
    (b,) = maker.recurrence("GRU", [x], features=6, units=4, go_backwards=True)
    (c,) = maker.recurrence("LSTM", [y], features=5, units=3)
    return maker.finish(maker.one("Concatenate", [a, b, c], (None, 11), axis=-1))


def test_float_rows_give_the_very_same_scores_as_a_table_in_the_file(tmp_path: Path) -> None:
    inside, outside = (exported(lstm_graph(), s) for s in ("float32", "float32-features"))
    assert "GATHER" in inside.ops and "GATHER" not in outside.ops
    (table,) = (one for one in outside.companions if one.role == "embedding")
    assert len(table.data) == V * 6 * 4
    assert len(outside.data) < len(inside.data) - len(table.data) + 1024
    assert np.array_equal(scores(outside, tmp_path), scores(inside, tmp_path))


def test_integer_rows_have_scales_of_their_own_and_take_less_arena(tmp_path: Path) -> None:
    graph = lstm_graph(scale=0.5)
    inside, outside = (exported(graph, s) for s in ("full-int8", "full-int8-features"))
    off = [np.abs(scores(one, tmp_path) - expected(graph)).max() for one in (outside, inside)]
    assert off[0] <= 0.01
    assert outside.facts["arena_bytes"] < inside.facts["arena_bytes"]
    (fed,) = outside.facts["steps"]["inputs"]
    assert fed["table"]["columns"] == 6
    assert fed["table"]["scale"] > 0


@pytest.mark.parametrize(("scheme", "limit"), [("float32", 1e-5), ("full-int8", 0.02)])
def test_directions_share_a_table_and_other_tables_are_files_of_their_own(
    scheme: str, limit: float, tmp_path: Path
) -> None:
    graph = both_ways()
    made = exported(graph, f"{scheme}-features")
    fed = [(one["order"], one["table"]["companion"]) for one in made.facts["steps"]["inputs"]]
    assert sorted(fed) == [
        ("backward", "embedding"),
        ("forward", "embedding"),
        ("forward", "embedding_2"),
    ]
    assert np.abs(scores(made, tmp_path) - expected(graph)).max() <= limit


def test_rows_that_differ_much_lose_no_more_than_half_a_step_of_their_own() -> None:
    one = table_of(UNLIKE_ROWS, role="embedding", integers=True)
    assert len(one.data) == 50 * one.row_bytes
    assert one.scale is not None
    found = Table(one.facts, one.data).look_up(np.arange(50))
    assert found.dtype == np.int16
    step = np.maximum(np.abs(UNLIKE_ROWS).max(axis=1) / 127, one.scale) + one.scale
    assert (np.abs(found * one.scale - UNLIKE_ROWS).max(axis=1) <= 0.51 * step).all()


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.parametrize("integers", [False, True])
def test_the_header_reads_the_rows_that_the_runtime_reads(tmp_path: Path, integers: bool) -> None:
    one = table_of(UNLIKE_ROWS, role="embedding_2", integers=integers)
    scheme = "full-int8-features" if integers else "float32-features"
    (tmp_path / "rows.h").write_text(rows_header([one], scheme=scheme))
    (tmp_path / "table.bin").write_bytes(one.data)
    kind = "int16_t" if integers else "float"
    (tmp_path / "main.cc").write_text(f"""
#include <stdio.h>
#include "rows.h"
int main() {{
  unsigned char row[gatelet::Embedding2::kRowBytes];
  {kind} x[gatelet::Embedding2::kColumns];
  for (unsigned long id = 0; id < gatelet::Embedding2::kRows; ++id) {{
    if (fread(row, 1, sizeof row, stdin) != sizeof row) return 1;
    gatelet::Embedding2::Read(row, x);
    fwrite(x, sizeof x, 1, stdout);
  }}
}}
""")
    main = str(tmp_path / "main")
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", f"-I{tmp_path}"]
    subprocess.run(["g++", *flags, str(tmp_path / "main.cc"), "-o", main], check=True)
    shown = subprocess.run([main], input=one.data, check=True, capture_output=True).stdout
    read = np.frombuffer(shown, np.int16 if integers else np.float32).reshape(50, 6)
    assert np.array_equal(read, Table(one.facts, one.data).look_up(np.arange(50)))


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (None, "takes rows of the companion 'embedding', which is not here"),
        (b"", "the companion 'embedding' has 0 bytes, and the file says 50 rows of 6"),
        (b"\0" * 351, "has 351 bytes, .* which take 350"),
    ],
)
def test_a_table_that_is_missing_or_cut_is_refused(
    damage: bytes | None, complaint: str, tmp_path: Path
) -> None:
    path, beside = tmp_path / "model.tflite", tmp_path / "table.bin"
    path.write_bytes(exported(lstm_graph(), "full-int8-features").data)
    if damage is not None:
        beside.write_bytes(damage)
    companions = {} if damage is None else {"embedding": beside}
    with pytest.raises(BackendError, match=complaint):
        open_backend("tflm", path, companions=companions)
