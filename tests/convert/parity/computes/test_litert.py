"""LiteRT files are held to the oracle of each rounding rule: the delegate's, and the engine's own.

The rules differ where a row's least and largest number are alike: cells that saturate have that.
"""

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exported
from gatelet.convert.exporters.litert import export_litert
from gatelet.convert.parity.computes import inside_litert
from gatelet.convert.parity.computes.inside_litert import BUILTIN, XNNPACK
from gatelet.convert.parity.stored.file import StoredFile
from gatelet.convert.parity.stored.match import check_weights, match_weights
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph
from tests.convert.parity.computes.models import ask, exportable, model

CELLS = {"LSTM": "LSTM", "GRU": "GRU", "Dense": "SimpleRNN"}
"""The recurrence of the model; one of SimpleRNN is too small to be rounded, its Dense is not."""

HIDDEN, RELU = 64, 1
Edit = Callable[[Any], None]


def loud(cell: str) -> Graph:
    """Return the model with so large weights that most states are 1, -1 or the same over again."""
    graph = model((cell,))
    names = ["cell_0.recurrent_kernel"]
    if cell == "SimpleRNN":  # where neither is rounded
        names.append("cell_0.kernel")
    louder = {
        name: replace(graph.weights[name], data=(20 * array_of(graph.weights[name])).tobytes())
        for name in names
    }
    return replace(graph, weights={**graph.weights, **louder})


@cache
def exported(cell: str, scheme: str = "dynamic-int8") -> Exported:
    return export_litert(exportable(loud(cell)).skipping, SCHEMES[scheme])


@pytest.mark.parametrize("case", CELLS)
def test_an_honest_file_passes_by_both_rules(case: str, tmp_path: Path) -> None:
    graph = loud(CELLS[case])
    checks = ask(graph, "litert", "dynamic-int8", exported(CELLS[case]), tmp_path)
    assert [(one.name, one.verdict) for one in checks] == [
        (f"computes_{by}_{engine}", "pass")
        for engine in (XNNPACK, BUILTIN)
        for by in ("steps", "whole")
    ], checks
    for one in checks:
        if one.by == "steps":
            assert f"{one.name.split('_')[-1]}: 12 timesteps" in one.note
            assert one.limit is not None and one.limit < 1e-4  # whatever ties a row may have


@pytest.mark.parametrize("case", CELLS)
def test_the_rule_of_one_engine_is_not_that_of_the_other(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, other = inside_litert.open_interpreter, {XNNPACK: BUILTIN, BUILTIN: XNNPACK}
    monkeypatch.setattr(
        inside_litert,
        "open_interpreter",
        lambda content, *, engine: real(content, engine=other[engine]),
    )
    graph = loud(CELLS[case])
    checks = ask(graph, "litert", "dynamic-int8", exported(CELLS[case]), tmp_path)
    steps = {one.name: one.verdict for one in checks if one.by == "steps"}
    assert steps == {f"computes_steps_{engine}": "fail" for engine in other}


def _in_body(model: Any, kind: str, *, inside: bool = True) -> list[Any]:
    """Return the operators of a kind in the bodies of loops, or outside of them."""
    schema = importlib.import_module("ai_edge_litert.schema_py_generated")
    number = getattr(schema.BuiltinOperator, kind)
    codes = [max(one.builtinCode, one.deprecatedBuiltinCode) for one in model.operatorCodes]
    graphs = model.subgraphs[1:] if inside else model.subgraphs[:1]
    return [one for graph in graphs for one in graph.operators if codes[one.opcodeIndex] == number]


def exchange_gates(model: Any) -> None:
    (split,) = _in_body(model, "SPLIT")
    first, second, *others = split.outputs
    split.outputs = [second, first, *others]


def exchange_activations(model: Any) -> None:
    (tanh,), (sigmoid, *_) = _in_body(model, "TANH"), _in_body(model, "LOGISTIC")
    tanh.opcodeIndex = sigmoid.opcodeIndex


def fuse_an_activation(model: Any) -> None:
    (product,) = (
        one
        for one in _in_body(model, "FULLY_CONNECTED", inside=False)
        if model.subgraphs[0].tensors[one.inputs[1]].shape[0] == HIDDEN
    )
    product.builtinOptions.fusedActivationFunction = RELU


FAULTS: dict[str, Edit] = {
    "LSTM": exchange_gates,
    "GRU": exchange_activations,
    "Dense": fuse_an_activation,
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_seen_by_both_rules(case: str, tmp_path: Path) -> None:
    schema = importlib.import_module("ai_edge_litert.schema_py_generated")
    made = exported(CELLS[case])
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(made.data), 0))
    FAULTS[case](file)
    builder = importlib.import_module("flatbuffers").Builder(len(made.data))
    builder.Finish(file.Pack(builder), b"TFL3")
    wrong = replace(made, data=bytes(builder.Output()))
    checks = ask(loud(CELLS[case]), "litert", "dynamic-int8", wrong, tmp_path)
    steps = {one.name: one.verdict for one in checks if one.by == "steps"}
    assert steps == {f"computes_steps_{engine}": "fail" for engine in (XNNPACK, BUILTIN)}


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_kernels_that_stay_floats_are_read(cell: str, tmp_path: Path) -> None:
    graph, path = loud(cell), tmp_path / "file"
    path.write_bytes(exported(cell, "dynamic-int8-rec32").data)
    weights = match_weights("litert", StoredFile(path, graph))
    assert check_weights("litert", weights).note == "8 of 8 tensors"
    name = "cell_0.recurrent_kernel"
    kernel = array_of(graph.weights[name]).copy()
    (found,) = (one for one in weights or () if one.weight == name)
    assert found.found is not None and np.array_equal(found.found, kernel)
    kernel[3, 5] *= 1.0001
    other = replace(graph.weights[name], data=kernel.tobytes())
    judging = replace(graph, weights={**graph.weights, name: other})
    seen = check_weights("litert", match_weights("litert", StoredFile(path, judging)))
    assert seen.verdict == "fail" and "recurrent_kernel of layer 'cell_0'" in seen.note
