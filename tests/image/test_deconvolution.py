"""Deconvolution: known curves come back, whatever their delay; noise, oscillation, refusals."""

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.image.deconvolution import deconvolve, even_times, input_between, interpolation_to, oscillation
from willis.phantom.perfusion_curves import Input, arterial_curve, tissue_curves

MTT_S, DELAY_S = (
    g.ravel() for g in np.meshgrid([3.0, 4, 6, 8, 12, 16, 20], [0.0, 0.5, 1, 2.3, 4, 6, 8], indexing="ij")
)
CBF = 200.0 / MTT_S


def curves_at(step_s, frames, source=None, kind="exponential"):
    source = source or Input()
    times = np.arange(frames) * step_s
    fine = np.arange(0, times[-1] + 0.1, 0.1)
    aif = np.interp(times, fine, arterial_curve(fine, source))
    return times, aif, tissue_curves(times, source, CBF, MTT_S, DELAY_S, kind)


@pytest.mark.parametrize(("step_s", "frames", "most"), [(1.0, 60, 0.10), (1.5, 45, 0.10), (2.0, 45, 0.15)])
def test_noiseless_curves_come_back_whatever_the_delay(step_s, frames, most):
    times, aif, curves = curves_at(step_s, frames)
    found = deconvolve(curves, aif, times)
    assert np.abs(found.cbf / CBF - 1).max() < most
    assert np.abs(found.cbv / (CBF * MTT_S / 60) - 1).max() < 0.10
    assert np.abs(found.mtt / MTT_S - 1).max() < 0.10
    assert np.abs(found.tmax - DELAY_S).max() < 0.3
    first_pass = times[aif.argmax()]
    assert (found.ttp > first_pass - 0.6).all()


@pytest.mark.parametrize("seed", range(4))
def test_other_inputs_serve_as_well(seed):
    rng = np.random.default_rng(seed)
    source = Input(rng.uniform(5, 10), rng.uniform(2.5, 4), rng.uniform(1.1, 1.9), rng.uniform(200, 500))
    times, aif, curves = curves_at(1.0, 65, source)
    found = deconvolve(curves, aif, times)
    assert np.abs(found.cbf / CBF - 1).max() < 0.12
    assert np.abs(found.tmax - DELAY_S).max() < 0.5


def test_an_input_between_samples_is_never_below_nothing_and_nearer_than_a_spline():
    fine = np.arange(0, 80, 0.1)
    truth = arterial_curve(fine, Input())
    times = np.arange(0, 80, 2.0)
    aif = np.interp(times, fine, truth)
    found = input_between(times, aif, fine)
    plain = interpolation_to(times, fine) @ aif
    assert found.min() >= 0 > plain.min()
    assert np.allclose(found[::20], aif)
    assert np.square(found - truth).mean() < 0.25 * np.square(plain - truth).mean()


def test_without_calibration_short_transits_lose_flow_and_area_stays():
    times, aif, curves = curves_at(1.0, 60)
    plain = deconvolve(curves, aif, times, calibrate=False)
    assert (plain.cbf[MTT_S == 3] < 0.8 * CBF[MTT_S == 3]).all()
    assert np.abs(plain.cbv / (CBF * MTT_S / 60) - 1)[MTT_S <= 12].max() < 0.08


def test_values_scale_with_the_curves_and_against_the_input():
    times, aif, curves = curves_at(1.5, 40)
    one, twice, half = (
        deconvolve(curves, aif, times),
        deconvolve(2 * curves, aif, times),
        deconvolve(curves, 2 * aif, times),
    )
    assert np.allclose(twice.cbf, 2 * one.cbf, rtol=1e-3) and np.allclose(half.cbf, one.cbf / 2, rtol=1e-3)
    assert np.allclose(twice.tmax, one.tmax, atol=1e-2) and np.allclose(half.mtt, one.mtt, rtol=1e-2)


def test_a_better_area_of_the_input_takes_the_place_of_its_own():
    times, aif, curves = curves_at(1.0, 60)
    whole = deconvolve(curves, aif, times)
    area = float((interpolation_to(times, even_times(times)) @ aif).sum())
    mended = deconvolve(curves, 0.4 * aif, times, area=area)
    assert np.allclose(mended.cbf, whole.cbf, rtol=1e-3)


def test_uneven_frames_are_brought_to_even_steps():
    source = Input()
    times = np.concatenate([np.arange(0, 40, 1.5), np.arange(40, 70, 3.0)])
    fine = np.arange(0, 71, 0.1)
    aif = np.interp(times, fine, arterial_curve(fine, source))
    found = deconvolve(tissue_curves(times, source, CBF, MTT_S, DELAY_S), aif, times)
    assert np.abs(found.cbf / CBF - 1)[MTT_S >= 4].max() < 0.15


def test_noise_meets_stronger_cuts_and_leaves_values_near_the_truth():
    times, aif, curves = curves_at(1.5, 45)
    chosen = (MTT_S == 6) & (DELAY_S == 4)
    many = np.repeat(curves[chosen], 2000, axis=0)
    noisy = many + 0.3 * np.random.default_rng(0).standard_normal(many.shape)
    clean, found = deconvolve(curves[chosen], aif, times), deconvolve(noisy, aif, times)
    assert np.median(found.cut) > clean.cut[0]
    assert np.mean(found.cbf) == pytest.approx(CBF[chosen][0], rel=0.1)
    assert np.median(found.tmax) == pytest.approx(4.0, abs=0.4)
    wild = deconvolve(noisy, aif, times, oscillation_limit=10.0)
    assert found.cbf.std() < 0.7 * wild.cbf.std()


def test_oscillation_is_that_of_the_paper():
    residue = np.zeros((1, 200))
    residue[0, 100] = 2.0
    assert oscillation(residue)[0] == pytest.approx((2 + 4 + 2) / 2 / 200)


def test_no_curve_gives_no_flow():
    times, aif, curves = curves_at(1.0, 40)
    found = deconvolve(np.zeros_like(curves), aif, times)
    for values in (found.cbf, found.cbv, found.mtt):
        assert not values.any()
    assert all(np.isfinite(v).all() for v in vars(found).values())


@pytest.mark.parametrize(
    ("frames", "change", "message"),
    [
        (8, lambda t, a: (t, a), "8 frames; perfusion needs at least 10"),
        (30, lambda t, a: (t[::-1], a), "times of the frames must rise"),
        (30, lambda t, a: (t, -a), "no area above 0"),
        (30, lambda t, a: (t, a[:-1]), "must have as many frames"),
    ],
)
def test_what_cannot_be_deconvolved_is_refused(frames, change, message):
    times, aif, curves = curves_at(1.5, frames)
    times, aif = change(times, aif)
    with pytest.raises(BadInputError, match=message):
        deconvolve(curves, aif, times)
