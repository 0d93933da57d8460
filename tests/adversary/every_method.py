"""Calls every method of a Predictor."""

from typing import Any

import numpy as np

from gatelet.errors import BundleError, GateletError
from gatelet.runtime import Predictor

__all__ = ["answers_of"]

TEXTS = [" ".join(f"w{(7 * row + i) % 48 + 1}" for i in range(row % 10 + 1)) for row in range(70)]
LONG = "w5 w6 unknown " * 6000  # more than C reads
IDS = [[0] * 7 + [3, 4, 5], [0] * 3 + [9, 8, 7, 6, 5, 4, 3]]


def answers_of(predictor: Predictor) -> dict[str, Any]:
    """Return the answers of every method, those that read files lazily first."""
    calls: dict[str, Any] = {
        "explain": lambda: str(predictor.explain("w1 w2 nothing")),
        "stream": lambda: _streamed(predictor),
        "many": lambda: predictor.predict(TEXTS),
        "long": lambda: predictor.predict([LONG]),
        "few": lambda: predictor.predict(TEXTS[:3]),
        "ids": lambda: predictor.scores(IDS),
        "arrays": lambda: predictor.scores(np.array(IDS, np.int32)),
        "warm_up": predictor.warm_up,
        "golden": predictor.bundle.golden,
        "graph": lambda: predictor.bundle.graph().to_json(),
        "labels": lambda: (predictor.labels, predictor.threshold),
    }
    return {name: _answer(call) for name, call in calls.items()}


def _answer(call: Any) -> Any:
    try:
        found = call()
    except BundleError as error:
        found = str(error).partition("' ")[2]  # that a target has no stream, say; not the folder
    except GateletError as error:
        found = type(error).__name__
    return _plain(found)


def _streamed(predictor: Predictor) -> Any:
    stream = predictor.stream()
    found = [stream.step("w1"), stream.step([[3, 4]]), stream.predict("w7"), stream.steps]
    stream.reset()
    return [*found, stream.step([5])]


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "scores") and hasattr(value, "label"):
        return [value.label, value.score, *value.scores.values()]
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
