"""Draws seeded inputs and texts, for models that come without data.

Not a stand-in for real rows: what they do not show is said in the report.
"""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.rows.rows import Rows
from gatelet.runtime.graph.graph import Graph, GraphInput
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

RANDOM_ROWS = 256
RANDOM_TIMESTEPS = 50
SEED = 20240229
MADE_UP = "made-up rows"

Array = NDArray[Any]


def random_inputs(
    taken: GraphInput, *, timesteps: int, rows: int = RANDOM_ROWS, seed: int = SEED
) -> Array:
    """Draw seeded inputs: rows of every length, padded in front; the first has only padding.

    Args:
        taken: What the model takes.
        timesteps: T, where the model leaves it open.
        rows: N.
        seed: Of the draw.

    Returns:
        ids int32 [N, T, ...] or features float32 [N, ...].
    """
    rng = np.random.default_rng(seed)
    if taken.dtype != "int32" and len(taken.shape) == 2:
        return rng.normal(size=(rows, taken.shape[1] or 1)).astype(np.float32)
    sizes = [taken.shape[1] or timesteps, *(size or 1 for size in taken.shape[2:])]
    padding = rng.integers(0, sizes[0] + 1, rows)
    padding[0] = sizes[0]
    keep = np.arange(sizes[0])[None, :] >= padding[:, None]
    keep = keep.reshape(rows, sizes[0], *[1] * (len(sizes) - 1))
    if taken.dtype == "int32":
        ids = rng.integers(1, max(2, taken.vocabulary or 2), (rows, *sizes))
        return np.where(keep, ids, 0).astype(np.int32)
    return (rng.normal(size=(rows, *sizes)) * keep).astype(np.float32)


def random_texts(vectorizer: AnyVectorizer, *, rows: int = RANDOM_ROWS) -> list[str]:
    """Draw seeded texts of known and unknown words, of every length; the first is empty."""
    rng = random.Random(SEED)
    words = [*vectorizer.vocabulary, "unknown-word"]
    separator = separator_of(vectorizer)
    return [
        separator.join(rng.choices(words, k=rng.randint(1, vectorizer.maxlen) if row else 0))
        for row in range(rows)
    ]


def random_rows(
    graph: Graph,
    vectorizer: AnyVectorizer | None,
    timesteps: Mapping[str, int],
    *,
    seed: int = SEED,
) -> Rows:
    """Draw seeded inputs of a whole model, each of its inputs by a seed of its own."""
    known = dict(timesteps)
    if vectorizer is not None:
        known[graph.inputs[0].name] = vectorizer.maxlen
    return Rows(
        {
            one.name: random_inputs(
                one, timesteps=known.get(one.name, RANDOM_TIMESTEPS), seed=seed + place
            )
            for place, one in enumerate(graph.inputs)
        }
    )


def separator_of(vectorizer: AnyVectorizer) -> str:
    """Return what stands between two words that are to be two."""
    if isinstance(vectorizer, Vectorizer):
        return "" if vectorizer.char_level else vectorizer.split
    return "" if vectorizer.split == "character" else " "
