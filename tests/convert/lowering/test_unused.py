"""Weights that no output uses are neither stored nor expected, and a note names them."""

from pathlib import Path
from typing import Any

import pytest

from gatelet.convert import convert
from gatelet.convert.exporters.stored_bytes import weight_bytes
from gatelet.convert.lowering import lower
from gatelet.convert.lowering.unused import unused_layers
from gatelet.convert.parity.notes.making import notes_on_making
from gatelet.convert.reading import read_keras_file
from gatelet.convert.schemes import SCHEMES
from tests.convert.reading.hostile_files import write_keras
from tests.convert.reading.test_weights import Entry, entry
from tests.convert.test_likely import array, functional, taken

F, U = 3, 4


def called(layer: Entry, source: str) -> Entry:
    return {**layer, "inbound_nodes": [[[source, 0, 0, {}]]]}


CASES: dict[str, tuple[list[Entry], dict[str, list[Any]], tuple[str, ...]]] = {
    "a layer beside": (
        [called(entry("Dense", "aux", units=2), "x")],
        {"dense_1": [array(F, 2), array(2)]},
        ("aux",),
    ),
    "a chain": (
        [
            called(entry("LSTM", "l", units=U), "x"),
            called(entry("Dense", "aux", units=2), "l"),
        ],
        {
            "lstm/cell": [array(F, 4 * U), array(U, 4 * U), array(4 * U)],
            "dense_1": [array(U, 2), array(2)],
        },
        ("l", "aux"),
    ),
    "inside a wrapper": (
        [
            called(
                entry("TimeDistributed", "t", layer=entry("Dense", "inner", units=2)),
                "x",
            )
        ],
        {"time_distributed/layer": [array(F, 2), array(2)]},
        ("inner",),
    ),
    "none": ([], {}, ()),
}


@pytest.mark.parametrize("case", CASES)
def test_unused_weights_are_left_out_and_named(tmp_path: Path, case: str) -> None:
    more, weights, names = CASES[case]
    layers = [taken("x", 5, F), called(entry("Dense", "d", units=2), "x"), *more]

    def write(file: Any) -> None:
        for group, arrays in {"dense": [array(F, 2), array(2)], **weights}.items():
            for index, one in enumerate(arrays):
                file[f"layers/{group}/vars/{index}"] = one

    config = functional(layers, [["d", 0, 0]])
    model = read_keras_file(write_keras(tmp_path / "m.keras", config=config, weights=write))
    graph = lower(model)
    assert unused_layers(model, graph) == names
    assert graph.parameters == F * 2 + 2
    assert weight_bytes(graph, "onnx", SCHEMES["float32"]) == 4 * graph.parameters
    bundle = convert(tmp_path / "m.keras", tmp_path / "b", targets=["onnx"], with_keras=False)
    assert bundle.manifest["provenance"].get("unused_layers", []) == list(names)
    notes = notes_on_making(bundle.manifest)
    told = ", ".join(f"'{name}'" for name in names)
    expected = f"no output of the model uses the weights of {told}: they are left out"
    assert list(notes) == ([expected] if names else [])
