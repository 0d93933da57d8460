"""`gatelet doctor`: what this machine can run, and what mends it."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gatelet.errors import BackendError
from gatelet.runtime.backends import TARGETS
from gatelet.runtime.backends.backend import open_backend
from gatelet.runtime.backends.targets import Engine
from gatelet.runtime.measure import doctor
from gatelet.runtime.measure.doctor import Machine, diagnose
from tests.cli.conftest import RunCli


def machine(architecture: str = "x86_64", libc: str = "glibc 2.36") -> Machine:
    return Machine("Linux", architecture, libc, "3.11.7", 1, ())


def test_tells_the_machine_the_engines_and_what_runs(cli: RunCli, written_bundle: Path) -> None:
    done = cli("doctor", written_bundle)
    assert done.code == 0
    for expected in (
        "machine ",
        "onnxruntime",
        "pip install 'gatelet[tflite-runtime]'",
        "runs here",
    ):
        assert expected in done.out
    found = json.loads(cli("doctor", written_bundle, "--json").out)
    assert found["well"] is True
    assert found["machine"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {(a["target"], a["scheme"]): a["runs"] for a in found["artifacts"]} == {
        ("onnx", "float32"): True,
        ("onnx", "dynamic-int8"): True,
        ("reference", "float32"): True,
        ("pure", "float32"): True,
    }
    assert "pure" in [one["target"] for one in found["backends"]]


def test_a_machine_alone_is_well_with_python(cli: RunCli) -> None:
    assert "bundle" not in cli("doctor").out


def test_without_engines_it_tells_how_to_install_them(
    cli_process: RunCli, written_bundle: Path
) -> None:
    hidden = ("onnxruntime", "ai_edge_litert", "tflite_runtime")
    done = cli_process("doctor", written_bundle, without=hidden)
    assert "no engine for onnx works here: pip install 'gatelet[onnx]'" in done.out
    assert done.code == 0


def test_an_artifact_that_does_not_run_is_told_with_its_reason(
    cli: RunCli, bundle: Path, put_part: Callable[[Path, str, bytes], None]
) -> None:
    put_part(bundle, "onnx", b"no onnx file")
    done = cli("doctor", bundle)
    assert "onnx float32: the engine onnxruntime cannot open 'onnx-float32-" in done.out
    assert done.code == 0, "the Graph still runs"


@pytest.mark.parametrize(
    ("said", "problem", "command"),
    [
        (
            "A module that was compiled using NumPy 1.x cannot be run in NumPy 2.1",
            "engine-x was built for NumPy 1, and NumPy 2 is installed",
            "pip install 'numpy<2'",
        ),
        (
            "AttributeError: _ARRAY_API not found",
            "engine-x was built for NumPy 1, and NumPy 2 is installed",
            "pip install 'numpy<2'",
        ),
        (
            "ModuleNotFoundError: No module named 'numpy'",
            "engine-x needs NumPy, which is not installed",
            "pip install numpy",
        ),
        (
            "version `GLIBC_2.38' not found",
            "engine-x needs a newer libc than this system has",
            None,
        ),
    ],
)
def test_known_faults_of_an_installed_engine_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, problem: str, command: str | None
) -> None:
    (tmp_path / "engine_x.py").write_text(f"raise ImportError({said!r})\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setitem(
        TARGETS, "onnx", replace(TARGETS["onnx"], engines=(Engine("engine_x", "onnx"),))
    )
    (found,) = (one for one in diagnose().backends if one.target == "onnx")
    assert (found.works, found.problem, found.command) == (False, problem, command)


OF_NUMPY_1 = """
import sys
class Interpreter:
    def __init__(self, **model):
        sys.stderr.write("AttributeError: _ARRAY_API not found")
        raise SystemError("CreateWrapper returned a result with an exception set")
"""


def test_an_engine_that_imports_beside_numpy_2_and_opens_nothing_does_not_work(
    module_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    package = module_folder / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "interpreter.py").write_text(OF_NUMPY_1, "utf-8")
    path = os.pathsep.join([str(module_folder), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    (old,) = (one for one in TARGETS["litert"].engines if one.module == "tflite_runtime")
    monkeypatch.setitem(TARGETS, "litert", replace(TARGETS["litert"], engines=(old,)))
    (found,) = (one for one in diagnose().backends if one.target == "litert")
    assert (found.works, found.command) == (False, "pip install 'numpy<2'")
    with pytest.raises(
        BackendError, match=r"built for NumPy 1, and NumPy .*: pip install 'numpy<2"
    ):
        open_backend("litert", module_folder / "any.tflite")
    assert capfd.readouterr().err == "", "NumPy's page about it is not shown"


@pytest.mark.parametrize(
    ("module", "here", "python", "expected"),
    [
        ("tflite_runtime", machine(), (3, 13), "no wheel for Python 3.13, only for 3.9 to 3.11"),
        ("onnxruntime", machine("armv6l"), (3, 11), "no wheel for armv6l"),
        ("ai_edge_litert", machine(libc="musl"), (3, 11), "no wheel for musl, only for glibc"),
        ("numpy", machine(libc="musl"), (3, 11), None),
        ("tflite_runtime", machine("armv7l"), (3, 11), None),
    ],
)
def test_a_missing_wheel_is_told(
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    here: Machine,
    python: tuple[int, int],
    expected: str | None,
) -> None:
    monkeypatch.setattr(sys, "version_info", (*python, 0))
    found = doctor._no_wheel(module, here)
    assert found == (expected if expected is None else f"{module.replace('_', '-')} has {expected}")


def _c() -> doctor.Backend:
    (found,) = (one for one in diagnose().backends if one.target == "c")
    return found


def test_c_needs_nothing_to_be_installed(
    cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_bundle: Callable[..., Path]
) -> None:
    monkeypatch.setenv("CC", sys.executable)  # any program is found
    python = ".".join(map(str, sys.version_info[:3]))
    assert _c() == doctor.Backend("c", "ctypes", python, works=True)
    monkeypatch.setenv("CC", "no-such-compiler")
    found = _c()
    assert (found.version, found.works, found.command) == (python, True, None)
    assert (found.problem or "").startswith("no C compiler: runs only bundles with a library for ")
    written = write_bundle(tmp_path / "with-c", artifacts=(("c", "float32"),))
    assert _runs_c(cli, written) == (True, None), "the bundle has a library for this machine"
    manifest = json.loads((written / "manifest.json").read_text("utf-8"))
    roles = manifest["artifacts"][0]["companions"]
    kept = {role: one for role, one in roles.items() if not role.startswith("library:")}
    manifest["artifacts"][0]["companions"] = kept
    (written / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    runs, problem = _runs_c(cli, written)
    assert not runs
    assert "no library for this machine, and no C compiler" in (problem or "")


def _runs_c(cli: RunCli, bundle: Path) -> tuple[bool, str | None]:
    found = json.loads(cli("doctor", bundle, "--json").out)["artifacts"]
    (one,) = (one for one in found if one["target"] == "c")
    return one["runs"], one["problem"]
