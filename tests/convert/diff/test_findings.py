"""The rules of `gatelet diff`: what passes, what fails, and what is too little to tell."""

import math

import pytest

from gatelet.convert.diff import ArtifactDiff, Limits
from gatelet.convert.diff.findings import findings_of
from gatelet.convert.parity.quality.statistics import Interval, accuracy_difference, clopper_pearson
from gatelet.errors import ConfigError


def _verdicts(
    limits: Limits | None = None, verdicts: tuple[str, str] = ("", ""), **figures: object
) -> dict[str, str]:
    known = {"target": "onnx", "scheme": "float32", "bytes": (None, None), **figures}
    held = findings_of(ArtifactDiff(**known), verdicts=verdicts, limits=limits or Limits())  # type: ignore[arg-type]
    return {finding.name: finding.verdict for finding in held.findings}


@pytest.mark.parametrize(
    ("sizes", "verdict"),
    [((1000, 1100), "pass"), ((1000, 1101), "fail"), ((1000, 10), "pass")],
)
def test_a_file_may_grow_by_a_tenth(sizes: tuple[int, int], verdict: str) -> None:
    assert _verdicts(bytes=sizes) == {"size": verdict}


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("pass", "fail", "fail"),
        ("undecided", "fail", "fail"),
        ("fail", "fail", "pass"),
        ("fail", "pass", "pass"),
        ("pass", "undecided", "pass"),
    ],
)
def test_parity_may_not_be_lost(old: str, new: str, verdict: str) -> None:
    assert _verdicts(verdicts=(old, new)) == {"parity": verdict}


@pytest.mark.parametrize(
    ("flips", "rows", "verdict"),
    [(50, 1000, "pass"), (51, 1000, "undecided"), (80, 1000, "fail"), (1, 3, "undecided")],
)
def test_flips_are_held_to_a_limit_where_no_label_tells_who_is_right(
    flips: int, rows: int, verdict: str
) -> None:
    found = clopper_pearson(flips, rows)
    assert _verdicts(flips=found) == {"flips": verdict}
    labelled = _verdicts(flips=found, quality=(0.8, 0.8), change=accuracy_difference(0, 0, rows))
    assert "flips" not in labelled
    assert _verdicts(Limits(max_flips=0.0), flips=found)["flips"] in ("fail", "undecided")


@pytest.mark.parametrize(
    ("lost", "gained", "verdict"),
    [(0, 0, "pass"), (10, 10, "pass"), (40, 30, "undecided"), (200, 20, "fail"), (0, 90, "pass")],
)
def test_accuracy_may_not_drop_by_more_than_half_a_point(
    lost: int, gained: int, verdict: str
) -> None:
    rows = 4000
    figures = {
        "flips": clopper_pearson(lost + gained, rows),
        "quality": (0.8, 0.8 + (gained - lost) / rows),
        "change": accuracy_difference(lost, gained, rows),
    }
    assert _verdicts(**figures) == {"accuracy": verdict}  # type: ignore[arg-type]
    generous = Limits(max_accuracy_drop=0.5)
    assert _verdicts(generous, **figures) == {"accuracy": "pass"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (Interval(0.0, -0.01, 0.01), "pass"),
        (Interval(0.04, 0.02, 0.06), "undecided"),
        (Interval(0.2, 0.1, 0.3), "fail"),
        (Interval(-0.5, -0.6, -0.4), "pass"),
        (Interval(math.nan, math.nan, math.nan), "fail"),
    ],
)
def test_the_error_of_a_regression_may_grow_by_a_twentieth(change: Interval, verdict: str) -> None:
    assert _verdicts(quality=(1.0, 1.0 + change.estimate), change=change) == {"error": verdict}


def test_scores_have_a_limit_on_request_only() -> None:
    assert _verdicts(difference_max=0.5) == {}
    assert _verdicts(Limits(atol=0.1), difference_max=0.5) == {"score": "fail"}
    assert _verdicts(Limits(atol=0.5), difference_max=0.5) == {"score": "pass"}
    assert _verdicts(Limits(atol=0.1), difference_max=math.inf) == {"score": "fail"}


@pytest.mark.parametrize("name", ["max_accuracy_drop", "max_flips", "max_size_growth", "atol"])
@pytest.mark.parametrize("value", [-0.1, math.nan])
def test_a_limit_below_zero_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} is "):
        Limits(**{name: value})
