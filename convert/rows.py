"""Which rows a conversion is compared and calibrated on, and what is known of them.

Not the comparison, and not the choice among rows, which is `gatelet.convert.calibrate`'s.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.convert.calibrate import Calibration, choose_rows
from gatelet.convert.evidence import random_rows, rows_of
from gatelet.convert.model_source import ModelSource
from gatelet.convert.parity.truth import truth_of, why_unknown
from gatelet.convert.schemes import Scheme
from gatelet.convert.tolerances import MIN_QUALITY_ROWS
from gatelet.errors import DataError
from gatelet.runtime.arrays import Arrays
from gatelet.runtime.dataset import Dataset
from gatelet.runtime.graph import Graph

__all__ = [
    "calibration_rows",
    "declared_timesteps",
    "known_truth",
    "needs_calibration",
    "texts_of",
]

Progress = Callable[[str], None]


def texts_of(source: ModelSource) -> Sequence[str]:
    """Give the texts of the test part; () for a model without a vectorizer."""
    return source.test.texts if source.test is not None and source.vectorizer is not None else ()


def known_truth(
    data: Dataset | Arrays | None,
    graph: Graph,
    labels: Sequence[str],
    progress: Progress,
    *,
    named: bool,
) -> Any:
    """Give the truth of the compared rows.

    A conversion does without few rows, which decide nothing, and without labels that cannot be
    the numbers that are taken for the names of a model without any.

    Args:
        data: The rows.
        graph: The model.
        labels: Its own; () for a regression.
        progress: Told what is left out.
        named: Somebody named the labels: then others are wrong, as `gatelet parity` says too.

    Raises:
        DataError: A label is none that was named, or values are none that the model could give.
    """
    unknown = why_unknown(data, graph, labels)
    if unknown:
        progress(f"quality is not checked: {unknown}")
    try:
        truth = truth_of(data, graph, labels)
    except DataError as error:
        if named or not labels:
            raise
        progress(f"left out the labels, as the model's have no names: {error}; or give --labels")
        return None
    return None if data is None or len(data) < MIN_QUALITY_ROWS else truth


def needs_calibration(chosen: tuple[tuple[str, Scheme], ...]) -> bool:
    """Tell whether an artifact computes in integers, whose scales come from real rows."""
    return any(scheme.activations != "float32" for _, scheme in chosen)


def calibration_rows(
    source: ModelSource, data: Dataset | Arrays | None, graph: Graph
) -> Calibration:
    """Choose calibration rows from the data, else the run's test part, else random inputs."""
    texts = texts_of(source)
    if isinstance(data, Arrays):
        return choose_rows(rows_of(graph, data).feed, source=Path(data.name).name)
    if texts and source.vectorizer is not None and source.test is not None:
        ids = np.array([source.vectorizer.pad(text) for text in texts], np.int32)
        return choose_rows({graph.inputs[0].name: ids}, source=Path(source.test.name).name)
    timesteps = declared_timesteps(source, graph)
    rows = random_rows(graph, source.vectorizer, timesteps)
    return choose_rows(rows.feed, source="seeded random inputs")


def declared_timesteps(source: ModelSource, graph: Graph) -> dict[str, int]:
    """Give the timesteps that the Keras model declares, by graph input."""
    declared = zip(graph.inputs, source.model.inputs, strict=True)
    return {
        one.name: shape[1]
        for one, shape in ((one, given.shape) for one, given in declared)
        if len(shape) > 1 and shape[1] is not None
    }
