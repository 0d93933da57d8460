"""What a stranger's program around a C model may be called, and how it may be compiled."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gatelet.convert.exporters.c.blob import Blob
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.c.layout import LAYOUT
from gatelet.convert.exporters.c.source import KERNELS, prefix_of
from gatelet.convert.exporters.c.writer import Writer
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import TARGETS
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from tests.convert.exporters.c_builds import STRICT, small_graph

TEMPLATES = KERNELS.parent / "templates"


def test_the_names_of_a_model_are_c() -> None:
    assert prefix_of("Réviews 1!") == "rviews_1"
    assert prefix_of("1") == "model_1"
    assert prefix_of("评论") == "model"


@pytest.mark.parametrize("name", ["test", "all", "gatelet", "gatelet-demo"])
def test_names_of_cmake_and_of_the_kernels_are_left_to_them(name: str) -> None:
    assert prefix_of(name) == f"model_{name.replace('-', '_')}"


def test_no_model_can_be_called_so_that_a_kernel_has_its_names() -> None:
    text = "".join(path.read_text() for path in [*KERNELS.iterdir(), *TEMPLATES.glob("*.[ch]")])
    stems = set(re.findall(r"(?:NAME\(|\$\{prefix\}_)([a-z_]+)", text.replace("${form}", "")))
    assert {"step", "run", "check", "predict"} <= stems
    ours = set(re.findall(r"\b([a-z]\w*)\(", "".join(p.read_text() for p in KERNELS.iterdir())))
    assert {"gatelet_usual_lstm", "step_at"} <= ours
    taken = [
        name
        for name in ours
        if not name.startswith("gatelet") and any(name.endswith(f"_{stem}") for stem in stems)
    ]
    assert taken == []


@pytest.mark.parametrize("flag", ["-ffast-math", "-Ofast", "-D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__"])
def test_what_would_give_other_scores_is_refused(flag: str, tmp_path: Path) -> None:
    done = compile_source(tmp_path, "gcc", flag, "-fsyntax-only")
    assert done.returncode != 0
    assert ("without -ffast-math" if "fast" in flag else "little-endian") in done.stderr


def test_a_number_that_the_kernels_know_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in LAYOUT.items():
        with monkeypatch.context() as patch:
            patch.setitem(LAYOUT, name, number + 1)
            done = compile_source(tmp_path, "gcc", "-fsyntax-only")
        assert done.returncode != 0 and f"GATELET_{name} ==" in done.stderr


def test_names_in_c_are_those_of_the_nodes_whatever_these_are_called() -> None:
    writer = Writer(Blob(), SCHEMES["float32"])
    found = []
    for node in ("n2_lstm", "n2_lstm", "n2/LSTM", "gatelet_lstm", "2", "评论", "x" * 100, ""):
        writer.node = node
        found.append(writer.name("value"))
    assert found[:5] == [
        "n2_lstm_value",
        "n2_lstm_value_2",
        "n2_lstm_value_3",
        "node_gatelet_lstm_value",
        "node_2_value",
    ]
    assert len(set(found)) == len(found)
    assert all(re.fullmatch("[a-z][a-z0-9_]{0,62}", name) for name in found)


@pytest.mark.full
@pytest.mark.parametrize("scheme", TARGETS["c"])
@pytest.mark.parametrize(
    "level", ["-DGATELET_PLAIN", "-msse4.2", "-march=haswell", "-march=native"]
)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_shipped_source_compiles_without_a_warning(
    compiler: str, level: str, scheme: str, tmp_path: Path
) -> None:
    if shutil.which(compiler) is None:
        # gcc is on every machine of CI, clang is not
        pytest.skip(f"there is no {compiler} here")
    for optimization in ("-O0", "-O2", "-O3"):
        done = compile_source(tmp_path, compiler, level, optimization, "-c", scheme=scheme)
        assert done.returncode == 0, done.stderr[:1000]


def compile_source(
    folder: Path, compiler: str, *flags: str, scheme: str = "float32"
) -> "subprocess.CompletedProcess[str]":
    """Compile the one file of a bundle."""
    graph = small_graph(vocabulary=400, units=40)  # large enough to be rounded
    calibration = Calibration({"ids": np.zeros((1, 5), np.int32)}, "zeros")
    model = Exportable(graph, graph, name="m", calibration=calibration)
    written = write_model(model, SCHEMES[scheme])
    source = folder / "model.c"
    source.write_text(render(written, model, SCHEMES[scheme])["source"])
    command = [compiler, "-std=c11", *STRICT, *flags, str(source), "-o", str(folder / "model.o")]
    return subprocess.run(command, check=False, capture_output=True, text=True)
