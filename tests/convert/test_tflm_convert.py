"""From a run to files for microcontrollers, through the whole conversion."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from gatelet.convert import convert, convert_with_report
from gatelet.convert.rows.calibration import CALIBRATION_ROWS
from gatelet.errors import Refused
from gatelet.runtime.bundle.opening import Bundle


def entry_of(bundle: Bundle, scheme: str) -> Any:
    (found,) = (one for one in bundle.artifacts if one.scheme == scheme)
    return found.entry


@pytest.mark.usefixtures("no_tensorflow")
def test_a_run_becomes_files_for_microcontrollers(classic_run: Path, tmp_path: Path) -> None:
    bundle = convert(classic_run, tmp_path / "mcu", targets=["tflm"])
    assert bundle.verdict != "fail"
    for scheme in ("float32", "full-int8"):
        entry = entry_of(bundle, scheme)
        assert 0 < entry["arena_bytes"] < 16_384
        assert set(entry["companions"]) == {"op_resolver", "c_array"}
        assert entry["steps"]["inputs"][0]["order"] == "forward"
    calibration = entry_of(bundle, "full-int8")["calibration"]
    assert calibration["source"] == "of the training part, in calibration.jsonl"
    assert calibration["rows"] == CALIBRATION_ROWS
    assert "left_out_of" not in calibration
    assert len(calibration["sha256"]) == 64
    spent = bundle.manifest["provenance"]["processor_s"]
    assert spent["all"] >= spent["exporting tflm full-int8"] > 0


@pytest.mark.usefixtures("no_tensorflow")
def test_rows_of_the_test_part_that_calibrate_are_not_judged_and_the_report_says_so(
    classic_run: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(classic_run, tmp_path / "run")
    (run / "calibration.jsonl").unlink()  # a run of before there was one
    _, report = convert_with_report(
        run, tmp_path / "mcu", targets=["tflm"], schemes=["full-int8"], with_keras=False
    )
    assert report.rows == 30
    (note,) = (note for note in report.notes if note.startswith("tflm full-int8"))
    assert "calibrated on 10 of the 40 rows of test.jsonl, which the conversion did not" in note
    assert "differ most from float32 in 'n" in note
    assert "of layer 'lstm'" in note


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
def test_a_small_recipe_in_integers_fits_6_kb_and_flips_few_labels(
    classic_run: Path, tmp_path: Path
) -> None:
    bundle = convert(classic_run, tmp_path / "mcu", targets=["tflm"])
    assert bundle.verdict != "fail"
    entry = entry_of(bundle, "full-int8")
    assert entry["arena_bytes"] <= 6144  # half of it pointers of 64 bits
    (flips,) = (one for one in entry["parity"]["checks"] if one["name"] == "flips")
    assert flips["figure"] <= 0.005


@pytest.mark.full
def test_the_quickstart_has_slow_units_and_keeps_its_float_file(
    quickstart: Any, tmp_path: Path
) -> None:
    bundle = convert(quickstart.run, tmp_path / "mcu", targets=["tflm"])
    assert [(one.target, one.scheme) for one in bundle.artifacts] == [("tflm", "float32")]
    assert bundle.verdict == "pass"
    with pytest.raises(Refused, match="time constant"):
        convert(quickstart.run, tmp_path / "named", targets=["tflm"], schemes=["full-int8"])
