"""Training cases: shapes, repeatability, truth that the images show."""

import numpy as np
import pytest
from scipy import ndimage

from willis.errors import BadInputError
from willis.phantom.anatomy import Anatomy
from willis.phantom.brain_training import CONTRASTS, SPACING_MM, draw_palette
from willis.phantom.contrast import random_pair
from willis.phantom.edges import EdgeFilter
from willis.phantom.labels import BRAIN, RIGHT_REGION, Region, Tissue, lookup
from willis.phantom.outline import FLUID_MM, outlined, wrong_outline
from willis.phantom.training import BrainCase, WmhCase, training_case


@pytest.fixture(scope="module")
def wmh_cases(toy_anatomy: Anatomy) -> list[WmhCase]:
    return [training_case("wmh", 5, index, [toy_anatomy]) for index in range(3)]


@pytest.fixture(scope="module")
def brain_cases(toy_anatomy: Anatomy) -> list[BrainCase]:
    return [training_case("brain", 5, index, [toy_anatomy]) for index in range(8)]


def test_wmh_case_is_what_it_says(wmh_cases: list[WmhCase]) -> None:
    for case in wmh_cases:
        for image in (case.t1, case.flair):
            assert image.shape == (160, 214, 176)
            assert image.dtype == np.float32
            assert np.isfinite(image).all()
            assert image.min() >= 0
        for mask in (case.wmh, case.brain, case.prepared_mask):
            assert mask.dtype == np.uint8
            assert set(np.unique(mask)) <= {0, 1}
        assert not case.wmh[case.brain == 0].any()


def test_same_seed_same_arrays_in_any_order(toy_anatomy: Anatomy, wmh_cases: list[WmhCase]) -> None:
    again = training_case("wmh", 5, 1, [toy_anatomy])
    for name in ("t1", "flair", "wmh", "brain", "prepared_mask", "regions"):
        assert np.array_equal(getattr(again, name), getattr(wmh_cases[1], name))
    assert again.parameters == wmh_cases[1].parameters
    assert not np.array_equal(wmh_cases[0].flair, wmh_cases[1].flair)


def test_another_seed_is_another_patient(toy_anatomy: Anatomy, brain_cases: list[BrainCase]) -> None:
    again, other = (training_case("brain", seed, 0, [toy_anatomy]) for seed in (5, 6))
    assert np.array_equal(again.image, brain_cases[0].image)
    assert not np.array_equal(other.image, brain_cases[0].image)


