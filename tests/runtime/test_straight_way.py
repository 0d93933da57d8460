"""The c target's straight way: what it answers and refuses is what the usual way does."""

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.errors import GateletError
from gatelet.runtime import Predictor, load
from gatelet.runtime.backends.c.memory import Memories, Memory
from gatelet.runtime.vectorizer.long_texts import PIECE_CHARACTERS
from tests.runtime.test_threads import in_a_fork

VOCABULARY, MAXLEN = 50, 10
ROUNDS = 400
HOSTILE_IDS: tuple[Any, ...] = (
    -1, VOCABULARY, 2**31 - 1, 2**31, -(2**31) - 1, 2**32 + 3, 10**30, True, False, None, 1.0, "1",
    float("nan"), np.int64(3), np.int32(-2), np.bool_(True), [], [1], b"\1", object, 1j,
)  # fmt: skip
DTYPES = ("int32", "int64", "int8", "uint8", "uint64", ">i4", "float32", "bool", "object", "<U1")
HOSTILE_TEXTS = (
    "", " ", "w1", "W2  w3!w4", "w1\0w2", "\ud800", "w5\udfff w6", "é ß İ ΑΣ w7", "日本 w8", "🙂",
    "w9 " * 20_000, "x" * (PIECE_CHARACTERS + 1), "nobody knows these",
)  # fmt: skip


class Text(str):
    """A text of a class of the caller's."""

    __slots__ = ()


@pytest.fixture(scope="module")
def straight(every_target_bundle: Path) -> Predictor:
    return load(every_target_bundle, target="c")


@pytest.fixture(scope="module")
def usual(every_target_bundle: Path) -> Predictor:
    """Return the same without the straight way."""
    predictor = load(every_target_bundle, target="c")
    assert predictor._try_rows is not None
    predictor._try_rows = None
    return predictor


def outcome(run: Callable[[], Any]) -> Any:
    """Return types and bits of the answer, or type and text of the error."""
    try:
        found = run()
    except GateletError as error:
        return type(error), str(error), error.facts
    if isinstance(found, np.ndarray):
        return "array", found.dtype, found.shape, found.tobytes()
    return "list", repr(found), [type(value) for row in found for value in row]


def some_ids(draw: random.Random) -> Any:
    """Draw ids, most of them right, as callers hold them; a few are of no shape at all."""
    rows = draw.choice((0, 1, 1, 1, 2, 3, 64, 65, 130))
    steps = draw.choice((0, 1, 4, MAXLEN, MAXLEN, 33))
    ids = [[draw.randrange(VOCABULARY) for _ in range(steps)] for _ in range(rows)]
    for row in ids:  # padded at one side or the other
        kept = draw.randrange(steps + 1)
        row[:kept] = [0] * kept
        row[:: draw.choice((1, -1))] = row[:]
    if rows and steps and draw.random() < 0.5:
        ids[draw.randrange(rows)][draw.randrange(steps)] = draw.choice(HOSTILE_IDS)
    return draw.choice(FORMS)(ids, draw)


def as_array(ids: list[Any], draw: random.Random) -> Any:
    try:
        array = np.array(ids, draw.choice(DTYPES))
    except (TypeError, ValueError, OverflowError):
        return ids
    return draw.choice(LAYOUTS)(array)


def frozen(array: Any) -> Any:
    array.flags.writeable = False
    return array


LAYOUTS: tuple[Callable[[Any], Any], ...] = (
    lambda array: array,
    lambda array: array[::-1],
    np.asfortranarray,
    lambda array: array[:, ::2] if array.ndim == 2 else array,
    lambda array: array.view(np.recarray) if array.dtype == "int32" else array,
    lambda array: array[0] if len(array) else array,
    lambda array: array[None],
    frozen,
)
FORMS: tuple[Callable[[list[Any], random.Random], Any], ...] = (
    lambda ids, draw: ids,
    lambda ids, draw: ids,
    as_array,
    as_array,
    as_array,
    lambda ids, draw: tuple(ids),
    lambda ids, draw: [tuple(row) for row in ids],
    lambda ids, draw: [np.array(row) for row in ids if all(type(one) is int for one in row)],
    lambda ids, draw: [*ids, *draw.choice(([[1]], [[]], [None], ["w1"], [range(3)], [[[1]]]))],
    lambda ids, draw: ids[0] if ids else ids,
)


