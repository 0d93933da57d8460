"""What `gatelet diff` says of the making of two bundles, and its verdict over all artifacts."""

from types import SimpleNamespace
from typing import Any

import pytest

from gatelet.convert.diff.found import ArtifactDiff, BundleDiff, Finding
from gatelet.convert.diff.training import changes
from tests.convert.test_stored_bytes import graph_of
from tests.small_vectorizer import vectorizer_of


def bundle(words: str, **more: Any) -> Any:
    known_words = vectorizer_of(words.split())
    known: dict[str, Any] = {
        "labels": ("no", "yes"),
        "threshold": 0.5,
        "manifest": {},
        "decisions": (),
        **more,
    }
    return SimpleNamespace(graph=lambda: graph_of("LSTM"), vectorizer=lambda: known_words, **known)


def test_only_what_differs_is_told() -> None:
    one = bundle("a b")
    assert list(changes(one, bundle("a b"))) == []
    told = list(changes(one, bundle("c a", threshold=0.25)))
    assert told == [
        ("threshold", "0.5", "0.25"),
        ("vocabulary", "2 words", "2 words: 1 gained, 1 lost, 1 with another id"),
    ]


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (("pass", "not run"), "pass"),
        (("pass", "fail", "not run"), "fail"),
        (("pass", "undecided"), "undecided"),
        (("not run",), "not run"),
    ],
)
def test_artifacts_that_could_not_be_run_do_not_count(
    verdicts: tuple[str, ...], expected: str
) -> None:
    artifacts = tuple(
        ArtifactDiff("c", str(place), (None, None), (Finding("score", one, ""),))
        for place, one in enumerate(verdicts)
    )
    assert BundleDiff(3, "rows", "", artifacts, ()).verdict == expected
