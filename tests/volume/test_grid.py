import numpy as np
import pytest

from willis.errors import GeometryError
from willis.volume.grid import Grid
from willis.volume.volume import Volume


def test_index_and_millimetres_are_inverse(oblique_grid):
    index = np.random.default_rng(0).uniform(-5, 30, size=(50, 3))
    np.testing.assert_allclose(oblique_grid.to_index(oblique_grid.to_mm(index)), index, atol=1e-10)


def test_spacing_volume_and_directions(oblique_grid):
    assert oblique_grid.spacing_mm == pytest.approx((0.9, 1.1, 3.0))
    assert oblique_grid.voxel_ml == pytest.approx(0.9 * 1.1 * 3.0 / 1000)
    np.testing.assert_allclose(oblique_grid.directions.T @ oblique_grid.directions, np.eye(3), atol=1e-12)
    assert oblique_grid.orientation == "LPS"


def test_voxel_volume_under_shear_is_the_determinant():
    affine = np.eye(4)
    affine[0, 1] = 0.5
    assert Grid((2, 2, 2), affine).voxel_ml == pytest.approx(0.001)


def test_the_centre_is_the_middle_of_the_field_of_view(oblique_grid):
    corners = oblique_grid.to_mm([[0, 0, 0], np.array(oblique_grid.shape) - 1])
    np.testing.assert_allclose(oblique_grid.centre_mm, corners.mean(axis=0))


def test_same_as_measures_at_the_corners():
    grid = Grid((101, 2, 2), np.eye(4))
    tilted = np.eye(4)
    tilted[1, 0] = 1e-4  # 0.01 mm at the far corner
    assert not grid.same_as(Grid(grid.shape, tilted))
    assert grid.same_as(Grid(grid.shape, tilted), tolerance_mm=0.02)
    assert not grid.same_as(Grid((100, 2, 2), np.eye(4)))


@pytest.mark.parametrize(
    ("shape", "affine", "message"),
    [
        ((0, 2, 2), np.eye(4), "three sides"),
        ((2, 2), np.eye(4), "three sides"),
        ((2, 2, 2), np.eye(3), "4 × 4"),
        ((2, 2, 2), np.diag([1.0, np.nan, 1, 1]), "finite"),
        ((2, 2, 2), np.diag([1.0, 0, 1, 1]), "no inverse"),
    ],
)
def test_what_is_no_grid_is_refused(shape, affine, message):
    with pytest.raises(GeometryError, match=message):
        Grid(shape, affine)


def test_array_and_grid_must_agree(oblique_grid):
    with pytest.raises(GeometryError, match="can't lie on a grid"):
        Volume(np.zeros((2, 2, 2)), oblique_grid)


def test_volume_of_a_mask(ball_mask):
    assert ball_mask.volume_ml == pytest.approx(np.count_nonzero(ball_mask.data) / 1000)
