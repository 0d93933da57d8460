"""The rows that an artifact gets most wrong, with what the model was given.

Not all rows: a few, and each only once though several artifacts get it wrong.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.decisions import rule_of_rows
from gatelet.convert.parity.measured import Measured
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.decision import decide
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.text_vectorization import OOV_ID, TextVectorization

EXAMPLES = 12
_CANDIDATES = 50
"""Of each artifact: enough that flips among them are found, whatever N is."""


@dataclass(frozen=True)
class Token:
    """A word, or a number for a row without a text, as the model was given it.

    Args:
        text: The word; '' where only the id is known.
        id: None for one that the model does not see.
        kind: 'known', 'unknown' (out of the vocabulary), or 'cut' (beyond maxlen).
    """

    text: str
    id: int | None
    kind: str


@dataclass(frozen=True)
class Answer:
    """What one side says of a row.

    Args:
        name: 'oracle', or target and scheme.
        score: The number that differs most between the sides; may be NaN.
        difference: From the oracle's.
        label: What is decided; '' where nothing is.
        is_flip: It is decided otherwise than by the oracle.
    """

    name: str
    score: float
    difference: float
    label: str = ""
    is_flip: bool = False


@dataclass(frozen=True)
class Example:
    """One row.

    Args:
        row: Its number in the data, from 1.
        output: Which number of the row the scores are; '' where there is one only.
        text: None where there is none, or it is private.
        tokens: What the model was given; () likewise, and for features.
        truth: The label or value in the data; '' where there is none.
        answers: The oracle's first.
    """

    row: int
    output: str
    text: str | None
    tokens: tuple[Token, ...]
    truth: str
    answers: tuple[Answer, ...]


def worst_examples(bundle: Bundle, measured: Measured, *, with_texts: bool) -> list[Example]:
    """Choose rows: of each artifact in turn the largest error, flips before others.

    Args:
        bundle: Whose labels, threshold and vectorizer are used.
        measured: All rows.
        with_texts: False leaves out texts, words and ids.
    """
    oracle = measured.oracle.astype(np.float64)
    found = {
        f"{target} {scheme}": scores.astype(np.float64)
        for (target, scheme), scores in measured.scores.items()
        if scores.shape == oracle.shape
    }
    orders = [_order(bundle, scores, oracle) for scores in found.values()]
    vectorizer = bundle.vectorizer() if with_texts else None
    return [
        _example(bundle, measured, found, row, vectorizer)
        for row in islice(_in_turns(orders), EXAMPLES)
    ]


def _in_turns(orders: Sequence[Sequence[int]]) -> Iterator[int]:
    given = set()
    for place in range(max(map(len, orders), default=0)):
        for order in orders:
            if place < len(order) and order[place] not in given:
                given.add(order[place])
                yield order[place]


def _order(bundle: Bundle, scores: NDArray[Any], oracle: NDArray[Any]) -> list[int]:
    """Return the rows that are wrong at all, the worst first."""
    errors = _errors(scores, oracle).reshape(len(oracle), -1).max(axis=1, initial=0)
    candidates = np.argsort(-errors, kind="stable")[:_CANDIDATES].tolist()
    wrong = [row for row in candidates if errors[row] > 0]
    return sorted(wrong, key=lambda row: _label(bundle, scores[row]) == _label(bundle, oracle[row]))


def _errors(scores: NDArray[Any], oracle: NDArray[Any]) -> NDArray[Any]:
    """Return |scores - oracle|; infinite where one side only is not finite."""
    with np.errstate(invalid="ignore"):
        distance = np.abs(scores - oracle)
    same = (scores == oracle) | (np.isnan(scores) & np.isnan(oracle))
    return np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))


def _example(
    bundle: Bundle,
    measured: Measured,
    found: dict[str, NDArray[Any]],
    row: int,
    vectorizer: AnyVectorizer | None,
) -> Example:
    expected = measured.oracle[row].astype(np.float64).ravel()
    mine = {name: scores[row].ravel() for name, scores in found.items()}
    errors = np.max([_errors(one, expected) for one in mine.values()], axis=0)
    place = int(errors.argmax())
    decided = _label(bundle, measured.oracle[row])
    answers = [Answer("oracle", float(expected[place]), 0.0, decided)]
    for name, one in mine.items():
        label = _label(bundle, found[name][row])
        difference = float(one[place] - expected[place])
        answers.append(Answer(name, float(one[place]), difference, label, label != decided))
    shows_text = vectorizer is not None and len(measured.texts) > row
    return Example(
        row=row + 1,
        output=_output(bundle, measured.oracle.shape, place),
        text=measured.texts[row] if shows_text else None,
        tokens=_tokens(measured, row, vectorizer) if vectorizer is not None else (),
        truth=_truth(bundle, measured, row),
        answers=tuple(answers),
    )


def _label(bundle: Bundle, scores: NDArray[Any]) -> str:
    rule = rule_of_rows(bundle)
    if rule is not None:
        chosen = rule.chosen(rule.scores_of(scores.tolist()))
        return ", ".join(rule.labels[number] for number in chosen)
    if not bundle.labels or scores.ndim != 1 or bundle.decisions:
        return ""
    number = decide(scores.tolist(), bundle.threshold)
    return bundle.labels[number] if number < len(bundle.labels) else ""


def _output(bundle: Bundle, shape: tuple[int, ...], place: int) -> str:
    if len(shape) == 2 and shape[1] == 1:
        return ""
    if len(shape) == 2 and len(bundle.labels) == shape[1]:
        return f"of '{bundle.labels[place]}'"
    where = ", ".join(str(int(index)) for index in np.unravel_index(place, shape[1:]))
    return f"of output [{where}]"


def _truth(bundle: Bundle, measured: Measured, row: int) -> str:
    if measured.truth is None:
        return ""
    value = measured.truth[row]
    if bundle.labels and np.ndim(value) == 0:
        return bundle.labels[int(value)]
    if np.asarray(value).dtype == bool:  # several labels a row
        return ", ".join(bundle.labels[number] for number in np.flatnonzero(value))
    return ", ".join(f"{number:.4g}" for number in np.ravel(value)[:4].tolist())


def _tokens(measured: Measured, row: int, vectorizer: AnyVectorizer) -> tuple[Token, ...]:
    if len(measured.texts) > row:
        return tokens_of(vectorizer, measured.texts[row])
    words = {number: word for word, number in vectorizer.vocabulary.items()}
    ids = next(iter(measured.inputs.feed.values()))[row]
    return tuple(
        Token(words.get(number, ""), number, "known" if number in words else "unknown")
        for number in np.ravel(ids).tolist()
        if number  # 0 is padding
    )


def tokens_of(vectorizer: AnyVectorizer, text: str) -> tuple[Token, ...]:
    """Return each word of a text with its id, and what became of it.

    The ids of those that are not cut are those of `vectorizer.ids`.
    """
    oov_id = OOV_ID if isinstance(vectorizer, TextVectorization) else vectorizer.oov_id
    made = []
    for word in vectorizer.tokens(text):
        known = vectorizer.vocabulary.get(word)
        made.append(Token(word, oov_id if known is None else known, _kind(known)))
    seen = [index for index, token in enumerate(made) if token.id is not None]
    cut = seen[vectorizer.maxlen :]
    if not isinstance(vectorizer, TextVectorization) and vectorizer.truncating == "pre":
        cut = seen[: max(0, len(seen) - vectorizer.maxlen)]
    for index in cut:
        made[index] = Token(made[index].text, made[index].id, "cut")
    return tuple(made)


def _kind(known: int | None) -> str:
    return "unknown" if known is None else "known"
