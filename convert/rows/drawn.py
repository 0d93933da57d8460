"""Draws seeded inputs and texts, for models that come without data.

Not a stand-in for real rows: what they do not show is said in the report.
"""

import math
import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.rows.likely import ONE_HOT, STATE, Likely
from gatelet.convert.rows.rows import Rows
from gatelet.runtime.graph.graph import Graph, GraphInput
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

RANDOM_ROWS = 256
RANDOM_TIMESTEPS = 50
SEED = 20240229
MADE_UP = "made-up rows"
_MOST_NUMBERS = 2**25
"""Of one input, unless a row has more: a quarter of a gigabyte while they are drawn."""

Array = NDArray[Any]


def random_inputs(
    taken: GraphInput,
    *,
    timesteps: int,
    rows: int = RANDOM_ROWS,
    seed: int = SEED,
    likely: Likely = Likely(),  # noqa: B008  frozen
) -> Array:
    """Draw seeded inputs: rows of every length, padded in front; the first of several only pads.

    Args:
        taken: What the model takes.
        timesteps: T, where the model leaves it open.
        rows: N.
        seed: Of the draw.
        likely: What features are likely to be.

    Returns:
        ids int32 [N, T, ...] or features float32 [N, ...].
    """
    rng = np.random.default_rng(seed)
    if taken.dtype != "int32" and len(taken.shape) == 2:
        return _features(rng, (rows, taken.shape[1] or 1), likely)
    sizes = [taken.shape[1] or timesteps, *(size or 1 for size in taken.shape[2:])]
    padding = rng.integers(0, sizes[0] + 1, rows)
    padding[0] = sizes[0] if rows > 1 else 0
    keep = np.arange(sizes[0])[None, :] >= padding[:, None]
    keep = keep.reshape(rows, sizes[0], *[1] * (len(sizes) - 1))
    if taken.dtype == "int32":
        ids = rng.integers(1, max(2, taken.vocabulary or 2), (rows, *sizes))
        return np.where(keep, ids, 0).astype(np.int32)
    return np.where(keep, _features(rng, (rows, *sizes), likely), np.float32(likely.padding))


def _features(rng: np.random.Generator, shape: tuple[int, ...], likely: Likely) -> Array:
    """Draw features, float32 of a shape."""
    if likely.kind == ONE_HOT:
        places = rng.integers(0, shape[-1], shape[:-1])
        found = np.zeros(shape, np.float32)
        np.put_along_axis(found, places[..., None], 1, axis=-1)
        return found
    drawn = rng.normal(size=shape)
    if likely.kind == STATE:
        return np.tanh(drawn).astype(np.float32)
    drawn *= likely.deviation
    drawn += likely.mean
    return drawn.astype(np.float32)


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
    rows: int = RANDOM_ROWS,
    likely: Mapping[str, Likely] = MappingProxyType({}),
) -> Rows:
    """Draw seeded inputs of a whole model, each of its inputs by a seed of its own.

    Args:
        graph: The model.
        vectorizer: Of a model of texts, whose length counts.
        timesteps: T, by graph input, where the Graph leaves it open.
        seed: Of the draw.
        rows: N, or fewer where rows are large.
        likely: What features are likely to be, by graph input.
    """
    known = dict(timesteps)
    if vectorizer is not None:
        known[graph.inputs[0].name] = vectorizer.maxlen
    steps = {one.name: known.get(one.name, RANDOM_TIMESTEPS) for one in graph.inputs}
    widest = max(
        math.prod(size or steps[one.name] for size in one.shape[1:]) for one in graph.inputs
    )
    rows = min(rows, max(1, _MOST_NUMBERS // widest))
    return Rows(
        {
            one.name: random_inputs(
                one,
                timesteps=steps[one.name],
                rows=rows,
                seed=seed + place,
                likely=likely.get(one.name, Likely()),
            )
            for place, one in enumerate(graph.inputs)
        }
    )


def separator_of(vectorizer: AnyVectorizer) -> str:
    """Return what stands between two words that are to be two."""
    if isinstance(vectorizer, Vectorizer):
        return "" if vectorizer.char_level else vectorizer.split
    return "" if vectorizer.split == "character" else " "