def test_scanners_sharpen_flairs_and_no_t1(
    toy_anatomy: Anatomy, wmh_cases: list[WmhCase], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, sharp = (_with_filter(toy_anatomy, edges, monkeypatch) for edges in (None, EdgeFilter(1.2, 1.0)))
    assert np.array_equal(plain.t1, sharp.t1)
    assert np.array_equal(plain.wmh, sharp.wmh)
    assert np.abs(np.diff(sharp.flair, axis=0)).mean() > 1.2 * np.abs(np.diff(plain.flair, axis=0)).mean()
    assert (plain.parameters["edges"], sharp.parameters["edges"]) == (None, {"amount": 1.2, "reach_mm": 1.0})
    assert {case.parameters["edges"] is None for case in wmh_cases} == {True, False}


def _with_filter(anatomy: Anatomy, edges: EdgeFilter | None, monkeypatch: pytest.MonkeyPatch) -> WmhCase:
    monkeypatch.setattr("willis.phantom.training.draw_edge_filter", lambda rng: edges)
    return training_case("wmh", 5, 0, [anatomy])


def test_lesions_are_bright_on_flair(toy_anatomy: Anatomy) -> None:
    """Each lesion's core is brighter than the white matter around it, by more than noise."""
    shown = 0
    for index in range(4):
        case = training_case("wmh", 21, index, [toy_anatomy])
        if case.wmh.sum() < 800:
            continue
        deep = np.isin(case.regions % RIGHT_REGION, [Region.PERIVENTRICULAR, Region.DEEP])
        lesion, white = case.flair[(case.wmh > 0) & deep], case.flair[(case.wmh == 0) & deep]
        assert np.median(lesion) > np.median(white)
        shown += 1
    assert shown >= 1


def test_prepared_mask_is_the_brain_nearly(wmh_cases: list[WmhCase]) -> None:
    for case in wmh_cases:
        both = (case.brain & case.prepared_mask).sum()
        dice = 2 * both / (case.brain.sum() + case.prepared_mask.sum())
        assert 0.93 < dice < 1


def test_regions_right_and_left(wmh_cases: list[WmhCase]) -> None:
    """Right regions lie right of left ones, whether or not the anatomy was mirrored."""
    mirrored = {case.parameters["flip"] for case in wmh_cases}
    assert True in mirrored
    for case in wmh_cases:
        codes = case.regions
        places = [np.argwhere(codes == Region.DEEP + side).mean(0)[0] for side in (0, RIGHT_REGION)]
        assert places[1] > places[0] + 15


def test_brain_case_is_what_it_says(brain_cases: list[BrainCase]) -> None:
    for case in brain_cases:
        assert case.image.shape == case.brain.shape == case.codes.shape == (128, 128, 128)
        assert case.image.dtype == np.float32
        assert np.isfinite(case.image).all()
        assert case.contrast in CONTRASTS
        assert 500 < case.brain.sum() * 8 / 1000 < 2500
        if case.stripped:
            far = case.image[case.brain == 0]
            assert np.mean(np.abs(far) > 0.2 * np.abs(case.image[case.brain > 0]).mean()) < 0.12
    assert len({case.contrast for case in brain_cases}) > 2
    assert {case.stripped for case in brain_cases} == {True, False}


def test_outline_takes_in_the_fluid_over_the_gyri() -> None:
    """A slab of brain under 4 mm and under 16 mm of fluid, with dura beside it: fluid up to the reach, never dura."""
    codes = np.full((30, 30, 30), int(Tissue.AIR), dtype=np.uint8)
    codes[:, :, 5:15] = Tissue.CORTEX
    codes[:15, :, 15:17] = Tissue.OUTER_CSF
    codes[15:, :, 15:23] = Tissue.OUTER_CSF
    codes[:15, :, 17] = Tissue.DURA
    brain = outlined(codes, SPACING_MM)
    reach = 15 + round(FLUID_MM / SPACING_MM)
    assert brain[:15].sum() == 15 * 30 * 12
    assert brain[15:, :, :reach].sum() == 15 * 30 * (reach - 5)
    assert not brain[15:, :, reach:].any()


def test_a_wrong_mask_may_hold_the_fluid_over_the_gyri(toy_anatomy: Anatomy, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = toy_anatomy.codes
    fluid = outlined(codes, 1.0) & ~lookup(BRAIN)[codes]
    more = []
    for seed in range(4):
        masks = {}
        for share in (0.0, 1.0):
            monkeypatch.setattr("willis.phantom.outline.HELD_FLUID_SHARE", share)
            masks[share] = wrong_outline(np.random.default_rng(seed), codes)
        assert not (masks[0.0] & ~masks[1.0]).any()
        more.append(masks[1.0][fluid].mean() - masks[0.0][fluid].mean())
        assert not np.array_equal(masks[1.0], outlined(codes, 1.0))
    assert np.mean(more) > 0.3


def test_fluid_that_was_cut_away_is_not_asked_for(brain_cases: list[BrainCase]) -> None:
    """In an extracted image the truth holds the brain, and fluid over it only where the image still shows something."""
    for case in brain_cases:
        fluid = (case.brain > 0) & ~lookup(BRAIN)[case.codes]
        assert not (fluid & ~lookup((Tissue.OUTER_CSF,))[case.codes]).any()
        assert fluid.any() or case.stripped
        beside = ndimage.binary_dilation(lookup(BRAIN)[case.codes], iterations=round(FLUID_MM / SPACING_MM))
        assert not (fluid & ~ndimage.binary_dilation(beside)).any()
    shares: dict[bool, list[float]] = {True: [], False: []}
    for case in brain_cases:
        asked = outlined(case.codes, SPACING_MM)
        shares[case.stripped].append(float((case.brain[asked] > 0).mean()))
    assert min(shares[False]) == 1
    assert min(shares[True]) < 1


def test_unknown_kind_is_refused(toy_anatomy: Anatomy) -> None:
    with pytest.raises(BadInputError, match="allowed are 'wmh', 'brain'"):
        training_case("lvo", 0, 0, [toy_anatomy])  # type: ignore[call-overload]


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_contrasts_have_values_for_all_tissue(contrast: str) -> None:
    for seed in range(20):
        palette = draw_palette(np.random.default_rng(seed), contrast)
        assert np.isfinite(palette.signal).all()
        assert contrast == "ct" or palette.signal.min() >= 0


def test_random_pair_still_shows_lesions() -> None:
    for seed in range(20):
        pair = random_pair(np.random.default_rng(seed))
        assert pair["flair"]["wmh"] > 1.2 * pair["flair"]["white"]
        assert pair["t1"]["wmh"] < pair["t1"]["white"]
