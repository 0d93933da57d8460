"""The honest baseline: TF-IDF with logistic regression on the same rows, which takes seconds.

Not the answers that need no training (`gatelet.runtime.data.baseline`). A network that is no
better than this one has nothing to offer but its bytes: a table of n-grams needs megabytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatelet.errors import BackendMissing, DataError
from gatelet.runtime.data.dataset import Dataset, Split
from gatelet.runtime.data.metrics import Metrics, evaluate
from gatelet.train.model import use_one_blas_thread

NAME = "TF-IDF with logistic regression"
STRENGTHS = (1, 4, 16)
"""Inverse strengths of regularization, of which validation chooses one."""
_WORDS = {"ngram_range": (1, 2)}
_CHARACTERS = {"analyzer": "char", "ngram_range": (1, 3)}
_ITERATIONS = 1_000  # of the solver, which needs about 100


@dataclass(frozen=True)
class Baseline:
    """What the baseline reaches on the test part.

    Args:
        strength: The C of the logistic regression that validation chose; None if not measured.
        figures: Of the test part; None if not measured.
        missing: Why it was not measured.
    """

    strength: int | None = None
    figures: Metrics | None = None
    missing: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        if self.figures is None:
            return {"name": NAME, "missing": self.missing}
        return {"name": NAME, "C": self.strength, **self.figures.to_dict()}

    def summary(self) -> dict[str, Any]:
        """Return what a bundle keeps of it, as JSON values; {} where it was not measured."""
        kept = ("name", "C", "rows", "accuracy", "macro_f1", "roc_auc", "brier")
        return {} if self.figures is None else {name: self.to_dict()[name] for name in kept}


def baseline_line(figures: Mapping[str, Any]) -> str:
    """Say in a line what the baseline reaches, or why that is not known; '' without one.

    Args:
        figures: Of a test part, as metrics.json has them.
    """
    found = figures.get("baseline")
    if found is None:
        return ""
    if "missing" in found:
        return f"{found['name']}: not measured, {found['missing']}"
    return f"{found['name']}, on whole texts: {found['accuracy']:.4f}"


@dataclass(frozen=True)
class Model:
    """A trained baseline.

    Args:
        vectorizer: scikit-learn's, fitted.
        classifier: Likewise; of `strength`.
        strength: The C that validation chose.
    """

    vectorizer: Any
    classifier: Any
    strength: int

    def scores(self, texts: Sequence[str]) -> list[list[float]]:
        """Return probabilities [N][C]."""
        rows = self.vectorizer.transform(texts)
        found: list[list[float]] = self.classifier.predict_proba(rows).tolist()
        return found


def measure_baseline(
    parts: Split[Dataset], labels: tuple[str, ...], *, char_level: bool
) -> Baseline:
    """Train the baseline, and measure it on the test part.

    Args:
        parts: Labelled rows.
        labels: C names, in the order of the scores.
        char_level: As of `train_baseline`.

    Returns:
        Its figures, or why there are none: scikit-learn is not installed, or nothing is frequent
        enough to be counted.
    """
    try:
        model = train_baseline(parts, labels, char_level=char_level)
    except (BackendMissing, DataError) as error:
        return Baseline(missing=str(error))
    truth, scores = parts.test.label_ids(labels), model.scores(parts.test.texts)
    return Baseline(model.strength, evaluate(truth, scores, label_names=labels))


def train_baseline(parts: Split[Dataset], labels: tuple[str, ...], *, char_level: bool) -> Model:
    """Train the baseline on whole texts of the training part; validation chooses its strength.

    Args:
        parts: Labelled rows.
        labels: C names, in the order of the scores.
        char_level: Count 1 to 3 characters in a row, as for Chinese; else 1 or 2 words in a row.

    Raises:
        BackendMissing: scikit-learn is not installed.
        DataError: Nothing is frequent enough to be counted.
    """
    use_one_blas_thread()  # as training does: it goes on in this process
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise BackendMissing(
            "scikit-learn is not installed: pip install 'gatelet[train]'"
        ) from error
    counted = _CHARACTERS if char_level else _WORDS
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, **counted)
    try:
        rows = vectorizer.fit_transform(parts.train.texts)
    except ValueError as error:  # there are no words, or each is in one text only
        what = "character" if char_level else "word"
        raise DataError(f"no {what} of the training part is in two of its texts") from error
    truth = parts.train.label_ids(labels)
    known = vectorizer.transform(parts.validation.texts), parts.validation.label_ids(labels)
    found = {
        strength: LogisticRegression(C=strength, max_iter=_ITERATIONS).fit(rows, truth)
        for strength in STRENGTHS
    }
    best = max(STRENGTHS, key=lambda strength: float(found[strength].score(*known)))
    return Model(vectorizer, found[best], best)
