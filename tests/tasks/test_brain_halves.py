"""Which half and region of the brain a voxel lies in, at the outline that was found, beyond it, in thick slices."""

from types import SimpleNamespace

import numpy as np
import pytest

from willis.models.manifest import Threshold
from willis.tasks.brain.find import Brain
from willis.tasks.wmh.regions import PLACES
from willis.tasks.wmh.run import _regions_on
from willis.tasks.wmh.spec import REGIONS
from willis.volume.grid import Grid

OUTPUTS = ("brain", "ventricles", "cortex", "cerebellum", "brainstem", "left")
GRID = Grid((40, 40, 40), np.array([[2.0, 0, 0, -39], [0, 2.0, 0, -39], [0, 0, 2.0, -39], [0, 0, 0, 1]]))
MIDDLE = 20  # first voxel on the right


@pytest.fixture
def brain():
    """A ball of 0.9, beyond 20 mm fading to 0 at 40 mm; ``left`` takes 0.9 of it on the left and 0.1 on the right."""
    away = 2.0 * np.linalg.norm(np.indices(GRID.shape) - 19.5, axis=0)
    found = 0.9 * np.clip((40 - away) / 20, 0, 1)
    side = np.where(np.arange(40) < MIDDLE, 0.9, 0.1)[:, None, None]
    probability = np.stack([found, *[np.zeros_like(found)] * 4, found * side]).astype(np.float32)
    manifest = SimpleNamespace(outputs=OUTPUTS, threshold=Threshold(value=0.5, origin="a test"), rules={})
    return Brain(probability, GRID, SimpleNamespace(manifest=manifest), None)


def test_what_is_hardly_brain_has_its_side_and_what_is_none_that_of_the_nearest_brain(brain):
    left = brain.left_half_on(GRID).data > 0
    assert left[:MIDDLE].all()
    assert not left[MIDDLE:].any()


def test_regions_of_wmh_go_by_that_half(brain):
    region = _regions_on(brain, GRID, GRID, None)
    named = np.array([name.endswith("left") for name in REGIONS])[region]
    assert named[:MIDDLE].all()
    assert not named[MIDDLE:].any()


def shrunk(spacing_mm):
    """The lattice of 1 mm with every so many slices."""
    fine = Grid((80, 80, 80), np.array([[1.0, 0, 0, -39.5], [0, 1.0, 0, -39.5], [0, 0, 1.0, -39.5], [0, 0, 0, 1]]))
    affine = fine.affine.copy()
    affine[:3, 2] *= spacing_mm
    return fine, Grid((80, 80, -(-80 // spacing_mm)), affine)


@pytest.mark.parametrize("spacing_mm", [3, 5, 8])
def test_the_region_of_a_place_does_not_hang_on_the_thickness_of_slices(brain, spacing_mm):
    away = np.linalg.norm(np.indices(GRID.shape).T * 2.0 - 39, axis=-1).T
    brain.probability[1] = away < 9
    brain.probability[2] = (away > 30) & (away < 36)
    fine, thick = shrunk(spacing_mm)
    expected = _regions_on(brain, fine, fine, None)[:, :, ::spacing_mm]
    found = _regions_on(brain, fine, thick, None)
    assert {REGIONS[code].split()[0] for code in np.unique(found)} == set(PLACES[:3])
    np.testing.assert_array_equal(found, expected)


def test_a_slab_above_the_ventricles_knows_how_near_they_are(brain):
    brain.probability[1] = np.linalg.norm(np.indices(GRID.shape).T * 2.0 - 39, axis=-1).T < 9
    fine, _ = shrunk(1)
    slab = fine.shifted((0, 0, 52), (80, 80, 6))
    np.testing.assert_array_equal(
        _regions_on(brain, fine, slab, None), _regions_on(brain, fine, fine, None)[:, :, 52:58]
    )


def test_the_half_follows_a_motion_onto_the_other_grid(brain):
    motion = np.eye(4)
    motion[0, 3] = 8.0
    moved = brain.left_half_on(GRID, motion).data > 0
    assert moved[: MIDDLE - 4].all()
    assert not moved[MIDDLE - 4 :].any()
