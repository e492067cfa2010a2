import numpy as np
import pytest

from willis.image.morphology import close_mm, dilate_mm, distance_mm, erode_mm, fill_holes
from willis.volume.grid import Grid
from willis.volume.volume import Volume


@pytest.fixture
def thick() -> Volume:
    """One voxel in the middle of 1 × 1 × 4 mm voxels."""
    data = np.zeros((21, 21, 9), np.uint8)
    data[10, 10, 4] = 1
    return Volume(data, Grid(data.shape, np.diag([1.0, 1.0, 4.0, 1.0])), "lesion")


def test_distances_are_in_mm(thick):
    distance = distance_mm(thick.data, thick.grid.spacing_mm)
    assert distance[10, 10, 4] == 0
    assert distance[13, 10, 4] == 3
    assert distance[13, 10, 5] == 5
    assert np.isinf(distance_mm(thick.data * 0, thick.grid.spacing_mm)).all()


@pytest.mark.parametrize("radius", [0.5, 3.0, 4.0, 6.5])
def test_a_dilated_voxel_is_a_ball_in_mm(thick, radius):
    i, j, k = np.indices(thick.data.shape)
    ball = (i - 10) ** 2 + (j - 10) ** 2 + (4.0 * (k - 4)) ** 2 <= radius**2
    found = dilate_mm(thick, radius)
    np.testing.assert_array_equal(found.data, ball)
    assert (found.data.dtype, found.role, found.grid) == (np.uint8, "lesion", thick.grid)


def test_erosion_undoes_dilation_of_a_ball(ball_mask):
    np.testing.assert_array_equal(erode_mm(dilate_mm(ball_mask, 3), 3).data, ball_mask.data)


def test_the_border_is_not_outside(ball_mask):
    full = ball_mask.with_data(np.ones_like(ball_mask.data))
    assert erode_mm(full, 5).data.all()
    assert not erode_mm(full.with_data(full.data * 0), 5).data.any()
    assert not dilate_mm(full.with_data(full.data * 0), 5).data.any()


def test_closing_fills_a_gap_and_adds_nothing_else(ball_mask):
    cut = ball_mask.data.copy()
    cut[12] = 0
    closed = close_mm(ball_mask.with_data(cut), 3).data
    assert closed[12, 13, 14] == 1
    assert (closed >= cut).all()
    assert not (closed > ball_mask.data).any()


def test_closing_reaches_the_border(ball_mask):
    plate = np.zeros_like(ball_mask.data)
    plate[:, :, 0] = 1
    np.testing.assert_array_equal(close_mm(ball_mask.with_data(plate), 4).data, plate)


def test_cavities_are_filled_and_bays_are_not(ball_mask):
    hollow = ball_mask.data.copy()
    hollow[11:14, 12:15, 13:16] = 0
    np.testing.assert_array_equal(fill_holes(ball_mask.with_data(hollow)).data, ball_mask.data)
    hollow[12, 13, :14] = 0
    np.testing.assert_array_equal(fill_holes(ball_mask.with_data(hollow)).data, hollow)
