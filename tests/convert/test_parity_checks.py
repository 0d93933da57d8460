"""The checks are pure functions: figures, limits, and what is not a number."""

import json
import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from gatelet.convert.parity.checks.scores import (
    check_equal,
    check_flips,
    check_max,
    check_mean,
    check_shift,
    difference,
)
from gatelet.convert.parity.limits import Settings, bounds_of
from gatelet.convert.parity.report import ArtifactReport, Check, ParityReport, worst
from gatelet.convert.tolerances import MIN_DECIDING_ROWS, TOLERANCES

NAN, INF = math.nan, math.inf


def scores(*values: float) -> NDArray[np.float64]:
    return np.array(values, np.float64)[:, None]


def flips(
    found: list[float], expected: list[float], *, limit: float = 0.0, tie: float = 0
) -> Check:
    return check_flips(scores(*found), scores(*expected), threshold=0.5, limit=limit, tie=tie)


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
@pytest.mark.parametrize("check", [check_max, check_mean, check_shift])
def test_a_score_that_is_not_finite_fails_every_comparison(
    check: Callable[..., Check], bad: float
) -> None:
    found = check("c", scores(*[0.5] * 300, bad), scores(*[0.5] * 301), 1.0)
    assert found.verdict == "fail"


def test_shift_fails_for_infinities_of_both_signs() -> None:
    found = check_shift("c", scores(INF, -INF), scores(0.5, 0.5), 1.0, min_rows=300)
    assert found.verdict == "fail"


@pytest.mark.parametrize("check", [check_max, check_mean, check_shift])
def test_another_shape_fails_instead_of_being_broadcast(check: Callable[..., Check]) -> None:
    found = check("c", np.zeros((3, 1)), np.zeros((3, 2)), 1.0)
    assert (found.figure, found.verdict) == (None, "fail")
    flipped = check_flips(np.zeros((3, 1)), np.zeros((4, 1)), threshold=0.5, limit=1.0, tie=0)
    assert (flipped.figure, flipped.verdict) == (None, "fail")


def test_a_figure_at_the_limit_passes_and_above_it_fails() -> None:
    assert check_max("c", scores(0.5), scores(0.25), 0.25).verdict == "pass"
    assert check_max("c", scores(0.5), scores(0.25), 0.2499).verdict == "fail"
    assert check_mean("c", scores(0.5, 0.0), scores(0.0, 0.0), 0.25).verdict == "pass"
    assert check_mean("c", scores(0.5, 0.0), scores(0.0, 0.0), 0.24).verdict == "fail"


def test_equal_asks_for_the_very_same_numbers() -> None:
    assert check_equal("c", scores(0.1), scores(0.1)).verdict == "pass"
    assert check_equal("c", scores(0.1), scores(np.nextafter(0.1, 1))).verdict == "fail"


def test_shift_sees_what_does_not_cancel_out() -> None:
    expected = scores(*[0.5] * 1000)
    noise = scores(*[0.51, 0.49] * 500)
    assert check_shift("c", noise, expected, 1e-9).verdict == "pass"
    assert check_shift("c", noise + 0.001, expected, 0.0009).verdict == "fail"
    assert check_shift("c", noise - 0.001, expected, 0.0009).verdict == "fail"


def test_shift_looks_at_each_output_because_a_softmax_always_sums_to_one() -> None:
    expected = np.full((100, 2), 0.5)
    found = expected + np.array([0.01, -0.01])
    assert check_shift("c", found, expected, 1.0).figure == pytest.approx(0.01)


@pytest.mark.parametrize("check", [check_mean, check_shift])
def test_too_few_rows_leave_a_mean_undecided_but_never_pass_it(check: Callable[..., Check]) -> None:
    few, many = scores(*[0.6] * 199), scores(*[0.6] * 200)
    assert check("c", few, few - 0.1, 0.05, min_rows=200).verdict == "undecided"
    assert check("c", many, many - 0.1, 0.05, min_rows=200).verdict == "fail"
    assert check("c", few, few - 0.01, 0.05, min_rows=200).verdict == "pass"
    assert check("c", few * NAN, few, 0.05, min_rows=200).verdict == "fail"


def test_no_rows_are_no_difference() -> None:
    none = np.zeros((0, 1))
    for check in (check_max, check_mean, check_shift):
        assert check("c", none, none, 0.0).verdict == "pass"
    assert check_flips(none, none, threshold=0.5, limit=0.0, tie=0).verdict == "pass"


def test_flips_are_counted_where_the_decision_differs() -> None:
    assert flips([0.6, 0.4, 0.5], [0.7, 0.3, 0.5]).figure == 0
    found = flips([0.4, 0.4, 0.6, 0.6], [0.6, 0.4, 0.4, 0.6])
    assert (found.figure, found.verdict) == (0.5, "fail")


def test_the_threshold_itself_is_a_yes() -> None:
    assert flips([0.5], [0.49]).verdict == "fail"
    assert flips([0.5], [0.51]).verdict == "pass"


