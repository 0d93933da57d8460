"""Few rows that show much."""

import random

from gatelet.runtime.data.spread import LENGTHS, even_parts, spread_rows


def test_rows_are_of_every_length_and_have_the_most_ids() -> None:
    rng = random.Random(7)
    ids = [rng.choices(range(300), k=rng.randint(0, 40)) for _ in range(900)]
    chosen = spread_rows(ids, list(map(len, ids)), count=64)
    assert len(chosen) == len(set(chosen)) == 64
    assert chosen == sorted(chosen)
    for part in even_parts(list(map(len, ids))):
        assert len(set(part) & set(chosen)) == 64 // LENGTHS
    found = {one for row in chosen for one in ids[row]}
    some = {one for row in rng.sample(range(900), 64) for one in ids[row]}
    assert len(found) > len(some)


def test_few_rows_are_all_chosen_and_none_is_no_error() -> None:
    assert spread_rows([[1], [2, 3], []], [1, 2, 0], count=8) == [0, 1, 2]
    assert spread_rows([], [], count=8) == []


def test_the_count_is_kept() -> None:
    assert len(spread_rows([[row] for row in range(50)], [1] * 50, count=3)) == 3
