"""Agreement against published examples, SciPy and known answers."""

import math

import numpy as np
import pytest
from scipy import stats

from willis.errors import BadInputError
from willis.measure.agreement import bland_altman, bootstrap_interval, icc_agreement, icc_consistency

# Peak flow in l/min of 17 people with two meters: Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8, table 1
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
# Six targets by four judges: Shrout and Fleiss 1979, doi:10.1037/0033-2909.86.2.420, table 2
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def test_bland_and_altmans_own_example() -> None:
    found = bland_altman(WRIGHT, MINI)
    assert found.count == 17
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.spread == pytest.approx(38.8, abs=0.05)
    assert found.bias_interval == pytest.approx((-22.0, 17.8), abs=0.1)
    # The paper takes 2 for 1.96 and √(3/n) for the standard error: -79.7 to 75.5, lower limit -114.3 to -45.1
    assert (found.lower, found.upper) == pytest.approx((-79.7, 75.5), abs=2)
    assert found.lower_interval == pytest.approx((-114.3, -45.1), abs=2.5)


def test_the_interval_of_the_bias_is_that_of_a_t_test() -> None:
    interval = stats.ttest_rel(WRIGHT, MINI).confidence_interval(0.9)
    assert bland_altman(WRIGHT, MINI, level=0.9).bias_interval == pytest.approx((interval.low, interval.high))


def test_limits_hold_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(600):
        differences = rng.normal(2, 3, size=15)
        low, high = bland_altman(differences, np.zeros(15)).upper_interval
        held += low <= 2 + 1.959964 * 3 <= high
    assert 0.92 <= held / 600 <= 0.985


def test_exchanging_the_methods_changes_the_sign() -> None:
    one, other = bland_altman(WRIGHT, MINI), bland_altman(MINI, WRIGHT)
    assert (one.bias, one.lower, one.lower_interval[0]) == pytest.approx(
        (-other.bias, -other.upper, -other.upper_interval[1])
    )


def test_shrout_and_fleiss_own_example() -> None:
    agreement, consistency = icc_agreement(SHROUT_FLEISS), icc_consistency(SHROUT_FLEISS)
    assert agreement.value == pytest.approx(0.29, abs=0.005)
    assert consistency.value == pytest.approx(0.71, abs=0.005)
    assert agreement.interval == pytest.approx((0.02, 0.76), abs=0.005)  # as R's psych::ICC gives them
    assert consistency.interval == pytest.approx((0.34, 0.95), abs=0.005)


def test_a_bias_lowers_agreement_but_not_consistency() -> None:
    subjects = np.random.default_rng(1).normal(10, 3, size=40)
    ratings = np.stack([subjects, subjects + 2], axis=1)
    assert icc_consistency(ratings).value == pytest.approx(1)
    assert icc_agreement(ratings).value < 0.9
    same = np.stack([subjects, subjects], axis=1)
    assert icc_agreement(same).value == pytest.approx(1)
    assert icc_agreement(same).interval == pytest.approx((1, 1))


def test_perfect_agreement_is_one_whatever_the_rounding() -> None:
    for icc in (icc_agreement, icc_consistency):
        for values in ([1.3, 49.769], [1.3, 49.769, 0.1], [0.1, 0.2, 0.3, 0.7]):
            found = icc([[value, value] for value in values])
            assert (found.value, found.interval) == (1, (1, 1))


def test_large_cohorts_and_raters_that_all_but_agree_have_an_icc() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        many = rng.uniform(0.001, 60, size=(5000, 1))
        found = icc_agreement(np.repeat(many, 2, axis=1))
        assert (found.value, found.interval) == (1, (1, 1))
    few = rng.uniform(1, 60, size=(20, 1))
    for closeness in (1e-9, 1e-11):
        found = icc_agreement(few * (1 + closeness * rng.normal(size=(20, 2))))
        assert (found.value, found.interval) == (pytest.approx(1), pytest.approx((1, 1)))


def mcgraw_and_wong(table: np.ndarray) -> tuple[float, float]:
    """The interval of ICC(A,1) as their table 7 has it."""
    n, k = table.shape
    grand, rows, columns = table.mean(), table.mean(1, keepdims=True), table.mean(0, keepdims=True)
    msr, msc = k * ((rows - grand) ** 2).sum() / (n - 1), n * ((columns - grand) ** 2).sum() / (k - 1)
    mse = ((table - rows - columns + grand) ** 2).sum() / ((n - 1) * (k - 1))
    icc = (msr - mse) / (msr + (k - 1) * mse + k * (msc - mse) / n)
    a, b = k * icc / (n * (1 - icc)), 1 + k * icc * (n - 1) / (n * (1 - icc))
    v = (a * msc + b * mse) ** 2 / ((a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1)))
    low, high = stats.f.ppf(0.975, n - 1, v), stats.f.ppf(0.975, v, n - 1)
    between = k * msc + (k * n - k - n) * mse
    return n * (msr - low * mse) / (low * between + n * msr), n * (high * msr - mse) / (between + n * high * msr)


