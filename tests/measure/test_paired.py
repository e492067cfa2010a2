"""Paired tests of several methods: SciPy as the judge, Holm by hand, and what empty differences give."""

import math

import numpy as np
import pytest
from scipy import stats

from willis.errors import BadInputError
from willis.measure.paired import holm, paired_tests


def test_each_pair_is_wilcoxon_s_and_knows_of_the_others() -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform(0.4, 0.8, 25)
    scores = {"a": a, "b": a + rng.normal(0.05, 0.03, 25), "c": a + rng.normal(0, 0.05, 25)}
    found = paired_tests(scores)
    assert [(t.one, t.other) for t in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found[0].p == pytest.approx(stats.wilcoxon(a, scores["b"]).pvalue)
    assert found[0].difference == pytest.approx((a - scores["b"]).mean())
    assert [t.p_holm for t in found] == holm([t.p for t in found])
    assert all(t.p_holm >= t.p for t in found)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    adjusted = holm([0.02, math.nan, 0.02])
    assert adjusted[0] == pytest.approx(0.04)
    assert math.isnan(adjusted[1])


def test_what_is_undefined_is_left_out() -> None:
    (test,) = paired_tests({"a": [0.5, math.nan, 0.5], "b": [0.5, 0.1, 0.5]})
    assert test.cases == 2
    assert test.difference == 0
    assert math.isnan(test.p)
    with pytest.raises(BadInputError, match="a 2, b 1"):
        paired_tests({"a": [1, 2], "b": [1]})


def test_differences_that_only_rounding_tells_apart_are_ties() -> None:
    a = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.2, 0.9, 0.35, 0.45])
    hundredths = np.array([10, 10, -10, 10, 20, 10, -10, 20, 10, 10])
    (test,) = paired_tests({"a": a, "b": a - hundredths / 100})
    assert np.unique(a - (a - hundredths / 100)).size > 3
    assert test.p == pytest.approx(stats.wilcoxon(hundredths).pvalue)


def test_a_difference_that_is_rounding_alone_is_none() -> None:
    (test,) = paired_tests({"a": [0.1 + 0.2] * 6, "b": [0.3] * 6})
    assert math.isnan(test.p)


def test_a_miss_that_is_infinitely_far_is_not_left_out() -> None:
    with pytest.raises(BadInputError, match="b has an infinite score"):
        paired_tests({"a": [2.0, 3.0, 9.0], "b": [1.0, 2.0, math.inf]})
