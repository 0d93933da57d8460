"""Every case on tflm: what it takes gives what Keras gives, and the rest is refused by name."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import TARGETS, export
from gatelet.convert.rows.calibration import choose_rows
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.worker.worker import Worker
from gatelet.errors import ConversionError
from gatelet.runtime.backends import Backend, open_backend
from tests.conformance.cases import CASES
from tests.conformance.limits import holds
from tests.conformance.matrix import Prepared
from tests.conformance.test_conformance import prepared

ALL_STEPS = "needs several timesteps at once"
AXES = "axes a timestep"
REFUSED = {
    "addition": ALL_STEPS,
    "autoencoder": ALL_STEPS,
    "average_pooled": ALL_STEPS,
    "average_pooled_masked": ALL_STEPS,
    "bag_of_embeddings_masked": ALL_STEPS,
    "bidirectional_long_masked": "gives its steps backwards where a later layer takes them",
    "bidirectional_stack_masked": "gives its steps backwards where a later layer takes them",
    "bidirectional_tagger": "gives out what it computes at masked timesteps",
    "branches_concatenated": ALL_STEPS,
    "conv_causal_dilated": ALL_STEPS,
    "conv_lstm": AXES,
    "conv_lstm_sequences": AXES,
    "conv_same_strided": ALL_STEPS,
    "conv_then_lstm": ALL_STEPS,
    "conv_valid_strided": ALL_STEPS,
    "dense_activations": "activation 'gelu'",
    "encoder_decoder": "starts at states that another layer gives",
    "encoder_decoder_masked": "starts at states that another layer gives",
    "flattened": ALL_STEPS,
    "frames": AXES,
    "gru_zero_last_output_for_mask": "gives zeros where the last timestep is masked",
    "image_columns": AXES,
    "lstm_backwards_sequences_masked": "reverses a sequence and leaves its mask as it was",
    "lstm_zero_output_for_mask": ALL_STEPS,
    "max_pooled_masked": ALL_STEPS,
    "permuted": ALL_STEPS,
    "relu_from_a_threshold": "the threshold of the activation 'relu'",
    "reshaped": ALL_STEPS,
    "reshaped_step_by_step": ALL_STEPS,
    "shared_layers": "has another mask than the layers before it",
    "text_and_numbers": "an input without timesteps",
}
"""Cases that no file of one timestep can hold, and what the message says."""

NO_INTEGERS = {
    "batch_normalized": "of the output's span off float",
    "gru_silu": "of the output's span off float",
    "lstm_relu": "has no bound",
    "return_state_used": "of the output's span off float",
    "simple_rnn_relu": "has no bound",
    "stack_three_mixed": "of the output's span off float",
}
"""Cases that are refused in integers only."""

# the library adds up products one after the other in float32, without fused multiply-add; where
# states grow without bound that is up to six times NumPy's own distance
ROUNDING = {"simple_rnn_relu": 2.0}


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def convert(case: Prepared, scheme: str, worker: Worker, folder: Path) -> Backend:
    calibration = choose_rows(case.inputs, source="the case's own rows")
    model = Exportable(case.graph, case.graph, calibration=calibration)
    path = folder / "model.tflite"
    exported = export(model, "tflm", SCHEMES[scheme], worker)
    path.write_bytes(exported.data)
    beside = {one.role: folder / one.role for one in exported.companions}
    for one in exported.companions:
        beside[one.role].write_bytes(one.data)
    return open_backend("tflm", path, companions=beside)


IN_SHORT = {
    "bidirectional_masked",
    "features_masked_by_value",
    "gru_masked",
    "layer_normalized",
    "lstm_masked",
    "lstm_relu",
    "simple_rnn",
    "stack_three_mixed",
    "two_outputs",
}
"""The cases that the default tests run in integers too."""


def runs() -> list[Any]:
    """Return all pairs of a scheme and a case; most in integers are for the full tests."""
    return [
        pytest.param(
            build,
            scheme,
            id=f"{build.__name__}-{scheme}",
            marks=[pytest.mark.full]
            if (scheme != "float32" and build.__name__ not in IN_SHORT) or "32-f" in scheme
            else [],
        )
        for build in CASES
        for scheme in TARGETS["tflm"]
    ]


@pytest.mark.parametrize(("build", "scheme"), runs())
def test_tflm(build: Callable[[Any], Any], scheme: str, worker: Worker, tmp_path: Path) -> None:
    case, name = prepared(build), build.__name__
    refused = REFUSED.get(name) or ("int8" in scheme and NO_INTEGERS.get(name))
    if SCHEMES[scheme].outside and not any(node.op == "Embedding" for node in case.graph.nodes):
        refused = "the model has no Embedding"
    if refused:
        with pytest.raises(ConversionError, match=refused) as caught:
            convert(case, scheme, worker, tmp_path)
        assert re.search("(use|choose) .*--(target|scheme)|choose that", str(caught.value))
        return
    found = convert(case, scheme, worker, tmp_path).run(case.inputs)
    for output in case.graph.outputs:
        expected, got = case.expected[output], np.asarray(found[output])
        limit = case.float32_limit * ROUNDING.get(name, 1.0)
        assert holds(got, expected, ("tflm", scheme), limit)
