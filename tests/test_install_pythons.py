"""The wheel on every Python that gatelet supports: import, predict and doctor, each backend.

Not the extras one by one, which are in test_install.py.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Quickstart
from tests.test_install import ROOT, TEXT, run_alone, wheel

pytestmark = pytest.mark.install

__all__ = ["wheel"]

MINORS = (11, 12, 13)
TARGETS = ("c", "litert", "onnx", "reference", "pure")
SCORE_TOLERANCE = 1e-5


def find_python(minor: int) -> str | None:
    """Find Python 3.minor: this one, on the PATH, or among pyenv's."""
    if sys.version_info[:2] == (3, minor):
        return sys.executable
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    ours = sorted(root.glob(f"versions/3.{minor}.*/bin/python"))
    named = [found] if (found := shutil.which(f"python3.{minor}")) else []
    for candidate in [*map(str, ours), *named]:
        # pyenv's shims are there for versions that it will not start
        done = subprocess.run([candidate, "-c", "import venv"], check=False, capture_output=True)
        if done.returncode == 0:
            return candidate
    return None


@pytest.mark.parametrize("minor", MINORS)
def test_every_backend_predicts_on_every_python(
    wheel: Path, quickstart: Quickstart, tmp_path: Path, minor: int
) -> None:
    python = find_python(minor)
    if python is None:
        pytest.skip(f"Python 3.{minor} is not here, so nothing is proven for it")
    bundle = shutil.copytree(quickstart.bundle, tmp_path / "demo")

    def run(*command: str | Path) -> str:
        done = run_alone(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(python, "-m", "venv", tmp_path / "venv")
    pip = (tmp_path / "venv/bin/python", "-m", "pip", "install", "-q")
    gatelet = tmp_path / "venv" / "bin" / "gatelet"
    run(*pip, "--no-deps", wheel)
    alone: Any = json.loads(run(gatelet, "doctor", bundle, "--json"))
    assert [a["target"] for a in alone["artifacts"] if a["runs"]] == ["c", "c", "pure"]
    scores = {"": json.loads(run(gatelet, "predict", bundle, TEXT, "--json"))["score"]}

    run(*pip, "-c", ROOT / "constraints.txt", f"{wheel}[litert,onnx]")
    found: Any = json.loads(run(gatelet, "doctor", bundle, "--json"))
    assert found["machine"]["python"].startswith(f"3.{minor}.")
    running = {a["target"] for a in found["artifacts"] if a["runs"]}
    assert set(TARGETS) <= running, found
    for target in TARGETS:
        printed = run(gatelet, "predict", bundle, TEXT, "--target", target, "--json")
        scores[target] = json.loads(printed)["score"]
    assert max(scores.values()) - min(scores.values()) <= SCORE_TOLERANCE, scores
