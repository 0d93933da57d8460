"""Batches: rows of like length go together, and come back in the caller's order."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.runtime import load, open_bundle
from gatelet.runtime.graph.graph import UNREAD, Graph, GraphInput, Node
from gatelet.runtime.predictor.batches import (
    _cuts,
    in_batches,
    skipped_input,
    starts_at_stored_states,
    text_batches,
)
from gatelet.runtime.predictor.call_cost import Cost, cost_of, timestep_us
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

PADDINGS = ("pre", "post", "both")


def rows(count: int, *, padding: str = "pre", seed: int = 3) -> list[list[int]]:
    """Draw rows of 100 ids with 0 to 100 real ones."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        real = [draw.randrange(1, 50) for _ in range(draw.randrange(101))]
        spare = 100 - len(real)
        before = {"pre": spare, "post": 0, "both": spare // 2}[padding]
        found.append([0] * before + real + [0] * (spare - before))
    return found


def cost(parts: list[Any]) -> int:
    """Count rows x timesteps that an artifact cannot skip."""
    total = 0
    for part in parts:
        used = np.flatnonzero((np.array(part) != 0).any(axis=0))
        total += len(part) * (int(used[-1] - used[0]) + 1 if len(used) else 1)
    return total


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("as_array", [False, True])
@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 1000])
def test_every_row_comes_back_in_its_place(count: int, as_array: bool, padding: str) -> None:
    drawn = rows(count, padding=padding)
    given: Any = np.array(drawn) if as_array else drawn
    other = np.arange(count)
    batches = in_batches({"ids": given, "other": other}, ids="ids")
    assert all(1 <= len(part["ids"]) <= 64 for part in batches.parts)
    for part in batches.parts:
        assert [drawn[i] for i in part["other"]] == np.asarray(part["ids"]).tolist()
    assert np.array_equal(batches.join([part["other"] for part in batches.parts]), other)
    lists = batches.join([part["other"].tolist() for part in batches.parts])
    assert lists == list(range(count))


@pytest.mark.parametrize("padding", ["pre", "post"])
def test_no_row_pays_much_for_anothers_padding(padding: str) -> None:
    drawn = rows(1000, padding=padding)
    least = sum(max(sum(i != 0 for i in row), 1) for row in drawn)
    parts = in_batches({"ids": drawn}, ids="ids").parts
    assert cost([part["ids"] for part in parts]) < 1.1 * least
    assert cost([drawn[at : at + 64] for at in range(0, 1000, 64)]) > 1.9 * least
    assert len(parts) < 100


def test_rows_of_one_length_stay_together_and_in_order() -> None:
    drawn = [[i + 1] * 10 for i in range(40)]
    (part,) = in_batches({"ids": drawn}, ids="ids").parts
    assert part["ids"] == drawn


def test_without_padding_to_skip_rows_keep_their_order() -> None:
    drawn = rows(130)
    batches = in_batches({"ids": drawn}, ids=None, most=50)
    assert [len(part["ids"]) for part in batches.parts] == [50, 50, 30]
    assert [row for part in batches.parts for row in part["ids"]] == drawn
    assert in_batches({"ids": []}, ids="ids").join([]) == []


def test_an_artifact_of_one_row_gets_one_row() -> None:
    assert all(
        len(part["ids"]) == 1 for part in in_batches({"ids": rows(30)}, ids="ids", most=1).parts
    )


def test_a_graph_of_features_skips_nothing(
    bundle: Path, tmp_path: Path, write_bundle: Callable[..., Path]
) -> None:
    assert skipped_input(open_bundle(bundle).graph()) == "ids"
    path = write_bundle(tmp_path / "features", features=2, with_vectorizer=False)
    assert skipped_input(open_bundle(path).graph()) is None


@pytest.mark.parametrize("target", ["litert", "onnx", "reference", "pure"])
def test_a_batch_of_many_lengths_gives_the_scores_of_single_rows(
    litert_bundle: Path, target: str
) -> None:
    predictor = load(litert_bundle, target=target)
    drawn = [row[-10:] for row in rows(70)]
    together = np.asarray(predictor.scores(drawn))
    single = np.array([predictor.scores([row])[0] for row in drawn])
    assert np.abs(together - single).max() < 1e-6
    assert np.ptp(single) > 0.01


@pytest.mark.parametrize("side", ["pre", "post"])
@pytest.mark.parametrize("pad_value", [0, 3])
@pytest.mark.parametrize("skips", [False, True])
def test_texts_become_the_rows_that_pad_gives(side: str, pad_value: int, *, skips: bool) -> None:
    words = [f"w{i}" for i in range(30)]
    vectorizer = Vectorizer.fit(
        [" ".join(words)],
        num_words=None,
        maxlen=10,
        padding=side,
        truncating=side,
        value=pad_value,
    )
    draw = random.Random(8)
    texts = [" ".join(draw.choices([*words, "other"], k=draw.randrange(15))) for _ in range(150)]
    batches = text_batches(vectorizer, ["", *texts], ids="ids", skips=skips)
    assert all(1 <= len(part["ids"]) <= 64 for part in batches.parts)
    assert {part["ids"].dtype for part in batches.parts} == {np.dtype(np.int32)}
    found = batches.join([part["ids"] for part in batches.parts])
    assert found.tolist() == [vectorizer.pad(text) for text in ["", *texts]]


