"""Acute infarcts and their scanner: what follows from the hours, and truth that lies where the image shows it."""

import numpy as np
import pytest
from scipy import ndimage

from willis.phantom.acute import PATTERNS, Acute, draw_acute
from willis.phantom.anatomy import Anatomy
from willis.phantom.diffusion import vary_grey
from willis.phantom.epi import Epi, draw_epi
from willis.phantom.fvv_training import dwi_case
from willis.phantom.infarct_signal import draw_water, flair_ratio, spin_echo_ratio
from willis.phantom.labels import BRAIN, PARENCHYMA, RIGHT_SIDE, Tissue, lookup
from willis.phantom.patient import Patient, make_patient
from willis.phantom.territories import Territory, territories

FLAIR = {"tr_ms": 9000.0, "te_ms": 110.0, "ti_ms": 2500.0}


@pytest.fixture(scope="module")
def patient(toy_anatomy: Anatomy) -> Patient:
    return make_patient("fvv", 4, 0, [toy_anatomy], hours=24.0, pattern="territorial")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_infarcts_lie_in_parenchyma_and_are_younger_than_the_onset(toy_anatomy: Anatomy, pattern: str) -> None:
    acute = draw_acute(np.random.default_rng(1), toy_anatomy.codes, 1.0, hours=6.0, pattern=pattern)
    assert acute.fraction.sum() > 20
    assert not acute.fraction[~lookup(PARENCHYMA)[toy_anatomy.codes]].any()
    hours = acute.hours[acute.fraction > 0.5]
    assert 3.0 - 1e-4 <= hours.min() <= hours.max() <= 6.0


def test_no_infarct_when_none_is_asked_for(toy_anatomy: Anatomy) -> None:
    assert not draw_acute(np.random.default_rng(0), toy_anatomy.codes, 1.0, pattern="none").fraction.any()


def test_cortex_is_brighter_in_some_regions_than_in_others(toy_anatomy: Anatomy) -> None:
    codes = toy_anatomy.codes
    b0, adc = np.ones((2, *codes.shape), dtype=np.float32)
    vary_grey(np.random.default_rng(0), codes, b0, adc)
    cortex = lookup((Tissue.CORTEX,))[codes]
    assert (b0[~cortex] == 1).all()
    assert (adc[~cortex] == 1).all()
    for image in (b0, adc):
        assert image[cortex].std() > 0.01
        near = cortex[1:] & cortex[:-1]
        assert np.abs(image[1:] - image[:-1])[near].mean() < 0.5 * image[cortex].std()  # by region, not by voxel


def test_territories_are_sided_and_cover_the_parenchyma(toy_anatomy: Anatomy) -> None:
    found = territories(toy_anatomy.codes)
    assert np.array_equal(found > 0, lookup(PARENCHYMA)[toy_anatomy.codes])
    x = np.broadcast_to(np.arange(found.shape[0])[:, None, None], found.shape)
    right = (found & RIGHT_SIDE) > 0
    assert x[right].min() > x[(found > 0) & ~right].max()
    stem = (toy_anatomy.codes & (RIGHT_SIDE - 1)) == Tissue.BRAINSTEM
    assert set(np.unique(found[stem] & (RIGHT_SIDE - 1))) == {Territory.BASILAR}


def aged(hours: float) -> Acute:
    shape = (20, 20, 20)
    return Acute(np.ones(shape, np.float32), np.full(shape, hours, np.float32))


def test_adc_falls_at_once_and_t2_rises_over_hours() -> None:
    early, late, old = (draw_water(np.random.default_rng(0), aged(h)) for h in (0.5, 24.0, 300.0))
    assert early.adc.mean() < 0.85 and late.adc.mean() < early.adc.mean()
    assert old.adc.mean() == pytest.approx(1, abs=0.01)
    assert 1 < early.t2.mean() < 1.1 < late.t2.mean()


