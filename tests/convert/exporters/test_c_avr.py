"""The C source where an int has 16 bits: an ATmega2560 under simavr gives this machine's bits."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.streaming import to_stream
from tests.convert.exporters.c_builds import build
from tests.convert.exporters.onnx_graphs import GraphMaker

PROGRAM = Path(__file__).with_name("c_avr.c")
REQUIRED = os.environ.get("GATELET_AVR") == "required"
COMPILER = ["avr-gcc", "-mmcu=atmega2560", "-DF_CPU=16000000UL", "-std=gnu11", "-O2"]
STRICT = ["-Wall", "-Wextra", "-Werror", "-ffunction-sections", "-fdata-sections"]
TIMESTEPS, FEATURES = 5, 3


def tool(name: str, package: str) -> None:
    if shutil.which(name) is None:
        assert not REQUIRED, f"GATELET_AVR says that {name} is required, and there is none"
        pytest.skip(f"there is no {name} here: apt-get install {package}")


def tiny_graph(*, units: int = 8) -> Graph:
    """Feed features [B, T, 3] to an LSTM, a GRU and a sigmoid."""
    maker = GraphMaker(seed=4)
    x = maker.input("features", None, None, FEATURES)
    shapes = {"return_sequences": True}
    (y,) = maker.recurrence("LSTM", [x], features=FEATURES, units=units, **shapes)
    (h,) = maker.recurrence("GRU", [y], features=units, units=4)
    score = maker.one("Dense", [h], (None, 1), weights={"kernel": maker.weight(4, 1)})
    return maker.finish(maker.one("Activation", [score], (None, 1), activation="sigmoid"))


@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8", "dynamic-int8-rec16", "full-int8"])
def test_the_source_compiles_where_an_int_has_16_bits(scheme: str, tmp_path: Path) -> None:
    tool("avr-gcc", "gcc-avr avr-libc")
    graph = tiny_graph(units=32)  # large enough for weights of 8 and 16 bits
    written_to(graph, scheme, np.ones((4, TIMESTEPS, FEATURES), np.float32), tmp_path)
    made = ["-c", "model.c", "-o", "model.o"]
    subprocess.run([*COMPILER, *STRICT, *made], cwd=tmp_path, check=True, timeout=120)


def test_integers_of_16_bits_give_this_machines_bits(tmp_path: Path) -> None:
    tool("avr-gcc", "gcc-avr avr-libc")
    tool("simavr", "simavr")
    graph = tiny_graph()
    rows = np.random.default_rng(4).normal(size=(9, TIMESTEPS, FEATURES)).astype(np.float32)
    model = written_to(graph, "full-int8", rows, tmp_path)
    (tmp_path / "host").mkdir()
    written, library = build(model, tmp_path / "host", scheme="full-int8")
    (tmp_path / "weights.bin").write_bytes(written.weights)
    backend = CBackend(open_library(library), tmp_path / "weights.bin", engine="c")
    score = np.float32(backend.run({"features": rows[:1]})[graph.outputs[0]][0, 0])
    given = [str(PROGRAM), "model.c", "-o", "program", "-I.", "-Wl,--gc-sections"]
    subprocess.run([*COMPILER, *STRICT, *given], cwd=tmp_path, check=True, timeout=120)
    simulator = ["simavr", "-m", "atmega2560", "-f", "16000000", "program"]
    said = subprocess.run(simulator, cwd=tmp_path, capture_output=True, check=False, timeout=120)
    found = re.search(r"=(\w{8})([.!])", (said.stdout + said.stderr).decode("ascii", "replace"))
    assert found is not None, said
    assert found.group(2) == "." and int(found.group(1), 16) == int(score.view(np.uint32))
    assert 0.01 < abs(score - 0.5) < 0.49


def written_to(graph: Graph, scheme: str, rows: NDArray[Any], folder: Path) -> Exportable:
    """Write a model's source, its weights and a row into a folder."""
    calibration = Calibration({"features": rows}, "test")
    model = Exportable(graph, graph, name="m", calibration=calibration, streaming=to_stream(graph))
    written = write_model(model, SCHEMES[scheme])
    for one in render(written, model, SCHEMES[scheme])["companions"]:
        if one.role in ("source", "header"):
            (folder / f"model{one.suffix}").write_bytes(one.data)
    weights = ", ".join(map(str, written.weights))
    numbers = ", ".join(f"{float(x):.9g}" for x in rows[0].flat)
    (folder / "row.h").write_text(
        f"enum {{ TIMESTEPS = {TIMESTEPS}, FEATURES = {FEATURES} }};\n"
        f"static const _Alignas(4) float row[] = {{{numbers}}};\n"
        f"static const _Alignas(4) unsigned char weights[] = {{{weights}}};\n"
    )
    return model