def test_rows_that_a_kernel_takes_at_once_cost_as_much_as_fewer() -> None:
    a_timestep = timestep_us(Cost(row=3.0, step=0.5, rows_of_kernel=4), 8)
    assert a_timestep == pytest.approx((0.5, 6.5, 8.5, 10.5, 12.5, 18.5, 20.5, 22.5, 24.5))
    assert timestep_us(Cost(row=3.0, step=0.5), 2) == pytest.approx((0.5, 3.5, 6.5))
    (lone, rest) = in_batches({"ids": [[1] * 9, *[[0] * 4 + [1] * 5] * 9]}, ids="ids").parts
    assert (len(lone["ids"]), len(rest["ids"])) == (1, 9)
    (seven, three) = in_batches(
        {"ids": [[0] * n + [1] * (40 - n) for n in (0, 1, 2, 3, 4, 5, 6, 30, 30, 30)]},
        ids="ids",
        cost=Cost(rows_of_kernel=7),
    ).parts
    assert (len(seven["ids"]), len(three["ids"])) == (7, 3)


@pytest.mark.parametrize("costs", [(20.0, 1.0, 1.0), (0.0, 0.0, 1.0), (500.0, 5.0, 0.1)])
def test_no_division_costs_less(costs: tuple[float, float, float]) -> None:
    cost, draw = Cost(*costs), random.Random(2)

    def least(lengths: list[int]) -> float:
        """Try every place where rows of another length begin."""
        ends = [n for n in range(1, len(lengths)) if lengths[n] != lengths[n - 1]] + [len(lengths)]
        return min(
            price(lengths[:end]) + (least(lengths[end:]) if end < len(lengths) else 0.0)
            for end in ends
        )

    def price(part: list[int]) -> float:
        return cost.call + part[0] * (cost.step + cost.row * len(part))

    for _ in range(20):
        lengths = sorted(
            (draw.randrange(1, 12) for _ in range(draw.randrange(1, 40))), reverse=True
        )
        cuts = _cuts(lengths, 64, cost)
        parts = [lengths[at:end] for at, end in zip(cuts, [*cuts[1:], len(lengths)], strict=True)]
        assert sum(map(price, parts)) == pytest.approx(least(lengths))


def test_a_row_of_a_larger_model_costs_more(bundle: Path) -> None:
    graph = open_bundle(bundle).graph()
    small = cost_of(graph, "onnx")
    assert small.call > 100 * small.row, "one call more is worth many rows of 4 units"
    assert cost_of(graph, "no engine that was measured").call > 0


@pytest.mark.parametrize("as_array", [False, True])
def test_rows_that_start_at_stored_states_go_with_those_that_have_as_many_pads(
    as_array: bool,
) -> None:
    drawn = [*rows(400), [0] * 100, [*[0] * 99, 7], [*[0] * 50, 1, *[0] * 49]]
    given: Any = np.array(drawn) if as_array else drawn
    batches = in_batches({"ids": given, "other": np.arange(len(drawn))}, ids="ids", apart=True)
    for part in batches.parts:
        found = np.array(part["ids"])
        fronts = np.where(found.any(axis=1), (found != 0).argmax(axis=1), 99)
        assert len(set(fronts)) == 1
        assert len(found) <= 64
    assert len(batches.parts) < 120
    assert np.array_equal(batches.join([part["other"] for part in batches.parts]), range(403))


def test_texts_that_start_at_stored_states_go_with_those_of_as_many_tokens() -> None:
    vectorizer = Vectorizer.fit(["a b c d e f"], num_words=9, maxlen=8)
    texts = ["a", "b c", "", "d", "a b c d e f a b c", "b a", "f"]
    batches = text_batches(vectorizer, texts, ids="ids", skips=True, apart=True)
    assert [len(part["ids"]) for part in batches.parts] == [1, 2, 4]
    assert batches.join([part["ids"] for part in batches.parts]).tolist() == [
        vectorizer.pad(text) for text in texts
    ]


def test_only_what_rounds_and_is_not_masked_starts_at_stored_states() -> None:
    plain, masked = (small_graph(mask=mask) for mask in (False, True))
    schemes = ("float32", "float32-b1", "float16", "dynamic-int8", "dynamic-int8-rec32")
    found = [starts_at_stored_states(plain, scheme) for scheme in schemes]
    assert found == [False, False, True, True, True]
    assert not starts_at_stored_states(masked, "dynamic-int8")


def small_graph(*, mask: bool) -> Graph:
    table = Node("e", "Embedding", ("ids",), ("e",), ((None, None, 2),), {"embeddings": "w"})
    counts = Node("m", "MaskIds", ("ids",), ("m",), ((None, None),))
    inputs = (GraphInput("ids", "int32", (None, None), 9),)
    return Graph(inputs, (table, counts) if mask else (table,), ("e",), UNREAD)
