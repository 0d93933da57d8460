"""The intervals cover what they should, and the figures are those of other people's libraries."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from gatelet.convert.parity.quality.resampling import bootstrap_sums, percentile_interval
from gatelet.convert.parity.quality.statistics import (
    Interval,
    accuracy_difference,
    auc_difference,
    auc_difference_one_vs_rest,
    clopper_pearson,
    mcnemar_exact,
    mean_interval,
    quantile_interval,
    rows_to_decide,
)

Draw = Callable[[np.random.Generator], Interval | None]
DRAWS, FEW_DRAWS = 2_000, 500


# ---- The same figures as other libraries --------------------------------------------------


@pytest.mark.parametrize(("hits", "rows"), [(0, 1), (1, 1), (0, 300), (3, 1965), (40, 90)])
def test_clopper_pearson_is_that_of_scipy_and_statsmodels(hits: int, rows: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    found = clopper_pearson(hits, rows)
    scipy = stats.binomtest(hits, rows).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((scipy.low, scipy.high), abs=1e-10)
    low, high = proportion_confint(hits, rows, alpha=0.05, method="beta")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-10)


@pytest.mark.parametrize("rows", [400, 2000, 9999])
@pytest.mark.parametrize("share", [0.99, 0.5, 0.1])
def test_the_interval_of_a_quantile_is_that_of_scipy(rows: int, share: float) -> None:
    values = np.random.default_rng(rows).exponential(size=rows)
    found = quantile_interval(values, share)
    test = stats.quantile_test(values, q=0, p=share)
    low, high = test.confidence_interval(0.95)
    assert found.estimate == pytest.approx(np.quantile(values, share))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_a_quantile_of_few_rows_has_no_upper_end() -> None:
    values = np.random.default_rng(1).random(300)
    assert quantile_interval(values, 0.99).high == np.inf
    assert quantile_interval(values[:2], 0.5).low == -np.inf
    several = quantile_interval(np.repeat(values[:, None], 50, axis=1), 0.99)
    assert several.high == np.inf  # the values of a row are one piece of evidence


def test_the_interval_of_a_quantile_covers_it() -> None:
    rng, covered = np.random.default_rng(2), 0
    true = float(stats.expon.ppf(0.99))
    for _ in range(FEW_DRAWS):
        found = quantile_interval(rng.exponential(size=1000), 0.99)
        covered += found.low <= true <= found.high
    assert covered / FEW_DRAWS >= 0.93


def test_clopper_pearson_of_many_rows() -> None:
    found = clopper_pearson(12_345, 1_000_000)
    scipy = stats.binomtest(12_345, 1_000_000).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((scipy.low, scipy.high), rel=1e-9)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (0, 9), (3, 5), (5, 5), (40, 12), (900, 800)])
def test_mcnemar_is_that_of_scipy_and_statsmodels(lost: int, gained: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    table = [[100, lost], [gained, 100]]
    expected = float(mcnemar(table, exact=True).pvalue)
    assert mcnemar_exact(lost, gained) == pytest.approx(expected, rel=1e-9)
    if lost + gained:
        scipy = float(stats.binomtest(lost, lost + gained).pvalue)
        assert mcnemar_exact(lost, gained) == pytest.approx(scipy, rel=1e-9)


@pytest.mark.parametrize(
    ("lost", "gained", "rows"), [(0, 0, 1965), (0, 3, 300), (7, 2, 1965), (12, 2, 50), (9, 0, 30)]
)
def test_the_accuracy_interval_ends_where_the_score_test_rejects(
    lost: int, gained: int, rows: int
) -> None:
    """The statistic is written down anew, with the nuisance parameter by maximum likelihood."""
    from scipy.optimize import minimize_scalar

    def statistic(delta: float) -> float:
        def minus_likelihood(p_lost: float) -> float:
            parts = (p_lost, p_lost + delta, 1 - 2 * p_lost - delta)
            counts = (lost, gained, rows - lost - gained)
            pairs = zip(counts, parts, strict=True)
            return -sum(n * float(np.log(max(p, 1e-300))) for n, p in pairs if n)

        bounds = (max(0.0, -delta), (1 - delta) / 2)
        p = minimize_scalar(minus_likelihood, bounds=bounds, method="bounded").x
        for end in bounds:
            p = min(p, end, key=minus_likelihood)
        return float((gained - lost - rows * delta) / np.sqrt(rows * (2 * p + delta - delta**2)))

    found = accuracy_difference(lost, gained, rows)
    z = stats.norm.ppf(0.975)
    assert statistic(found.low) == pytest.approx(z, abs=0.01)
    assert statistic(found.high) == pytest.approx(-z, abs=0.01)


def test_the_accuracy_interval_of_no_difference_has_a_known_form() -> None:
    z2 = float(stats.norm.ppf(0.975)) ** 2
    found = accuracy_difference(0, 0, 400)
    assert (found.low, found.high) == pytest.approx((-z2 / (400 + z2), z2 / (400 + z2)), abs=1e-9)


def test_areas_are_those_of_scikit_learn_and_their_interval_that_of_a_bootstrap() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(3)
    positive = rng.random(800) < 0.4
    base = rng.normal(size=800) + positive
    first, second = np.round(base, 1), base + 0.8 * rng.normal(size=800)
    found = auc_difference(positive, first, second)
    assert found is not None
    expected = roc_auc_score(positive, second) - roc_auc_score(positive, first)
    assert found.estimate == pytest.approx(expected, abs=1e-12)
    resampled = stats.bootstrap(
        (positive, first, second),
        lambda y, a, b: roc_auc_score(y, b) - roc_auc_score(y, a),
        paired=True,
        vectorized=False,
        n_resamples=500,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((resampled.low, resampled.high), abs=0.006)


def test_the_mean_area_of_several_classes_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 500)
    first, second = (
        rng.dirichlet([1, 1, 1], 500) + np.eye(3)[truth] * weight for weight in (0.6, 0.5)
    )
    found = auc_difference_one_vs_rest(truth, first, second)
    assert found is not None
    areas = [
        roc_auc_score(truth, scores / scores.sum(axis=1, keepdims=True), multi_class="ovr")
        for scores in (first, second)
    ]
    # dividing by the sum changes the order within a column, so the columns are ranked here
    plain = [
        np.mean([roc_auc_score(truth == c, scores[:, c]) for c in range(3)])
        for scores in (first, second)
    ]
    assert found.estimate == pytest.approx(plain[1] - plain[0], abs=1e-12)
    assert found.low < areas[1] - areas[0] < found.high


def test_two_classes_give_one_interval_either_way() -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, 300)
    first = rng.random(300) + truth
    second = first + rng.normal(size=300)
    one = auc_difference(truth == 1, first, second)
    columns = [np.stack([-scores, scores], axis=1) for scores in (first, second)]
    other = auc_difference_one_vs_rest(truth, *columns)
    assert one is not None and other is not None
    assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=0.01)


def test_the_mean_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(6).normal(size=400)
    found = mean_interval(values)
    expected = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)


def test_the_bootstrap_interval_of_a_mean_is_that_of_scipy() -> None:
    values = np.random.default_rng(7).exponential(size=600)
    sums = bootstrap_sums(lambda rows: values[rows, None], 600, seed=1, rounds=2000)
    found = percentile_interval(sums[:, 1] / sums[:, 0])
    assert found.estimate == pytest.approx(values.mean())
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=2000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.02)


# ---- Coverage ------------------------------------------------------------------------------


def flips(share: float, rows: int) -> tuple[float, Draw]:
    return share, lambda rng: clopper_pearson(int(rng.binomial(rows, share)), rows)


def accuracies(lost: float, gained: float, rows: int) -> tuple[float, Draw]:
    def draw(rng: np.random.Generator) -> Interval:
        found = rng.multinomial(rows, [lost, gained, 1 - lost - gained])
        return accuracy_difference(int(found[0]), int(found[1]), rows)

    return gained - lost, draw


def areas(noise: float, rows: int, *, apart: float) -> tuple[float, Draw]:
    """Draw scores of two normal classes, seen with noise by the second program.

    The area of two normal classes is Phi(distance / sqrt(sum of the variances)).
    """
    truth = stats.norm.cdf(apart / np.sqrt(2 + 2 * noise**2)) - stats.norm.cdf(apart / np.sqrt(2))

    def draw(rng: np.random.Generator) -> Interval | None:
        positive = np.arange(rows) % 2 == 0
        first = rng.normal(size=rows) + apart * positive
        return auc_difference(positive, first, first + noise * rng.normal(size=rows))

    return float(truth), draw


EXACT = [flips(0.002, 500), flips(0.01, 2000), flips(0.3, 50)]
APPROXIMATE = [
    accuracies(0.01, 0.01, 2000),
    accuracies(0.02, 0.01, 1000),
    accuracies(0.1, 0.02, 200),
    areas(0.3, 400, apart=1.5),
    areas(0.5, 1000, apart=2.0),
]


def coverage(truth: float, draw: Draw, draws: int) -> float:
    rng = np.random.default_rng(20240229)
    found = [draw(rng) for _ in range(draws)]
    return sum(one is not None and one.low <= truth <= one.high for one in found) / draws


@pytest.mark.parametrize("case", EXACT)
def test_exact_intervals_cover_the_truth_in_few_draws(case: tuple[float, Draw]) -> None:
    # 500 draws: three standard deviations below 0.95
    assert coverage(*case, FEW_DRAWS) >= 0.92


@pytest.mark.parametrize("case", APPROXIMATE)
def test_approximate_intervals_cover_the_truth_in_few_draws(case: tuple[float, Draw]) -> None:
    assert 0.92 <= coverage(*case, FEW_DRAWS) <= 0.98


@pytest.mark.full
@pytest.mark.parametrize("case", EXACT)
def test_exact_intervals_cover_the_truth(case: tuple[float, Draw]) -> None:
    assert coverage(*case, DRAWS) >= 0.95


@pytest.mark.full
@pytest.mark.parametrize("case", APPROXIMATE)
def test_approximate_intervals_cover_the_truth(case: tuple[float, Draw]) -> None:
    assert 0.93 <= coverage(*case, DRAWS) <= 0.97


# ---- Edges ---------------------------------------------------------------------------------


def test_impossible_counts_are_refused() -> None:
    for bad in ((-1, 5), (6, 5), (0, 0)):
        with pytest.raises(ValueError, match="rows"):
            clopper_pearson(*bad)
    with pytest.raises(ValueError, match="rows"):
        accuracy_difference(3, 3, 5)


def test_one_class_only_has_no_area() -> None:
    scores = np.arange(5.0)
    assert auc_difference(np.ones(5, bool), scores, scores) is None
    truth = np.zeros(5, np.int64)
    assert auc_difference_one_vs_rest(truth, np.eye(5)[:, :2], np.eye(5)[:, :2]) is None


def test_a_single_row_tells_nothing_of_a_mean() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = mean_interval(np.array([0.25]))
    assert found == Interval(0.25, -np.inf, np.inf)


def test_the_rows_that_are_said_to_decide_do_decide() -> None:
    more = rows_to_decide(0, 0, 100, drop=0.01)
    assert more is not None
    assert accuracy_difference(0, 0, 100 + more).low >= -0.01
    assert accuracy_difference(0, 0, 100 + more - 2).low < -0.01
    assert rows_to_decide(0, 0, 10_000, drop=0.01) == 0


def test_a_drop_at_the_very_limit_is_decided_by_no_number_of_rows() -> None:
    assert rows_to_decide(10, 0, 1000, drop=0.01) is None
