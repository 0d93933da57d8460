"""The fourteen faults of the table in docs/parity.md, and where each is planted.

Not the table and not the tests. Faults of weights are planted in the files of each target; digests
are repaired, so that only parity can tell.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.predictor import batches
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.convert.faults import Array, Change, EditPart, break_engines, onnx_recurrence
from tests.convert.planted_files import in_blob, in_litert_table, of_gates, weight_of
from tests.convert.test_weight_faults import in_litert_gates, in_onnx_gates, scaled, swapped

FLOAT32, INT8 = ("onnx", "float32"), ("onnx", "dynamic-int8")
SCHEMES = ("float32", "dynamic-int8")
IN_FILES = tuple((target, scheme) for target in ("onnx", "litert", "c") for scheme in SCHEMES)
QUANTIZED = tuple((target, scheme) for target, scheme in IN_FILES if scheme != "float32")
CAP = 0.57
TOKEN = 7
"""An id that most rows have."""

Plant = Callable[[Path, EditPart, pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Fault:
    """A planted fault.

    Args:
        name: For the table.
        plant: Plants it in a bundle, or in the runtime.
        artifacts: Those that have it.
    """

    name: str
    plant: Plant
    artifacts: tuple[tuple[str, str], ...] = (FLOAT32, INT8)


Gated = Callable[[dict[str, Array]], dict[str, Array]]


def in_gates(role: str, change: Gated, artifacts: Sequence[tuple[str, str]] = IN_FILES) -> Plant:
    """Change gates of a kernel; in onnx and litert files where it is quantized, their scales."""

    def made(target: str, scheme: str, graph: Graph) -> Change:
        if target == "onnx":
            return in_onnx_gates(role, change)
        if target == "litert":
            return in_litert_gates(graph, role, change)
        return in_blob(graph, scheme, role, of_gates(change))

    return _in_all(made, artifacts)


def in_weight(role: str, end: str, change: Callable[[Array], Array]) -> Plant:
    """Change a weight that has one place: a bias, or the rows of an embedding."""

    def made(target: str, scheme: str, graph: Graph) -> Change:
        if target == "onnx":
            is_integer = role == "embeddings" and scheme != "float32"
            return in_tensor(f"{end}_int8" if is_integer else end, change)
        if target == "litert":
            return in_litert_table(weight_of(graph, role).shape, change)
        return in_blob(graph, scheme, role, change)

    return _in_all(made, IN_FILES)


def _in_all(
    made: Callable[[str, str, Graph], Change], artifacts: Sequence[tuple[str, str]]
) -> Plant:
    def plant(bundle: Path, edit: EditPart, patch: pytest.MonkeyPatch) -> None:
        graph = open_bundle(bundle).graph()
        for target, scheme in artifacts:
            edit(bundle, f"{target} {scheme}", made(target, scheme, graph))

    return plant


def in_part(part: str, change: Change) -> Plant:
    return lambda bundle, edit, patch: edit(bundle, part, change)


def in_engine(change: Callable[[Any, Array, Array], Array]) -> Plant:
    return lambda bundle, edit, patch: break_engines(patch, change)


def in_manifest(**fields: Any) -> Plant:
    def plant(bundle: Path, edit: EditPart, patch: pytest.MonkeyPatch) -> None:
        path = bundle / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_bytes()) | fields), "utf-8")

    return plant


def in_tensor(end: str, change: Callable[[Array], Array]) -> Change:
    """Change the one initializer whose name ends so."""

    def edit(data: bytes) -> bytes:
        import onnx

        model, _, tensors = onnx_recurrence(data)
        (name,) = (name for name in tensors if name.endswith(end))
        changed = change(onnx.numpy_helper.to_array(tensors[name]).copy())
        tensors[name].CopyFrom(onnx.numpy_helper.from_array(changed, name))
        return bytes(model.SerializeToString())

    return edit


def one_weight(array: Array) -> Array:
    """Change the first number of a row that few texts need."""
    array[-1, 0] = -array[-1, 0] if array.dtype.kind == "f" else array[-1, 0] // 2 - 40
    return array


def shifted(array: Array) -> Array:
    return np.roll(array, 1, axis=0)


def leak() -> Plant:
    before: dict[int, float] = {}

    def change(engine: Any, ids: Array, scores: Array) -> Array:
        leaked = scores + np.float32(1e-6 * before.get(id(engine), 0.0))
        before[id(engine)] = float(scores[-1, 0])
        return np.asarray(leaked, np.float32)

    return in_engine(change)


def nan_for_a_token(engine: Any, ids: Array, scores: Array) -> Array:
    scores[(ids == TOKEN).any(axis=1)] = np.nan
    return scores


def pad_on_the_other_side(bundle: Path, edit: EditPart, patch: pytest.MonkeyPatch) -> None:
    real = Vectorizer.pad

    def pad(self: Vectorizer, text: str) -> list[int]:
        ids, tokens = real(self, text), len(self.ids(text))
        return ids[len(ids) - tokens :] + ids[: len(ids) - tokens]

    def pad_many(vectorizer: Vectorizer, *rows: Any) -> Any:
        side = "post" if vectorizer.padding == "pre" else "pre"
        return real_many(replace(vectorizer, padding=side), *rows)

    real_many = batches._padded
    patch.setattr(Vectorizer, "pad", pad)
    patch.setattr(batches, "_padded", pad_many)


def lower_off(data: bytes) -> bytes:
    return json.dumps(json.loads(data) | {"lower": False}).encode()


FAULTS = (
    Fault(
        "one gate's kernel changed by 10 %",
        in_gates("kernel", scaled("f", 1.1)),
        artifacts=IN_FILES,
    ),
    Fault("two gates swapped", in_gates("recurrent_kernel", swapped("i", "f")), artifacts=IN_FILES),
    Fault("bias dropped", in_weight("bias", "lstm.bias", np.zeros_like), artifacts=IN_FILES),
    Fault(
        "embedding shifted by a row",
        in_weight("embeddings", "embedding.embeddings", shifted),
        artifacts=IN_FILES,
    ),
    Fault("padding on the wrong side", pad_on_the_other_side),
    Fault("lower-casing off", in_part("vectorizer", lower_off)),
    Fault("state leaked", leak()),
    Fault(
        "a scale off by 2 %",
        in_gates("kernel", lambda gates: {n: a * 1.02 for n, a in gates.items()}, QUANTIZED),
        artifacts=QUANTIZED,
    ),
    Fault("threshold moved", in_manifest(threshold=0.7)),
    Fault("scores capped", in_engine(lambda e, i, scores: np.minimum(scores, np.float32(CAP)))),
    Fault(
        "one class never predicted",
        in_engine(lambda e, i, scores: np.minimum(scores, np.float32(0.49))),
    ),
    Fault("NaN for one token", in_engine(nan_for_a_token)),
    Fault("labels swapped", in_manifest(labels=["good", "bad"])),
    Fault(
        "one weight changed",
        in_weight("embeddings", "embedding.embeddings", one_weight),
        artifacts=IN_FILES,
    ),
)
