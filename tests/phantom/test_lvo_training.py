"""CT phantoms for training: quick parts of heads that hold what they say."""

import numpy as np
import pytest
from scipy import ndimage

from willis.phantom.anatomy import builtin_anatomy
from willis.phantom.cisterns import FARTHEST_MM
from willis.phantom.lvo_training import vessel_case

LOW, HIGH = (-63.0, -37.0, -36.0), (63.0, 33.0, 34.0)


@pytest.fixture(scope="module")
def cases():
    heads = [builtin_anatomy()]
    return [
        vessel_case(np.random.default_rng(n), heads, LOW, HIGH, slice_mm=1.0, occluded=n % 2 == 0) for n in range(4)
    ]


def test_the_same_seed_gives_the_same_phantom(cases):
    again = vessel_case(np.random.default_rng(0), [builtin_anatomy()], LOW, HIGH, slice_mm=1.0, occluded=True)
    np.testing.assert_array_equal(again.ct.data, cases[0].ct.data)
    np.testing.assert_array_equal(again.vessels.data, cases[0].vessels.data)


def test_what_was_asked_for_is_seen(cases):
    low, high = np.array(LOW), np.array(HIGH)
    for case in cases:
        seen = case.ct.grid.to_mm(np.array([(0, 0, 0), np.array(case.ct.grid.shape) - 1]))
        there = np.array([low, high]) @ case.matrix[:3, :3].T + case.matrix[:3, 3]
        assert (seen.min(axis=0) < there.min(axis=0) + 6).all()
        assert (seen.max(axis=0) > there.max(axis=0) - 6).all()


def test_arteries_lie_within_reach_of_their_courses_and_on_their_sides(cases):
    for case in cases:
        back = np.linalg.inv(case.matrix)
        for code, place in ((1, (13, 5, -20)), (2, (25, 5, -16.5))):
            mm = case.ct.grid.to_mm(np.argwhere(case.vessels.data == code)) @ back[:3, :3].T + back[:3, 3]
            for side in (-1, 1):
                here = mm[mm[:, 0] * side > 0]
                away = np.linalg.norm(here.mean(axis=0) - np.array(place) * (side, 1, 1))
                assert away < FARTHEST_MM


def test_arteries_run_in_fluid(cases):
    for case in cases:
        arteries = case.vessels.data > 0
        beside = ndimage.binary_dilation(arteries, iterations=2) & ~ndimage.binary_dilation(arteries)
        brain = (case.ct.data > 0) & (case.ct.data < 80)
        assert np.median(case.ct.data[beside]) < np.median(case.ct.data[brain]) - 5


def test_clot_and_ischaemia_are_on_the_occluded_side(cases):
    for case in cases:
        if case.drawn is None:
            assert not case.clot.data.any()
            assert not case.ischaemia.data.any()
            continue
        side = 1 if case.drawn.right else -1
        back = np.linalg.inv(case.matrix)
        mm = case.ct.grid.to_mm(np.argwhere(case.clot.data > 0)) @ back[:3, :3].T + back[:3, 3]
        assert (mm[:, 0] * side > 0).all()
        assert len(mm) > 0
