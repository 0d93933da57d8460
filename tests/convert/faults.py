"""What tests of planted faults share: where to plant, and which checks turn red.

Not tests.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gatelet.convert.exporters.choice import DEFAULT_ARTIFACTS
from gatelet.convert.parity import ParityReport
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.litert import LitertBackend
from gatelet.runtime.backends.onnx import OnnxBackend

Array = NDArray[Any]
Reds = dict[tuple[str, str], set[str]]
Change = Callable[[bytes], bytes]
EditPart = Callable[[Path, str, Change], None]

ALL = set(DEFAULT_ARTIFACTS)


def reds(report: ParityReport) -> Reds:
    """Return the names of the failed checks of each artifact.

    Those by scheme oracles, which see about any fault, have tests of their own.
    """
    return {
        (one.target, one.scheme): {
            c.name for c in one.checks if c.verdict == "fail" and not c.name.startswith("computes")
        }
        for one in report.artifacts
    }


def keep_only(bundle: Path, *kept: tuple[str, str]) -> None:
    """Take the other artifacts out of the manifest, for speed."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["artifacts"] = [
        one for one in manifest["artifacts"] if (one["target"], one["scheme"]) in kept
    ]
    path.write_text(json.dumps(manifest), "utf-8")


def onnx_recurrence(data: bytes) -> tuple[Any, Any, dict[str, Any]]:
    """Open an ONNX file: the model, its recurrent node, its initializers by name."""
    import onnx

    model = onnx.load_from_string(data)
    (node,) = (one for one in model.graph.node if one.op_type in ("LSTM", "DynamicQuantizeLSTM"))
    return model, node, {one.name: one for one in model.graph.initializer}


def break_engines(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Any, Array, Array], Array]
) -> None:
    """Let each engine give change(engine, ids, scores) instead of scores."""
    for engine in (OnnxBackend, LitertBackend, CBackend):
        real = engine.run

        def run(self: Any, inputs: Mapping[str, Any], real: Any = real) -> dict[str, Array]:
            ids = np.asarray(next(iter(inputs.values())))
            return {k: change(self, ids, np.array(v)) for k, v in real(self, inputs).items()}

        monkeypatch.setattr(engine, "run", run)
    # C's straight way passes by `run`
    monkeypatch.setattr(CBackend, "try_rows", lambda self, rows, most: None)
