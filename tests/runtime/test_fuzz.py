"""Hostile bundles: a named error or an answer, never an end of this process, in bounded memory."""

import os
import re
import resource
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import pytest

from gatelet.errors import BackendError, BundleDamaged, GateletError
from gatelet.runtime import load, open_bundle
from gatelet.runtime.probe import Probe, probe_all
from tests.runtime.mutations import Mutant, mutants

FEW, MANY = 240, 20_000
AT_ONCE = 80
IN_PYTHON = ("reference", "pure")
TARGETS = ("litert", "onnx", *IN_PYTHON)
# a loop in a forged artifact may run for ever, so engines are given little: not so plain Python
ENGINE_TIMEOUT_S, PYTHON_TIMEOUT_S = 15.0, 600.0
GROWTH_LIMIT_KB = 500_000


@pytest.fixture(scope="module")
def small_bundle(litert_bundle: Path) -> Path:
    return litert_bundle


def test_mutated_bundles_give_named_errors(small_bundle: Path, tmp_path: Path) -> None:
    fuzz(small_bundle, tmp_path, count=FEW, seed=1)


@pytest.mark.full
def test_twenty_thousand_mutated_bundles_give_named_errors(
    small_bundle: Path, tmp_path: Path
) -> None:
    outcomes = fuzz(small_bundle, tmp_path, count=MANY, seed=2)
    print(f"\n{MANY:,} mutants:", ", ".join(f"{n:,} {what}" for what, n in outcomes.most_common()))


def fuzz(bundle: Path, folder: Path, *, count: int, seed: int) -> Counter[str]:
    """Open mutants here as far as that is safe, and run all of them in children that may die."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes: Counter[str] = Counter()
    drawn = mutants(bundle, folder, count=count, seed=seed)
    while part := list(islice(drawn, AT_ONCE)):
        open_here(part)
        outcomes += run_in_children(part)
        for mutant in part:
            shutil.rmtree(mutant.path)
    assert sum(outcomes.values()) == count
    assert outcomes["ran"] < count * 0.6, "most mutants are still whole: they prove nothing"
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert growth < GROWTH_LIMIT_KB
    return outcomes


def open_here(part: Iterable[Mutant]) -> None:
    for number, mutant in enumerate(part):
        try:
            bundle = open_bundle(mutant.path)
            for read in (bundle.graph, bundle.vectorizer, bundle.golden):
                read()
        except GateletError as error:
            assert len(str(error).splitlines()) == 1
        if not mutant.repaired:
            # no engine may see bytes whose digest is wrong
            try:
                load(mutant.path, target=TARGETS[number % len(TARGETS)]).warm_up()
            except GateletError:
                continue
            same = (mutant.path / mutant.file).read_bytes()
            listed = (*open_bundle(mutant.path).files, *open_bundle(mutant.path).artifacts)
            assert any(one.path == mutant.file and one.bytes == len(same) for one in listed)


def run_in_children(part: list[Mutant]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for number, target in enumerate(TARGETS):
        taken = part[number :: len(TARGETS)]
        probes = [Probe(str(mutant.path), target, "float32") for mutant in taken]
        timeout_s = PYTHON_TIMEOUT_S if target in IN_PYTHON else ENGINE_TIMEOUT_S
        for mutant, error in zip(taken, probe_all(probes, timeout_s=timeout_s), strict=True):
            outcomes[judge(mutant, target, error)] += 1
    return outcomes


def judge(mutant: Mutant, target: str, error: GateletError | None) -> str:
    message = str(error)
    assert "ended with exit code" not in message, f"{mutant}: not a named error: {message}"
    died = "was ended by" in message or "took longer" in message
    if target in IN_PYTHON or not mutant.repaired:
        assert not died, f"{mutant}, {target}: {message}"
    return "ran" if error is None else "died" if died else type(error).__name__


@pytest.mark.parametrize("target", ["litert", "onnx"])
def test_a_forged_artifact_is_refused_by_load_with_probe(
    litert_bundle: Path, tmp_path: Path, target: str, put_part: Callable[[Path, str, bytes], None]
) -> None:
    bundle = Path(shutil.copytree(litert_bundle, tmp_path / "forged"))
    artifact = next(a for a in open_bundle(bundle).artifacts if a.target == target)
    data = bytearray((bundle / artifact.path).read_bytes())
    data[len(data) // 3 : len(data) // 3 + 200] = b"\xff" * 200
    put_part(bundle, target, bytes(data))
    with pytest.raises(GateletError):
        load(bundle, target=target, scheme=artifact.scheme, probe=True)


def test_load_with_probe_gives_the_predictor_of_a_good_bundle(litert_bundle: Path) -> None:
    for target in TARGETS:
        plain = load(litert_bundle, target=target).scores(["w1 w2"])
        probed = load(litert_bundle, target=target, probe=True).scores(["w1 w2"])
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
