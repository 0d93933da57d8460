"""Which rows a conversion is compared and calibrated on, and what is known of them.

Not the comparison, and not the choice among rows, which is `gatelet.convert.rows.calibration`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.reading.model_source import ModelSource
from gatelet.convert.rows.calibration import CALIBRATION_ROWS, Calibration, choose_rows
from gatelet.convert.rows.drawn import MADE_UP, RANDOM_ROWS, SEED, random_rows
from gatelet.convert.rows.evidence import evidence_of, row_digests
from gatelet.convert.rows.likely import likely_inputs
from gatelet.convert.rows.ranges import inputs_of_unknown_range
from gatelet.convert.rows.rows import rows_of
from gatelet.convert.rows.truth import truth_of
from gatelet.convert.schemes import Scheme
from gatelet.errors import DataError
from gatelet.runtime.bundle.decisions import Decision
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.vectorizer.opening import AnyVectorizer

_TRAINING_PART = "of the training part, in calibration"
_CALIBRATION_SHARE = 4
"""Of few rows a quarter is for calibration at most: the others are judged."""

Array = NDArray[Any]
Progress = Callable[[str], None]


def described(data: Dataset | Arrays | None, *, run: bool = False) -> str:
    """Say what the compared rows are.

    Args:
        data: What somebody gave; None for nothing.
        run: The model is of a run, whose test part serves then.
    """
    if data is None:
        return "test texts" if run else MADE_UP
    kind = "texts" if isinstance(data, Dataset) else "rows"
    return f"{kind} of '{Path(data.name).name}'"


def texts_of(source: ModelSource) -> Sequence[str]:
    """Return the texts of the test part; () for a model without a vectorizer."""
    return source.test.texts if source.test is not None and source.vectorizer is not None else ()


def known_truth(
    data: Dataset | Arrays | None,
    graph: Graph,
    labels: Sequence[str],
    progress: Progress,
    *,
    named: bool,
    decisions: Sequence[Decision] = (),
) -> Any:
    """Return the truth of the compared rows.

    A conversion does without labels that cannot be the numbers that are taken for the names of a
    model without any.

    Args:
        data: The rows.
        graph: The model.
        labels: Its own; () for a regression.
        progress: Called with what is left out.
        named: Somebody named the labels: then others are wrong, as `gatelet parity` says too.
        decisions: Of the bundle.

    Raises:
        DataError: A label is none that was named, or values are none that the model could give.
    """
    try:
        truth = truth_of(data, graph, labels, decisions=decisions)
    except DataError as error:
        if named or not labels:
            raise
        progress(f"left out the labels, as the model's have no names: {error}; or give --labels")
        return None
    if truth.unused:
        progress(f"quality is not checked: {truth.unused}")
    return truth.values


def needs_calibration(chosen: tuple[tuple[str, Scheme], ...]) -> bool:
    """Return whether an artifact computes in integers, whose scales come from real rows."""
    return any(scheme.activations != "float32" for _, scheme in chosen)


@dataclass(frozen=True)
class Parted:
    """Rows for calibration, and what is left to be judged on.

    Args:
        calibration: The rows of the one; None where no artifact computes in integers.
        test: The source's rows without them.
        data: The caller's rows without them.
    """

    calibration: Calibration | None
    test: Dataset | None
    data: Dataset | Arrays | None


def part_calibration(
    source: ModelSource,
    data: Dataset | Arrays | None,
    graph: Graph,
    chosen: tuple[tuple[str, Scheme], ...],
) -> Parted:
    """Choose calibration rows, which are not judged.

    They come from the caller's data, else from the training part as far as a run keeps it, else
    from the run's test part; without any, they are drawn.
    """
    if not needs_calibration(chosen):
        return Parted(None, source.test, data)
    spec, test = source.vectorizer, source.test
    if isinstance(data, Arrays) and data is source.arrays and source.calibration_arrays is not None:
        rows = rows_of(graph, source.calibration_arrays).feed
        return Parted(_choose(rows, f"{_TRAINING_PART}.npz", all_rows=True), test, data)
    if isinstance(data, Arrays):
        rows = rows_of(graph, data).feed
        found = _choose(rows, Path(data.name).name, all_rows=False)
        return Parted(found, test, data.rows(_left(found, rows)))
    if spec is not None and source.calibration is not None and data is None:
        rows = _ids_of(spec, source.calibration, graph)
        return Parted(_choose(rows, f"{_TRAINING_PART}.jsonl", all_rows=True), test, data)
    if spec is not None and test is not None and test.texts:
        rows = _ids_of(spec, test, graph)
        found = _choose(rows, Path(test.name).name, all_rows=False)
        test = test.rows(_left(found, rows))
        return Parted(found, test, test if data is not None else None)
    timesteps = declared_timesteps(source, graph)
    likely = likely_inputs(source.model, graph)
    drawn = random_rows(graph, spec, timesteps, seed=SEED + RANDOM_ROWS, likely=likely)
    found = choose_rows(drawn.feed, source="drawn by a seed, others than are judged")
    return Parted(found, test, data)


def unknown_ranges(
    source: ModelSource, data: Dataset | Arrays | None, graph: Graph
) -> tuple[str, ...]:
    """Name the inputs of features whose range neither rows nor the model tell."""
    return () if data is not None else inputs_of_unknown_range(source.model, graph)


def _choose(rows: Mapping[str, Array], source: str, *, all_rows: bool) -> Calibration:
    """Choose distinct rows: of those that would be judged a quarter at most."""
    kept = evidence_of(rows).kept
    given, count = len(next(iter(rows.values()))), len(kept)
    count = count if all_rows else max(1, count // _CALIBRATION_SHARE)
    distinct = {name: array[kept] for name, array in rows.items()}
    found = choose_rows(distinct, source=source, count=min(count, CALIBRATION_ROWS))
    found = replace(found, places=tuple(kept[list(found.places)].tolist()))
    return found if all_rows else replace(found, left_out_of=given if given > 1 else 0)


def _left(calibration: Calibration, rows: Mapping[str, Array]) -> list[int]:
    """Return the places of the other rows, which are no copies; a single one serves for both."""
    digests = row_digests(rows)
    used = {digests[place] for place in calibration.places}
    others = [row for row, digest in enumerate(digests) if digest not in used]
    return others or list(range(len(digests)))


def _ids_of(vectorizer: AnyVectorizer, rows: Dataset, graph: Graph) -> dict[str, Array]:
    return {graph.inputs[0].name: np.array([vectorizer.pad(t) for t in rows.texts], np.int32)}


def declared_timesteps(source: ModelSource, graph: Graph) -> dict[str, int]:
    """Return the timesteps that the Keras model declares, by graph input."""
    declared = zip(graph.inputs, source.model.inputs, strict=True)
    return {
        one.name: shape[1]
        for one, shape in ((one, given.shape) for one, given in declared)
        if len(shape) > 1 and shape[1] is not None
    }
