"""Latencies are measured for every artifact that can run, whatever it takes."""

from dataclasses import replace
from pathlib import Path

from gatelet.runtime import open_bundle
from gatelet.runtime.measure.latency import latencies_us, median_latencies_us
from tests.fixture_types import WriteBundle


def test_every_call_of_every_artifact_is_measured(written_bundle: Path) -> None:
    bundle = open_bundle(written_bundle)
    taken = latencies_us(bundle, calls=5)

    assert list(taken) == [("onnx", "float32"), ("onnx", "dynamic-int8")]
    assert all(len(times) == 5 and min(times) > 0 for times in taken.values())
    assert set(median_latencies_us(bundle, calls=3)) == set(taken)


def test_without_golden_vectors_nothing_is_measured(written_bundle: Path) -> None:
    bundle = open_bundle(written_bundle)
    stripped = replace(bundle, manifest={**bundle.manifest, "golden": None})

    assert latencies_us(stripped, calls=2) == {}


def test_features_are_measured_too(write_bundle: WriteBundle, tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "features", features=3, with_vectorizer=False))

    assert len(latencies_us(bundle, calls=2)) == 2
