"""Arteries are drawn into a head's fluid, stay joined, and stay where they are without any."""

import numpy as np
import pytest

from willis.phantom.anatomy import builtin_anatomy
from willis.phantom.cisterns import FARTHEST_MM, drawn_into_fluid
from willis.phantom.labels import Tissue, lookup
from willis.phantom.vessels import Artery, draw_arteries

SHAPE = (40, 40, 40)


def line(start, end, name="m1"):
    points = np.linspace(start, end, 60)
    return Artery(name, True, points, np.linspace(1.5, 1.2, 60))


def brain(channel_at=None):
    """White matter, with a channel of fluid along the first axis through (y, z)."""
    codes = np.full(SHAPE, Tissue.WHITE_MATTER, dtype=np.uint8)
    if channel_at:
        y, z = channel_at
        codes[:, y - 1 : y + 2, z - 1 : z + 2] = Tissue.CSF
    return codes


def in_fluid(arteries, codes):
    at = np.concatenate([np.rint(a.points).astype(int) for a in arteries])
    at = at[((at >= 0) & (at < codes.shape)).all(axis=1)]
    return float(lookup((Tissue.CSF, Tissue.OUTER_CSF))[codes][tuple(at.T)].mean())


@pytest.mark.parametrize("voxel_mm", [1.0, 1.25])
def test_a_course_beside_a_channel_is_moved_into_it(voxel_mm):
    codes = brain((20, 20))
    artery = line((8, 23, 22), (32, 23, 22))
    moved = drawn_into_fluid([artery], codes, voxel_mm)[0]
    assert in_fluid([artery], codes) == 0 and in_fluid([moved], codes) > 0.95
    np.testing.assert_allclose(moved.points[:, 1:], 20, atol=1.0)
    np.testing.assert_array_equal(moved.radii_mm, artery.radii_mm)
    assert moved.length_mm == pytest.approx(artery.length_mm, rel=0.1)


def test_without_fluid_within_reach_nothing_moves():
    artery = line((8, 23, 22), (32, 23, 22))
    for codes in (brain(), brain((23, 22 + int(FARTHEST_MM) + 5))):
        np.testing.assert_allclose(drawn_into_fluid([artery], codes, 1.0)[0].points, artery.points, atol=1e-9)


def test_a_box_of_the_head_gives_the_same_course():
    codes = brain((20, 20))
    artery = line((8, 23, 22), (32, 23, 22))
    whole = drawn_into_fluid([artery], codes, 1.0)[0]
    boxed = drawn_into_fluid([artery], codes[4:, 6:, 8:], 1.0, np.array([4.0, 6.0, 8.0]))[0]
    np.testing.assert_allclose(boxed.points, whole.points, atol=1e-6)


def test_arteries_of_a_head_run_in_fluid_and_stay_joined():
    codes = np.asarray(builtin_anatomy().codes)
    before = draw_arteries(np.random.default_rng(2), codes)[0]
    after = drawn_into_fluid(before, codes, 1.0)
    assert in_fluid(after, codes) > in_fluid(before, codes) + 0.2
    moved = [np.linalg.norm(b.points - a.points, axis=1).max() for a, b in zip(before, after, strict=True)]
    assert max(moved) <= FARTHEST_MM + 1e-9
    ends = [[(a.points[e], b.points[e]) for e in (0, -1)] for a, b in zip(before, after, strict=True)]
    joined = 0
    for n, mine in enumerate(ends):
        for others in ends[n + 1 :]:
            for old, new in mine:
                for other_old, other_new in others:
                    if np.allclose(old, other_old):
                        joined += 1
                        np.testing.assert_allclose(new, other_new, atol=1e-9)
    assert joined >= 8
