"""Judges an artifact on texts: its own reader, its copies of the vocabulary, its users' calls.

Not the vectorizer of the bundle, which `converted` judges. Reports are kept, so texts of users are
not told: a row's number is, and words of the vocabulary are.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from gatelet.convert.parity.case import Case
from gatelet.convert.parity.checks.costs import check_alike
from gatelet.convert.parity.computes.roundings import Array
from gatelet.convert.parity.decisions import decided_rows
from gatelet.convert.parity.limits import Bounds
from gatelet.convert.parity.report import Check
from gatelet.convert.parity.texts.copies import differences, read_copy
from gatelet.convert.parity.texts.counted import counted
from gatelet.convert.parity.texts.probes import Probe, probes_of
from gatelet.convert.rows.rows import side_by_side
from gatelet.runtime.backends.targets import ROWS_AT_ONCE
from gatelet.runtime.bundle.opening import Artifact
from gatelet.runtime.decision import decide
from gatelet.runtime.predictor.predictor import Predictor
from gatelet.runtime.vectorizer.opening import AnyVectorizer

_LARGE, _SMALL = ROWS_AT_ONCE + 1, 3
"""Texts of a call: more than an engine is given at once, and few."""
_SMALL_CALLS = 4

Ids = list[int]


def check_texts(
    case: Case, artifact: Artifact, predictor: Predictor, found: Array, bounds: Bounds
) -> list[Check]:
    """Hold an artifact to the vectorizer of its bundle.

    Args:
        case: With the judged texts, and their ids.
        artifact: The artifact.
        predictor: Runs it.
        found: What it gave for the judged rows, [N, ...].
        bounds: Its limits.

    Returns:
        Of a model of texts `vocabulary`, if the artifact reads texts itself or holds a copy of the
        words; and over judged texts `text_ids`, if it reads them itself, and what calls give.
    """
    vectorizer = case.bundle.vectorizer()
    if vectorizer is None:
        return []
    checks = _check_vocabulary(case, artifact, predictor, vectorizer)
    if case.oracle.texts:
        checks += _check_ids(case, predictor, vectorizer)
        checks += _check_calls(case, predictor, found, bounds)
    return checks


def _check_vocabulary(
    case: Case, artifact: Artifact, predictor: Predictor, vectorizer: AnyVectorizer
) -> list[Check]:
    """Compare every word: as the artifact's own reader reads it, and as its file holds it."""
    copy = read_copy(artifact.target, case.bundle.path / artifact.path)
    probes = probes_of(vectorizer) if predictor.reads_texts else ()
    if copy is None and not probes:
        return []
    read = _read(predictor, [one.text for one in probes])
    pairs = zip(probes, read, strict=True)
    wrong = [one for one, ids in pairs if ids != vectorizer.pad(one.text)]
    differing = _misread(predictor, vectorizer, wrong)
    if copy is not None:
        path = case.bundle.part("vectorizer")
        assert path is not None, "a vectorizer was read"
        differing = {**differences(copy, vectorizer, path.read_bytes()), **differing}
    said = list(differing.values())
    return [counted("vocabulary", said, "entries", len(vectorizer.vocabulary))]


def _misread(
    predictor: Predictor, vectorizer: AnyVectorizer, wrong: Sequence[Probe]
) -> dict[str, str]:
    """Say of each word how the artifact's own reader reads it, in the first form that shows it."""
    found: dict[str, str] = {}
    for probe in wrong:
        pieces = list(dict.fromkeys(probe.pieces))
        told = [
            _difference(repr(piece), vectorizer.pad(piece), ids, vectorizer)
            for piece, ids in zip(pieces, _read(predictor, pieces), strict=True)
        ]
        if not any(told):  # what differs is how they stand together
            expected, ids = vectorizer.pad(probe.text), _read(predictor, [probe.text])[0]
            told = [_difference(f"{probe.text[:40]!r}...", expected, ids, vectorizer)]
        for word, said in filter(None, told):
            found.setdefault(word, said)
    return found