def test_flair_and_b0_follow_t2() -> None:
    t2 = np.array([1.0, 1.1, 1.3, 1.6], np.float32)
    for ratio in (flair_ratio(t2, **FLAIR), spin_echo_ratio(t2, 80.0)):
        assert ratio[0] == pytest.approx(1, abs=1e-5)
        assert (np.diff(ratio) > 0).all()
    assert spin_echo_ratio(t2, 80.0)[2] == pytest.approx(np.exp(-80 / 104 + 1), rel=1e-4)


def test_an_undisturbed_read_out_changes_nothing(toy_anatomy: Anatomy) -> None:
    codes = toy_anatomy.codes
    image = np.random.default_rng(0).random(codes.shape, dtype=np.float32)
    plain = Epi(np.zeros(codes.shape, np.float32), np.ones(codes.shape, np.float32), 1.0, 0, 0.0)
    assert np.allclose(plain.image(image, codes), image, atol=1e-6)
    assert np.allclose(plain.moved(image), image, atol=1e-6)


def test_distortion_moves_signal_and_keeps_its_amount(toy_anatomy: Anatomy) -> None:
    codes = toy_anatomy.codes
    epi = draw_epi(np.random.default_rng(3), codes, 1.0)
    smooth = Epi(epi.shift, np.ones(codes.shape, np.float32), 1.0, 0, 0.0)
    image = lookup(PARENCHYMA)[codes].astype(np.float32)
    assert smooth.image(image, codes).sum() == pytest.approx(image.sum(), rel=0.02)
    assert not np.allclose(smooth.moved(image), image)


def test_signal_piles_up_in_rims_beside_air(toy_anatomy: Anatomy) -> None:
    """Bright voxels of a strong field lie near the brain's surface, where air is, and not deep inside."""
    brain = lookup(BRAIN)[toy_anatomy.codes]
    depth = ndimage.distance_transform_edt(brain)
    bright, near = 0, 0
    for seed in range(6):
        epi = draw_epi(np.random.default_rng(seed), toy_anatomy.codes, 1.0)
        piled = 1 + np.gradient(epi.shift, axis=1) > 1.25
        bright += int((piled & brain).sum())
        near += int((piled & brain & (depth < 20)).sum())
    assert bright > 500
    assert near > 0.9 * bright


def test_truth_and_images_share_the_scanners_grid(patient: Patient) -> None:
    grid = patient.study["b1000"].grid
    assert patient.study["b0"].grid == grid == patient.truth["lesion"].grid
    lesion, visible = patient.truth["lesion"].data > 0, patient.truth["visible"].data > 0
    assert lesion.any() and not (visible & ~lesion).any()
    assert patient.row["lesion_volume_ml"] == pytest.approx(patient.truth["lesion"].volume_ml, abs=1e-3)
    assert patient.row["mismatch"] == (patient.row["flair_visibility_volume_ml"] < 0.5)


def test_the_infarct_is_bright_on_b1000_by_its_adc(patient: Patient) -> None:
    lesion = patient.truth["lesion"].data > 0
    brain = (patient.truth["brain"].data > 0) & ~lesion
    b0, b1000 = (np.maximum(patient.study[role].data.astype(float), 1) for role in ("b0", "b1000"))
    adc = np.log(b0 / b1000)
    assert np.median(adc[lesion]) < 0.9 * np.median(adc[brain])
    assert np.median(b1000[lesion]) > 1.15 * np.median(b1000[brain])


def test_training_cases_hold_together(toy_anatomy: Anatomy) -> None:
    case = dwi_case(np.random.default_rng(5), [toy_anatomy])
    assert case.b0.shape == case.b1000.shape == case.lesion.shape == case.grid.shape
    assert (case.visible <= case.lesion + 1e-4).all()
    again = dwi_case(np.random.default_rng(5), [toy_anatomy])
    assert np.array_equal(case.b1000, again.b1000)