@pytest.mark.parametrize("seed", range(4))
def test_ids_of_any_kind_get_the_same_answer_or_the_same_refusal(
    straight: Predictor, usual: Predictor, seed: int
) -> None:
    draw, kinds = random.Random(seed), set()
    for _ in range(ROUNDS):
        ids = some_ids(draw)
        expected = outcome(lambda ids=ids: usual.scores(ids))  # type: ignore[misc]  # a lambda default
        found = outcome(lambda ids=ids: straight.scores(ids))  # type: ignore[misc]  # a lambda default
        assert found == expected, ids
        kinds.add(found[0] if isinstance(found[0], str) else found[0].__name__)
    assert kinds == {"array", "list", "InputError"}


def test_texts_of_any_kind_get_the_same_answer_or_the_same_refusal(
    straight: Predictor, usual: Predictor
) -> None:
    draw = random.Random(5)
    words = [f"w{i}" for i in range(60)]
    for round_ in range(ROUNDS // 4):
        texts: list[Any] = [
            draw.choice(HOSTILE_TEXTS)
            if draw.random() < 0.3
            else " ".join(draw.choices(words, k=n))
            for n in draw.choices(range(15), k=draw.choice((1, 1, 2, 5)))
        ]
        if round_ % 4 == 0:
            texts[draw.randrange(len(texts))] = draw.choice((None, 3, b"w1", Text("w1 w2"), ["w1"]))
        given = tuple(texts) if round_ % 7 == 0 else texts
        for name in ("scores", "predict"):
            expected = told(getattr(usual, name), given)
            assert told(getattr(straight, name), given) == expected, given


def told(run: Callable[[Any], Any], given: Any) -> str:
    try:
        return repr(run(given))
    except GateletError as error:
        return repr((type(error), str(error)))


def test_usual_inputs_take_the_straight_way(straight: Predictor) -> None:
    assert straight._try_rows is not None
    straight._try_rows(np.zeros((1, 3), np.int32), 64)  # the first array makes NumPy known
    rows: tuple[Any, ...] = (
        [[1, 2, 0]], [[1] * 7] * 64, ["w1 w2"], ["w1", "é"], ["w1"] * 64, np.ones((1, 5), np.int32),
        np.ones((64, 5), np.int32)[:, ::2], np.ones((1, 5), np.int64), np.ones((2, 5), np.uint8),
    )  # fmt: skip
    for one in rows:
        assert straight._try_rows(one, 64) is not None, one
    unusual: tuple[Any, ...] = (
        [], [[1]] * 65, ["w1"] * 65, [[VOCABULARY]], [[True]], ["\ud800"],
        np.ones((65, 2), np.int32), np.full((1, 2), 2**32 + 1), np.ones((1, 2), bool),
    )  # fmt: skip
    for one in unusual:
        assert straight._try_rows(one, 64) is None, one


def test_answers_are_the_callers_own(straight: Predictor) -> None:
    ids = np.ones((1, 4), np.int32)
    first = straight.scores(ids)
    kept = first.copy()
    straight.scores(ids + 5)
    assert (first == kept).all()
    first[...] = 7
    assert (straight.scores(ids) == kept).all()


def test_threads_with_rows_of_different_sizes_share_nothing(straight: Predictor) -> None:
    draw = random.Random(3)
    asked = [
        np.array([[draw.randrange(VOCABULARY) for _ in range(2 + n % 9)]] * (1 + n % 5), np.int32)
        for n in range(40)
    ]
    right = [straight.scores(ids).tolist() for ids in asked]
    wrong: list[Any] = []

    def ask(offset: int) -> None:
        for n in range(offset, offset + 400):
            number = n % len(asked)
            for ids in (asked[number], asked[number].tolist()):
                if np.asarray(straight.scores(ids)).tolist() != right[number]:
                    wrong.append(number)

    threads = [threading.Thread(target=ask, args=(7 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    if hasattr(os, "fork"):
        assert in_a_fork(lambda: straight.scores(asked[3]).tolist()) == right[3]


def test_a_call_within_a_call_has_memory_of_its_own(straight: Predictor) -> None:
    backend: Any = straight._backend
    memories: Memories = backend._memories
    outer, inner = memories.take(((1, 4),)), memories.take(((1, 4),))
    assert outer is not inner
    memories.bring_back(inner)
    memories.bring_back(outer)
    assert memories.take(((1, 4),)) is outer


def test_memory_that_is_kept_stays_little() -> None:
    class Much(Memory):
        def __init__(self, shapes: Any) -> None:
            self.shapes, self.bytes = shapes, 1000 * shapes[0][0]

    memories = Memories(Much)
    for rows in range(10_000):
        memories.bring_back(memories.take(((rows, 1),)))
    kept = [memory for idle in memories._idle.values() for memory in idle]
    assert sum(memory.bytes for memory in kept) < 2**26
