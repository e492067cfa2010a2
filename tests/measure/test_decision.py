"""AUC, sensitivity and specificity against counting, and Wilson's interval against worked values."""

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.measure.decision import auc, auc_interval, newcombe_interval, sensitivity, share, specificity


def test_the_auc_counts_pairs_in_the_right_order():
    rng = np.random.default_rng(0)
    score, positive = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.4
    pairs = [(u > d) + 0.5 * (u == d) for u in score[positive] for d in score[~positive]]
    assert auc(score, positive) == pytest.approx(np.mean(pairs))
    assert auc(-score, positive) == pytest.approx(1 - np.mean(pairs))
    assert np.isnan(auc(score, np.ones(40)))


def test_the_interval_of_the_auc_holds_it_and_narrows_with_more_cases():
    rng = np.random.default_rng(1)
    widths = []
    for n in (30, 300):
        positive = np.arange(n) % 2 == 0
        score = rng.normal(positive * 1.0, 1.0)
        low, high = auc_interval(score, positive, np.random.default_rng(2), resamples=400)
        assert low < auc(score, positive) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


@pytest.mark.parametrize(("area", "ups", "downs"), [(0.9, 10, 10), (0.62, 5, 40), (0.5, 30, 30), (0.97, 80, 20)])
def test_limits_of_newcombe_lie_1_96_deviations_of_hanley_and_mcneil_away(area, ups, downs):
    low, high = newcombe_interval(area, ups, downs)
    assert low < area < high
    size = (ups + downs) / 2
    for true in (low, high):
        q1, q2 = true / (2 - true), 2 * true**2 / (1 + true)
        spread = true * (1 - true) + (size - 1) * ((q1 - true**2) + (q2 - true**2))
        assert abs(area - true) == pytest.approx(1.959964 * np.sqrt(spread / (ups * downs)), rel=1e-5)
    mirrored = newcombe_interval(1 - area, ups, downs)
    assert mirrored == (pytest.approx(1 - high, abs=1e-6), pytest.approx(1 - low, abs=1e-6))


def test_a_few_cases_told_apart_without_an_error_do_not_prove_an_auc_of_1():
    score, positive = [0.9, 0.8, 0.7, 0.3, 0.2, 0.1], [1, 1, 1, 0, 0, 0]
    low, high = auc_interval(score, positive, np.random.default_rng(0), resamples=200)
    assert high == 1.0
    assert low == pytest.approx(newcombe_interval(1.0, 3, 3)[0])
    assert low < 0.7
    assert newcombe_interval(0.0, 3, 3) == (0.0, pytest.approx(1 - low))


def test_the_interval_of_few_cases_holds_the_true_auc_as_often_as_it_says():
    rng = np.random.default_rng(3)
    positive = np.repeat([1, 0], 12)
    held = 0
    for _ in range(200):
        low, high = auc_interval(rng.normal(positive * 1.812, 1.0), positive, rng, resamples=60)  # true area 0.9
        held += low <= 0.9 <= high
    assert held >= 186


def test_sensitivity_and_specificity_count_their_own_kind():
    score, positive = [0.9, 0.5, 0.4, 0.2, 0.6], [1, 1, 1, 0, 0]
    assert sensitivity(score, positive, 0.5)[:2] == (2, 3)
    assert specificity(score, positive, 0.5)[:2] == (1, 2)


def test_wilsons_interval():
    low, high = share([1] * 8 + [0] * 2).interval
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert share([0] * 10).interval == (pytest.approx(0.0, abs=1e-12), pytest.approx(0.2775, abs=1e-4))
    assert np.isnan(share([]).value)


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(BadInputError, match="as many"):
        auc([0.1, 0.2], [1])


@pytest.mark.parametrize("labels", [[1, 2, 0], [1.0, float("nan"), 0.0], ["1", "0", "0"], [1, -1, 0]])
def test_labels_that_are_neither_0_nor_1_are_refused(labels):
    for measure in (
        auc,
        lambda s, y: sensitivity(s, y, 0.5),
        lambda s, y: specificity(s, y, 0.5),
        lambda _, y: share(y),
    ):
        with pytest.raises(BadInputError, match="labels must be 0 or 1"):
            measure([0.9, 0.4, 0.1], labels)
