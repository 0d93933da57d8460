"""The pytest plugin: what it collects, what it says, and what it costs when it is not used."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from gatelet.pytest_plugin import BundleItems
from tests.fixture_types import PutPart

RunPytest = Callable[..., subprocess.CompletedProcess[str]]
EXIT_FAILED, EXIT_USAGE, EXIT_NOTHING = 1, 4, 5


@pytest.fixture
def run_pytest(tmp_path: Path) -> RunPytest:
    """Return a function that runs pytest with this plugin alone, in an empty folder."""
    (tmp_path / "here").mkdir()

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-p", "gatelet.pytest_plugin", *map(str, words)]
        return subprocess.run(
            command,
            cwd=tmp_path / "here",
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        )

    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "".join(f"w{i} w{i + 1},{i % 2}\n" for i in range(1, 31)))
    return path


def test_every_check_of_every_artifact_is_an_item(
    run_pytest: RunPytest, written_bundle: Path, data: Path, tmp_path: Path
) -> None:
    junit = tmp_path / "junit.xml"
    words = ("--gatelet-bundle", written_bundle, "--gatelet-data", data, "-v", "--junitxml", junit)
    done = run_pytest(*words)

    assert done.returncode == 0, done.stdout + done.stderr
    for scheme in ("float32", "dynamic-int8"):
        for check in ("ids", "scores_max", "flips", "state_leak", "golden_texts"):
            assert f"gatelet:small::onnx-{scheme}[{check}] PASSED" in done.stdout
    figures = ElementTree.parse(junit).getroot().findall(".//property[@name='figure']")
    assert len(figures) == done.stdout.count(" PASSED ") + done.stdout.count(" SKIPPED ")


def test_items_are_chosen_by_their_names_and_stand_beside_other_tests(
    run_pytest: RunPytest, written_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "here" / "test_other.py").write_text("def test_other_scores(): pass\n")
    done = run_pytest("--gatelet-bundle", written_bundle, "-k", "float32 and scores or other")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_other.py ." in done.stdout
    chosen = run_pytest("--gatelet-bundle", written_bundle, "-k", "float32", "--collect-only", "-q")
    listed = [line for line in chosen.stdout.splitlines() if "::" in line]
    assert listed and all(line.startswith("gatelet:small::onnx-float32[") for line in listed)


def test_a_failed_check_fails_with_one_sentence(
    run_pytest: RunPytest, bundle: Path, put_part: PutPart
) -> None:
    put_part(bundle, "onnx", b"no model")
    done = run_pytest("--gatelet-bundle", bundle)

    assert done.returncode == EXIT_FAILED
    assert "onnx float32: opens is -, the limit is 0 (engine); " in done.stdout
    assert "Traceback" not in done.stdout and "pytest_plugin.py" not in done.stdout
    assert "2 failed" in done.stdout


def test_a_usage_that_gives_no_verdict_is_one_line(
    run_pytest: RunPytest, written_bundle: Path, data: Path
) -> None:
    here = ("--gatelet-bundle", written_bundle, "--gatelet-data")
    for words, said in (
        (("--gatelet-bundle", "missing"), "gatelet: 'missing' is no bundle: it does not exist"),
        ((*here, "no.csv"), "does not exist"),
        ((*here, data, "--gatelet-text-column", "review"), "review"),
    ):
        done = run_pytest(*words)
        assert done.returncode == EXIT_USAGE, done.stdout
        assert said in done.stderr
        assert "Traceback" not in done.stderr + done.stdout


def test_undecided_is_skipped_unless_strict(
    run_pytest: RunPytest, write_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    # too few rows to decide about a mean, which the made scores below exceed
    plugin = tmp_path / "here" / "conftest.py"
    plugin.write_text(
        "import dataclasses\n"
        "import gatelet.convert.proving as proof\n"
        "import gatelet.convert.parity as parity\n"
        "check = parity.Check('flips', 0.5, 0.01, 'undecided', 'share of rows')\n"
        "one = parity.ArtifactReport('onnx', 'float32', (check,), 'an engine')\n"
        "proof.prove = lambda *a, **k: parity.ParityReport(3, ('graph',), (one,))\n"
    )
    bundle = write_bundle(tmp_path / "small")
    skipped = run_pytest("--gatelet-bundle", bundle, "-rs")
    assert skipped.returncode == 0
    assert "1 skipped" in skipped.stdout
    assert "undecided: onnx float32: flips is 50 %, the limit is 1 %" in skipped.stdout
    strict = run_pytest("--gatelet-bundle", bundle, "--gatelet-strict")
    assert strict.returncode == EXIT_FAILED
    assert "undecided: onnx float32: flips is 50 %" in strict.stdout


def test_the_unused_plugin_loads_nothing(run_pytest: RunPytest, tmp_path: Path) -> None:
    (tmp_path / "here" / "test_loaded.py").write_text(
        "import sys\n"
        "def test_loaded():\n"
        "    heavy = ('numpy', 'onnx', 'gatelet.runtime', 'gatelet.convert', 'gatelet.cli')\n"
        "    assert 'gatelet.pytest_plugin' in sys.modules\n"
        "    assert [name for name in heavy if name in sys.modules] == []\n"
    )
    done = run_pytest()
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "here" / "test_loaded.py").unlink()
    assert run_pytest().returncode == EXIT_NOTHING


@pytest.mark.parametrize(("verbosity", "told"), [(-1, ""), (0, ""), (1, "gatelet: judging\n")])
def test_progress_is_told_only_to_who_asks_for_more(
    verbosity: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = SimpleNamespace(get_verbosity=lambda: verbosity)
    collector: Any = SimpleNamespace(config=config)
    BundleItems._tell(collector, "judging")
    assert capsys.readouterr().err == told
