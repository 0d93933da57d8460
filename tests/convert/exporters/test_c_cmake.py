"""The CMake project that a bundle ships builds by its own words, and its library predicts."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.bundle.opening import Artifact, Bundle, open_bundle
from tests.convert.exporters.c_builds import small_graph
from tests.fixture_types import WriteBundle

REQUIRED = os.environ.get("GATELET_CMAKE") == "required"
FLAGS = "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror"
pytestmark = pytest.mark.ci  # 4 s each: whole sources are compiled with -O3
LIMITS = {"float32": 1e-5, "dynamic-int8": 0.02}
"""Of scores, between golden vectors and what their scheme's rounding leaves of them."""

PROJECT = """\
cmake_minimum_required(VERSION 3.16)
project(program C)
add_subdirectory(bundle)
add_executable(program main.c)
target_link_libraries(program PRIVATE {prefix})
"""
PROGRAM = """\
#include <stdio.h>
#include <stdlib.h>
#include "{header}"

static void *read_all(const char *name, size_t *bytes) {{
    FILE *file = fopen(name, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {{
        exit(2);
    }}
    *bytes = (size_t)ftell(file);
    rewind(file);
    void *data = aligned_alloc(64, (*bytes + 64) / 64 * 64);
    if (data == NULL || fread(data, 1, *bytes, file) != *bytes) {{
        exit(2);
    }}
    fclose(file);
    return data;
}}

int main(int count, char **words) {{
    size_t weights_bytes, rows_bytes;
    if (count != 5) {{
        return 2;
    }}
    void *weights = read_all(words[1], &weights_bytes);
    const void *inputs[] = {{read_all(words[2], &rows_bytes)}};
    const int32_t rows = atoi(words[3]);
    const int32_t sizes[] = {{atoi(words[4])}};
    float *scores = malloc(sizeof(float) * (size_t)rows);
    float *outputs[] = {{scores}};
    void *scratch = aligned_alloc(64, {prefix}_scratch_bytes(rows, sizes));
    if ({prefix}_check(weights, weights_bytes) != 0 ||
        {prefix}_run(weights, inputs, sizes, rows, outputs, scratch) != 0) {{
        return 3;
    }}
    return fwrite(scores, sizeof(float), (size_t)rows, stdout) == (size_t)rows ? 0 : 4;
}}
"""


@pytest.fixture(scope="module", autouse=True)
def _cmake() -> None:
    if shutil.which("cmake") is None:
        assert not REQUIRED, "GATELET_CMAKE says that cmake is required, and there is none"
        pytest.skip("there is no cmake here")


@pytest.fixture(scope="module", params=["ids", "features"])
def bundle(
    request: pytest.FixtureRequest,
    write_bundle: WriteBundle,
    tmp_path_factory: pytest.TempPathFactory,
) -> Bundle:
    folder = tmp_path_factory.mktemp("cmake") / "bundle"
    width = 3 if request.param == "features" else None
    artifacts = tuple(("c", scheme) for scheme in LIMITS)
    write_bundle(folder, artifacts=artifacts, features=width, with_vectorizer=width is None)
    return open_bundle(folder)


@pytest.mark.parametrize("scheme", LIMITS)
def test_the_shipped_project_builds_and_gives_the_golden_scores(
    bundle: Bundle, scheme: str, tmp_path: Path
) -> None:
    (artifact,) = (one for one in bundle.artifacts if one.scheme == scheme)
    folder = _project(bundle, artifact, tmp_path)
    _run("cmake", "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Release", FLAGS, folder=folder)
    _run("cmake", "--build", "build", folder=folder)
    golden = bundle.golden()
    assert golden is not None
    ((name, given),) = golden.inputs.items()
    rows = np.asarray(given, {"ids": np.int32}.get(name, np.float32))
    (folder / "rows").write_bytes(rows.tobytes())
    words = (str(folder / "bundle" / artifact.path), "rows", *map(str, rows.shape[:2]))
    found = np.frombuffer(
        _run(str(folder / "build" / "program"), *words, folder=folder), np.float32
    )
    (right,) = golden.outputs.values()
    assert np.ptp(np.asarray(right)) > 0.01
    assert np.abs(found - np.asarray(right).reshape(-1)).max() < LIMITS[scheme]


def _project(bundle: Bundle, artifact: Artifact, folder: Path) -> Path:
    """Copy a bundle into a program's folder, and name its CMake file as its first lines say."""
    copy = Path(shutil.copytree(bundle.path, folder / "bundle"))
    shutil.copy(copy / artifact.companions["cmake"], copy / "CMakeLists.txt")
    values = {"prefix": artifact.entry["prefix"], "header": artifact.companions["header"]}
    (folder / "CMakeLists.txt").write_text(PROJECT.format(**values))
    (folder / "main.c").write_text(PROGRAM.format(**values))
    return folder


def test_it_builds_by_the_words_in_it_whatever_the_model_is_called(tmp_path: Path) -> None:
    graph = small_graph()
    model = Exportable(graph, graph, name='a" $ENV{y} ${z} [[x]] ]==] \\\n%; (b) #')
    texts = render(write_model(model, SCHEMES["float32"]), model, SCHEMES["float32"])
    files = {one.role: one for one in texts["companions"]}
    source = files["source"]
    (tmp_path / source.stored_name).write_bytes(source.data)
    (tmp_path / "CMakeLists.txt").write_bytes(files["cmake"].data)
    (told,) = re.findall(rb"^#  +(cmake .*)$", files["cmake"].data, re.MULTILINE)
    _run("sh", "-c", f"{told.decode()} -- VERBOSE=1", folder=tmp_path)
    assert (tmp_path / "build" / f"lib{_prefix(files['cmake'].data)}.a").exists()


def _prefix(text: bytes) -> str:
    (found,) = re.findall(rb"add_library\((\w+) ", text)
    return str(found, "ascii")


def _run(*command: str, folder: Path) -> bytes:
    environment = {**os.environ, "CMAKE_GENERATOR": "Unix Makefiles"}
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True)
    assert done.returncode == 0, (done.stdout + done.stderr).decode("utf-8", "replace")[-2000:]
    return done.stdout
