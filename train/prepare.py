"""From rows to what a model takes: parts, labels, vectorizer, ids or features, targets.

Not the reading of files and corpora, nor the splitting itself: those are `gatelet.train.inputs`
and `gatelet.train.splitting`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gatelet.errors import ConfigError, DataError
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset, Split
from gatelet.runtime.data.run import sha256_of_rows
from gatelet.runtime.data.spread import spread_rows
from gatelet.runtime.data.tags import aligned
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from gatelet.train.config import TrainConfig
from gatelet.train.inputs import Given, read_given
from gatelet.train.inputs.copies import without_copies
from gatelet.train.inputs.fragments import Stored, blocks_of, in_memory
from gatelet.train.inputs.parting import PARTS
from gatelet.train.inputs.telling import Rows, tell_labels, tell_task
from gatelet.train.model import Examples, Features
from gatelet.train.splitting import check_learned, split, targets_of
from gatelet.train.tasks import TASKS, Task
from gatelet.train.weighting import balanced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEWEST_ROWS = 50  # a part of 10 % is then empty once in 200 times
CALIBRATION_ROWS = 256
KEPT_BYTES = 64 * 2**20
"""Of the features of a test part that is on disk, a run keeps about so many."""
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

    def kept_test(self) -> Rows:
        """Return what a run keeps of the test part: all, or evenly spaced rows of one on disk."""
        part: Rows = self.parts.test
        if not (isinstance(part, Arrays) and isinstance(part.inputs[0], Stored)):
            return part
        times = max(1, math.ceil(part.inputs[0].nbytes / KEPT_BYTES))
        return part.rows(range(0, len(part), times))

    def calibration(self) -> Rows:
        """Choose rows of the training part: of every length, with as many words as they can.

        Of features those with the largest numbers, and as many others.
        """
        part = self.parts.train
        step = max(1, len(part) // _LOOKED_AT)
        some = part.rows(range(0, len(part), step))
        if isinstance(some, Arrays):
            return _of_all_sizes(in_memory(some))
        assert self.words is not None
        ids = [self.words.ids(text) for text in some.texts]
        kept: Dataset = some.rows(spread_rows(ids, list(map(len, ids)), count=CALIBRATION_ROWS))
        return kept


def inputs_of(part: Rows, vectorizer: Vectorizer | None) -> "NDArray[Any]":
    """Return what a model is given: ids int32 [N, T], or features float32 [N, T, F].

    Features that are on disk stay there: see `gatelet.train.inputs.fragments`.
    """
    import numpy as np

    if isinstance(part, Arrays):
        (x,) = part.inputs
        return x if isinstance(x, Stored) else np.asarray(x, np.float32)
    assert vectorizer is not None
    return np.array([vectorizer.pad(text) for text in part.texts], np.int32)


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
    parts = split(config, kept, task, labels, numbers)
    check_learned(parts, kept, task, labels)
    found = fitted(config, parts, task, labels)
    source = _source(config, given, dropped, parts)
    if len(kept_test := found.kept_test()) < len(parts.test):
        source["test_rows_kept"] = len(kept_test)
    return replace(found, source=source)


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

    def mean_of(numbers: "Callable[[NDArray[Any]], NDArray[Any]]") -> "NDArray[np.float64]":
        # an array is one block: sums of parts differ from those of the whole in their last bits
        total = np.zeros(x.shape[2])
        for block in blocks_of(x) if isinstance(x, Stored) else [x]:
            total += numbers(block).sum(axis=(0, 1), dtype=np.float64)
        return total / math.prod(x.shape[:2])

    mean = mean_of(lambda block: block)
    variance = mean_of(lambda block: np.square(block - mean))
    return Features(
        timesteps=x.shape[1],
        mean=tuple(mean.tolist()),
        variance=tuple(np.where(variance > 0, variance, 1.0).tolist()),
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
