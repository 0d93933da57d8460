"""The C code on hostile ids, sizes and bytes, under AddressSanitizer and UBSan.

Not what it computes: see tests/conformance/test_conformance_c.py.
"""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gatelet.convert.exporters.c.build import run_compiler
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.passes import skip_padding
from gatelet.convert.passes.streaming import streaming_beside
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.convert.exporters.c_builds import small_graph

PROGRAM = Path(__file__).with_name("c_hostile.c")
VOCABULARY = 60
TEXTS = [" ".join(f"w{i}" for i in range(50)), "a Σas ΑΣ İ good film"]
ROUNDS = 1000
FUZZED_RUNS = 5000
FULL_S = 600
SCHEME_NAMES = ("float32", "dynamic-int8", "full-int8")
CLANG = shutil.which("clang")
REQUIRED = os.environ.get("GATELET_CLANG") == "required"


def compile_hostile(folder: Path, scheme: str, *flags: str, fuzzer: bool = False) -> Path:
    """Compile a model, its weights and the program that feeds it, under the sanitizers."""
    graph = small_graph(vocabulary=VOCABULARY, units=24)
    vectorizer = Vectorizer.fit(TEXTS, num_words=VOCABULARY, maxlen=17)
    ids = np.random.default_rng(0).integers(0, VOCABULARY, (20, 17)).astype(np.int32)
    model = Exportable(
        graph,
        skip_padding(graph, timesteps=17),
        vectorizer,
        name="model",
        calibration=Calibration({"ids": ids}, "test"),
        streaming=streaming_beside(graph, wanted=None),
    )
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
    kinds = "fuzzer,address,undefined" if fuzzer else "address,undefined"
    sanitizers = ["-g", f"-fsanitize={kinds}", "-fno-sanitize-recover=all"]
    compiler = ["clang", "-DLIBFUZZER"] if fuzzer else ["gcc"]
    sources = [f"-I{folder}", str(PROGRAM), str(folder / "model.c"), "-o", str(program)]
    run_compiler([*compiler, "-std=c11", "-O1", *flags, *sanitizers, *sources])
    return program


def run(program: Path, seed: int, rounds: int) -> None:
    command = [str(program), str(seed), str(rounds)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "clean\n"), done.stderr[:2000]


@pytest.mark.parametrize("scheme", SCHEME_NAMES)
@pytest.mark.parametrize("flags", [("-march=native",), ("-DGATELET_PLAIN",)], ids=str)
def test_hostile_rows_and_bytes(scheme: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    run(compile_hostile(tmp_path, scheme, *flags), 1, ROUNDS)


def test_a_write_beyond_the_scratch_is_seen(tmp_path: Path) -> None:
    program = compile_hostile(tmp_path, "float32")
    header = tmp_path / "model.h"
    text = header.read_text()
    assert text.count("((size_t)4 * (") == 2  # of whole rows, and of a step
    # less by the last piece only: far beyond the end may be no memory at all
    header.write_text(text.replace("((size_t)4 * (", "((size_t)4 * ((size_t)-16 + "))
    sources = [f"-I{tmp_path}", str(PROGRAM), str(tmp_path / "model.c"), "-o", str(program)]
    run_compiler(["gcc", "-std=c11", "-O1", "-fsanitize=address", *sources])
    done = subprocess.run([str(program), "1", "200"], check=False, capture_output=True, text=True)
    assert "buffer-overflow" in done.stderr


def fuzz(scheme: str, folder: Path, *options: str) -> None:
    """Let libFuzzer choose the inputs, beginning with a few words."""
    if CLANG is None:
        assert not REQUIRED, "GATELET_CLANG says that clang is required, and there is none"
        pytest.skip("clang is not installed: apt-get install clang")
    program = compile_hostile(folder, scheme, fuzzer=True)
    corpus = folder / "corpus"
    corpus.mkdir()
    for index, text in enumerate(TEXTS):
        (corpus / str(index)).write_bytes(b"\x02" + text.encode())
    command = [str(program), "-seed=1", "-max_len=2048", *options, str(corpus)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Done " in done.stderr


def test_what_a_fuzzer_chooses(tmp_path: Path) -> None:
    fuzz("float32", tmp_path, f"-runs={FUZZED_RUNS}")


@pytest.mark.full
@pytest.mark.parametrize("scheme", SCHEME_NAMES)
def test_ten_minutes_of_what_a_fuzzer_chooses(scheme: str, tmp_path: Path) -> None:
    fuzz(scheme, tmp_path, f"-max_total_time={FULL_S // len(SCHEME_NAMES)}")
