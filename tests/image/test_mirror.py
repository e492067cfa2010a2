"""A brain against its mirror image: what is darker on one side is found there, whatever the brain's shape."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from willis.image.deform import Deformation, coarser, fluid_and_tissue, register_demons, warp_to
from willis.image.mirror import half_difference, midplane_grid, mirrored
from willis.volume.grid import Grid
from willis.volume.volume import Volume

SPACING = 3.0
SHAPE = (48, 56, 44)
GRID = midplane_grid(np.eye(4), (0.0, 0.0, 0.0), SHAPE, SPACING)
AT = GRID.to_mm(np.moveaxis(np.indices(SHAPE), 0, -1))


def ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    return (((AT - centre) / radii) ** 2).sum(axis=-1) < 1


def brain_ct(fall: float = 0.0, noise: float = 1.0) -> tuple[Volume, Volume]:
    """A lopsided brain with ventricles, and a lesion on the left that is darker by ``fall``."""
    inside = ball((1.5, 0, 0), (58, 72, 55))
    values = np.where(inside, 32.0, -1000.0)
    values[ball((-12, 5, 5), (7, 24, 10))] = 8
    values[ball((13, 3, 6), (8, 22, 11))] = 8
    values[ball((-36, -8, 6), (13, 16, 12)) & inside] -= fall
    values = values + np.random.default_rng(0).normal(0, noise, SHAPE)
    return Volume(values.astype(np.float32), GRID), Volume(inside.astype(np.uint8), GRID)


def test_a_midplane_grid_lies_about_the_middle_plane_of_any_affine_map():
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (12, -8, 15), degrees=True).as_matrix() @ np.array(
        [[1.02, 0.03, 0.0], [0.0, 0.95, 0.06], [0.0, 0.0, 1.08]]
    )
    matrix[:3, 3] = (11, -20, 37)
    grid = midplane_grid(matrix, (0.0, -18.0, 10.0), (20, 22, 24), 1.5)
    np.testing.assert_allclose(grid.directions.T @ grid.directions, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(grid.spacing_mm, 1.5)
    np.testing.assert_allclose(grid.centre_mm, (matrix @ [0, -18, 10, 1])[:3])
    for point in ((0, 30, -20), (0, -80, 40)):
        index = grid.to_index((matrix @ [*point, 1.0])[:3])
        assert index[0] == pytest.approx(9.5)
    assert grid.to_index((matrix @ [10.0, -18, 10, 1])[:3])[0] > 9.5


@pytest.mark.parametrize("fall", [6.0, 10.0])
def test_a_lesion_is_not_explained_away(fall):
    image, brain = brain_ct(fall)
    found = half_difference(image, brain, 15.0, 70.0, 20.0)
    core = ball((-36, -8, 6), (8, 10, 8))
    twin = core[::-1]
    assert found.signed[core].mean() == pytest.approx(-fall, abs=1.0)
    assert found.signed[twin].mean() == pytest.approx(fall, abs=1.5)
    healthy = ball((-30, 30, 10), (8, 8, 8))
    assert abs(found.signed[healthy].mean()) < 0.6
    assert found.absolute[core].mean() > 3 * found.absolute[healthy].mean()


def test_a_mirrored_brain_gives_the_mirrored_map():
    image, brain = brain_ct(8.0)
    one = half_difference(image, brain, 15.0, 70.0, 20.0)
    other = half_difference(mirrored(image), mirrored(brain), 15.0, 70.0, 20.0)
    assert np.abs(one.absolute - other.absolute[::-1]).max() < 0.5
    assert np.mean(np.abs(one.absolute - other.absolute[::-1])) < 0.02


def test_fluid_and_large_differences_are_not_compared():
    image, brain = brain_ct(noise=0.0)
    bright = image.data.copy()
    bright[ball((-36, -8, 6), (10, 10, 10))] = 110
    found = half_difference(image.with_data(bright), brain, 15.0, 70.0, 20.0)
    assert not found.absolute[ball((-36, -8, 6), (5, 5, 5))].any()
    assert not found.absolute[ball((-12, 5, 5), (3, 12, 5))].any()
    assert not found.absolute[brain.data == 0].any()
    assert np.isnan(found.signed[0, 0, 0])


def test_demons_find_a_smooth_shift_again():
    image, brain = brain_ct(noise=0.0)
    still = fluid_and_tissue(image, brain, 20.0)
    true = Deformation(np.zeros((3, *SHAPE), np.float32), GRID)
    bump = 6.0 * np.exp(-(((AT - (0, 0, 0)) / 45) ** 2).sum(-1))
    true.field_mm[1] = bump
    moved = warp_to(still, GRID, true)
    found = register_demons(still, moved)
    before = np.abs(still.data - moved.data).mean()
    after = np.abs(warp_to(still, GRID, found).data - moved.data).mean()
    assert after < 0.45 * before
    np.testing.assert_array_equal(found.field_mm, register_demons(still, moved).field_mm)


def test_warping_by_nothing_copies_and_labels_stay_labels():
    image, brain = brain_ct()
    np.testing.assert_allclose(warp_to(image, GRID).data, image.data, atol=1e-3)
    coarse = warp_to(brain, coarser(GRID, 7.0), order=0)
    assert set(np.unique(coarse.data)) == {0, 1}
    outside = warp_to(image, Grid((2, 2, 2), np.diag([1.0, 1, 1, 1]) + np.eye(4, k=3) * 500), fill=-7.0)
    assert (outside.data == -7).all()
