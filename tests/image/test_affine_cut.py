"""A scan that shows part of a head, and lies obliquely: what it doesn't show is no air."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from willis.image.affine import register_affine
from willis.image.morphology import dilate_mm
from willis.tasks.ct_template import SKULL_MM, WINDOW_HU, template
from willis.volume.grid import Grid
from willis.volume.resample import resample_to

TILT_DEG = 18.0
CUT_MM = -5.0


@pytest.fixture(scope="module")
def slab():
    """The template's head above a plane, on slices tilted by ``TILT_DEG`` against the world's."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("x", TILT_DEG, degrees=True).as_matrix() * 2.0
    affine[:3, 3] = affine[:3, :3] @ [-48.0, -62.0, CUT_MM / 2]
    return resample_to(template("ct"), Grid((97, 117, 52), affine), antialias=True, fill=-1000.0)


def test_part_of_a_tilted_head_is_laid_where_it_lies(slab):
    domain = dilate_mm(template("brain"), SKULL_MM)
    fit = register_affine(slab, template("ct"), domain, WINDOW_HU, symmetric=True)
    places = domain.grid.to_mm(np.argwhere(domain.data > 0)[::50])
    index = slab.grid.to_index(places)
    seen = np.all((index > -0.5) & (index < np.array(slab.grid.shape) - 0.5), axis=1).mean()
    assert seen < 0.75
    assert fit.overlap == pytest.approx(seen, abs=0.05)
    assert np.linalg.norm(fit.matrix[:3, :3], axis=0) == pytest.approx(1, abs=0.06)
    moved = (fit.matrix[:3, :3] @ places.T).T + fit.matrix[:3, 3]
    assert np.median(np.linalg.norm(moved - places, axis=1)) < 4
