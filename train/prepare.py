"""From labelled texts to what a model takes: parts, labels, vectorizer, ids.

Not the reading of files and corpora, nor the splitting itself: those are
`gatelet.runtime.data.dataset` and `gatelet.train.corpora`.
"""

from dataclasses import asdict, dataclass, replace

from gatelet.errors import DataError
from gatelet.runtime.data import dataset
from gatelet.runtime.data.dataset import Dataset, Dropped, Split
from gatelet.runtime.data.spread import spread_rows
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from gatelet.train.config import TrainConfig
from gatelet.train.corpora import load_corpus
from gatelet.train.model import Examples

FEWEST_ROWS = 50  # a part of 10 % is then empty once in 200 times
CALIBRATION_ROWS = 256
_LOOKED_AT = 4096
"""Rows of the training part, evenly spaced, that those for calibration are chosen from."""


@dataclass(frozen=True)
class Prepared:
    """Everything that is known before the first step of training.

    Attributes:
        parts: The three parts, without copies.
        labels: C label names, in the order of the scores.
        vectorizer: Fitted on the training part.
        source: Name, sha256 of all rows as they were read, rows of each part and rows dropped,
            as JSON values.
    """

    parts: Split
    labels: tuple[str, ...]
    vectorizer: Vectorizer
    source: dict[str, object]

    def examples(self, part: Dataset) -> Examples:
        """Turn one part into padded ids and label numbers."""
        ids = [self.vectorizer.pad(text) for text in part.texts]
        return Examples(ids=ids, labels=part.label_ids(self.labels))

    def calibration(self) -> Dataset:
        """Choose rows of the training part: of every length, with as many words as they can."""
        part = self.parts.train
        step = max(1, len(part) // _LOOKED_AT)
        some = part.rows(range(0, len(part), step))
        ids = [self.vectorizer.ids(text) for text in some.texts]
        return some.rows(spread_rows(ids, list(map(len, ids)), count=CALIBRATION_ROWS))


def prepare(config: TrainConfig) -> Prepared:
    """Read, rid of copies, split, and fit the vectorizer on the training part.

    Args:
        config: Where the texts are, and how they become ids.

    Raises:
        DataError: The texts cannot be used: unreadable, too few, only one label, no words.
    """
    rows = _load(config)
    kept, dropped = dataset.deduplicate(rows)
    labels = dataset.require_two_labels(kept)
    if len(kept) < FEWEST_ROWS:
        raise DataError(
            f"'{kept.name}' has {len(kept):,} distinct rows; training needs {FEWEST_ROWS} or "
            "more, so that train, validation and test each get some: add rows",
            path=kept.name,
            rows=len(kept),
            needed=FEWEST_ROWS,
        )
    parts = dataset.split(kept)
    missing = [name for name in labels if name not in parts.train.label_names()]
    if missing:
        raise DataError(
            f"'{kept.name}' has the label '{missing[0]}' too rarely: no row of it is in the "
            f"training part ({len(parts.train):,} rows); add rows of it, drop it, or name the "
            "right column with --label-column",
            path=kept.name,
            label=missing[0],
        )
    return Prepared(
        parts=parts,
        labels=labels,
        vectorizer=_fit_vectorizer(config, parts.train),
        source=_source(config, rows=rows, dropped=dropped, parts=parts),
    )


def refitted(prepared: Prepared, config: TrainConfig) -> Prepared:
    """Return the same rows with the vectorizer of other settings, fitted on the training part.

    Args:
        prepared: Of any settings.
        config: How texts become ids.

    Raises:
        DataError: The training part has no words.
    """
    return replace(prepared, vectorizer=_fit_vectorizer(config, prepared.parts.train))


def _load(config: TrainConfig) -> Dataset:
    if config.corpus is not None:
        return load_corpus(config.corpus, folder=config.data)
    assert config.data is not None
    return dataset.read(
        config.data, text_column=config.text_column, label_column=config.label_column
    )


def _fit_vectorizer(config: TrainConfig, part: Dataset) -> Vectorizer:
    vectorizer = Vectorizer.fit(
        part.texts,
        num_words=config.vocabulary,
        maxlen=config.maxlen,
        filters=config.filters,
        lower=config.lower,
        split=config.split,
        char_level=config.char_level,
        oov_token=config.oov_token,
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
    config: TrainConfig, *, rows: Dataset, dropped: Dropped, parts: Split
) -> dict[str, object]:
    return {
        "name": config.corpus or (config.data.name if config.data else ""),
        "sha256": dataset.sha256_of(rows),
        "rows": {"read": len(rows), **parts.rows()},
        "dropped": asdict(dropped) | dict(rows.left_out),
    }
