"""An ONNX file is held to its scheme's oracle, node by node: honest ones pass, faults do not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exported
from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.exporters.targets import TARGETS
from gatelet.convert.schemes import SCHEMES
from tests.convert.parity.computes.models import ask, exportable, model

CELLS = (("LSTM",), ("GRU",), ("SimpleRNN",), ("LSTM", "LSTM"), ("GRU", "LSTM"))
SCHEMES_OF_ONNX = tuple(TARGETS["onnx"])


def _export(graph: Any, scheme: str, change: Callable[[Any], None] | None = None) -> Exported:
    import onnx

    made = export_onnx(exportable(graph).skipping, SCHEMES[scheme])
    if change is None:
        return made
    file = onnx.load_from_string(made.data)
    change(file.graph)
    return Exported(file.SerializeToString(), made.ops, max_batch=made.max_batch)


@pytest.mark.parametrize("scheme", SCHEMES_OF_ONNX)
@pytest.mark.parametrize("cells", CELLS, ids="-".join)
def test_an_honest_file_is_within_rounding(
    cells: tuple[str, ...], scheme: str, tmp_path: Path
) -> None:
    graph = model(cells)
    (check,) = ask(graph, "onnx", scheme, _export(graph, scheme), tmp_path)
    assert (check.name, check.verdict) == ("computes_steps", "pass"), check
    assert (check.question, check.by, check.limit) == ("computes", "steps", 1e-5)
    assert check.figure is not None
    assert check.figure < 2e-6


@pytest.mark.parametrize("features", [False, True])
def test_what_users_feed_is_not_rounded_and_time_may_run_backwards(
    features: bool, tmp_path: Path
) -> None:
    graph = model(("LSTM", "LSTM"), features=features, backwards=True)
    exported = _export(graph, "dynamic-int8")
    (check,) = ask(graph, "onnx", "dynamic-int8", exported, tmp_path)
    assert check.verdict == "pass", check


def _node(graph: Any, op: str) -> Any:
    return next(node for node in graph.node if node.op_type == op)


def _scales_exchanged(graph: Any) -> None:
    node = _node(graph, "DynamicQuantizeLSTM")
    node.input[8], node.input[10] = node.input[10], node.input[8]


def _states_exchanged(graph: Any) -> None:
    node = _node(graph, "DynamicQuantizeLSTM")
    node.input[5], node.input[6] = node.input[6], node.input[5]


def _one_pad_less(graph: Any) -> None:
    import onnx

    for one in graph.initializer:
        if "table_half" in one.name:
            array = np.roll(onnx.numpy_helper.to_array(one), 1, axis=0)
            one.CopyFrom(onnx.numpy_helper.from_array(array, one.name))


def _scales_a_little_off(graph: Any) -> None:
    import onnx

    for one in graph.initializer:
        if one.name.endswith("recurrent_kernel_scales"):
            array = onnx.numpy_helper.to_array(one) * np.float32(1.002)
            one.CopyFrom(onnx.numpy_helper.from_array(array, one.name))


def _other_activation(graph: Any) -> None:
    (names,) = (a for a in _node(graph, "DynamicQuantizeLSTM").attribute if a.name == "activations")
    names.strings[2] = b"Softsign"


@pytest.mark.parametrize(
    "plant",
    [_scales_exchanged, _states_exchanged, _one_pad_less, _scales_a_little_off, _other_activation],
)
def test_a_fault_that_stored_weights_do_not_show_is_seen(
    plant: Callable[[Any], None], tmp_path: Path
) -> None:
    graph = model()
    exported = _export(graph, "dynamic-int8", plant)
    (check,) = ask(graph, "onnx", "dynamic-int8", exported, tmp_path)
    assert check.verdict == "fail", check
    assert check.figure is not None and check.limit is not None
    assert check.figure > check.limit


def test_a_file_of_another_revision_is_not_asked(tmp_path: Path) -> None:
    graph = model()
    exported = _export(graph, "float32")
    (check,) = ask(graph, "onnx", "float32", exported, tmp_path, revision=99)
    assert (check.verdict, check.question) == ("not checked", "computes")
    assert "another revision" in check.note


def test_an_oracle_that_fails_accuses_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*given: Any, **more: Any) -> Any:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("gatelet.convert.parity.computes.check.plan_of", break_down)
    graph = model()
    (check,) = ask(graph, "onnx", "float32", _export(graph, "float32"), tmp_path)
    assert check.verdict == "not checked"
    assert "ZeroDivisionError" in check.note
