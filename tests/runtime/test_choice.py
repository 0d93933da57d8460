"""Which of a bundle's artifacts `load` opens, and with which engine.

Not what it predicts: see test_predictor.py.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.convert.bundle.writer import commit
from gatelet.errors import (
    BackendError,
    BackendMissing,
    BundleDamaged,
    BundleError,
    ParityRefused,
)
from gatelet.runtime import Bundle, load, open_bundle
from gatelet.runtime.measure.latency import median_latencies_us
from gatelet.runtime.predictor import loading
from tests.fixture_types import EditManifest, PutPart, WriteBundle


def verdicts(bundle: Path, *found: str) -> list[dict[str, Any]]:
    artifacts: list[dict[str, Any]] = json.loads((bundle / "manifest.json").read_bytes())[
        "artifacts"
    ]
    return [
        {**one, "parity": {"verdict": verdict}}
        for one, verdict in zip(artifacts, found, strict=True)
    ]


def test_the_first_installed_engine_is_used_in_the_runtimes_order(
    litert_bundle: Path, hide: Callable[..., None]
) -> None:
    for hidden, target, engine in (
        ((), "litert", "ai-edge-litert"),
        (("ai_edge_litert",), "onnx", "onnxruntime"),
        (("onnxruntime",), "reference", "numpy"),
        (("numpy",), "pure", "python"),
    ):
        hide(*hidden)
        predictor = load(litert_bundle)
        assert (predictor.target, predictor.scheme) == (target, "float32")
        assert predictor.engine.startswith(engine)
        assert 0 < predictor.predict(["w1"])[0].score < 1


@pytest.mark.parametrize(
    ("hidden", "target", "message"),
    [
        (
            ("onnxruntime",),
            "onnx",
            "the onnx backend is not installed: pip install 'gatelet[onnx]'",
        ),
        (
            ("ai_edge_litert", "tflite_runtime"),
            "litert",
            "the litert backend is not installed: pip install 'gatelet[litert]'",
        ),
        (("numpy",), "reference", "the reference backend is not installed: pip install numpy"),
    ],
)
def test_a_missing_engine_tells_the_exact_pip_command(
    litert_bundle: Path,
    hide: Callable[..., None],
    hidden: tuple[str, ...],
    target: str | None,
    message: str,
) -> None:
    hide(*hidden)
    with pytest.raises(BackendMissing) as caught:
        load(litert_bundle, target=target)
    assert str(caught.value) == message
    assert message.endswith(str(caught.value.facts["command"]))


def test_a_target_of_a_newer_gatelet_is_refused(bundle: Path, edit_manifest: EditManifest) -> None:
    artifacts = verdicts(bundle, "pass", "pass")
    edit_manifest(bundle, artifacts=[{**artifacts[0], "target": "quantum"}])
    with pytest.raises(BackendError, match=r"target 'quantum' is not known .*: update gatelet"):
        load(bundle, target="quantum")


@pytest.mark.parametrize(
    ("target", "scheme", "expected"),
    [
        ("litert", None, "no artifact for target litert, scheme any; it has: onnx float32, onnx "),
        (None, "int3", "no artifact for target any, scheme int3"),
        ("bogus", "bogus", "no artifact for target bogus, scheme bogus"),
        ("reference", "dynamic-int8", "runs the Graph in float32, not in 'dynamic-int8'"),
    ],
)
def test_refuses_a_target_or_scheme_that_is_not_there(
    written_bundle: Path, target: str | None, scheme: str | None, expected: str
) -> None:
    with pytest.raises(BundleError, match=expected):
        load(written_bundle, target=target, scheme=scheme)


def test_a_failed_artifact_is_used_only_if_both_target_and_scheme_name_it(
    bundle: Path, edit_manifest: EditManifest
) -> None:
    edit_manifest(bundle, artifacts=verdicts(bundle, "fail", "pass"))
    assert load(bundle).scheme == "dynamic-int8"
    assert load(bundle, target="onnx").scheme == "dynamic-int8"
    with pytest.raises(ParityRefused, match=r"parity failed for onnx float32 of .* name both"):
        load(bundle, scheme="float32")
    edit_manifest(bundle, artifacts=verdicts(bundle, "fail", "fail"))
    for target in (None, "onnx"):
        with pytest.raises(ParityRefused, match="parity failed for onnx float32, onnx dynamic"):
            load(bundle, target=target)
    assert load(bundle, target="onnx", scheme="float32").scheme == "float32"
    assert load(bundle, target="reference").scheme == "float32"


def test_an_artifact_that_passed_comes_before_one_that_was_not_run(
    bundle: Path, edit_manifest: EditManifest
) -> None:
    edit_manifest(bundle, artifacts=verdicts(bundle, "not run", "pass"))
    assert load(bundle).scheme == "dynamic-int8"
    edit_manifest(bundle, artifacts=verdicts(bundle, "not run", "undecided"))
    assert load(bundle).scheme == "float32"


@pytest.mark.parametrize("target", [None, "reference"])
def test_load_uses_the_new_bundle_if_it_was_replaced_meanwhile(
    bundle: Path,
    tmp_path: Path,
    write_bundle: WriteBundle,
    monkeypatch: pytest.MonkeyPatch,
    target: str | None,
) -> None:
    new = write_bundle(tmp_path / "new", timesteps=10, labels=("old", "new"))
    opened: list[Bundle] = []

    def open_and_replace(path: Path, **keywords: Any) -> Bundle:
        opened.append(open_bundle(path, **keywords))
        if len(opened) == 1:
            for name in [file.path for file in opened[0].files if "weights" in file.path]:
                (bundle / name).write_bytes(b"so that no name stays the same")
            shutil.copytree(new, tmp_path / "stage")
            commit(tmp_path / "stage", bundle)
            (bundle / opened[0].manifest["graph"]).unlink(missing_ok=True)
        return opened[-1]

    monkeypatch.setattr(loading, "open_bundle", open_and_replace)
    assert load(bundle, target=target).labels == ("old", "new")
    assert len(opened) == 2


def test_load_fails_if_nothing_was_replaced(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = open_bundle(bundle)
    (bundle / stale.manifest["weights"]).unlink()
    monkeypatch.setattr(loading, "open_bundle", lambda path, **_: stale)
    with pytest.raises(BundleDamaged, match=r"weights.* is missing: copy or convert it again"):
        load(bundle)


def test_latencies_are_those_of_the_artifacts_that_run_here(
    litert_bundle: Path, hide: Callable[..., None]
) -> None:
    found = median_latencies_us(open_bundle(litert_bundle), calls=3)
    assert len(found) == 3
    assert all(0 < latency < 1e6 for latency in found.values())
    hide("onnxruntime")
    found = median_latencies_us(open_bundle(litert_bundle), calls=3)
    assert set(found) == {("litert", "float32"), ("litert", "dynamic-int8")}


def test_latencies_leave_out_what_cannot_run(
    bundle: Path, put_part: PutPart, edit_manifest: EditManifest
) -> None:
    put_part(bundle, "onnx", b"no onnx file")
    assert median_latencies_us(open_bundle(bundle), calls=3) == {}
    edit_manifest(bundle, golden=None)
    assert median_latencies_us(open_bundle(bundle), calls=3) == {}