def _difference(
    name: str, expected: Ids, found: Ids, vectorizer: AnyVectorizer
) -> tuple[str, str] | None:
    """Return the first word whose id differs, and a sentence on it; None if none does."""
    if found == expected:
        return None
    places = (n for n, pair in enumerate(zip(expected, found, strict=False)) if len({*pair}) > 1)
    place = next(places, None)
    if place is None or Counter(found) == Counter(expected):
        told = f"{name} is padded or cut otherwise: {_shown(found)}, expected {_shown(expected)}"
        return "", told
    word = _word_of(expected[place], vectorizer)
    said = f"{name} gives the id {found[place]} ({_word_of(found[place], vectorizer)})"
    return word, f"{said}, expected {expected[place]} ({word})"


def _shown(ids: Ids, *, most: int = 6) -> str:
    return f"[{', '.join(map(str, ids[:most]))}{', ...' if len(ids) > most else ''}]"


def _word_of(number: int, vectorizer: AnyVectorizer) -> str:
    return _words_by_id(vectorizer).get(number, "no word")


@lru_cache(maxsize=1)
def _words_by_id(vectorizer: AnyVectorizer) -> dict[int, str]:
    return {number: repr(word) for word, number in vectorizer.vocabulary.items()}


def _check_ids(case: Case, predictor: Predictor, vectorizer: AnyVectorizer) -> list[Check]:
    """Compare the ids of every judged text."""
    if not predictor.reads_texts:
        return []
    expected = case.oracle.inputs.feed[case.graph.inputs[0].name].tolist()
    pairs = zip(expected, _read(predictor, case.oracle.texts), strict=True)
    told = [_difference(f"row {n:,}", *pair, vectorizer) for n, pair in enumerate(pairs, 1)]
    differing = [one[1] for one in told if one is not None]
    return [counted("text_ids", differing, "texts", len(expected))]


def _read(predictor: Predictor, texts: Sequence[str]) -> list[Ids]:
    """Let an artifact's own reader read texts."""
    found: list[Ids] = []
    for start in range(0, len(texts), ROWS_AT_ONCE):
        found += predictor.own_ids(list(texts[start : start + ROWS_AT_ONCE]))
    return found


def _check_calls(case: Case, predictor: Predictor, found: Array, bounds: Bounds) -> list[Check]:
    """Call with texts, as users do: many, few and one give the scores of their ids, and decide."""
    texts, decides = case.oracle.texts[:_LARGE], _decides(case, found)
    calls = [range(len(texts))]
    for start in (_SMALL * call for call in range(_SMALL_CALLS)):
        calls += [range(start, start + _SMALL), range(start, start + 1)]
    calls = [range(call.start, min(call.stop, len(texts))) for call in calls]
    calls = [call for call in calls if call]
    given = [[texts[row] for row in call] for call in calls]
    scores = [side_by_side(predictor.scores(some)) for some in given]
    rows = [row for call in calls for row in call]
    right, spread = found[rows], case.oracle.spread
    checks = [check_alike("text_scores", np.concatenate(scores), right, spread, bounds)]
    if decides:
        # a large call decides as small ones do
        pairs = list(zip(calls, given, scores, strict=True))[1:]
        other = [row for call in pairs for row in _other_labels(case, predictor, *call)]
        said = [f"row {row + 1:,} gets another label than its score asks for" for row in other]
        checks.append(counted("text_labels", said, "rows", sum(len(call) for call in calls[1:])))
    return checks


def _decides(case: Case, scores: Array) -> bool:
    known = bool(case.bundle.labels or case.bundle.decisions)
    return known and len(case.graph.outputs) == 1 and scores.ndim == 2


def _other_labels(
    case: Case, predictor: Predictor, rows: range, texts: list[str], scores: Array
) -> Iterator[int]:
    """Yield the rows that are decided otherwise than by the scores of the same call."""
    if case.bundle.decisions:
        inputs = case.oracle.inputs[rows.start : rows.stop]
        meant = decided_rows(case.bundle, case.graph, inputs, scores)
    else:
        named, threshold = predictor.labels, predictor.threshold
        meant = [named[decide(own, threshold)] for own in scores.tolist()]
    for row, one, own in zip(rows, predictor.predict(texts), meant, strict=True):
        if one.decision != own:
            yield row
