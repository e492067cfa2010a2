"""Coarser sampling as a scanner does it: what was zero filled comes back, and finer detail is left out, not folded."""

import numpy as np
import pytest
from scipy import ndimage, signal

from willis.errors import GeometryError
from willis.volume.band_limited import resample_band_limited
from willis.volume.grid import Grid
from willis.volume.orient import ORIENTATIONS, reorient
from willis.volume.volume import Volume

ACQUIRED = Grid((32, 28, 12), np.diag([2.0, 2.0, 4.0, 1.0]))


def stored_as(image: Volume, size: int) -> Volume:
    """The image with so many voxels along its first axis, by scipy's zero filling of its spectrum."""
    ratio = image.grid.shape[0] / size
    affine = image.grid.affine @ np.diag([ratio, 1, 1, 1])
    affine[:3, 3] = image.grid.to_mm(np.array([(ratio - 1) / 2, 0, 0]))
    shifted = np.fft.ifftn(ndimage.fourier_shift(np.fft.fftn(image.data), [(1 - ratio) / 2, 0, 0])).real
    data = signal.resample(shifted, size, axis=0)
    return Volume(data.astype(np.float32), Grid((size, *image.grid.shape[1:]), affine))


@pytest.fixture(scope="module")
def acquired() -> Volume:
    """A rough ball with noise, away from the first axis's ends."""
    rng = np.random.default_rng(4)
    at = np.indices(ACQUIRED.shape).T - (np.array(ACQUIRED.shape) - 1) / 2
    ball = (np.linalg.norm(at * [1, 1, 2], axis=-1).T < 9) * 100.0
    return Volume(ball + rng.normal(0, 5, ACQUIRED.shape) * (ball > 0), ACQUIRED)


@pytest.mark.parametrize("size", [36, 48, 64, 91])
def test_a_zero_filled_image_comes_back_as_it_was_acquired(acquired, size):
    back = resample_band_limited(stored_as(acquired, size), ACQUIRED)
    assert back.data.dtype == np.float32 and back.grid.same_as(ACQUIRED)
    inside = np.s_[2:-2]
    assert np.abs(back.data - acquired.data)[inside].max() < 1.5


def test_detail_beyond_the_new_grid_is_left_out():
    fine = Grid((96, 4, 4), np.eye(4))
    coarse = Grid((32, 4, 4), np.diag([3.0, 1, 1, 1]) + np.array([[0, 0, 0, 1.0], [0] * 4, [0] * 4, [0] * 4]))
    x = np.arange(96)[:, None, None] * np.ones((1, 4, 4))
    slow, fast = np.cos(np.pi * (x + 0.5) * 10 / 96), np.cos(np.pi * (x + 0.5) * 70 / 96)
    found = resample_band_limited(Volume((slow + fast).astype(np.float32), fine), coarse).data
    expected = np.cos(np.pi * (np.arange(32) * 3 + 1.5) * 10 / 96)
    np.testing.assert_allclose(found[:, 0, 0], expected, atol=1e-4)


def test_the_same_grid_and_a_finer_one_are_interpolated_linearly(acquired):
    np.testing.assert_allclose(resample_band_limited(acquired, ACQUIRED).data, acquired.data, rtol=1e-6)
    line = Volume(
        np.arange(5, dtype=np.float32)[:, None, None] * np.ones((1, 3, 3), np.float32), Grid((5, 3, 3), np.eye(4))
    )
    halves = np.diag([0.5, 1, 1, 1.0])
    finer = resample_band_limited(line, Grid((9, 3, 3), halves))
    np.testing.assert_allclose(finer.data[:, 1, 1], np.arange(9) / 2)


def test_an_even_image_stays_even_and_outside_is_0():
    fine = Volume(np.full((40, 6, 6), 7, np.float32), Grid((40, 6, 6), np.eye(4)))
    affine = np.diag([2.5, 1, 1, 1.0])
    affine[0, 3] = -9.25
    found = resample_band_limited(fine, Grid((24, 6, 6), affine)).data[:, 2, 2]
    outside = (affine[0, 3] + 2.5 * np.arange(24) < -0.5) | (affine[0, 3] + 2.5 * np.arange(24) > 39.5)
    np.testing.assert_allclose(found[~outside], 7, rtol=1e-5)
    assert outside.any() and not found[outside].any()


@pytest.mark.parametrize("code", ORIENTATIONS[::7])
def test_how_the_file_lies_changes_nothing(acquired, code):
    coarse = Grid((20, 18, 12), np.diag([3.2, 3.1, 4.0, 1.0]))
    plain = resample_band_limited(acquired, coarse)
    turned = resample_band_limited(reorient(acquired, code), coarse)
    np.testing.assert_allclose(turned.data, plain.data, atol=1e-3)


def test_turned_grids_are_refused(acquired):
    turn = np.eye(4)
    turn[:2, :2] = [[0.9, -np.sqrt(0.19)], [np.sqrt(0.19), 0.9]]
    with pytest.raises(GeometryError, match="parallel"):
        resample_band_limited(acquired, Grid((8, 8, 8), turn))
