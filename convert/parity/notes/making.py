"""What a conversion says of itself in a report: pruning, calibration and what that loses.

Not the choice of rows, nor the measuring: the exporter of each target does that.
"""

from collections.abc import Mapping
from typing import Any

from gatelet.convert.parity.notes.pruning import notes_on_pruning

_TOLD = 3
_FUSED = "UNIDIRECTIONAL_SEQUENCE_LSTM"


def notes_on_making(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence for each thing that a reader of the figures should know."""
    return (
        *notes_on_unused(manifest),
        *notes_on_pruning(manifest),
        *notes_on_tables(manifest),
        *notes_on_calibration(manifest),
        *notes_on_forgetting(manifest),
    )


def notes_on_unused(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence on weights of the Keras model that its outputs do not use."""
    provenance = manifest.get("provenance")
    unused = provenance.get("unused_layers") if isinstance(provenance, Mapping) else None
    if not isinstance(unused, list) or not unused:
        return ()
    names = ", ".join(f"'{name}'" for name in unused)
    return (f"no output of the model uses the weights of {names}: they are left out",)


def notes_on_tables(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence for each artifact whose embedding lies beside it: its bytes are not all."""
    files = manifest.get("files")
    sizes = {
        one["path"]: one["bytes"]
        for one in (files if isinstance(files, list) else [])
        if isinstance(one, Mapping) and {"path", "bytes"} <= one.keys()
    }
    found = []
    for one in _artifacts(manifest):
        beside = one.get("companions")
        tables = {
            role: sizes.get(path)
            for role, path in (beside.items() if isinstance(beside, Mapping) else ())
            if role.startswith("embedding")
        }
        told = [f"{size:,}" for size in tables.values() if isinstance(size, int)]
        if told:
            found.append(
                f"{one.get('target')} {one.get('scheme')} takes rows of an embedding that lies "
                f"beside the file, in {' and '.join(told)} bytes more"
            )
    return tuple(found)


def _artifacts(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    artifacts = manifest.get("artifacts")
    listed = artifacts if isinstance(artifacts, list) else []
    return [one for one in listed if isinstance(one, Mapping)]


def notes_on_calibration(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence for each calibrated artifact.

    Args:
        manifest: Of a bundle; an entry of another form than gatelet writes is not told of.
    """
    found = []
    for one in _artifacts(manifest):
        calibration = one.get("calibration")
        if isinstance(calibration, Mapping):
            said = f"{one.get('target')} {one.get('scheme')} {_rows(calibration)}"
            found.append(said + _losses(calibration.get("losses")))
    return tuple(found)


def notes_on_forgetting(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence for each artifact in integers whose states a kernel keeps, or forgets."""
    return tuple(
        f"tflm {one.get('scheme')} was written by an older gatelet; it is right with the reference "
        "kernels of TensorFlow Lite for Microcontrollers only: the LSTM kernel of CMSIS-NN forgets "
        "its states at each call; convert it again"
        for one in _artifacts(manifest)
        if one.get("target") == "tflm"
        and "calibration" in one
        and _FUSED in (one["ops"] if isinstance(one.get("ops"), list) else ())
    )


def _rows(calibration: Mapping[str, Any]) -> str:
    rows, of = calibration.get("rows"), calibration.get("left_out_of")
    if isinstance(of, int):
        return (
            f"is calibrated on {rows} of the {of:,} rows of {calibration.get('source')}, which "
            "the conversion did not judge"
        )
    return f"is calibrated on {rows} rows: {calibration.get('source')}"


def _losses(losses: Any) -> str:
    told = [
        f"'{one['tensor']}' of layer '{one['layer']}' {100 * one['relative_error']:.2g} %"
        for one in (losses if isinstance(losses, list) else [])[:_TOLD]
        if isinstance(one, Mapping)
        and isinstance(one.get("relative_error"), int | float)
        and {"tensor", "layer"} <= one.keys()
    ]
    return f"; its tensors differ most from float32 in {', '.join(told)}" if told else ""
