"""The C code on hostile ids, sizes and bytes, under AddressSanitizer and UBSan.

Not what it computes: see tests/conformance/test_conformance_c.py.
"""

import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from gatelet.convert.exporters.c.build import run_compiler
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.passes import skip_padding
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.vectorizer import Vectorizer
from tests.convert.exporters.c_builds import small_graph

PROGRAM = Path(__file__).with_name("c_hostile.c")
VOCABULARY = 60
TEXTS = [" ".join(f"w{i}" for i in range(50)), "a Σas ΑΣ İ good film"]
ROUNDS = 500
FULL_S = 600


def compile_hostile(folder: Path, scheme: str, *flags: str) -> Path:
    """Compile a model, its weights and the program that feeds it, under the sanitizers."""
    graph = small_graph(vocabulary=VOCABULARY, units=24)
    vectorizer = Vectorizer.fit(TEXTS, num_words=VOCABULARY, maxlen=17)
    model = Exportable(graph, skip_padding(graph, timesteps=17), vectorizer, name="model")
    written = write_model(model, SCHEMES[scheme])
    files = {one.role: one.data for one in render(written, model, SCHEMES[scheme])["companions"]}
    (folder / "model.c").write_bytes(files["source"])
    (folder / "model.h").write_bytes(files["header"])
    tables = {"weights": written.weights, "vocabulary": files["vocabulary"]}
    arrays = [
        f"static const _Alignas(64) unsigned char {name}[] = "
        f"{{{', '.join(map(str, np.frombuffer(data, np.uint8)))}}};\n"
        for name, data in tables.items()
    ]
    (folder / "golden.h").write_text(f"#define VOCABULARY {VOCABULARY}\n" + "".join(arrays))
    program = folder / "hostile"
    sanitizers = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [f"-I{folder}", str(PROGRAM), str(folder / "model.c"), "-o", str(program)]
    run_compiler(["gcc", "-std=c11", "-O1", *flags, *sanitizers, *sources])
    return program


def run(program: Path, seed: int, rounds: int) -> None:
    command = [str(program), str(seed), str(rounds)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "clean\n"), done.stderr[:2000]


@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
@pytest.mark.parametrize("flags", [("-march=native",), ("-DGATELET_PLAIN",)], ids=str)
def test_hostile_rows_and_bytes(scheme: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    run(compile_hostile(tmp_path, scheme, *flags), 1, ROUNDS)


def test_a_write_beyond_the_scratch_is_seen(tmp_path: Path) -> None:
    program = compile_hostile(tmp_path, "float32")
    header = tmp_path / "model.h"
    header.write_text(header.read_text().replace("((size_t)4 * (", "((size_t)3 * ("))
    sources = [f"-I{tmp_path}", str(PROGRAM), str(tmp_path / "model.c"), "-o", str(program)]
    run_compiler(["gcc", "-std=c11", "-O1", "-fsanitize=address", *sources])
    done = subprocess.run([str(program), "1", "200"], check=False, capture_output=True, text=True)
    assert "heap-buffer-overflow" in done.stderr


@pytest.mark.full
@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
def test_ten_minutes_of_hostile_rows_and_bytes(scheme: str, tmp_path: Path) -> None:
    program = compile_hostile(tmp_path, scheme, "-march=native")
    seed, end = 2, time.monotonic() + FULL_S / 2
    while time.monotonic() < end:
        run(program, seed, 100 * ROUNDS)
        seed += 1
