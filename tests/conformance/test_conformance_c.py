"""Every case x compiler x level: the C kernels give what the reference gives in float64.

Not the libraries of a bundle: see tests/convert/exporters/test_c_export.py.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c.refusal import c_refusal
from gatelet.convert.exporters.targets import TARGETS
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.bundle.storage import BYTES_OF
from gatelet.runtime.graph.streaming import to_stream
from tests.conformance import c_sanitized
from tests.conformance.c_builds import (
    Build,
    library_of,
    open_case,
    prepared,
    written,
    written_part,
)
from tests.conformance.cases import CASES
from tests.conformance.limits import holds
from tests.conformance.matrix import Array, Prepared, batches
from tests.conformance.test_streaming import check_streams
from tests.tiers import C_SAMPLE

NAMES = [case.__name__ for case in CASES]
BY_NAME = dict(zip(NAMES, CASES, strict=True))

# others have 16 values or fewer a row of an embedding
CLOSE = tuple(name for name in TARGETS["c"] if BYTES_OF[SCHEMES[name].embedding_type] >= 1)
NATIVE = Build("gcc", "-O1", "native", CLOSE)
FORCED = ("plain", "v2", "v3", "v4")
MATRIX = [
    Build(compiler, optimization, level)
    for compiler, optimization, level in product(("gcc", "zig"), ("-O0", "-O2", "-O3"), FORCED)
]
SANITIZED = [Build("gcc", "-O0", level, CLOSE, sanitized=True) for level in FORCED]


@pytest.mark.parametrize("scheme", NATIVE.schemes)
@pytest.mark.parametrize("name", NAMES)
def test_c(name: str, scheme: str) -> None:
    check(name, scheme, NATIVE)


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("build", MATRIX, ids=str)
def test_c_by_every_compiler_at_every_level(build: Build, name: str) -> None:
    for scheme in build.schemes:
        if name in written(scheme):
            check(name, scheme, build)


def test_c_under_the_sanitizers(tmp_path: Path) -> None:
    check_sanitized(SANITIZED[0], tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("build", SANITIZED[1:], ids=str)
def test_c_under_the_sanitizers_at_every_level(build: Build, tmp_path: Path) -> None:
    check_sanitized(build, tmp_path)


def check(name: str, scheme: str, build: Build) -> None:
    """Hold whole rows, and pieces of them, to the reference in float64."""
    need(build)
    case = prepared(BY_NAME[name])
    made = written_part(scheme, is_sample=name in C_SAMPLE)
    if name not in made:
        pytest.skip(c_refusal(case.graph, SCHEMES[scheme], None))
    backend = open_case(build, name, scheme)
    for part in batches(len(next(iter(case.inputs.values())))):
        found = backend.run({one: array[part] for one, array in case.inputs.items()})
        for output in case.graph.outputs:
            compare(case, scheme, found[output], case.expected[output][part])
    if made[name].states:
        steps = open_case(build, name, scheme, steps=True)
        if scheme in CLOSE:
            form = replace(to_stream(case.graph), states=made[name].states)
            check_streams(case, form, steps, limit=("c", scheme))


def compare(case: Prepared, scheme: str, found: Any, expected: Array) -> None:
    assert holds(np.asarray(found), expected, ("c", scheme), case.float32_limit)


def need(build: Build) -> None:
    if not build.is_possible():
        pytest.skip(f"{build} cannot be made or run here")


def check_sanitized(build: Build, folder: Path) -> None:
    """Run all cases in a process a scheme, whose first library is AddressSanitizer's."""
    need(build)
    asan = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    environment = {
        **os.environ,
        "LD_PRELOAD": asan,
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",  # so that every array has an end that is watched
    }
    for scheme in build.schemes:
        jobs = [job_of(name, scheme, folder) for name in written(scheme)]
        (folder / "job").write_text(json.dumps(jobs))
        files = [str(library_of(build, scheme)), str(folder / "job"), str(folder / "found.npz")]
        command = [sys.executable, c_sanitized.__file__, *files]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        with np.load(folder / "found.npz") as found:
            for name in written(scheme):
                compare_found(name, scheme, found)


def compare_found(name: str, scheme: str, found: Any) -> None:
    case = prepared(BY_NAME[name])
    for output, expected in case.expected.items():
        for index, part in enumerate(batches(len(expected))):
            compare(case, scheme, found[f"{name} {scheme} whole {index} {output}"], expected[part])
        if written(scheme)[name].states:
            compare(case, scheme, found[f"{name} {scheme} steps {output}"], expected[:7])


def job_of(name: str, scheme: str, folder: Path) -> dict[str, Any]:
    """Say what the child is to run; see c_sanitized.py."""
    case, one = prepared(BY_NAME[name]), written(scheme)[name]
    inputs = folder / f"{name}.npz"
    if not inputs.exists():
        np.savez(inputs, **dict(case.inputs))  # type: ignore[arg-type]  # names, not flags
    rows = len(next(iter(case.inputs.values())))
    form = to_stream(case.graph).graph if one.states else None
    return {
        "key": f"{name} {scheme}",
        "name": one.name,
        "weights": str(one.weights),
        "inputs": str(inputs),
        "batches": [part.indices(rows)[:2] for part in batches(rows)],
        "states": [[s.input, s.output, s.shape, s.dtype] for s in one.states],
        "sequences": [n for n in case.graph.outputs if form and form.shape_of(n)[1] is None],
    }


def test_most_stacks_of_recurrences_are_computed_in_integers() -> None:
    made = set(written("full-int8"))
    assert {"lstm_classic", "lstm_masked", "gru_reset_before_masked", "stack_three_mixed"} <= made
    assert {"bidirectional_stack_masked", "bidirectional_tagger", "text_and_numbers"} <= made
    assert len(made) >= 30
