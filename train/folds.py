"""Cross-validation: how much a figure depends on which rows were learned from.

Not the run, which is as it would be without: that is `gatelet.train.fit`.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from gatelet.errors import DataError
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset, Split, place_of, text_key
from gatelet.train.config import TrainConfig
from gatelet.train.fit import measure_part, rules_of
from gatelet.train.fitting import fit_network
from gatelet.train.inputs.copies import row_keys
from gatelet.train.inputs.fragments import Stored
from gatelet.train.inputs.telling import Rows
from gatelet.train.prepare import Prepared, fitted, prepare
from gatelet.train.tasks import Figures

SHOWN = ("accuracy", "macro_f1", "roc_auc", "brier", "mae", "rmse", "r2")
"""The figures that are told, as far as the task has them."""


@dataclass(frozen=True)
class Folds:
    """The figures of all folds.

    Args:
        figures: By name, one number a fold.
    """

    figures: dict[str, tuple[float, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON carries: the numbers, their mean and their standard deviation."""
        return {
            name: {
                "folds": list(found),
                "mean": statistics.fmean(found),
                "deviation": statistics.stdev(found),
            }
            for name, found in self.figures.items()
        }


def cross_validate(
    config: TrainConfig, *, progress: Callable[[str], None] = lambda text: None
) -> Folds:
    """Train as often as there are folds, and measure each time on rows that it did not learn from.

    The rows are those of the training and the validation part; the test part is not looked at. Of
    K folds one is measured, the next chooses the epoch, and the others are learned from. Groups
    stay whole.

    Args:
        config: Of the run; `folds` is K, 3 or more.
        progress: Called with each fold's figures.

    Raises:
        DataError: There are fewer groups than folds, or a fold lacks what must be learned.
    """
    prepared = prepare(config)
    rows = _joined(prepared.parts.train, prepared.parts.validation)
    numbers = _fold_of_each(rows, config.folds)
    found: dict[str, list[float]] = {}
    for fold in range(config.folds):
        figures = _of_fold(config, prepared, rows, numbers, fold).to_dict()
        told = {name: figures[name] for name in SHOWN if figures.get(name) is not None}
        written = ", ".join(f"{name} {value:.4g}" for name, value in told.items())
        progress(f"fold {fold + 1}/{config.folds}: {written}")
        for name, value in told.items():
            found.setdefault(name, []).append(value)
    whole = {n: tuple(values) for n, values in found.items() if len(values) == config.folds}
    return Folds(whole)


def _of_fold(
    config: TrainConfig, prepared: Prepared, rows: Rows, numbers: list[int], fold: int
) -> Figures:
    choosing = (fold + 1) % config.folds
    places: tuple[list[int], list[int], list[int]] = ([], [], [])
    for row, number in enumerate(numbers):
        places[2 if number == fold else 1 if number == choosing else 0].append(row)
    parts: Split[Any] = Split(*(rows.rows(one) for one in places))
    found = fitted(config, parts, prepared.task, prepared.labels)
    network, _ = fit_network(config, found)
    return measure_part(network, found, parts.test, rules_of(config, found, network))


def _joined(one: Rows, other: Rows) -> Rows:
    """Return the rows of both, one after the other."""
    import numpy as np

    if isinstance(one, Dataset) and isinstance(other, Dataset):
        return replace(
            one,
            texts=one.texts + other.texts,
            labels=_both(one.labels, other.labels),
            groups=_both(one.groups, other.groups),
            label_lists=_both(one.label_lists, other.label_lists),
        )
    assert isinstance(one, Arrays) and isinstance(other, Arrays)
    pairs = ((one.targets, other.targets), (one.groups, other.groups))
    targets, groups = (None if a is None or b is None else np.concatenate([a, b]) for a, b in pairs)
    inputs = tuple(
        x.joined(y) if isinstance(x, Stored) and isinstance(y, Stored) else np.concatenate([x, y])
        for x, y in zip(one.inputs, other.inputs, strict=True)
    )
    return replace(one, inputs=inputs, targets=targets, groups=groups)


def _both(one: Any, other: Any) -> Any:
    return None if one is None else tuple(chain(one, other))


def _fold_of_each(rows: Rows, folds: int) -> list[int]:
    """Deal rows, or groups, to folds of like size in the order of their hashes."""
    keys = _keys(rows)
    order = sorted(set(keys), key=lambda key: (place_of(key), key))
    if len(order) < folds:
        raise DataError(
            f"'{rows.name}' has {len(order)} groups or distinct rows for training and validation, "
            f"and {folds} folds need one each: give fewer --folds",
            path=rows.name,
        )
    number = {key: at % folds for at, key in enumerate(order)}
    return [number[key] for key in keys]


def _keys(rows: Rows) -> list[bytes]:
    if rows.groups is not None:
        return [str(one).encode("utf-8", "surrogatepass") for one in rows.groups]
    if isinstance(rows, Dataset):
        return [text_key(text) for text in rows.texts]
    return list(row_keys(rows))