@pytest.mark.parametrize(("subjects", "raters", "bias"), [(6, 2, 0.0), (17, 3, 1.0), (40, 2, 8.0), (9, 5, 0.2)])
def test_the_interval_of_agreement_is_the_published_formula(subjects: int, raters: int, bias: float) -> None:
    rng = np.random.default_rng(subjects)
    table = rng.normal(10, 3, (subjects, 1)) + rng.normal(0, 2, (subjects, raters)) + bias * np.arange(raters)
    assert icc_agreement(table).interval == pytest.approx(mcgraw_and_wong(table), rel=1e-9)


def test_icc_finds_the_correlation_that_ratings_were_made_with() -> None:
    rng = np.random.default_rng(2)
    subjects, errors = rng.normal(0, 3, size=(4000, 1)), rng.normal(0, 1, size=(4000, 2))
    found = icc_agreement(subjects + errors)
    assert found.value == pytest.approx(0.9, abs=0.01)
    assert found.interval[0] < 0.9 < found.interval[1]


def test_nothing_to_correlate_is_undefined() -> None:
    for icc in (icc_agreement, icc_consistency):
        assert math.isnan(icc(np.ones((5, 2))).value)


@pytest.mark.parametrize(
    "series", [([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([1.0, math.nan], [1.0, 2.0]), ([[1.0, 2.0]], [[1.0, 2.0]])]
)
def test_series_that_cannot_be_compared_are_refused(series) -> None:
    with pytest.raises(BadInputError, match="agreement needs"):
        bland_altman(*series)


def test_ratings_that_cannot_be_correlated_are_refused() -> None:
    with pytest.raises(BadInputError, match="at least 2 subjects by 2 raters"):
        icc_agreement([[1, 2]])


def test_scipys_bca_agrees() -> None:
    values = np.random.default_rng(7).lognormal(size=30)
    ours = bootstrap_interval(values, np.random.default_rng(8), resamples=20000)
    judge = stats.bootstrap((values,), np.mean, n_resamples=20000, method="BCa", rng=np.random.default_rng(9))
    assert ours == pytest.approx(tuple(judge.confidence_interval), rel=0.02)


def test_a_mean_is_a_mean_however_it_is_asked_for() -> None:
    values = np.random.default_rng(7).lognormal(size=30)
    one, other = (bootstrap_interval(values, np.random.default_rng(8), statistic) for statistic in (None, np.mean))
    assert one == pytest.approx(other)


@pytest.mark.parametrize("values", [(0.4, 0.73, 0.63), (0.43, 0.59, 0.52, 0.93), (0.48, 0.4, 0.71, 0.74, 0.68)])
def test_rounding_does_not_move_an_end(values: tuple[float, ...]) -> None:
    hundredths = np.round(np.array(values) * 100)
    exact = bootstrap_interval(hundredths, np.random.default_rng(1))
    for moved in (0.0, 8.0):
        found = bootstrap_interval(np.array(values) + moved, np.random.default_rng(1))
        assert found == pytest.approx(tuple(end / 100 + moved for end in exact), rel=1e-9)


def test_a_statistic_of_two_columns() -> None:
    rng = np.random.default_rng(3)
    a = rng.normal(size=60)
    pairs = np.stack([a, a + rng.normal(size=60)], axis=1)
    low, high = bootstrap_interval(pairs, rng, lambda rows: float(np.corrcoef(rows.T)[0, 1]))
    assert low < math.sqrt(0.5) < high
    assert high - low < 0.4


def test_one_seed_one_interval() -> None:
    values = np.arange(12.0) ** 2
    first, again, other = (bootstrap_interval(values, np.random.default_rng(s)) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_few_or_equal_values() -> None:
    rng = np.random.default_rng(0)
    assert all(math.isnan(end) for end in bootstrap_interval([3.0], rng))
    assert bootstrap_interval([3.0, 3.0, 3.0], rng) == (3, 3)
    with pytest.raises(BadInputError, match="finite"):
        bootstrap_interval([1.0, math.nan], rng)
