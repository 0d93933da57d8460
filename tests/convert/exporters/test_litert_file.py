"""What a LiteRT file holds: built-in operators, no state, the Graph's names and open sizes."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest

from gatelet.errors import BackendError
from tests.convert.exporters.litert_graphs import Compared
from tests.convert.exporters.onnx_graphs import GraphMaker

STATEFUL = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE", "HASHTABLE")
SCHEMES = ("float32", "dynamic-int8")


@cache
def make(scheme: str) -> Compared:
    """Make an encoder and a decoder: two inputs of two kinds, several outputs."""
    maker = GraphMaker(scale=0.3)
    ids = maker.input("ids", None, None, vocabulary=50)
    x = maker.input("features", None, None, 8)
    mask = maker.one("MaskIds", [ids], (None, None))
    weights = {"embeddings": maker.weight(50, 32)}
    embedded = maker.one("Embedding", [ids], (None, None, 32), weights=weights)
    _, h, c = maker.recurrence(
        "LSTM", [embedded], features=32, units=32, mask=mask, return_state=True
    )
    y, *_ = maker.recurrence(
        "LSTM", [x, h, c], features=8, units=32, return_sequences=True, return_state=True
    )
    weights = {"kernel": maker.weight(32, 5), "bias": maker.weight(5)}
    logits = maker.one("Dense", [y], (None, None, 5), weights=weights)
    scores = maker.one("Activation", [logits], (None, None, 5), activation="softmax")
    # an input and a mask can be outputs too
    return Compared(maker.finish(scores, c, "features", mask), scheme=scheme)


def feeds(B: int, T: int) -> dict[str, Any]:
    generator = np.random.default_rng(B + T)
    return {
        "ids": generator.integers(0, 50, (B, T)).astype(np.int32),
        "features": generator.normal(size=(B, T + 2, 8)).astype(np.float32),
    }


@pytest.mark.parametrize("scheme", SCHEMES)
def test_operators_are_built_in_and_none_keeps_state(scheme: str) -> None:
    compared = make(scheme)
    assert "WHILE" in compared.exported.ops
    # those of the loops' bodies are told too, and those with numbers beyond the first 127
    assert {"TANH", "DYNAMIC_UPDATE_SLICE"} <= set(compared.exported.ops)
    assert not set(STATEFUL) & set(compared.exported.ops)
    assert not any(code.customCode for code in compared.model.operatorCodes)
    tensors = [one for graph in compared.model.subgraphs for one in graph.tensors]
    assert not any(one.isVariable for one in tensors)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_signature_has_the_names_and_the_open_sizes_of_the_graph(scheme: str) -> None:
    compared = make(scheme)
    (signature,) = compared.model.signatureDefs
    assert {one.name.decode() for one in signature.inputs} == {"ids", "features"}
    assert {one.name.decode() for one in signature.outputs} == set(compared.graph.outputs)
    main = compared.model.subgraphs[signature.subgraphIndex]
    open_sizes = {one.name: list(one.shape) for one in compared.graph.inputs}
    for one in signature.inputs:
        shape = main.tensors[one.tensorIndex].shapeSignature
        expected = [-1 if size is None else size for size in open_sizes[one.name.decode()]]
        assert list(shape) == expected


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_call_starts_from_a_zero_state(scheme: str) -> None:
    compared = make(scheme)
    first, other = compared.run(feeds(3, 4)), compared.run(feeds(5, 9))
    again = compared.run(feeds(3, 4))
    assert {name: array.shape[0] for name, array in other.items()} == dict.fromkeys(other, 5)
    for name in compared.graph.outputs:
        assert np.array_equal(first[name], again[name])


def test_outputs_keep_their_names_whatever_order_the_engine_has_them_in() -> None:
    compared = make("float32")
    sizes = [(1, 1), (7, 5), (64, 3), (1, 1)]
    assert compared.failures(feeds(B, T) for B, T in sizes) == []
    found = compared.run(feeds(2, 3))
    scores, c, features, mask = compared.graph.outputs
    assert np.array_equal(found[features], feeds(2, 3)["features"])
    assert found[mask].dtype == bool
    assert found[scores].shape == (2, 5, 5)
    assert found[c].shape == (2, 32)


def test_a_failed_call_does_not_harm_the_next() -> None:
    compared = make("float32")
    before = compared.run(feeds(2, 3))
    wrong = feeds(2, 3)
    wrong["features"] = wrong["features"][..., :7]
    for _ in range(2):
        with pytest.raises(BackendError, match="the engine ai-edge-litert failed: "):
            compared.run(wrong)
    after = compared.run(feeds(2, 3))
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_threads_do_not_mix_their_rows() -> None:
    compared = make("float32")
    many = [feeds(10 + index % 3, 100 + index % 4) for index in range(24)]
    alone = [compared.run(one) for one in many]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(compared.run, many))
    for a, b in zip(alone, together, strict=True):
        assert all(np.array_equal(a[name], b[name]) for name in a)
