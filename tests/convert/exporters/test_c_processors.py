"""The C source on other processors: aarch64 and armv7 under qemu-user, golden rows inside.

Not the libraries of a bundle, which need the Python of that processor.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c.build import FLAGS, run_compiler
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.passes import skip_padding
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.convert.exporters.c_builds import build, small_graph

PROGRAM = Path(__file__).with_name("c_freestanding.c")
PROCESSORS = {
    "aarch64": ("-target", "aarch64-linux-musl"),
    "arm": ("-target", "arm-linux-musleabihf", "-mcpu=cortex_a7"),
    "x86_64": ("-target", "x86_64-linux-musl"),
}
# integers are the same on every processor
LIMITS = {"float32": 1e-6, "dynamic-int8": 1e-3, "dynamic-int8-rec16": 1e-3, "full-int8": 1e-8}
TEXT = "Good FILM, w7 w150 \u03a3\u0391\u03a3 unknown \u4f60"


@pytest.mark.parametrize("scheme", LIMITS)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_golden_rows(processor: str, scheme: str, tmp_path: Path) -> None:
    emulator = shutil.which(f"qemu-{processor}") or shutil.which(f"qemu-{processor}-static")
    if emulator is None and processor != "x86_64":
        pytest.skip(f"qemu-{processor} is not installed: apt-get install qemu-user")
    program = compile_golden(processor, scheme, tmp_path, shift=0.0)
    command = [*([emulator] if emulator else []), str(program)]
    assert subprocess.run(command, check=False, timeout=120).returncode == 0


def test_a_wrong_score_is_seen(tmp_path: Path) -> None:
    program = compile_golden("x86_64", "float32", tmp_path, shift=1e-4)
    assert subprocess.run([str(program)], check=False).returncode == 4


def compile_golden(processor: str, scheme: str, folder: Path, *, shift: float) -> Path:
    """Compile a model, its weights, ids and the scores to be expected into one program."""
    graph = small_graph(vocabulary=200, units=40)
    words = [f"w{i}" for i in range(180)]
    vectorizer = Vectorizer.fit(
        [" ".join(["good film \u03c3\u03b1\u03c2", *words])], num_words=200, maxlen=9
    )
    ids = np.random.default_rng(4).integers(0, 200, (11, 9)).astype(np.int32)
    ids[:6, :4] = 0
    model = Exportable(
        graph,
        skip_padding(graph, timesteps=9),
        vectorizer,
        name="model",
        calibration=Calibration({"ids": ids}, "test"),
    )
    written = write_model(model, SCHEMES[scheme])
    files = {one.role: one.data for one in render(written, model, SCHEMES[scheme])["companions"]}
    (folder / "model.c").write_bytes(files["source"])
    (folder / "model.h").write_bytes(files["header"])
    padded = np.array([vectorizer.pad(TEXT)], np.int32)
    scores = expected(model, scheme, np.concatenate([ids, padded]), folder) + shift
    (folder / "golden.h").write_text(
        f"enum {{ ROWS = {len(ids)}, TIMESTEPS = {ids.shape[1]} }};\n"
        f"#define LIMIT {LIMITS[scheme]}f\n"
        f"static const int32_t ids[] = {{{_numbers(ids)}}};\n"
        f"static const float expected[] = {{{_numbers(scores[:-1])}}};\n"
        f"static const float text_expected = {float(scores[-1]):.9g}f;\n"
        f"static const unsigned char text[] = {{{_bytes(TEXT.encode())}}};\n"
        "static const _Alignas(64) unsigned char vocabulary[] = "
        f"{{{_bytes(files['vocabulary'])}}};\n"
        "static const _Alignas(64) unsigned char weights[] = "
        f"{{{_bytes(written.weights)}}};\n"
    )
    program, compiler = folder / "golden", [sys.executable, "-m", "ziglang", "cc"]
    command, objects = [*compiler, *PROCESSORS[processor]], []
    for source in (PROGRAM, folder / "model.c"):
        objects.append(str(folder / f"{source.stem}.o"))
        given = [
            "-fno-builtin",
            "-fno-sanitize=all",
            f"-I{folder}",
            f"-I{PROGRAM.parent}",
            "-c",
            str(source),
        ]
        run_compiler([*command, *FLAGS, *given, "-o", objects[-1]])
    # linked without a C library, so that none of the target has to be built
    run_compiler([*command, "-static", "-nostdlib", "-o", str(program), *objects])
    return program


def expected(model: Exportable, scheme: str, ids: Any, folder: Path) -> Any:
    """Return the reference's scores; of int8, whose error is its own, this machine's."""
    output = model.graph.outputs[0]
    if scheme == "float32":
        return ReferenceBackend(model.graph).run({"ids": ids})[output][:, 0]
    (folder / "host").mkdir()
    written, library = build(model, folder / "host", scheme=scheme)
    weights = folder / "host" / "weights.bin"
    weights.write_bytes(written.weights)
    return CBackend(open_library(library), weights, engine="c").run({"ids": ids})[output][:, 0]


def _bytes(data: bytes) -> str:
    return _numbers(np.frombuffer(data, np.uint8))


def _numbers(array: Any) -> str:
    return ", ".join(f"{float(x):.9g}" if array.dtype.kind == "f" else str(x) for x in array.flat)
