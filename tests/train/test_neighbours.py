"""Embeddings of which words stand together, against counts by hand."""

import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.errors import BackendMissing
from gatelet.train.config import TrainConfig
from gatelet.train.fitting import build_network
from gatelet.train.neighbours import embeddings_of
from gatelet.train.prepare import prepare

WORDS = 9
ROWS = np.array([[0, 0, 3, 1, 4, 1], [0, 2, 5, 2, 6, 5], [3, 5, 2, 4, 6, 1]], np.int32)
"""Word 7 and 8 are in no row."""


def information() -> Any:
    """Positive pointwise mutual information of words behind and before, [V, 2V]."""
    counts: Counter[tuple[int, int]] = Counter()
    for row in ROWS.tolist():
        words = [word for word in row if word]
        for place, word in enumerate(words):
            for apart, other in enumerate(words[place + 1 : place + 5], 1):
                counts[word, other] += 1 / apart  # type: ignore[assignment]
                counts[other, WORDS + word] += 1 / apart  # type: ignore[assignment]
    total = sum(counts.values())
    of_words, of_neighbours = Counter[int](), Counter[int]()
    for (word, neighbour), count in counts.items():
        of_words[word] += count
        of_neighbours[neighbour] += count
    smooth = {neighbour: count**0.75 for neighbour, count in of_neighbours.items()}
    found = np.zeros((WORDS, 2 * WORDS))
    for (word, neighbour), count in counts.items():
        chance = of_words[word] / total * smooth[neighbour] / sum(smooth.values())
        found[word, neighbour] = max(0.0, math.log(count / total / chance))
    return found


def test_embeddings_multiply_to_what_words_have_in_common() -> None:
    initial = np.full((WORDS, 12), 7, np.float32)

    made = embeddings_of(ROWS, initial, spread=0.3)

    assert made.dtype == np.float32
    assert (made[[0, 7, 8]] == 7).all() and (made[:, WORDS - 1 :] == 7).all()
    known = made[1:7, : WORDS - 1].astype(np.float64)
    alike, told = known @ known.T, information()[1:7]
    alike, wanted = alike @ alike, told @ told.T
    scale = np.trace(alike) / np.trace(wanted)
    assert np.abs(alike - scale * wanted).max() <= 1e-4 * np.abs(alike).max()
    every = np.zeros((WORDS, WORDS - 1))
    every[1:7] = known
    assert every.std() == pytest.approx(0.3, rel=1e-5)
    assert (initial == 7).all()


def test_words_without_neighbours_keep_what_they_have() -> None:
    initial = np.ones((WORDS, 4), np.float32)
    for rows in (np.array([[0, 3], [0, 1]], np.int32), np.array([[3], [1]], np.int32)):
        assert (embeddings_of(rows, initial, spread=0.3) == 1).all()


def test_what_is_missing_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.utils.extmath", None)
    with pytest.raises(BackendMissing, match=r"pip install .*, or set 'pretrained' to 0"):
        embeddings_of(ROWS, np.ones((WORDS, 4), np.float32), spread=0.3)


def test_a_network_begins_with_them(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    rows = [f"w{row % 7} w{row % 5} fine w{row},{row % 2}" for row in range(80)]
    data.write_text("\n".join(["text,label", *rows, ""]))

    def weights(pretrained: float) -> Any:
        small = {"units": 3, "embedding": 4, "maxlen": 8, "pretrained": pretrained}
        asked = TrainConfig.resolve(overrides={"data": data, "out": tmp_path / "run", **small})
        return build_network(asked, prepare(asked)).weights()

    usual, made, again = weights(0.0), weights(0.3), weights(0.3)

    assert made[0].std() == pytest.approx(0.3, rel=0.1) and usual[0].std() < 0.05
    assert all((one == other).all() for one, other in zip(usual[1:], made[1:], strict=True))
    assert (made[0] == again[0]).all()
