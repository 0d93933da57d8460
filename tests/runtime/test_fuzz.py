"""Hostile bundles: a named error or an answer, never an end of this process, in bounded memory."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from gatelet.errors import BackendError, BundleDamaged, BundleError, GateletError
from gatelet.runtime import load, open_bundle
from gatelet.runtime.backends.host import host_platform
from gatelet.runtime.predictor.probe import MEMORY_LIMIT_BYTES, Probe, probe_all
from tests.runtime.fuzz_child import Answer, Request
from tests.runtime.mutations import Mutant, mutants

FEW, MANY = 210, 20_000
AT_ONCE = 400
IN_PYTHON = ("reference", "pure")
TARGETS = ("c", "litert", "onnx", "onnx-text", "tflm", *IN_PYTHON)
# a loop in a forged artifact may run for ever, so engines are given little: not so plain Python
ENGINE_CPU_S, PYTHON_CPU_S = 15, 120
PROBED = 50  # one in so many starts a process of its own, which costs as much as all others
GROWTH_LIMIT_KB = 500_000
PYTHON_PEAK_KB = 1_500_000
ENGINES_THAT_MAY_DIE = ("litert", "onnx", "onnx-text", "tflm")
UNREPAIRED = ("BundleError", "BundleDamaged")


def test_mutated_bundles_give_named_errors(every_target_bundle: Path, tmp_path: Path) -> None:
    fuzz(every_target_bundle, tmp_path, count=FEW, seed=1)


@pytest.mark.full
def test_twenty_thousand_mutated_bundles_give_named_errors(
    every_target_bundle: Path, tmp_path: Path
) -> None:
    count, seed = (int(os.environ.get(f"FUZZ_{n}", v)) for n, v in (("COUNT", MANY), ("SEED", 2)))
    outcomes = fuzz(every_target_bundle, tmp_path, count=count, seed=seed)
    print(f"\n{count:,} mutants:", ", ".join(f"{n:,} {what}" for what, n in outcomes.most_common()))


def fuzz(bundle: Path, folder: Path, *, count: int, seed: int) -> Counter[str]:
    """Open mutants here as far as that is safe, and load all of them in forks that may die."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes: Counter[str] = Counter()
    drawn = mutants(bundle, folder, TARGETS, count=count, seed=seed)
    with Forks() as forks:
        for number, mutant in enumerate(drawn, 1):
            open_here(mutant)
            outcomes[judge(mutant, forks, probe=number % PROBED == 0)] += 1
            shutil.rmtree(mutant.path)
            if number % AT_ONCE == 0:
                print(f"{number:,} of {count:,}:", dict(outcomes.most_common()), flush=True)
    assert sum(outcomes.values()) == count
    assert outcomes["ran"] < count * 0.6, "most mutants are still whole: they prove nothing"
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert growth < GROWTH_LIMIT_KB
    return outcomes


def open_here(mutant: Mutant) -> None:
    """Run what reads a bundle before any engine; with a wrong digest it must stop at once."""
    try:
        bundle = open_bundle(mutant.path)
        for read in (bundle.graph, bundle.vectorizer, bundle.golden):
            read()
    except GateletError as error:
        assert len(str(error).splitlines()) == 1
    except Exception as error:
        error.add_note(str(mutant))
        raise
    if not mutant.repaired and mutant.changed:
        with pytest.raises(BundleError):
            open_bundle(mutant.path)
        if is_read(mutant):
            with pytest.raises(BundleError):
                load(mutant.path, target=mutant.target)


def is_read(mutant: Mutant) -> bool:
    """Return whether `load` reads the file: of the c target it reads what it uses, no more."""
    if mutant.target != "c":
        return True
    manifest = json.loads((mutant.path / "manifest.json").read_bytes())
    (own,) = (entry for entry in manifest["artifacts"] if entry["target"] == "c")
    roles = (f"library:{host_platform()}", "vocabulary")
    used = [manifest["graph"], own["path"], *(own["companions"][role] for role in roles)]
    return mutant.file in used


class Forks:
    """The process that forks for each mutant; see `fuzz_child`."""

    def __enter__(self) -> "Forks":
        """Start it: with no C compiler, which a forged manifest could ask for."""
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.runtime.fuzz_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "CC": "no-such-compiler"},
        )
        return self

    def __exit__(self, *unused: object) -> None:
        """Let it end."""
        self._child.communicate()

    def ask(self, request: Request) -> Answer:
        """Open one mutant."""
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.write(json.dumps(asdict(request)) + "\n")
        self._child.stdin.flush()
        return Answer(**json.loads(self._child.stdout.readline()))


