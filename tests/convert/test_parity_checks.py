"""The checks are pure functions: figures, limits, and what is not a number."""

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from gatelet.convert.parity.checks.costs import check_alike, check_flips, check_scores
from gatelet.convert.parity.checks.scores import check_equal, check_max, difference, show_max
from gatelet.convert.parity.checks.spread import LEAST_SHARE, ROUNDING, Spread
from gatelet.convert.parity.limits import Bounds, Settings, bounds_of
from gatelet.convert.parity.report import ArtifactReport, Check, ParityReport, worst
from gatelet.convert.tolerances import TOLERANCES

NAN, INF = math.nan, math.inf
EXACT = bounds_of(TOLERANCES["onnx", "float32"], Settings(), exact=1e-5)
INT8 = bounds_of(TOLERANCES["onnx", "dynamic-int8"], Settings(), exact=1e-5)
ESTIMATED = bounds_of(TOLERANCES["onnx", "dynamic-int8"], Settings(), exact=1e-5, made_up=True)


def scores(*values: float) -> NDArray[np.float64]:
    return np.array(values, np.float64)[:, None]


def flips(
    found: list[float], expected: list[float], *, bounds: Bounds = INT8, labelled: bool = False
) -> Check:
    right = scores(*expected)
    return check_flips(
        (scores(*found), right), Spread.of(right), bounds, threshold=0.5, labelled=labelled
    )


def most(found: NDArray[np.float64], expected: NDArray[np.float64], bounds: Bounds) -> Check:
    """Return the check of the difference that 99 % of the scores stay below."""
    checks = check_scores(found, expected, Spread.of(expected), bounds, decides=False)
    return next(one for one in checks if one.name == "spread_p99")


