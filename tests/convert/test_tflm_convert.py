"""From a run to files for microcontrollers, through the whole conversion."""

from pathlib import Path
from typing import Any

import pytest

from gatelet.convert import convert
from gatelet.runtime.bundle import Bundle


def entry_of(bundle: Bundle, scheme: str) -> Any:
    (found,) = (one for one in bundle.artifacts if one.scheme == scheme)
    return found.entry


@pytest.mark.usefixtures("no_tensorflow")
def test_a_run_becomes_files_for_microcontrollers(small_run: Path, tmp_path: Path) -> None:
    bundle = convert(small_run, tmp_path / "mcu", targets=["tflm"])
    assert bundle.verdict != "fail"
    for scheme in ("float32", "full-int8"):
        entry = entry_of(bundle, scheme)
        assert 0 < entry["arena_bytes"] < 16_384
        assert set(entry["companions"]) == {"op_resolver", "c_array"}
        assert entry["steps"]["inputs"][0]["order"] == "forward"
    calibration = entry_of(bundle, "full-int8")["calibration"]
    assert calibration["source"] == "test.jsonl"
    assert len(calibration["sha256"]) == 64
    spent = bundle.manifest["provenance"]["processor_s"]
    assert spent["all"] >= spent["exporting tflm full-int8"] > 0


@pytest.mark.usefixtures("no_tensorflow")
def test_fewer_words_are_kept_on_request(small_run: Path, tmp_path: Path) -> None:
    bundle = convert(
        small_run, tmp_path / "few", targets=["tflm"], schemes=["float32"], vocabulary=99
    )
    assert bundle.verdict != "fail"
    assert bundle.graph().inputs[0].vocabulary == 99
    vectorizer = bundle.vectorizer()
    assert vectorizer is not None
    assert vectorizer.vocabulary_size <= 99
    assert bundle.manifest["provenance"]["pruning"]["to"] == 99


@pytest.mark.full
def test_the_quickstart_in_integers_fits_4_kb_and_flips_few_labels(
    quickstart: Any, tmp_path: Path
) -> None:
    bundle = convert(quickstart.run, tmp_path / "mcu", targets=["tflm"])
    assert bundle.verdict == "pass"
    entry = entry_of(bundle, "full-int8")
    assert entry["arena_bytes"] <= 4096
    (flips,) = (one for one in entry["parity"]["checks"] if one["name"] == "flips")
    assert flips["figure"] <= 0.005
