"""From rows to what a model takes: parts, labels, vectorizer, ids or features, targets.

Not the reading of files and corpora, nor the splitting itself: those are `gatelet.train.inputs`
and `gatelet.runtime.data.dataset`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gatelet.errors import ConfigError, DataError
from gatelet.runtime.data import dataset
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset, Split
from gatelet.runtime.data.run import sha256_of_rows
from gatelet.runtime.data.spread import spread_rows
from gatelet.runtime.data.tags import aligned, tag_ids_of
from gatelet.runtime.data.truth import label_ids_of, label_sets_of, values_of
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from gatelet.train.config import TrainConfig
from gatelet.train.inputs import Given, read_given
from gatelet.train.inputs.copies import without_copies
from gatelet.train.inputs.parting import PARTS, part_arrays, part_groups
from gatelet.train.inputs.telling import Rows, tell_labels, tell_task
from gatelet.train.model import Examples, Features
from gatelet.train.tasks import TASKS, Task
from gatelet.train.weighting import balanced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEWEST_ROWS = 50  # a part of 10 % is then empty once in 200 times
CALIBRATION_ROWS = 256
OOV_TOKEN = "<oov>"
"""Of a model that labels each token, where the settings name none: none may be dropped."""
_LOOKED_AT = 4096
"""Rows of the training part, evenly spaced, that those for calibration are chosen from."""


@dataclass(frozen=True)
class Unit:
    """What stands for 0 and for 1 where values are learned: their mean and their deviation.

    Args:
        mean: [K].
        deviation: [K], 1 of values that never change.
    """

    mean: "NDArray[np.float64]"
    deviation: "NDArray[np.float64]"


@dataclass(frozen=True)
class Prepared:
    """Everything that is known before the first step of training.

    Attributes:
        parts: The three parts, without copies: texts, or arrays.
        labels: C label names, in the order of the scores; () of values.
        words: The vectorizer, fitted on the training part; None for features.
        source: Name, sha256 of all rows as they were read, rows of each part and rows dropped,
            as JSON values.
        task: What is learned.
        features: Of the training part; None for texts.
        unit: Of the values to predict; None of labels.
        weights: How much each label counts, [C] or [C, 2] for absent and present; None for all
            alike.
    """

    parts: Split[Any]  # texts or arrays, all three alike
    labels: tuple[str, ...]
    words: Vectorizer | None
    source: dict[str, object]
    task: Task = field(default_factory=lambda: TASKS["binary"])
    features: Features | None = None
    unit: Unit | None = None
    weights: "NDArray[np.float64] | None" = None

    @property
    def vectorizer(self) -> Vectorizer:
        """The vectorizer of texts."""
        assert self.words is not None, "features have no vectorizer"
        return self.words

    @property
    def width(self) -> int:
        """How many scores a row, or a timestep, has."""
        values = 0 if self.unit is None else len(self.unit.mean)
        return values or self.task.width(len(self.labels))

    def examples(self, part: Rows) -> Examples:
        """Turn one part into padded ids or features, and targets as a model in training has them.

        Values are in units of their deviation from the mean.
        """
        targets = self.targets(part)
        if self.unit is not None:
            targets = ((targets - self.unit.mean) / self.unit.deviation).astype("float32")
        return Examples(inputs=self.inputs(part), targets=targets)

    def inputs(self, part: Rows) -> "NDArray[Any]":
        """Return ids int32 [N, T], or features float32 [N, T, F]."""
        return inputs_of(part, self.words)

    def targets(self, part: Rows) -> "NDArray[Any]":
        """Return what is right, as `targets_of` does."""
        return targets_of(part, self.task, self.labels, self.words, width=self.width)

    def calibration(self) -> Rows:
        """Choose rows of the training part: of every length, with as many words as they can.

        Of features those with the largest numbers, and as many others.
        """
        part = self.parts.train
        step = max(1, len(part) // _LOOKED_AT)
        some = part.rows(range(0, len(part), step))
        if self.words is None:
            return _of_all_sizes(some)
        ids = [self.words.ids(text) for text in some.texts]
        kept: Dataset = some.rows(spread_rows(ids, list(map(len, ids)), count=CALIBRATION_ROWS))
        return kept


def inputs_of(part: Rows, vectorizer: Vectorizer | None) -> "NDArray[Any]":
    """Return what a model is given: ids int32 [N, T], or features float32 [N, T, F]."""
    import numpy as np

    if isinstance(part, Arrays):
        return np.asarray(part.inputs[0], np.float32)
    assert vectorizer is not None
    return np.array([vectorizer.pad(text) for text in part.texts], np.int32)


def targets_of(
    part: Rows, task: Task, labels: Sequence[str], vectorizer: Vectorizer | None, *, width: int
) -> "NDArray[Any]":
    """Return what is right.

    Args:
        part: Rows with labels or values.
        task: Of the model.
        labels: C names.
        vectorizer: Of texts.
        width: Of values, how many a row has.

    Returns:
        Label numbers int32 [N], or [N, T] with -1 at padding; float32 [N, C] of 0 and 1; values
        float64 [N, K].

    Raises:
        DataError: A label or value is none that the model could give.
    """
    import numpy as np

    if task.steps:
        return tag_ids_of(part, labels, vectorizer)
    if not task.labelled:
        return values_of(part, width=width)
    if task.name == "multi-label":
        return np.array(label_sets_of(part, labels), np.float32)
    return np.array(label_ids_of(part, labels), np.int32)


def prepare(config: TrainConfig) -> Prepared:
    """Read, rid of copies, split, and fit vectorizer or statistics on the training part.

    Args:
        config: Where the rows are, and what becomes of them.

    Raises:
        DataError: The rows cannot be used: unreadable, too few, only one label, no words.
        ConfigError: The settings are not for what the rows are, or do not tell it.
    """
    given = read_given(config)
    task, rows = tell_task(config, given.rows)
    if task.steps and isinstance(rows, Dataset):
        aligned(rows, _fit_vectorizer(config, rows, task))  # which counts rows as the file does
    kept, numbers, dropped = without_copies(rows, given.parts, labelled=task.labelled)
    labels = tell_labels(config, kept, task)
    if len(kept) < FEWEST_ROWS:
        raise DataError(
            f"'{kept.name}' has {len(kept):,} distinct rows; training needs {FEWEST_ROWS} or "
            "more, so that train, validation and test each get some: add rows",
            path=kept.name,
        )
    parts = _split(config, kept, task, labels, numbers)
    _check_learned(parts, kept, task, labels)
    found = fitted(config, parts, task, labels)
    return replace(found, source=_source(config, given, dropped, parts))


def fitted(config: TrainConfig, parts: Split[Any], task: Task, labels: tuple[str, ...]) -> Prepared:
    """Fit on the training part what comes before the model: vectorizer, statistics, weights.

    Args:
        config: How.
        parts: Of the rows.
        task: What is learned.
        labels: C names.
    """
    words = features = None
    if isinstance(parts.train, Dataset):
        words = _fit_vectorizer(config, parts.train, task)
    else:
        features = _fit_features(config, parts.train)
    targets = targets_of(parts.train, task, labels, words, width=_width_of(parts.train))
    return Prepared(
        parts=parts,
        labels=labels,
        words=words,
        source={},
        task=task,
        features=features,
        unit=None if task.labelled else _unit(targets),
        weights=balanced(task, targets, len(labels)) if config.class_weights else None,
    )


def _width_of(part: Rows) -> int:
    targets = part.targets if isinstance(part, Arrays) else None
    return 1 if targets is None else int(targets[0].size)


def _unit(values: "NDArray[np.float64]") -> Unit:
    import numpy as np

    deviation = values.std(axis=0)
    return Unit(values.mean(axis=0), np.where(deviation > 0, deviation, 1.0))


def _fit_features(config: TrainConfig, part: Arrays) -> Features:
    import numpy as np

    (x,) = part.inputs
    if config.conv and config.conv_width > x.shape[1]:
        raise ConfigError(
            f"'conv_width' is {config.conv_width}, and a row has {x.shape[1]} timesteps; allowed: "
            "at most as many",
            field="conv_width",
            value=config.conv_width,
        )
    mean = x.mean(axis=(0, 1), dtype=np.float64)
    variance = np.square(x - mean).mean(axis=(0, 1), dtype=np.float64)
    return Features(
        timesteps=x.shape[1],
        mean=tuple(mean.tolist()),
        variance=tuple(np.where(variance > 0, variance, 1.0).tolist()),
    )


def _split(
    config: TrainConfig,
    kept: Rows,
    task: Task,
    labels: Sequence[str],
    numbers: "Sequence[int] | None",
) -> Split[Any]:
    """Split by time, by groups, or by the content of each row."""
    if numbers is None and kept.groups is None:
        if isinstance(kept, Dataset):
            return dataset.split(kept)
        numbers = part_arrays(kept)
    if numbers is None:
        assert kept.groups is not None
        groups = kept.groups if isinstance(kept, Dataset) else kept.groups.tolist()
        held = _labels_of_rows(kept, task, labels)
        numbers = part_groups(groups, held, names=labels, name=kept.name)
    places = [[row for row, part in enumerate(numbers) if part == at] for at in range(len(PARTS))]
    for name, rows in zip(PARTS, places, strict=True):
        if not rows:
            by = "the windows within it" if config.window else "few rows"
            raise DataError(
                f"'{kept.name}' has {len(kept):,} rows, too few to split: the {name} part is empty "
                f"({by}); add rows",
                path=kept.name,
            )
    return Split(
        *(
            replace(kept.rows(rows), name=f"{kept.name} ({name})")
            for name, rows in zip(PARTS, places, strict=True)
        )
    )


def _labels_of_rows(rows: Rows, task: Task, labels: Sequence[str]) -> list[Sequence[int]]:
    """Return the numbers of the labels that each row has."""
    if not task.labelled:
        return [()] * len(rows)
    if isinstance(rows, Dataset) and task.steps:
        number = {name: at for at, name in enumerate(labels)}
        return [[number[one] for one in row] for row in rows.label_lists or ()]
    found = targets_of(rows, task, labels, None, width=1)
    if task.name == "multi-label":
        return [row.nonzero()[0].tolist() for row in found]
    return [sorted(set(row)) for row in found.reshape(len(rows), -1).tolist()]


def _check_learned(parts: Split[Any], kept: Rows, task: Task, labels: Sequence[str]) -> None:
    """Refuse a label that training would never see."""
    seen = {one for row in _labels_of_rows(parts.train, task, labels) for one in row}
    missing = [name for at, name in enumerate(labels) if at not in seen]
    if missing:
        raise DataError(
            f"'{kept.name}' has the label '{missing[0]}' too rarely: no row of it is in the "
            f"training part ({len(parts.train):,} rows); add rows of it, drop it, or name the "
            "right column with --label-column",
            path=kept.name,
            label=missing[0],
        )


def _of_all_sizes(rows: Arrays) -> Arrays:
    import numpy as np

    largest = np.abs(rows.inputs[0]).reshape(len(rows), -1).max(axis=1)
    order = np.argsort(-largest, kind="stable")
    half = order[: CALIBRATION_ROWS // 2]
    rest = order[CALIBRATION_ROWS // 2 :]
    even = rest[:: max(1, -(-len(rest) // (CALIBRATION_ROWS // 2)))]
    return rows.rows(sorted([*half.tolist(), *even.tolist()]))


def refitted(prepared: Prepared, config: TrainConfig) -> Prepared:
    """Return the same rows with the vectorizer of other settings, fitted on the training part.

    Args:
        prepared: Of any settings.
        config: How texts become ids.

    Raises:
        DataError: The training part has no words.
    """
    found = fitted(config, prepared.parts, prepared.task, prepared.labels)
    return replace(found, source=prepared.source)


def _fit_vectorizer(config: TrainConfig, part: Dataset, task: Task) -> Vectorizer:
    vectorizer = Vectorizer.fit(
        part.texts,
        num_words=config.vocabulary,
        maxlen=config.maxlen,
        filters=config.filters,
        lower=config.lower,
        split=config.split,
        char_level=config.char_level,
        oov_token=config.oov_token or (OOV_TOKEN if task.steps else None),
        padding=config.padding,
        truncating=config.truncating,
    )
    if not vectorizer.vocabulary:
        raise DataError(
            f"'{part.name}' has no words in {len(part):,} rows: check the text column, "
            "--filters and --split",
            path=part.name,
        )
    return vectorizer


def _source(
    config: TrainConfig, given: Given, dropped: dict[str, int], parts: Split[Any]
) -> dict[str, object]:
    found: dict[str, object] = {
        "name": config.corpus or (config.data.name if config.data else ""),
        "sha256": sha256_of_rows(given.rows),
        "rows": {"read": len(given.rows), **parts.rows()},
        "dropped": dropped | given.dropped,
    }
    if given.columns:
        found["columns"] = list(given.columns)
    if parts.train.groups is not None:
        each = _named(parts)
        found["groups"] = {name: len(set(part.groups)) for name, part in each.items()}
    return found


def _named(parts: Split[Any]) -> dict[str, Any]:
    return dict(zip(PARTS, (parts.train, parts.validation, parts.test), strict=True))
