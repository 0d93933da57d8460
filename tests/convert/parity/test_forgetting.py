"""A report names tflm files of older gatelets whose states a kernel may forget."""

from typing import Any

from gatelet.convert.parity.notes.making import notes_on_forgetting

FUSED = ["FULLY_CONNECTED", "UNIDIRECTIONAL_SEQUENCE_LSTM"]


def noted(**fields: Any) -> tuple[str, ...]:
    entry = {"target": "tflm", "scheme": "full-int8", "ops": FUSED, "calibration": {"rows": 2}}
    return notes_on_forgetting({"artifacts": [{**entry, **fields}]})


def test_an_older_file_in_integers_is_named() -> None:
    (said,) = noted()
    assert said.startswith("tflm full-int8 was written by an older gatelet; it is right with")
    assert "CMSIS-NN forgets its states at each call; convert it again" in said


def test_other_files_are_not_named() -> None:
    assert noted(ops=["ADD", "MUL"]) == ()
    assert noted(calibration=..., target="litert") == ()
    floats = {"target": "tflm", "scheme": "float32", "ops": FUSED}
    assert notes_on_forgetting({"artifacts": [floats, 3, {"target": "tflm", "ops": 3}]}) == ()
