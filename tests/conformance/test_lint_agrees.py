"""What `gatelet inspect` says can be made is what the exporters make, and nothing else.

Not litert in the default tests: its exporter takes whatever `test_conformance.py` runs.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import EXPORTERS, TARGETS, export
from gatelet.convert.exporters.tflm.export import fused_of
from gatelet.convert.exporters.tflm.recurrent import check_bounded
from gatelet.convert.exporters.tflm.step import StepWriter
from gatelet.convert.exporters.tflm.walk import write_step
from gatelet.convert.inspection import lint
from gatelet.convert.passes import skip_padding
from gatelet.convert.reading import SourceModel, read_keras_object
from gatelet.convert.rows.calibration import choose_rows
from gatelet.convert.rows.drawn import random_rows
from gatelet.convert.schemes import SCHEMES, Scheme
from gatelet.convert.worker.worker import Worker
from gatelet.errors import ConversionError
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.conformance.cases import CASES
from tests.conformance.layer_cases import relu_from_a_threshold, text_and_numbers
from tests.conformance.recurrent_cases import bidirectional_stack_masked

WORDS = Vectorizer.fit(["word"], num_words=2, maxlen=10)


def glu_over_time(k: Any) -> Any:
    x = k.Input((None, 4))
    return k.Model(x, k.layers.Activation("glu")(k.layers.LSTM(4, return_sequences=True)(x)))


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras

        yield keras


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def read(keras: Any, build: Callable[[Any], Any]) -> SourceModel:
    with warnings.catch_warnings():  # Keras warns of masks that end at a layer
        warnings.simplefilter("ignore")
        return read_keras_object(build(keras))


def attempt(model: Exportable, target: str, scheme: Scheme) -> None:
    """Export without asking first, and without what comes after the last refusal."""
    if target in ("c", "wasm"):  # what the latter compiles is the former's
        write_model(calibrated(model), scheme)
    elif target == "tflm":
        for node in model.graph.nodes if scheme.activations != "float32" else ():
            check_bounded(node)
        write_step(model.graph, StepWriter(fused=fused_of(model.graph)))
    elif target != "litert":
        EXPORTERS[target].function(model, scheme)


def calibrated(model: Exportable) -> Exportable:
    if model.calibration is not None:
        return model
    features = random_rows(model.graph, None, {}).feed
    return replace(model, calibration=choose_rows(features, source="random"))


def hold(source: SourceModel, given: Callable[[Exportable, str, Scheme], object]) -> None:
    """Hold what is said of every target and scheme against what an export does."""
    is_text = len(source.inputs) == 1 and source.inputs[0].dtype.startswith("int")
    vectorizer = WORDS if is_text else None
    found = lint(source, vectorizer=vectorizer)
    assert found.graph is not None
    ids = {one.name: np.ones((8, 3), np.int32) for one in found.graph.inputs}
    model = Exportable(
        found.graph,
        skip_padding(found.graph, timesteps=None),
        vectorizer=vectorizer,
        calibration=choose_rows(ids, source="ones") if is_text else None,
    )
    assert len(found.prospects) == sum(map(len, TARGETS.values()))
    for one in found.prospects:
        pointless = ("would be no smaller", "would be the same", "has no Embedding, which")
        if any(said in one.obstacle for said in pointless):
            continue  # it could be made
        refused = ""
        try:
            given(model, one.target, SCHEMES[one.scheme])
        except ConversionError as error:
            refused = str(error)
        assert bool(one.obstacle) == bool(refused), (one, refused)


IN_SHORT = (glu_over_time, relu_from_a_threshold, bidirectional_stack_masked, text_and_numbers)


@pytest.mark.parametrize(
    "build",
    [
        *IN_SHORT,
        *(
            pytest.param(build, marks=[] if index % 6 == 0 else [pytest.mark.full])
            for index, build in enumerate(CASES)
            if build not in IN_SHORT
        ),
    ],
)
def test_what_can_be_made_is_made(keras: Any, build: Callable[[Any], Any]) -> None:
    hold(read(keras, build), attempt)


@pytest.mark.full
@pytest.mark.parametrize("build", CASES)
def test_the_whole_export_agrees_too(
    keras: Any, build: Callable[[Any], Any], worker: Worker
) -> None:
    def whole(model: Exportable, target: str, scheme: Scheme) -> None:
        export(calibrated(model), target, scheme, worker)

    hold(read(keras, build), whole)
