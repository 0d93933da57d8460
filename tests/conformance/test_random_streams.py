"""Random models without a look ahead, cut anywhere: pieces give what whole sequences give."""

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import export
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.worker.worker import Worker
from gatelet.runtime.backends import open_backend
from gatelet.runtime.backends.pure import PureBackend
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.streaming import to_stream
from tests.conformance.matrix import prepare
from tests.conformance.test_random_models import COMMON, keras
from tests.conformance.test_streaming import check_streams

T, F, V = 9, 3, 20
ACTIVATIONS = ("tanh", "relu", "sigmoid", "hard_sigmoid", "elu", "softsign", "linear")

Layer = tuple[str, Any]
Recipe = dict[str, Any]

recurrences = st.tuples(
    st.sampled_from(["LSTM", "GRU", "SimpleRNN"]),
    st.fixed_dictionaries(
        {
            "units": st.integers(1, 5),
            "activation": st.sampled_from(ACTIVATIONS),
            "use_bias": st.booleans(),
        }
    ),
)
others = st.sampled_from(
    [
        ("Dense", {"units": 4, "activation": "relu"}),
        ("TimeDistributed", None),
        ("BatchNormalization", {}),
        ("LayerNormalization", {}),
        ("Softmax", {}),
        ("Dropout", {"rate": 0.3}),
        ("residual", None),
        ("concatenated", None),
    ]
)
recipes = st.fixed_dictionaries(
    {
        "input": st.sampled_from(["ids", "masked ids", "features", "masked features", "images"]),
        "layers": st.lists(st.one_of(recurrences, others), max_size=4),
        "last": recurrences,
        "end": st.sampled_from(["step", "every step", "states", "decoder"]),
        "reset_after": st.booleans(),
        "cuts": st.sets(st.integers(1, T - 1)).map(sorted),
    }
)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


@hypothesis(max_examples=10, **COMMON)
@given(recipe=recipes)
def test_random_streams_give_what_whole_sequences_give(worker: Worker, recipe: Recipe) -> None:
    check(worker, recipe)


@pytest.mark.full
@hypothesis(max_examples=400, **COMMON)
@given(recipe=recipes)
def test_many_random_streams(worker: Worker, recipe: Recipe) -> None:
    check(worker, recipe)


def check(worker: Worker, recipe: Recipe) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras().backend.clear_session()
        case = prepare(keras(), lambda k: build(k, recipe))
    # far outside, a row tests the range of float32 and nothing else
    assume(all(np.nanmax(np.abs(v), initial=0) < 1e3 for v in case.expected.values()))
    form, cuts = to_stream(case.graph), recipe["cuts"]
    check_streams(case, form, ReferenceBackend(form.graph), cuts=cuts)
    check_streams(case, form, PureBackend(form.graph), cuts=cuts)
    with tempfile.TemporaryDirectory() as folder:
        for target in ("onnx", "litert"):
            path = Path(folder) / target
            model = Exportable(form.graph, form.graph)
            path.write_bytes(export(model, target, SCHEMES["float32"], worker).data)
            check_streams(case, form, open_backend(target, path), cuts=cuts)


def build(k: Any, recipe: Recipe) -> Any:
    inputs, x = start(k, recipe["input"])
    for kind, settings in recipe["layers"]:
        if kind in ("residual", "concatenated"):
            beside = k.layers.Dense(x.shape[-1])(x)
            join = k.layers.Add() if kind == "residual" else k.layers.Concatenate()
            x = join([x, beside])
        elif kind == "TimeDistributed":
            inner = k.Sequential([k.Input(x.shape[2:]), k.layers.Dense(3), k.layers.ELU()])
            x = k.layers.TimeDistributed(inner)(x)
        elif kind == "Softmax" and "masked" in recipe["input"]:
            x = k.layers.Activation("softmax")(x)  # Keras' own layer fails on a mask
        elif kind in ("LSTM", "GRU", "SimpleRNN"):
            x = recurrence(k, kind, settings, recipe, return_sequences=True)(x)
        else:
            x = getattr(k.layers, kind)(**settings)(x)
    kind, settings = recipe["last"]
    if recipe["end"] == "every step":
        x = recurrence(k, kind, settings, recipe, return_sequences=True)(x)
        return k.Model(inputs, k.layers.Dense(2, activation="softmax")(x))
    if recipe["end"] == "states":
        return k.Model(inputs, recurrence(k, kind, settings, recipe, return_state=True)(x))
    x = recurrence(k, kind, settings, recipe)(x)
    if recipe["end"] == "decoder":  # after the last step anything goes
        x = k.layers.RepeatVector(3)(x)
        x = k.layers.Bidirectional(k.layers.LSTM(2, return_sequences=True))(x)
    return k.Model(inputs, k.layers.Dense(2)(x))


def start(k: Any, kind: str) -> tuple[Any, Any]:
    if "ids" in kind:
        inputs = k.Input((T,), dtype="int32")
        return inputs, k.layers.Embedding(V, 4, mask_zero="masked" in kind)(inputs)
    if kind == "images":
        inputs = k.Input((T, 4, 4, 1))
        return inputs, k.layers.TimeDistributed(k.layers.Flatten())(
            k.layers.TimeDistributed(k.layers.Conv2D(2, 3))(inputs)
        )
    inputs = k.Input((T, F))
    return inputs, k.layers.Masking()(inputs) if "masked" in kind else inputs


def recurrence(k: Any, kind: str, settings: Any, recipe: Recipe, **more: Any) -> Any:
    known = {"reset_after": recipe["reset_after"]} if kind == "GRU" else {}
    return getattr(k.layers, kind)(**settings, **known, **more)
