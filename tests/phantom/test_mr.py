"""Signal equations against their limits and against a simulation of the magnetisation."""

import numpy as np
import pytest

from willis.phantom import mr
from willis.phantom.labels import Tissue
from willis.phantom.relaxation import ROW_OF, ROWS, draw_relaxation

FIELDS = ("1.5T", "3T")


def of(values: np.ndarray, name: str) -> float:
    return float(values[list(ROWS).index(name)])


def test_spin_echo_limits() -> None:
    pd, t1, t2 = np.array([0.7]), np.array([800.0]), np.array([80.0])
    assert mr.spin_echo(pd, t1, t2, tr=1e9, te=0) == pytest.approx(0.7)
    assert mr.spin_echo(pd, t1, t2, tr=0, te=0) == pytest.approx(0)
    assert mr.spin_echo(pd, t1, t2, tr=1e9, te=80) == pytest.approx(0.7 / np.e)
    assert mr.spin_echo(pd, t1, t2, tr=800, te=0) == pytest.approx(0.7 * (1 - 1 / np.e))


def test_inversion_recovery_limits() -> None:
    pd, t1, t2 = np.array([0.7]), np.array([800.0]), np.array([80.0])
    assert mr.inversion_recovery(pd, t1, t2, tr=1e9, te=0, ti=1e6) == pytest.approx(0.7)
    assert mr.inversion_recovery(pd, t1, t2, tr=1e9, te=0, ti=0) == pytest.approx(0.7)  # magnitude of the inverted
    assert mr.inversion_recovery(pd, t1, t2, tr=1e9, te=0, ti=800 * np.log(2)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("train", [0.0, 450.0])
@pytest.mark.parametrize("tr", [6000.0, 11000.0])
def test_null_time_nulls(tr: float, train: float) -> None:
    ti = mr.null_inversion_time(4300.0, tr=tr, train_ms=train)
    signal = mr.inversion_recovery(
        np.ones(1), np.array([4300.0]), np.array([1800.0]), tr=tr, te=100, ti=ti, train_ms=train
    )
    assert signal == pytest.approx(0, abs=1e-12)


def simulated_mprage(pd: float, t1: float, *, tr: float, ti: float, flip: float, gap: float, echoes: int) -> float:
    """Longitudinal magnetisation stepped echo by echo through twenty cycles."""
    m, sin, cos = pd, np.sin(np.deg2rad(flip)), np.cos(np.deg2rad(flip))
    signal = 0.0
    for _ in range(20):
        m = -0.96 * m
        m = pd + (m - pd) * np.exp(-(ti - gap * echoes / 2) / t1)
        for echo in range(echoes):
            if echo == echoes // 2:
                signal = abs(sin * m)
            m = pd + (cos * m - pd) * np.exp(-gap / t1)
        m = pd + (m - pd) * np.exp(-(tr - ti - gap * echoes / 2) / t1)
    return signal


@pytest.mark.parametrize("t1", [300.0, 860.0, 1450.0, 4300.0])
def test_mprage_against_a_simulation(t1: float) -> None:
    settings = {"tr": 2100.0, "ti": 950.0}
    wanted = simulated_mprage(0.8, t1, **settings, flip=9, gap=7.5, echoes=160)
    found = mr.mprage(
        np.array([0.8]), np.array([t1]), np.array([1e12]), **settings, te=3.0, flip_deg=9, echo_spacing=7.5, echoes=160
    )
    assert found == pytest.approx(wanted, rel=1e-6)


def test_ernst_angle_is_the_maximum() -> None:
    t1, tr = 900.0, 20.0
    best = np.rad2deg(np.arccos(np.exp(-tr / t1)))
    angles = np.array([best - 2, best, best + 2])
    one = np.ones(1)
    signals = [float(mr.spoiled_gradient_echo(one, one * t1, one * 1e12, tr=tr, te=0, flip_deg=a)[0]) for a in angles]
    assert signals[1] > max(signals[0], signals[2])
    full = mr.spoiled_gradient_echo(one, one * t1, one * 1e12, tr=1e9, te=0, flip_deg=90)
    assert full == pytest.approx(1)


def test_two_b_values_give_the_adc() -> None:
    adc = np.array([0.7, 3.0])
    b0 = np.array([1.0, 2.0])
    b1000 = mr.diffusion_weighted(b0, adc, b=1000)
    assert np.log(b0 / b1000) / 1000 == pytest.approx(adc * 1e-3)


@pytest.mark.parametrize("field", FIELDS)
def test_contrasts_at_the_means(field: str) -> None:
    r = draw_relaxation(None, field)  # type: ignore[arg-type]
    pd, t1, t2, t2s = r.proton_density, r.t1_ms, r.t2_ms, r.t2star_ms
    t1w = mr.mprage(pd, t1, t2s, tr=2100, ti=950, te=3, flip_deg=9, echo_spacing=7.5, echoes=160)
    assert of(t1w, "white") > of(t1w, "wmh") > of(t1w, "csf")
    assert of(t1w, "white") > of(t1w, "deep grey") > of(t1w, "cortex") > of(t1w, "csf")
    assert of(t1w, "fat") > of(t1w, "white")
    ti = mr.null_inversion_time(of(t1, "csf"), tr=9000, train_ms=400)
    flair = mr.inversion_recovery(pd, t1, t2, tr=9000, te=115, ti=ti, train_ms=400)
    assert of(flair, "wmh") > 1.3 * of(flair, "white")
    assert of(flair, "wmh") > of(flair, "cortex") > of(flair, "white") > 10 * of(flair, "csf")
    t2w = mr.spin_echo(pd, t1, t2, tr=5000, te=100)
    assert of(t2w, "csf") > of(t2w, "wmh") > of(t2w, "cortex") > of(t2w, "white")
    b1000 = mr.diffusion_weighted(mr.spin_echo(pd, t1, t2, tr=6000, te=80), r.adc, b=1000)
    assert of(b1000, "cortex") > of(b1000, "white") > of(b1000, "csf")


def test_every_tissue_but_air_has_a_row_and_a_source() -> None:
    assert set(ROW_OF) == set(Tissue) - {Tissue.AIR}
    assert set(ROW_OF.values()) | {"wmh"} == set(ROWS)
    assert all(row.source for row in ROWS.values())
    assert all(row.t2star_ms[n] <= row.t2_ms[n] <= row.t1_ms[n] for row in ROWS.values() for n in (0, 1))


def test_people_differ_about_the_means() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([draw_relaxation(rng, "3T").t1_ms for _ in range(400)])
    means = draw_relaxation(None, "3T").t1_ms
    ratio = np.exp(np.log(drawn / means).mean(0))
    assert ratio == pytest.approx(1, abs=0.05)
    spread = np.log(drawn / means).std(0)
    assert of(spread, "white") == pytest.approx(0.06, abs=0.01)
    assert of(spread, "wmh") == pytest.approx(0.25, abs=0.04)
