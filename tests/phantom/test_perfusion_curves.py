"""Indicator dilution: areas, heights, delays of made-up curves."""

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.phantom.perfusion_curves import (
    DENSITY_G_PER_ML,
    GAMMA_SHAPES,
    HAEMATOCRIT_RATIO,
    RESIDUES,
    Input,
    Residue,
    arterial_curve,
    dispersed,
    draw_input,
    draw_residue,
    gamma_variate,
    residue,
    tissue_curve,
    tissue_curves,
)

FINE = np.arange(0, 400, 0.1)


def test_the_gamma_variate_peaks_at_one_where_it_should():
    curve = gamma_variate(FINE, 3.0, 1.5)
    assert curve.max() == pytest.approx(1.0) and FINE[curve.argmax()] == pytest.approx(4.5, abs=0.1)
    assert not gamma_variate(np.array([-2.0, 0.0]), 3.0, 1.5).any()


@pytest.mark.parametrize("kind", ["exponential", "box", "gamma"])
@pytest.mark.parametrize("mtt", [3.0, 10.0])
def test_the_area_of_the_residue_is_the_transit_time(kind, mtt):
    values = residue(FINE, mtt, kind)
    assert np.trapezoid(values, FINE) == pytest.approx(mtt, rel=0.02)
    assert values[0] == pytest.approx(1.0) and (np.diff(values) <= 1e-12).all()


def test_an_unknown_residue_is_refused():
    with pytest.raises(BadInputError, match="residue is 'spline'"):
        residue(FINE, 4.0, "spline")


@pytest.mark.parametrize("shape", [1.5, 12.0])
def test_the_gamma_family_runs_from_exponential_to_box(shape):
    assert np.allclose(residue(FINE, 5.0, "gamma", 1.0), residue(FINE, 5.0, "exponential"))
    values = residue(FINE, 5.0, "gamma", shape)
    assert np.trapezoid(values, FINE) == pytest.approx(5.0, rel=0.02)
    away = [np.abs(residue(FINE, 5.0, "gamma", s) - residue(FINE, 5.0, "box")).sum() for s in (1.0, shape, 400.0)]
    assert away[0] > away[1] > away[2]


def test_every_residue_is_drawn_and_one_seed_draws_one():
    drawn = [draw_residue(np.random.default_rng(seed)) for seed in range(60)]
    assert {one.kind for one in drawn} == set(RESIDUES)
    assert all(GAMMA_SHAPES[0] <= one.shape <= GAMMA_SHAPES[1] for one in drawn if one.kind == "gamma")
    assert len({one.shape for one in drawn if one.kind == "gamma"}) > 5
    assert drawn == [draw_residue(np.random.default_rng(seed)) for seed in range(60)]
    assert draw_residue(np.random.default_rng(0), "exponential") == Residue()
    with pytest.raises(BadInputError, match="residue is 'spline'; allowed are 'exponential', 'box', 'gamma', 'drawn'"):
        draw_residue(np.random.default_rng(0), "spline")


def test_curves_of_the_gamma_family_keep_their_area_and_differ_in_form():
    source, times = Input(tail_share=0.0), np.arange(0, 80, 0.5)
    ones = (np.array([30.0]), np.array([8.0]), np.array([0.0]))
    curves = [tissue_curves(times, source, *ones, "gamma", shape)[0] for shape in (1.0, 10.0)]
    assert curves[0].sum() == pytest.approx(curves[1].sum(), rel=0.02)
    assert curves[1].max() > 1.05 * curves[0].max()


def test_area_over_area_is_blood_volume():
    source = Input(tail_share=0.0)
    area = np.trapezoid(arterial_curve(FINE, source), FINE)
    for mtt in (4.0, 12.0):
        under = np.trapezoid(tissue_curve(FINE, source, 30.0, mtt), FINE)
        cbv = 30.0 * mtt / 60
        assert under / area == pytest.approx(cbv / 100 * DENSITY_G_PER_ML / HAEMATOCRIT_RATIO, rel=0.02)


def test_dispersion_delays_by_its_mean_and_keeps_the_area():
    curve = gamma_variate(FINE - 10, 3.0, 1.5)
    later = dispersed(curve, FINE, 2.0)
    assert later.sum() == pytest.approx(curve.sum(), rel=1e-3)
    centre = [np.average(FINE, weights=c) for c in (curve, later)]
    assert centre[1] - centre[0] == pytest.approx(2.0, abs=0.1)
    assert later.max() < curve.max()


def test_many_curves_are_the_single_ones_and_delay_shifts():
    source = draw_input(np.random.default_rng(0))
    times = np.arange(40) * 1.5
    many = tissue_curves(times, source, np.array([50.0, 20.0]), np.array([4.0, 9.0]), np.array([0.0, 3.0]))
    for row, (f, m, d) in zip(many, ((50, 4, 0), (20, 9, 3)), strict=True):
        assert np.allclose(row, tissue_curve(times, source, f, m, d), atol=1e-3)
    assert np.allclose(
        tissue_curve(times[2:], source, 20, 9, 3.0), tissue_curve(times[:-2], source, 20, 9, 0.0), atol=0.05
    )
