"""Pictures lie as a radiologist expects them, whatever the order of the voxel axes."""

import numpy as np
import pytest

from willis.draw.planes import VIEWS, cut, displayed, displayed_on, pixel_mm, position_mm
from willis.errors import GeometryError
from willis.volume.grid import Grid
from willis.volume.orient import ORIENTATIONS, reorient
from willis.volume.volume import Volume

SIDE_AXES = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


def position_images(code: str) -> list[Volume]:
    """Three volumes whose values are the world coordinates x, y and z, stored in the order ``code``."""
    affine = np.diag([2.0, 3.0, 5.0, 1.0])
    affine[:3, 3] = (-7, -11, -13)
    grid = Grid((6, 7, 8), affine)
    world = grid.to_mm(np.stack(np.indices(grid.shape), axis=-1))
    return [reorient(Volume(world[..., axis], grid), code) for axis in range(3)]


@pytest.mark.parametrize("plane", list(VIEWS))
@pytest.mark.parametrize("code", ORIENTATIONS)
def test_each_letter_stands_where_its_coordinate_is_greatest(code, plane):
    images = [cut(displayed(volume).data, plane, 3) for volume in position_images(code)]
    left, right, top, bottom = VIEWS[plane].letters
    for letter, start, end in ((left, (2, 0), (2, -1)), (right, (2, -1), (2, 0)), (top, (0, 2), (-1, 2)),
                               (bottom, (-1, 2), (0, 2))):  # fmt: skip
        axis, sign = SIDE_AXES[letter]
        assert sign * (images[axis][start] - images[axis][end]) > 0


@pytest.mark.parametrize("code", ["RAS", "LPI", "SAR", "PIL"])
def test_pixel_size_and_position_are_those_of_the_world(code):
    x, y, z = (displayed(volume) for volume in position_images(code))
    for plane, image, size in (("axial", z, (3, 2)), ("coronal", y, (5, 2)), ("sagittal", x, (5, 3))):
        assert pixel_mm(image.grid, plane) == pytest.approx(size)
        assert position_mm(image.grid, plane, 2) == pytest.approx(cut(image.data, plane, 2)[0, 0])


def test_an_oblique_volume_keeps_its_voxels():
    turn = np.deg2rad(20)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    volume = Volume(np.random.default_rng(0).random((5, 6, 7)), Grid((5, 6, 7), affine))
    np.testing.assert_array_equal(cut(displayed(volume).data, "axial", 2), volume.data[::-1, ::-1, 2].T)


def test_a_mask_on_another_grid_is_refused():
    scan = Volume(np.zeros((4, 4, 4)), Grid((4, 4, 4), np.eye(4)), "flair")
    moved = np.eye(4)
    moved[0, 3] = 1
    mask = Volume(np.zeros((4, 4, 4), np.uint8), Grid((4, 4, 4), moved), "wmh")
    with pytest.raises(GeometryError, match=r"wmh of shape .* doesn't lie on the grid of flair"):
        displayed_on(scan, mask)
