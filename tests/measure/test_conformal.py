"""Split conformal intervals of a volume, judged by how often they hold what they are asked to."""

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.measure.conformal import RatioInterval, fit_ratio_interval


def test_ranks_of_nineteen_cases_are_the_least_and_the_largest():
    found = np.full(19, 9.0)
    true = np.arange(19) * 10.0
    assert fit_ratio_interval(found, true) == RatioInterval(0.1, 18.1)


def test_it_holds_its_share_of_cases_to_come():
    """Exact coverage of n = 39 exchangeable cases at 90 %: ranks 2 and 38 leave 2 / 40 on either side."""
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(4000):
        found = rng.gamma(1.5, 10, 40)
        true = found * np.exp(rng.standard_t(3, 40) * 0.4 + 0.2)
        low, high = fit_ratio_interval(found[:39], true[:39]).around(found[39])
        inside.append(low <= true[39] <= high)
    assert np.mean(inside) == pytest.approx(0.9, abs=0.015)


def test_a_model_that_is_exact_gives_the_volume_itself():
    volumes = np.linspace(0, 80, 30)
    assert fit_ratio_interval(volumes, volumes).around(12.5) == pytest.approx((12.5, 12.5))


def test_an_end_is_never_below_nothing():
    assert RatioInterval(0.25, 3.0).around(0.0) == (0.0, 2.0)


@pytest.mark.parametrize(
    ("found", "true", "what"),
    [
        (np.ones(18), np.ones(18), "18 cases are too few for an interval that holds 90 %; 19 are needed"),
        (np.ones(20), np.ones(21), r"the shapes \(20,\) and \(21,\)"),
        (np.ones(20), -np.ones(20), "negative or not finite"),
        (np.full(20, np.nan), np.ones(20), "negative or not finite"),
        ([], [], "0 cases are too few"),
    ],
)
def test_what_can_t_be_fitted_is_said(found, true, what):
    with pytest.raises(BadInputError, match=what):
        fit_ratio_interval(found, true)


@pytest.mark.parametrize(("coverage", "offset"), [(1.0, 1.0), (1.5, 1.0), (0.0, 1.0), (0.9, 0.0), (0.9, -1.0)])
def test_coverage_and_offset_have_a_range(coverage, offset):
    with pytest.raises(BadInputError, match="the one lies between 0 and 1, the other is above 0"):
        fit_ratio_interval(np.ones(30), np.ones(30), coverage, offset)
