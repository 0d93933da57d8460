"""The products of C, and the rounding before them: every level and processor gives the same.

Not whole models: those are in test_c_processors.py and the conformance tests.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from gatelet.convert.exporters.c.blob import Blob
from gatelet.convert.exporters.c.build import run_compiler
from gatelet.convert.exporters.c.source import kernel_text, number
from gatelet.convert.exporters.c.writer import ACTIVATION_LIMIT, Part, Writer
from gatelet.convert.layouts import pack
from gatelet.convert.schemes import SCHEMES
from tests.conformance.c_builds import LEVELS, STRICT, Build

HERE = Path(__file__).parent
PROGRAM = HERE / "c_kernels.c"
BARE = ("-std=c11", "-fno-builtin", "-ffp-contract=fast", "-fno-stack-protector", f"-I{HERE}")
CROSS = {
    "aarch64": (("qemu-aarch64",), ("-target", "aarch64-linux-musl")),
    "dot products": (
        ("qemu-aarch64", "-cpu", "max"),
        ("-target", "aarch64-linux-musl", "-mcpu=generic+v8_2a+dotprod"),
    ),
    "arm": (("qemu-arm",), ("-target", "arm-linux-musleabihf", "-mcpu=cortex_a7")),
    "cortex-m4": (
        ("qemu-arm", "-cpu", "max"),
        ("-target", "thumb-linux-musleabihf", "-mcpu=cortex_m4+vfp4d16sp", "-fomit-frame-pointer"),
    ),
}
"""The emulator, and what the compiler is told. None of Helium runs without a system."""
ROWS, LENGTH = 24, 256
SHAPES = ((5, 261, 20, 1), (3, 37, 70, 1), (1, 30, 96, 4))
"""Rows, inner dimension, columns and gates of the products."""

Array = Any


class Form(NamedTuple):
    """How a matrix is stored: the scheme and the settings that make it so, and what is rounded."""

    scheme: str
    settings: dict[str, bool]
    largest: int
    rounds: bool


FORMS = {
    "floats": Form("float32", {}, 0, rounds=False),
    "bytes": Form("dynamic-int8", {"raw": True}, 127, rounds=False),
    "values": Form("dynamic-int8", {}, 127, rounds=True),
    "words": Form("dynamic-int8-rec16", {"recurrent": True}, 32767, rounds=True),
}


@pytest.mark.parametrize("level", ["plain", "v2", "v3", "v4"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_level_rounds_and_multiplies_alike(compiler: str, level: str, tmp_path: Path) -> None:
    if compiler == "clang" and shutil.which(compiler) is None:  # without gcc this fails
        pytest.skip(f"there is no {compiler} here")
    # its instructions would end the process; other processors of CI run them
    if not Build("gcc", "-O2", level).is_possible():
        pytest.skip(f"this processor has no {level}")
    write_cases(tmp_path)
    # a plain path that may be fused is told from one that is not
    flags = (*LEVELS[level], *(("-mfma",) if level == "plain" else ()))
    assert result([compiler, *STRICT, *flags], tmp_path) == 0


@pytest.mark.parametrize("processor", CROSS)
def test_other_processors_round_and_multiply_alike(processor: str, tmp_path: Path) -> None:
    (name, *settings), flags = CROSS[processor]
    emulator = shutil.which(name) or shutil.which(f"{name}-static")
    if emulator is None:  # .ci/run installs it; contributors need no emulator
        pytest.skip(f"{name} is not installed: apt-get install qemu-user")
    write_cases(tmp_path)
    zig = [sys.executable, "-m", "ziglang", "cc", *flags, "-fno-sanitize=all"]
    assert result(zig, tmp_path, emulator, *settings) == 0


@pytest.mark.parametrize("level", ["v3", "v4"])
def test_what_is_rounded_is_fused_with_nothing(level: str, tmp_path: Path) -> None:
    """Look at the code of processors that may not be here: few have AVX-512."""
    source, made = tmp_path / "kernels.c", tmp_path / "kernels.s"
    source.write_text(kernel_text({"product", "product_int8"}))
    flags = ["-std=c11", "-O2", "-fno-inline", "-fno-ipa-cp", "-ffp-contract=fast", *LEVELS[level]]
    run_compiler(["gcc", *flags, "-S", str(source), "-o", str(made)])
    functions = re.split(r"\n(?=[a-z_][\w.]*:)", made.read_text())
    rounding = [one for one in functions if re.match(r"(gatelet_)?round_row(\.\w+)*:", one)]
    assert len(rounding) == 2 and any("cvtps2dq" in one for one in rounding)
    assert not any("fmadd" in one or "fmsub" in one for one in rounding)
    assert any("fmadd" in one for one in functions)


def test_one_integer_that_is_another_is_seen(tmp_path: Path) -> None:
    write_cases(tmp_path, spoil=1)
    assert result(["gcc", "-msse4.2"], tmp_path) == 2


def test_the_rows_tell_a_fused_product_from_a_rounded_one() -> None:
    x, inverses = rows_near_ties(np.random.default_rng(6))
    fused = np.rint(x.astype(np.float64) * inverses[:, None])
    assert ((fused != rounded(x, inverses)).sum(axis=1) > 3).all()


def result(command: list[str], folder: Path, *emulator: str) -> int:
    """Compile the program without a C library, run it, and return its exit code."""
    program, made = folder / "kernels", str(folder / "kernels.o")
    run_compiler([*command, *BARE, "-O2", f"-I{folder}", "-c", str(PROGRAM), "-o", made])
    run_compiler([*command, "-static", "-nostdlib", made, "-o", str(program)])
    runs = [*emulator, str(program)]
    return subprocess.run(runs, check=False, timeout=120).returncode


def rows_near_ties(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return rows whose products with a number of the row's own lie at halves, or a unit off."""
    inverses = np.exp(rng.uniform(-9, 12, ROWS)).astype(np.float32)
    halves = rng.integers(-ACTIVATION_LIMIT, ACTIVATION_LIMIT, (ROWS, LENGTH)) + 0.5
    x = (halves / inverses[:, None].astype(np.float64)).astype(np.float32)
    direction = rng.integers(-1, 2, x.shape)
    moved = np.nextafter(x, np.where(direction < 0, -np.inf, np.inf).astype(np.float32))
    return np.where(direction == 0, x, moved), inverses


