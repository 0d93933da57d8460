"""tf2onnx, another writer, gives files whose scores are those of ours."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.keras_route.jobs import to_onnx
from gatelet.convert.lowering import lower
from gatelet.convert.reading import read_keras_object
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends import open_backend
from gatelet.runtime.graph.graph import Graph
from tests.conformance import layer_cases, recurrent_cases
from tests.conformance.cases import CASES
from tests.conformance.matrix import draw_rows, model_shape, set_weights, within

# both round, and tf2onnx in the order of TensorFlow's own operators
LIMIT = 1e-4

NOT_TAKEN = (layer_cases.dense_activations,)
"""tf2onnx has no Erfc, which is in Keras' gelu."""

QUICK = (
    recurrent_cases.lstm_classic,
    recurrent_cases.gru,
    recurrent_cases.gru_reset_before,
    recurrent_cases.simple_rnn,
    recurrent_cases.lstm_masked,
    recurrent_cases.bidirectional_concat,
    recurrent_cases.stack_two,
    layer_cases.conv_then_lstm,
    recurrent_cases.encoder_decoder,
    layer_cases.batch_normalized,
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    "build",
    [
        one if one in QUICK else pytest.param(one, marks=pytest.mark.full)
        for one in CASES
        if one not in NOT_TAKEN
    ],
    ids=lambda build: build.__name__,
)
def test_both_writers_agree(build: Callable[[Any], Any], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras

        keras.utils.set_random_seed(3)
        model = build(keras)
        set_weights(model, 3)
        graph = lower(read_keras_object(model))
        theirs = to_onnx(model, _interface(graph, model), model.inputs[0].shape[0], "float32")
    ours = export_onnx(graph, SCHEMES["float32"]).data
    rows = 8 if model.inputs[0].shape[0] is None else 1
    inputs = {
        one.name: draw_rows(one, model_shape(model, index), 3 + index)[:rows]
        for index, one in enumerate(graph.inputs)
    }
    (tmp_path / "ours.onnx").write_bytes(ours)
    (tmp_path / "theirs.onnx").write_bytes(theirs)
    found = open_backend("onnx", tmp_path / "ours.onnx").run(inputs)
    other = open_backend("onnx", tmp_path / "theirs.onnx").run(inputs)
    for index, name in enumerate(graph.outputs):
        assert within(np.asarray(found[name]), np.asarray(other[f"y_{index:02}"]), LIMIT)


def _interface(graph: Graph, model: Any) -> dict[str, Any]:
    """Describe a model as the manifest would, with the sizes that Keras knows."""
    return {
        "inputs": [
            {"name": one.name, "dtype": one.dtype, "shape": [None, *model_shape(model, index)]}
            for index, one in enumerate(graph.inputs)
        ],
        "outputs": [
            {"name": f"y_{index:02}", "shape": list(graph.shape_of(name))}
            for index, name in enumerate(graph.outputs)
        ],
    }
