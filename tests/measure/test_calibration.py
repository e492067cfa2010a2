"""Calibration against scikit-learn and known answers."""

import math

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from willis.errors import BadInputError
from willis.measure.calibration import brier_score, fit_calibration, pool_reliability, reliability


def overconfident(n: int = 40000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits three times too large and shifted, and labels: the true slope is 1/3, the intercept -1/3."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-1, 1.5, size=n)
    return 3 * true + 1, rng.random(n) < expit(true)


def test_the_fit_finds_slope_and_intercept() -> None:
    slope, intercept = fit_calibration(*overconfident())
    assert slope == pytest.approx(1 / 3, abs=0.01)
    assert intercept == pytest.approx(-1 / 3, abs=0.03)


def test_logistic_regression_agrees() -> None:
    logits, labels = overconfident()
    judge = LogisticRegression(C=1e12, tol=1e-10).fit(logits[:, None], labels)
    assert fit_calibration(logits, labels) == pytest.approx((judge.coef_[0, 0], judge.intercept_[0]), abs=2e-3)


def test_the_fit_calibrates() -> None:
    logits, labels = overconfident()
    calibration = fit_calibration(logits, labels)
    fresh, truth = overconfident(seed=1)
    before, after = (reliability(p, truth).expected_error for p in (expit(fresh), calibration.probability(fresh)))
    assert before > 0.1
    assert after < 0.01
    assert brier_score(calibration.probability(fresh), truth) < brier_score(expit(fresh), truth)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_scaling_logits_scales_the_slope(scale: float) -> None:
    logits, labels = overconfident(2000)
    slope, intercept = fit_calibration(logits, labels)
    assert fit_calibration(logits * scale, labels) == pytest.approx((slope / scale, intercept), rel=1e-5)


def test_separable_classes_give_a_finite_fit() -> None:
    logits = np.concatenate([np.linspace(-9, -1, 50), np.linspace(1, 9, 50)])
    slope, intercept = fit_calibration(logits, logits > 0)
    assert 0 < slope < 20
    assert intercept == pytest.approx(0, abs=1e-6)
    assert fit_calibration(-logits, logits > 0).slope == pytest.approx(-slope)


@pytest.mark.parametrize("seed", [2918, 1, 2])
def test_logits_with_outliers_are_fitted_too(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = rng.integers(10, 400)
    logits = rng.standard_cauchy(n) if seed % 3 else rng.normal(size=n)
    labels = rng.random(n) < expit(rng.normal() * 3 * logits + rng.normal() * 3)
    positives = labels.sum()
    targets = np.where(labels, (positives + 1) / (positives + 2), 1 / (n - positives + 2))
    residual = fit_calibration(logits, labels).probability(logits) - targets
    assert residual.mean() == pytest.approx(0, abs=1e-7)  # the two conditions of the maximum of the likelihood
    assert (residual * logits).mean() == pytest.approx(0, abs=1e-5)


def test_rare_lesions_far_from_the_threshold() -> None:
    rng = np.random.default_rng(4)
    true = rng.normal(-9, 2, size=200_000)
    slope, intercept = fit_calibration(0.5 * true, rng.random(true.size) < expit(true))
    assert slope == pytest.approx(2, rel=0.1)
    assert intercept == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([1.0, 2.0], [1, 1], "found 2 true of 2 labels"),
        ([1.0, 1.0], [0, 1], "logits from 1 to 1"),
        ([1.0, math.inf], [0, 1], "finite"),
        ([1.0, 2.0, 3.0], [0, 1], "differ in number: 3 and 2"),
        ([1.0, 2.0], [0, 2], "labels must be 0 or 1"),
    ],
)
def test_what_cannot_be_fitted_is_refused(logits, labels, message) -> None:
    with pytest.raises(BadInputError, match=message):
        fit_calibration(logits, labels)


def test_bins_known_beforehand() -> None:
    found = reliability([0.05, 0.15, 0.15, 0.95, 1.0], [0, 0, 1, 1, 1])
    assert found.count.tolist() == [1, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert found.promised[[0, 1, 9]] == pytest.approx([0.05, 0.15, 0.975])
    assert found.observed[[0, 1, 9]] == pytest.approx([0, 0.5, 1])
    assert np.isnan(found.observed[2])
    assert found.expected_error == pytest.approx((0.05 + 2 * 0.35 + 2 * 0.025) / 5)


@pytest.mark.parametrize(("by", "strategy"), [("width", "uniform"), ("count", "quantile")])
def test_scikit_learn_draws_the_same_curve(by, strategy) -> None:
    logits, labels = overconfident(3000)
    probability = expit(logits)
    found = reliability(probability, labels, by=by)
    observed, promised = calibration_curve(labels, probability, n_bins=10, strategy=strategy)
    filled = found.count > 0
    assert found.promised[filled] == pytest.approx(promised, abs=1e-3)
    assert found.observed[filled] == pytest.approx(observed, abs=5e-3)


def test_bins_of_equal_count_hold_as_many() -> None:
    found = reliability(np.linspace(0.001, 0.02, 1000), np.zeros(1000), by="count")
    assert found.count.min() == found.count.max() == 100


def test_the_brier_score() -> None:
    assert brier_score([0.0, 1.0], [0, 1]) == 0
    assert brier_score([0.5, 0.5], [0, 1]) == 0.25
    logits, labels = overconfident(500)
    assert brier_score(expit(logits), labels) == pytest.approx(brier_score_loss(labels, expit(logits)))


def test_probability_undoes_the_logit() -> None:
    calibration = fit_calibration(*overconfident(500))
    x = np.array([[-2.0, 0.0], [1.0, 5.0]])
    assert logit(calibration.probability(x)) == pytest.approx(calibration.slope * x + calibration.intercept)


@pytest.mark.parametrize(
    ("probability", "labels"), [([0.5], [0, 1]), ([], []), ([1.2], [1]), ([-0.1], [0]), ([math.nan], [0])]
)
def test_values_that_are_no_probabilities_are_refused(probability, labels) -> None:
    with pytest.raises(BadInputError, match=r"probabilities (and labels )?must"):
        brier_score(probability, labels)


def test_an_unknown_kind_of_bin_is_refused() -> None:
    with pytest.raises(BadInputError, match="allowed are 'width', 'count'"):
        reliability([0.5], [1], by="size")


def test_reliabilities_of_parts_are_that_of_the_whole() -> None:
    logits, labels = overconfident(1000)
    p = expit(logits)
    parts = [reliability(p[s], labels[s]) for s in (slice(0, 3), slice(3, 700), slice(700, 1000))]
    whole, pooled = reliability(p, labels), pool_reliability(parts)
    assert any((part.count == 0).any() for part in parts)
    assert np.array_equal(pooled.count, whole.count)
    np.testing.assert_allclose(pooled.promised, whole.promised)
    np.testing.assert_allclose(pooled.observed, whole.observed)
    assert pooled.expected_error == pytest.approx(whole.expected_error)


def test_a_bin_that_no_part_fills_stays_empty() -> None:
    pooled = pool_reliability([reliability([0.05], [0]), reliability([0.95], [1])])
    assert pooled.count.tolist() == [1, *[0] * 8, 1]
    assert np.isnan(pooled.promised[1:9]).all()


def test_other_bins_are_not_pooled() -> None:
    for parts in ([], [reliability([0.5], [1]), reliability([0.5], [1], bins=5)]):
        with pytest.raises(BadInputError, match="same bins"):
            pool_reliability(parts)
