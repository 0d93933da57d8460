"""What an ONNX file looks like: names, sizes, operators, bytes; and what is refused."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from gatelet.convert.exporters.onnx import count_scans, export_onnx
from gatelet.convert.schemes import SCHEMES
from gatelet.errors import BackendError, ConversionError
from gatelet.runtime.backends.onnx import open_artifact
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.onnx_graphs import Compared, GraphMaker


def classifier(*, masked: bool = True) -> Graph:
    """Return Embedding, LSTM, Dense, sigmoid."""
    maker = GraphMaker()
    ids = maker.input("ids", None, None, vocabulary=200)
    mask = maker.one("MaskIds", [ids], (None, None)) if masked else None
    weights = {"embeddings": maker.weight(200, 16)}
    x = maker.one("Embedding", [ids], (None, None, 16), weights=weights)
    (h,) = maker.recurrence("LSTM", [x], features=16, units=32, mask=mask)
    dense = {"kernel": maker.weight(32, 1), "bias": maker.weight(1)}
    y = maker.one("Dense", [h], (None, 1), weights=dense)
    return maker.finish(maker.one("Activation", [y], (None, 1), activation="sigmoid"))


def sizes(value: Any) -> list[int | str]:
    return [one.dim_param or one.dim_value for one in value.type.tensor_type.shape.dim]


def test_inputs_and_outputs_have_the_names_and_open_sizes_of_the_graph() -> None:
    maker = GraphMaker()
    ids = maker.input("ids", None, None)
    features = [maker.input("features", None, None, 4), maker.input("features_1", None, 7, 4)]
    embedded = maker.one(
        "Embedding", [ids], (None, None, 4), weights={"embeddings": maker.weight(9, 4)}
    )
    y = [
        maker.recurrence("GRU", [x], features=4, units=4, return_sequences=True)[0]
        for x in (embedded, *features)
    ]
    graph = Compared(maker.finish(*y)).model.graph
    assert {one.name: sizes(one) for one in graph.input} == {
        "ids": ["batch", "time"],
        "features": ["batch", "time_1", 4],
        "features_1": ["batch", 7, 4],
    }
    assert [one.name for one in graph.output] == y
    assert [sizes(one)[0] for one in graph.output] == ["batch"] * 3


def test_an_output_may_be_an_input_or_another_output() -> None:
    maker = GraphMaker()
    x = maker.input("features", None, 4)
    same = maker.one("Activation", [x], (None, 4), activation="linear")
    h = maker.one("Activation", [x], (None, 4), activation="tanh")
    again = maker.one("Activation", [h], (None, 4), activation="linear")
    compared = Compared(maker.finish(x, same, again, h))
    fed = np.ones((2, 4), np.float32)
    assert compared.excess({"features": fed}) <= 1


@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
def test_old_engines_read_the_file(scheme: str) -> None:
    model = Compared(classifier(), scheme=scheme).model
    assert model.ir_version == 8
    versions = {one.domain: one.version for one in model.opset_import}
    assert versions == {"": 17} | ({"com.microsoft": 1} if scheme == "dynamic-int8" else {})
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
def test_the_same_graph_gives_the_same_bytes(scheme: str) -> None:
    one, other = (export_onnx(classifier(), SCHEMES[scheme]) for _ in range(2))
    assert one == other


def test_a_weight_that_two_nodes_share_is_stored_once() -> None:
    maker = GraphMaker()
    weights = {"kernel": maker.weight(100, 100)}
    y = maker.input("features", None, 100)
    for _ in range(2):
        y = maker.one("Dense", [y], (None, 100), weights=weights)
    assert len(Compared(maker.finish(y)).exported.data) < 1.1 * 4 * 100 * 100


def test_operators_are_listed_once_and_those_of_a_loop_too() -> None:
    assert Compared(classifier(masked=False)).ops == (
        "Cast",
        "Gather",
        "Gemm",
        "LSTM",
        "Sigmoid",
        "Squeeze",
        "Transpose",
    )
    maker = GraphMaker()
    x = maker.input("features", None, None, 4)
    (y,) = maker.recurrence("LSTM", [x], features=4, units=4, activation="mish")
    compared = Compared(maker.finish(y))
    assert {"Scan", "Softplus"} <= set(compared.ops)
    assert count_scans(compared.graph)


@pytest.mark.parametrize("sizes", [(0, 5), (2, 0), (0, 0)])
def test_the_backend_refuses_no_rows_and_no_timesteps(
    tmp_path: Path, sizes: tuple[int, int]
) -> None:
    # onnxruntime's LSTM would abort
    (tmp_path / "model.onnx").write_bytes(Compared(classifier(masked=False)).exported.data)
    backend = open_artifact(tmp_path / "model.onnx", module="onnxruntime", threads=1, companions={})
    with pytest.raises(BackendError, match=rf"'ids' has the shape \[{sizes[0]}, {sizes[1]}\]"):
        backend.run({"ids": np.zeros(sizes, np.int32)})


def test_refuses_an_operation_that_is_not_known() -> None:
    maker = GraphMaker()
    y = maker.one("Sing", [maker.input("features", None, 4)], (None, 4))
    with pytest.raises(ConversionError, match="the operation 'Sing' cannot be exported to onnx"):
        Compared(maker.finish(y))


def test_tells_what_to_install_where_onnx_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without_onnx(name: str, *rest: Any, **settings: Any) -> Any:
        if name == "onnx":
            raise ImportError(name)
        return found(name, *rest, **settings)

    monkeypatch.setattr(builtins, "__import__", without_onnx)
    with pytest.raises(ConversionError, match=r"pip install 'gatelet\[convert\]'"):
        export_onnx(classifier(), SCHEMES["float32"])
