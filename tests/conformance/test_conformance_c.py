"""Every case x compiler x level: the C kernels give what the reference gives in float64.

Not the libraries of a bundle: see tests/convert/exporters/test_c_export.py.
"""

import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c.build import kernel_object, run_compiler
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.parity.checks import difference
from gatelet.convert.passes import skip_padding
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends.c import CBackend, open_library
from tests.conformance.cases import CASES
from tests.conformance.matrix import Prepared, batches, conditioned, prepare, within

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
V2 = ("-msse4.2", "-mpopcnt")
V3 = (*V2, "-mavx2", "-mfma", "-mbmi", "-mbmi2")
V4 = (*V3, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni")
LEVELS = {"plain": ("-DGATELET_PLAIN",), "v2": V2, "v3": V3, "v4": V4}
UNDEFINED = ("-g", "-fsanitize=undefined", "-fno-sanitize-recover=all")
# a few cases of each family, for the slow builds of the default run
FEW = ("lstm_classic", "gru_reset_before_masked", "bidirectional_tagger", "conv_same_strided")

# 8-bit weights, 14-bit activations: a tenth of what the engines that round both to 8 bits make
INT8_LIMIT = 0.3
INT8_MEAN_LIMIT = 0.03


@dataclass(frozen=True)
class Build:
    """How the kernels are compiled.

    Args:
        compiler: 'gcc' or 'zig'.
        flags: Beside those that are always given.
    """

    compiler: str
    flags: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        """The compiler's command line."""
        return [sys.executable, "-m", "ziglang", "cc"] if self.compiler == "zig" else ["gcc"]

    def is_possible(self) -> bool:
        """Tell whether the compiler is here, and the processor can run the result."""
        if self.compiler == "gcc" and shutil.which("gcc") is None:
            return False
        flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
        needed = {"-mavx2": "avx2", "-mavx512vnni": "avx512_vnni", "-msse4.2": "sse4_2"}
        return all(name in flags for flag, name in needed.items() if flag in self.flags)


@cache
def keras() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras
    return keras


@cache
def prepared(build: Callable[[Any], Any]) -> Prepared:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return prepare(keras(), build)


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def case(request: pytest.FixtureRequest) -> Prepared:
    return replace(prepared(request.param), float32_limit=conditioned_limit(request.param))


@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
def test_c(case: Prepared, scheme: str, tmp_path: Path) -> None:
    check(case, scheme, Build("gcc", ("-O1", "-march=native")), tmp_path)


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
def test_the_plain_path_under_ubsan(name: str, scheme: str, tmp_path: Path) -> None:
    build = Build("gcc", ("-O1", *LEVELS["plain"], *UNDEFINED))
    check(prepared(next(c for c in CASES if c.__name__ == name)), scheme, build, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("compiler", ["gcc", "zig"])
@pytest.mark.parametrize("optimization", ["-O0", "-O2", "-O3"])
def test_c_by_every_compiler_at_every_level(
    case: Prepared, compiler: str, optimization: str, level: str, tmp_path: Path
) -> None:
    for scheme in ("float32", "dynamic-int8", "dynamic-int8-emb4"):
        check(case, scheme, Build(compiler, (optimization, *LEVELS[level])), tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("level", LEVELS)
def test_c_under_ubsan(case: Prepared, level: str, tmp_path: Path) -> None:
    build = Build("gcc", ("-O1", *LEVELS[level], *UNDEFINED))
    for scheme in ("float32", "dynamic-int8"):
        check(case, scheme, build, tmp_path)


@cache
def conditioned_limit(build: Callable[[Any], Any]) -> float:
    """Give the float32 limit of a case, as its conditioning allows."""
    return conditioned(prepared(build)).float32_limit


def check(case: Prepared, scheme: str, build: Build, folder: Path) -> None:
    if not build.is_possible():
        pytest.skip(f"{build} cannot be made or run here")
    backend = open_build(case, scheme, build, folder)
    rows = len(next(iter(case.inputs.values())))
    for part in batches(rows):
        found = backend.run({name: array[part] for name, array in case.inputs.items()})
        for name in case.graph.outputs:
            expected, got = case.expected[name][part], np.asarray(found[name])
            if scheme == "float32":
                assert within(got, expected, case.float32_limit)
            elif scheme == "dynamic-int8":
                assert within(got, expected, INT8_LIMIT)
                assert float(np.mean(difference(got, expected))) <= INT8_MEAN_LIMIT
            else:
                assert got.shape == expected.shape


def open_build(case: Prepared, scheme: str, build: Build, folder: Path) -> CBackend:
    """Compile a case's calls, link them with the kernels, and open the result."""
    graph = skip_padding(case.graph, timesteps=12)
    model = Exportable(case.graph, graph, name="case")
    written = write_model(model, SCHEMES[scheme])
    source, library, weights = (folder / n for n in ("case.c", f"{scheme}.so", f"{scheme}.bin"))
    source.write_text(render(written, model, SCHEMES[scheme])["linked"])
    weights.write_bytes(written.weights)
    kernels = kernel_object(build.command, (*build.flags, *STRICT))
    given = (
        "-DGATELET_LIBRARY",
        "-DGATELET_ONE_LEVEL",
        "-fPIC",
        "-shared",
        "-std=c11",
        "-ffp-contract=fast",
    )
    files = ("-o", str(library), str(source), str(kernels))
    run_compiler([*build.command, *STRICT, *build.flags, *given, *files])
    return CBackend(open_library(library), weights, engine="c")