def judge(mutant: Mutant, forks: Forks, *, probe: bool) -> str:
    """Load a mutant in a fork and say what came of it.

    Only an engine that is given a forged file may end its process, and none but the child of a
    probe. A library of the c target is code: it is opened by probes alone.
    """
    is_code = mutant.file.endswith(".so")
    in_python = mutant.target in IN_PYTHON
    request = Request(
        path=str(mutant.path),
        target=mutant.target,
        probe=probe or (is_code and mutant.repaired),
        cpu_s=PYTHON_CPU_S if in_python else ENGINE_CPU_S,
    )
    answer = forks.ask(request)
    told = f"{mutant}, {answer}"
    assert not answer.message.startswith("not a named error"), told
    assert answer.error or not answer.message, told
    may_die = mutant.target in ENGINES_THAT_MAY_DIE and mutant.repaired and not request.probe
    # code that was good to the child of its probe may still end this process
    assert may_die or (is_code and mutant.repaired) or not answer.signal, told
    # code may end its process as it likes, the loader of a library too
    assert is_code or "ended with exit code" not in answer.message, told
    assert answer.peak_kb < (PYTHON_PEAK_KB if in_python else MEMORY_LIMIT_BYTES // 1024), told
    # the golden vectors, which no load reads, have been run
    if not mutant.repaired and mutant.changed and (is_read(mutant) or "golden" in mutant.file):
        assert answer.error in UNREPAIRED, told
    return answer.signal or answer.error or "ran"


@pytest.mark.parametrize("target", ["litert", "onnx", "onnx-text", "tflm"])
def test_a_forged_artifact_is_refused_by_load_with_probe(
    every_target_bundle: Path,
    tmp_path: Path,
    target: str,
    put_part: Callable[[Path, str, bytes], None],
) -> None:
    bundle = Path(shutil.copytree(every_target_bundle, tmp_path / "forged"))
    artifact = next(a for a in open_bundle(bundle).artifacts if a.target == target)
    data = bytearray((bundle / artifact.path).read_bytes())
    data[len(data) // 3 : len(data) // 3 + 200] = b"\xff" * 200
    put_part(bundle, target, bytes(data))
    with pytest.raises(GateletError):
        load(bundle, target=target, scheme=artifact.scheme, probe=True)


def test_load_with_probe_gives_the_predictor_of_a_good_bundle(every_target_bundle: Path) -> None:
    for target in TARGETS:
        plain = load(every_target_bundle, target=target).scores(["w1 w2"])
        probed = load(every_target_bundle, target=target, probe=True).scores(["w1 w2"])
        assert [list(row) for row in probed] == [list(row) for row in plain]


def test_other_scores_than_the_golden_ones_are_refused(
    bundle: Path, put_part: Callable[[Path, str, bytes], None]
) -> None:
    golden = (bundle / str(open_bundle(bundle).manifest["golden"])).read_bytes()
    at = golden.index(b'"outputs"')
    put_part(bundle, "golden", golden[:at] + golden[at:].replace(b"0.", b"1.", 1))
    with pytest.raises(BundleDamaged, match=r"onnx float32 does not give the golden scores, off"):
        load(bundle, target="onnx", scheme="float32", probe=True)


CRASH = {
    "signal": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "exit": "import os; os._exit(3)",
    "hang": "import signal; signal.pause()",
    "memory": "x = bytearray(2**40)",
    "print": "print('{}'); raise SystemExit(0)",
}
EXPECTED = {
    "signal": "was ended by SIGSEGV",
    "exit": "ended with exit code 3",
    "hang": "took longer than 5 s",
    "memory": "cannot open .*: MemoryError",
    "print": "ended with exit code 0",
}


@pytest.mark.parametrize("how", CRASH)
def test_an_engine_that_ends_its_process_is_a_named_error(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    engine = tmp_path / "modules" / "onnxruntime"
    engine.mkdir(parents=True)
    (engine / "__init__.py").write_text(CRASH[how] + "\n", "utf-8")
    old = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(engine.parent), old]))
    probes = [Probe(str(bundle), "onnx", "float32"), Probe(str(bundle), "pure", "float32")]
    died, fine = probe_all(probes, timeout_s=5)
    assert isinstance(died, BackendError)
    assert died.args[0].startswith(("a process that opened bundle", "bundle", "the engine"))
    assert re.search(EXPECTED[how], str(died)), died
    assert fine is None, "the next one is probed all the same"


def test_weights_that_are_not_finite_are_refused(
    bundle: Path, put_part: Callable[[Path, str, bytes], None]
) -> None:
    weights = (bundle / str(open_bundle(bundle).manifest["weights"])).read_bytes()
    put_part(bundle, "weights", weights[:-4] + b"\x00\x00\xc0\x7f")
    for target in (*IN_PYTHON, "onnx"):
        with pytest.raises(GateletError, match="not finite"):
            load(bundle, target=target).predict(["w1"])


def test_a_file_that_changes_after_its_check_is_refused(bundle: Path) -> None:
    opened = open_bundle(bundle)
    path = bundle / opened.artifacts[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleDamaged, match="changed while it was opened: open it again"):
        opened.check_unchanged(opened.artifacts[0].path)
    path.unlink()
    with pytest.raises(BundleDamaged, match="changed while it was opened"):
        opened.check_unchanged(opened.artifacts[0].path)