def rounded(x: Array, inverses: Array) -> Array:
    """Return the integers of x: the product is a float32, which goes half to even."""
    return np.rint(x * inverses[:, None]).astype(np.int16)


def write_cases(folder: Path, *, spoil: int = 0) -> None:
    """Write the kernels, and what they must give, as C."""
    rng = np.random.default_rng(6)
    x, inverses = rows_near_ties(rng)
    integers = rounded(x, inverses)
    integers[3, 5] += spoil
    text = [
        f"enum {{ ROWS = {ROWS}, LENGTH = {LENGTH}, LARGEST = 1024 }};",
        _array("float", "numbers", x),
        _array("float", "inverses", inverses),
        _array("int16_t", "integers", integers),
        "struct product {",
        "    struct gatelet_matrix w;",
        "    int32_t rows;",
        "    size_t x_stride, start_stride, columns;",
        "    const float *x, *start, *z;",
        "    float limit;",
        "};",
    ]
    cases = []
    for form in FORMS:
        for index, sizes in enumerate(SHAPES):
            arrays, case = product_case(rng, form, f"{form}{index}", sizes)
            text += arrays
            cases.append(case)
    text.append(f"static const struct product cases[] = {{{', '.join(cases)}}};")
    (folder / "cases.h").write_text("\n".join([*text, ""]))
    kernels = {"product", "product_int8", "product_int16", "product_bytes"}
    (folder / "kernels.c").write_text(kernel_text(kernels))


def product_case(
    rng: np.random.Generator, form: str, name: str, sizes: tuple[int, int, int, int]
) -> tuple[list[str], str]:
    """Return the arrays of a product in C, and the initializer of what it must give."""
    rows, inner, columns, gates = sizes
    matrix = (rng.normal(size=(inner, columns)) * np.exp(rng.normal(size=columns))).astype(
        np.float32
    )
    x = (rng.normal(size=(rows, inner)) * 3).astype(np.float32)
    writer = Writer(Blob(), SCHEMES[FORMS[form].scheme])
    writer.matrix(Part(matrix, {"weight": name}), gates, **FORMS[form].settings)
    struct = writer.lines[0].partition(" = ")[2].rstrip(";")
    assert f".{form} = " in struct
    pointer = rf"(const \1 *)(const void *)({name}_w + \2)"
    struct = re.sub(r"GATELET_AT\((\w+), (\d+)\)", pointer, struct)
    taken, stored = as_computed(form, x, pack(matrix, gates))
    start = rng.normal(size=stored.shape[1]).astype(np.float32)
    z = start + taken @ stored
    limit = number(4e-6 * float((np.abs(taken) @ np.abs(stored)).max()))
    blob = np.frombuffer(writer.blob.finish(), np.uint8)
    arrays = [
        _array("_Alignas(64) unsigned char", f"{name}_w", blob),
        _array("float", f"{name}_x", x),
        _array("float", f"{name}_start", start),
        _array("float", f"{name}_z", z.astype(np.float32)),
    ]
    sizes_in_c = f"{rows}, {inner}, 0, {z.shape[1]}"
    return arrays, f"{{{struct}, {sizes_in_c}, {name}_x, {name}_start, {name}_z, {limit}}}"


def as_computed(form: str, x: Array, w: Array) -> tuple[Array, Array]:
    """Return x and w as a form has them, in float64."""
    one = FORMS[form]
    if one.largest:
        scales = (np.abs(w).max(axis=0) / one.largest).astype(np.float32)
        scales[scales == 0] = 1
        w = np.rint(w / scales) * scales.astype(np.float64)
    if one.rounds:
        limit = np.float32(ACTIVATION_LIMIT)
        most = np.abs(x).max(axis=1)
        x = rounded(x, limit / most) * (most * (1 / limit)).astype(np.float64)[:, None]
    return x.astype(np.float64), w.astype(np.float64)


def _array(c_type: str, name: str, array: Array) -> str:
    texts = [number(one) if array.dtype.kind == "f" else str(one) for one in array.flat]
    return f"static const {c_type} {name}[] = {{{', '.join(texts)}}};"