def test_the_note_says_how_many_rows_flipped_in_all_even_where_none_is_judged() -> None:
    found = flips([0.499] * 4 + [0.9] * 996, [0.5] * 4 + [0.9] * 996, tie=0.01)
    assert (found.figure, found.verdict) == (0, "pass")
    assert found.note == (
        "4 of 1,000 labels changed; 4 of them had scores within 0.01 of the threshold (not "
        "counted); 95 % interval of all changes: 0.11% to 1.02%"
    )
    assert flips([0.9], [0.9]).note.startswith("0 of 1 labels changed; 95 % interval")


def test_the_note_says_how_many_changed_labels_are_far_from_the_threshold() -> None:
    found, expected = scores(0.499, 0.45, 0.1, 0.9), scores(0.5, 0.5, 0.9, 0.9)
    note = check_flips(found, expected, threshold=0.5, limit=1.0, tie=0.01, far=0.05).note
    assert note.startswith(
        "3 of 4 labels changed; 2 of them had scores within 0.01 of the threshold (not "
        "counted); 1 of them had a score more than 0.05 from the threshold; "
    )


def test_the_note_speaks_of_a_tie_where_there_are_several_labels() -> None:
    found, expected = np.array([[0.51, 0.49]]), np.array([[0.495, 0.505]])
    note = check_flips(found, expected, threshold=0.5, limit=1.0, tie=0.01).note
    assert "1 of them had a score within 0.01 of a tie (not counted)" in note


def test_a_limit_of_the_users_own_is_held_against_every_flip() -> None:
    usual = bounds_of(TOLERANCES[("onnx", "dynamic-int8")], Settings(), exact=1e-5)
    asked = bounds_of(TOLERANCES[("onnx", "dynamic-int8")], Settings(max_flips=0), exact=1e-5)
    close, expected = [0.4999] * 3, [0.5] * 3
    assert flips(close, expected, tie=usual.tie).figure == 0
    found = flips(close, expected, tie=asked.tie)
    assert (found.figure, found.verdict) == (1, "fail")
    assert "3 of 3 labels changed; 3 of them had scores within" in found.note
    assert "(counted too)" in found.note
    assert flips([0.1], [INF], tie=asked.tie).figure == 1  # no margin is known, yet it flipped


def test_a_tie_at_the_threshold_is_no_flip_and_just_beyond_it_is() -> None:
    assert flips([0.499], [0.5], tie=1e-5).verdict == "pass"
    assert flips([0.499], [0.50001], tie=1.1e-5).verdict == "pass"
    assert flips([0.499], [0.50002], tie=1.1e-5).verdict == "fail"


def test_a_tie_between_two_classes_counts_what_each_may_move() -> None:
    expected = np.array([[0.2, 0.400015, 0.4]])
    found = np.array([[0.2, 0.4, 0.400015]])
    kept = check_flips(found, expected, threshold=0.5, limit=0, tie=1e-5)
    assert kept.verdict == "pass"
    lost = check_flips(found, expected, threshold=0.5, limit=0, tie=7e-6)
    assert lost.verdict == "fail"


def test_a_tie_of_scores_beyond_one_is_relative() -> None:
    expected, found = np.array([[1000.0, 1000.015]]), np.array([[1000.015, 1000.0]])
    kept = check_flips(found, expected, threshold=0.5, limit=0, tie=1e-5)
    assert kept.verdict == "pass"


def test_every_timestep_is_decided_where_the_model_scores_each() -> None:
    expected = np.zeros((2, 3, 2))
    expected[..., 1] = 1
    found = expected.copy()
    found[1, 2] = [1, 0]
    assert check_flips(found, expected, threshold=0.5, limit=0, tie=0).figure == 1 / 6


def test_nan_is_decided_as_no_so_it_flips_a_yes() -> None:
    assert flips([NAN], [0.9]).verdict == "fail"


@pytest.mark.parametrize(
    ("rows", "limit", "verdict"),
    [
        (MIN_DECIDING_ROWS - 1, 0.01, "undecided"),
        (MIN_DECIDING_ROWS, 0.01, "fail"),
        (MIN_DECIDING_ROWS - 1, 0.0, "fail"),  # float32: not a single row may flip
    ],
)
def test_few_rows_leave_flips_undecided_only_where_some_are_allowed(
    rows: int, limit: float, verdict: str
) -> None:
    flipped = round(rows * 0.05)
    found = [0.9] * (rows - flipped) + [0.1] * flipped
    assert flips(found, [0.9] * rows, limit=limit).verdict == verdict


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
        if scheme == "float32":
            assert limits.flips == 0
            assert limits.scores_max is limits.batch is limits.as_converted is None


def test_rows_that_never_run_together_must_be_those_of_their_batch() -> None:
    limits = TOLERANCES["onnx", "dynamic-int8"]
    found = [bounds_of(limits, Settings(), exact=1e-5, alone=alone) for alone in (True, False)]
    # a SimpleRNN has no scale that spans a batch, and computes in it padding that single rows skip
    assert [one.batch for one in found] == [1e-5, 0.02]
    assert found[0].largest == found[1].largest
