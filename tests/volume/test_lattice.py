"""A lattice over a field of view: where it lies, whichever way the image is stored."""

from __future__ import annotations

import numpy as np
import pytest

from willis.volume.grid import Grid
from willis.volume.lattice import lattice_over
from willis.volume.orient import ORIENTATIONS, reorient_grid

GRID = Grid((20, 30, 7), np.array([[1.2, 0.1, 0, -9], [-0.1, 1.1, 0.3, 4], [0, -0.3, 5, 2], [0, 0, 0, 1.0]]))


def test_it_covers_the_field_of_view_about_the_same_centre() -> None:
    found = lattice_over(GRID, (2.0, 2.0, 2.5))
    np.testing.assert_allclose(found.spacing_mm, (2.0, 2.0, 2.5))
    np.testing.assert_allclose(found.centre_mm, GRID.centre_mm)
    extent = np.array(GRID.shape) * GRID.spacing_mm
    assert np.all(np.abs(np.array(found.shape) * found.spacing_mm - extent) <= np.array(found.spacing_mm) / 2)


@pytest.mark.parametrize("code", ORIENTATIONS[::5])
def test_how_the_axes_are_stored_makes_no_difference(code: str) -> None:
    assert lattice_over(reorient_grid(GRID, code), (2.0, 3.0, 4.0)).same_as(lattice_over(GRID, (2.0, 3.0, 4.0)))


def test_a_thin_slab_keeps_one_voxel() -> None:
    assert lattice_over(Grid((64, 64, 1), np.eye(4)), (2.0, 2.0, 4.0)).shape == (32, 32, 1)
