"""Which half of the brain a voxel lies in, at the outline that was found and beyond it too."""

from types import SimpleNamespace

import numpy as np
import pytest

from willis.models.manifest import Threshold
from willis.tasks.brain.find import Brain
from willis.tasks.wmh.run import _region_maps
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
    maps = _region_maps(brain, GRID, None)
    assert maps.left.sum() == maps.left.size / 2


def test_the_half_follows_a_motion_onto_the_other_grid(brain):
    motion = np.eye(4)
    motion[0, 3] = 8.0
    moved = brain.left_half_on(GRID, motion).data > 0
    assert moved[: MIDDLE - 4].all()
    assert not moved[MIDDLE - 4 :].any()