# ---- Differences -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "expected", "figure"),
    [
        (0.5, 0.25, 0.25),
        (-3.0, -2.0, 0.5),  # relative beyond 1
        (110.0, 100.0, 0.1),
        (NAN, NAN, 0.0),
        (NAN, 0.5, INF),
        (0.5, NAN, INF),
        (INF, INF, 0.0),
        (-INF, INF, INF),
        (0.5, INF, INF),
        (INF, 0.5, INF),
        (NAN, INF, INF),
    ],
)
def test_differences_are_relative_and_nothing_but_itself_equals_what_is_not_finite(
    found: float, expected: float, figure: float
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert difference(scores(found), scores(expected)).tolist() == [[pytest.approx(figure)]]


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_score_that_is_not_finite_fails_every_comparison(bad: float) -> None:
    found, right = scores(*[0.5] * 300, bad), scores(*[0.25] * 301)
    spread = Spread.of(right)
    assert check_max("c", found, right, 1e9).verdict == "fail"
    assert show_max("c", found, right, spread).verdict == "fail"
    for bounds in (EXACT, INT8, ESTIMATED):
        assert check_alike("c", found, right, spread, bounds).verdict == "fail"


def test_another_shape_fails_instead_of_being_broadcast() -> None:
    found, right = np.zeros((3, 1)), np.zeros((3, 2))
    spread = Spread.of(right)
    checks = [
        check_max("c", found, right, 1.0),
        show_max("c", found, right, spread),
        check_alike("c", found, right, spread, INT8),
        check_flips((found, right), spread, INT8, threshold=0.5),
    ]
    assert {(one.figure, one.verdict) for one in checks} == {(None, "fail")}


def test_of_what_gives_one_answer_every_bit_counts() -> None:
    right = np.linspace(0.1, 0.9, 64, dtype=np.float32)[:, None]
    off = right.copy()
    off[5] = np.nextafter(off[5], np.float32(1))
    for bounds in (INT8, EXACT):
        one = replace(bounds, one_answer=True)
        assert check_alike("batch", right.copy(), right, Spread.of(right), one).verdict == "pass"
        assert check_alike("batch", off, right, Spread.of(right), one).verdict == "fail"
        assert check_alike("batch", off, right, Spread.of(right), bounds).verdict == "pass"


def test_a_figure_at_the_limit_passes_and_above_it_fails() -> None:
    assert check_max("c", scores(0.5), scores(0.25), 0.25).verdict == "pass"
    assert check_max("c", scores(0.5), scores(0.25), 0.2499).verdict == "fail"


def test_equal_asks_for_the_very_same_numbers() -> None:
    assert check_equal("c", scores(0.1), scores(0.1)).verdict == "pass"
    assert check_equal("c", scores(0.1), scores(np.nextafter(0.1, 1))).verdict == "fail"


def test_no_rows_are_no_difference() -> None:
    none = np.zeros((0, 1))
    assert check_max("c", none, none, 0.0).verdict == "pass"
    assert show_max("c", none, none, Spread.of(none)).figure == 0
    assert most(none, none, INT8).verdict == "pass"
    assert check_flips((none, none), Spread.of(none), INT8, threshold=0.5).verdict == "pass"


# ---- The spread --------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_a_difference_means_the_same_in_any_unit_of_the_values(unit: float) -> None:
    right = unit * np.random.default_rng(1).normal(size=(100, 2))
    spread = Spread.of(right)
    apart = spread.difference(right + 0.1 * unit, right)
    assert apart == pytest.approx(np.broadcast_to(0.1 / right.std(axis=0) * unit, (100, 2)))


def test_each_output_has_its_own_spread() -> None:
    right = np.random.default_rng(1).normal(size=(500, 2)) * [1e-3, 1e3]
    apart = Spread.of(right).difference(right + np.array([0, 1.0]), right)
    assert apart[:, 0].max() == 0 and 5e-4 < apart[:, 1].max() < 2e-3


def test_an_output_that_hardly_varies_is_measured_by_a_share_of_its_size() -> None:
    right = np.full((50, 1), 20.0)
    assert Spread.of(right).difference(right + 0.1, right).max() == pytest.approx(
        0.1 / (LEAST_SHARE * 20)
    )
    farther = np.full((2, 1), 2000.0)  # rows beyond those that were judged
    assert Spread.of(right).difference(farther + 1, farther).max() == pytest.approx(1 / 20)


def test_an_output_that_is_always_zero_is_measured_by_the_others() -> None:
    right = np.stack([np.zeros(40), np.linspace(-1, 1, 40)], axis=1)
    found = right + np.array([1e-7, 0])
    assert Spread.of(right).difference(found, right).max() < 1e-6
    assert Spread.of(np.zeros((3, 1))).difference(scores(0, 0, 0.5), np.zeros((3, 1))).max() == 0.5


def test_a_bounded_output_may_differ_by_its_own_rounding() -> None:
    right = np.full((10, 1), 1e-7)
    spread = Spread.of(right, ROUNDING)
    assert spread.difference(right + ROUNDING, right).max() == pytest.approx(0, abs=1e-6)
    assert spread.difference(right + 1.5 * ROUNDING, right).max() > 1
    assert Spread.of(right).difference(right + ROUNDING, right).max() > 1


# ---- What a scheme costs -----------------------------------------------------------------


def test_a_rounded_scheme_is_not_judged_by_its_largest_difference() -> None:
    right = np.random.default_rng(2).uniform(size=(2000, 1))
    found = right + 0.001
    found[7] += 0.6
    checks = {
        one.name: one for one in check_scores(found, right, Spread.of(right), INT8, decides=False)
    }
    largest = checks["scores_max"]
    assert (largest.verdict, largest.limit) == ("shown", None)
    assert largest.note.startswith("in row 8: ")
    assert checks["spread_p99"].verdict == "pass"
    assert worst(one.verdict for one in checks.values()) == "pass"


def test_an_exact_scheme_is_judged_by_every_score() -> None:
    right = np.random.default_rng(2).uniform(size=(2000, 1))
    found = right.copy()
    found[7] += 1e-5
    largest = check_scores(found, right, Spread.of(right), EXACT, decides=True)[0]
    assert (largest.name, largest.verdict, largest.question) == ("scores_max", "fail", "computes")
    found[7] = right[7] + 1e-6
    assert check_scores(found, right, Spread.of(right), EXACT, decides=True)[0].verdict == "pass"


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize(("off", "verdict"), [(0.02, "pass"), (0.5, "fail")])
def test_a_regression_is_judged_by_differences_relative_to_the_spread(
    unit: float, off: float, verdict: str
) -> None:
    rng = np.random.default_rng(3)
    right = rng.normal(size=(2000, 1))
    found = right + off * rng.normal(size=right.shape)
    assert most(unit * found, unit * right, INT8).verdict == verdict


def test_few_rows_say_nothing_of_one_in_a_hundred() -> None:
    right = np.random.default_rng(4).normal(size=(300, 1))
    assert most(right + 0.01, right, INT8).verdict == "undecided"
    found = most(right + 0.01, right, ESTIMATED)
    assert found.verdict == "pass"  # an estimate has no interval to be held to
    assert found.interval is not None and found.interval[1] == INF


def test_what_is_estimated_over_made_up_rows_fails_nothing() -> None:
    right = np.random.default_rng(5).normal(size=(2000, 1))
    found = most(right + 0.9, right, ESTIMATED)
    assert found.verdict == "undecided" and "made-up rows" in found.note
    assert most(right + 0.9, right, INT8).verdict == "fail"


def test_a_limit_on_differences_is_held_to_the_users_rows() -> None:
    right = np.random.default_rng(6).normal(size=(20, 1))
    asked = Settings(atol=0.05)
    for made_up, verdict in ((False, "fail"), (True, "undecided")):
        limits = TOLERANCES["onnx", "dynamic-int8"]
        bounds = bounds_of(limits, asked, exact=1e-5, made_up=made_up)
        (atol,) = (
            one
            for one in check_scores(right + 0.2, right, Spread.of(right), bounds, decides=True)
            if one.name == "scores_atol"
        )
        assert (atol.verdict, atol.limit, atol.question) == (verdict, 0.05, "costs")


def test_calls_that_round_otherwise_are_alike_and_rows_that_are_mixed_up_are_not() -> None:
    right = np.random.default_rng(7).normal(size=(64, 1))
    rounded = right + 0.01
    rounded[3] += 2  # one at a tipping point
    assert check_alike("c", rounded, right, Spread.of(right), INT8).verdict == "pass"
    assert check_alike("c", right[::-1], right, Spread.of(right), INT8).verdict == "fail"
    assert check_alike("c", rounded, right, Spread.of(right), EXACT).verdict == "fail"


# ---- Decisions ---------------------------------------------------------------------------


def test_flips_are_counted_where_the_decision_differs() -> None:
    assert flips([0.6, 0.4, 0.5], [0.7, 0.3, 0.5]).figure == 0
    found = flips([0.4, 0.4, 0.6, 0.6], [0.6, 0.4, 0.4, 0.6])
    assert (found.figure, found.verdict) == (0.5, "fail")


def test_the_threshold_itself_is_a_yes() -> None:
    assert flips([0.5], [0.49]).figure == 1
    assert flips([0.5], [0.51]).figure == 0


def test_all_changed_labels_count_and_the_note_says_how_many_were_near() -> None:
    expected = [0.5] * 9 + [0.9] + list(np.linspace(0.6, 0.9, 990))
    found = [0.498] * 9 + [0.1] + list(np.linspace(0.602, 0.902, 990))
    check = flips(found, expected)
    assert check.figure == 0.01
    assert check.note == (
        "10 of 1,000 labels changed; 9 of them had scores within 0.002 of the threshold"
    )
    assert flips([0.9], [0.9]).note == "0 of 1 labels changed"


def test_the_note_speaks_of_a_tie_where_there_are_several_labels() -> None:
    found, expected = np.array([[0.51, 0.49]] * 2), np.array([[0.495, 0.505], [0.51, 0.49]])
    note = check_flips((found, expected), Spread.of(expected), INT8, threshold=0.5).note
    assert note == "1 of 2 labels changed; 1 of them had a score within 0.015 of a tie"


@pytest.mark.parametrize(
    ("rows", "changed", "verdict"),
    [(2000, 0, "pass"), (2000, 60, "fail"), (2000, 18, "undecided"), (200, 0, "undecided")],
)
def test_changed_decisions_are_judged_by_their_interval(
    rows: int, changed: int, verdict: str
) -> None:
    found = [0.1] * changed + [0.9] * (rows - changed)
    check = flips(found, [0.9] * rows)
    assert (check.verdict, check.question) == (verdict, "costs")
    assert check.interval is not None


def test_labels_say_what_changed_decisions_cost() -> None:
    check = flips([0.1] * 100 + [0.9] * 900, [0.9] * 1000, labelled=True)
    assert (check.figure, check.limit, check.verdict) == (0.1, None, "shown")


@pytest.mark.parametrize(("limit", "verdict"), [(0.0, "fail"), (0.01, "pass")])
@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
@pytest.mark.parametrize("labelled", [True, False])
def test_a_limit_of_the_users_own_is_held_against_every_flip(
    scheme: str, labelled: bool, limit: float, verdict: str
) -> None:
    bounds = bounds_of(TOLERANCES["onnx", scheme], Settings(max_flips=limit), exact=1e-5)
    found = [0.4999999] + [0.9] * 99
    check = flips(found, [0.5] + [0.9] * 99, bounds=bounds, labelled=labelled)
    assert (check.figure, check.limit, check.verdict) == (0.01, limit, verdict)


def test_an_exact_scheme_may_change_what_rounding_may() -> None:
    rest = list(np.linspace(0.1, 0.9, 100))
    near = flips([0.4999999, *rest], [0.5, *rest], bounds=EXACT)
    assert near.figure == pytest.approx(1 / 101) and near.verdict == "pass"
    assert flips([0.4999, *rest], [0.5001, *rest], bounds=EXACT).verdict == "fail"
    assert flips([0.1], [INF], bounds=EXACT).verdict == "fail"  # no margin is known


def test_every_timestep_is_decided_where_the_model_scores_each() -> None:
    expected = np.zeros((2, 3, 2))
    expected[..., 1] = 1
    found = expected.copy()
    found[1, 2] = [1, 0]
    check = check_flips((found, expected), Spread.of(expected), INT8, threshold=0.5)
    assert check.figure == 1 / 6


def test_nan_is_decided_as_no_so_it_flips_a_yes() -> None:
    assert flips([NAN], [0.9]).figure == 1


# ---- Reports -----------------------------------------------------------------------------


def test_what_is_shown_or_not_checked_says_nothing_of_an_artifact() -> None:
    assert worst(["shown", "pass", "not checked"]) == "pass"
    assert worst(["shown"]) == "not run"


def test_strict_fails_what_is_undecided_and_a_model_that_learnt_nothing() -> None:
    passed = ArtifactReport("onnx", "float32", (Check("c", 0.0, 0.0, "pass"),))
    unsure = ArtifactReport("onnx", "float32", (Check("c", 0.0, 0.0, "undecided"),))
    failed = ArtifactReport("onnx", "float32", (Check("c", 0.0, 0.0, "fail"),))
    reports = [
        ParityReport(1, ("graph",), (passed,)),
        ParityReport(1, ("graph",), (unsure,)),
        ParityReport(1, ("graph",), (passed,), warnings=("it has learnt nothing",)),
        ParityReport(1, ("graph",), (failed,)),
    ]
    found = [(one.is_failure(strict=False), one.is_failure(strict=True)) for one in reports]
    assert found == [(False, False), (False, True), (False, True), (True, True)]


def test_json_says_which_question_a_check_is_of() -> None:
    told = Check("c", 0.0, 0.0, "pass", question="computes", by="steps").to_dict()
    assert (told["question"], told["by"]) == ("computes", "steps")
    assert not {"question", "by"} & Check("c", 0.0, 0.0, "pass").to_dict().keys()


def test_the_worst_verdict_wins() -> None:
    assert worst(["pass", "undecided", "fail"]) == "fail"
    assert worst(["pass", "undecided"]) == "undecided"
    assert worst(["pass"]) == "pass"
    assert worst([]) == "not run"


def test_an_artifact_that_was_not_run_does_not_hide_one_that_was() -> None:
    passed = ArtifactReport("onnx", "float32", (Check("c", 0.0, 0.0, "pass"),))
    absent = ArtifactReport("litert", "float32", (), note="not installed")
    assert ParityReport(1, ("graph",), (absent, passed)).verdict == "pass"
    assert ParityReport(1, ("graph",), (absent,)).verdict == "not run"


@pytest.mark.parametrize("figure", [NAN, INF, None])
def test_json_holds_no_figure_that_is_not_finite(figure: float | None) -> None:
    found = Check("c", figure, 1.0, "fail").to_dict()
    assert json.loads(json.dumps(found, allow_nan=False))["figure"] is None


def test_every_row_of_the_tolerance_table_gives_a_reason() -> None:
    for (target, scheme), limits in TOLERANCES.items():
        assert limits.reason, (target, scheme)
        assert limits.is_exact == scheme.startswith("float32")
        if limits.is_exact:
            assert limits.flips == 0 and limits.as_converted is None
