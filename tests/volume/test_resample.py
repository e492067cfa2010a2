import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from willis.errors import BadInputError, GeometryError
from willis.volume import resample
from willis.volume.crop import Box, crop_or_pad
from willis.volume.grid import Grid
from willis.volume.orient import ORIENTATIONS, reorient
from willis.volume.resample import index_transform, resample_to
from willis.volume.volume import Volume

KERNELS = ["nearest", "linear", "spline"]


def rotated(grid: Grid, degrees: float, shape=(19, 23, 17), spacing=(1.3, 0.8, 1.9)) -> Grid:
    """A grid over the same place, turned about two axes."""
    a = np.radians(degrees)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag(spacing)
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def ramp(grid: Grid) -> np.ndarray:
    x, y, z = np.moveaxis(grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    return 5 + 0.3 * x - 0.2 * y + 0.1 * z


def judge(volume: Volume, grid: Grid, order: int, world=None) -> tuple[np.ndarray, np.ndarray]:
    """scipy's answer, and where its coordinates lie between voxel centres."""
    mapping = index_transform(volume.grid, grid, world)
    where = np.einsum("ab,b...->a...", mapping[:3, :3], np.indices(grid.shape)) + mapping[:3, 3].reshape(3, 1, 1, 1)
    inside = np.all([(w >= 0) & (w <= n - 1) for w, n in zip(where, volume.data.shape, strict=True)], axis=0)
    return ndimage.map_coordinates(volume.data.astype(float), where, order=order, mode="mirror"), inside


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("code", ORIENTATIONS)
def test_a_flipped_and_permuted_grid_is_copied_exactly(smooth_volume, code, kernel):
    turned = reorient(smooth_volume, code)
    np.testing.assert_array_equal(resample_to(smooth_volume, turned.grid, kernel).data, turned.data)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_shifted_box_is_cropped_exactly(smooth_volume, kernel):
    cut = crop_or_pad(smooth_volume, Box((-2, 3, 4), (9, 8, 15)), fill=9)
    np.testing.assert_array_equal(resample_to(smooth_volume, cut.grid, kernel, fill=9).data, cut.data)


@pytest.mark.parametrize(("order", "kernel"), [(0, "nearest"), (1, "linear")])
@pytest.mark.parametrize("degrees", [0.0, 17.0, 110.0])
def test_scipy_agrees_with_nearest_and_linear(smooth_volume, degrees, order, kernel):
    grid = rotated(smooth_volume.grid, degrees)
    expected, inside = judge(smooth_volume, grid, order)
    found = resample_to(smooth_volume, grid, kernel).data
    assert inside.sum() > 300
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-5)


@pytest.mark.parametrize("degrees", [0.0, 17.0, 110.0])
def test_scipy_agrees_with_spline(smooth_volume, degrees):
    grid = rotated(smooth_volume.grid, degrees)
    expected, inside = judge(smooth_volume, grid, 3)
    np.testing.assert_allclose(resample_to(smooth_volume, grid, "spline").data[inside], expected[inside], rtol=1e-5)


@pytest.mark.parametrize("kernel", ["linear", "spline"])
def test_parallel_grids_of_any_orientation_agree_with_scipy(kernel):
    rng = np.random.default_rng(3)
    volume = Volume(rng.normal(size=(9, 11, 7)).astype(np.float32), Grid((9, 11, 7), np.diag([1.0, 2.0, 1.5, 1.0])))
    base = Grid((13, 17, 11), np.array([[0.7, 0, 0, 0.3], [0, 1.3, 0, 0.4], [0, 0, 0.9, 0.2], [0, 0, 0, 1]]))
    for code in ORIENTATIONS:
        grid = reorient(Volume(np.zeros(base.shape), base), code).grid
        expected, inside = judge(volume, grid, 1 if kernel == "linear" else 3)
        np.testing.assert_allclose(resample_to(volume, grid, kernel).data[inside], expected[inside], atol=2e-6)


@pytest.mark.parametrize("kernel", ["linear", "spline"])
def test_a_linear_ramp_in_the_world_is_reproduced_on_an_oblique_grid(oblique_grid, kernel):
    volume = Volume(ramp(oblique_grid), oblique_grid)
    grid = rotated(oblique_grid, 25.0, shape=(9, 9, 9), spacing=(0.7, 0.6, 0.9))
    found = resample_to(volume, grid, kernel)
    np.testing.assert_allclose(found.data, ramp(grid), rtol=1e-6 if kernel == "linear" else 3e-3)


@pytest.mark.parametrize("degrees", [0.0, 20.0])
@pytest.mark.parametrize("kernel", ["linear", "spline", "nearest"])
def test_simpleitk_agrees_on_the_field_of_view(kernel, degrees):
    """Outside the outer faces of the outer voxels there is fill, inside there is none."""
    grid = Grid((8, 9, 10), np.diag([1.0, 1.0, 2.0, 1.0]))
    volume = Volume(np.full(grid.shape, 4.0, np.float32), grid)
    target = rotated(grid, degrees, shape=(30, 31, 32), spacing=(0.9, 0.93, 1.1))
    index = grid.to_index(target.to_mm(np.moveaxis(np.indices(target.shape), 0, -1)))
    inside = ((index > -0.5) & (index < np.array(grid.shape) - 0.5)).all(axis=-1)
    found = resample_to(volume, target, kernel, fill=-1).data
    np.testing.assert_allclose(found[inside], 4, rtol=1e-5)
    assert (found[~inside] == -1).all()


def test_the_world_transform_pulls(smooth_volume):
    """``world_transform`` takes mm of the target to mm of the source."""
    shift = np.eye(4)
    shift[:3, 3] = smooth_volume.grid.affine[:3, :3] @ [2, 0, 1]
    moved = resample_to(smooth_volume, smooth_volume.grid, world_transform=shift, fill=0).data
    np.testing.assert_allclose(moved[:-2, :, :-1], smooth_volume.data[2:, :, 1:])
    assert not moved[-2:].any()


@pytest.mark.parametrize("kernel", KERNELS)
def test_slabs_leave_no_seam(smooth_volume, monkeypatch, kernel):
    grid = rotated(smooth_volume.grid, 31.0)
    whole = resample_to(smooth_volume, grid, kernel).data
    monkeypatch.setattr(resample, "SLAB_VOXELS", 1)
    np.testing.assert_allclose(resample_to(smooth_volume, grid, kernel).data, whole, rtol=1e-6)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int32, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("degrees", [0.0, 10.0])
def test_dtypes(ball_mask, dtype, degrees):
    volume = ball_mask.with_data(ball_mask.data.astype(dtype))
    grid = rotated(ball_mask.grid, degrees)
    assert resample_to(volume, grid, "nearest").data.dtype == dtype
    linear = resample_to(volume, grid).data
    assert linear.dtype == (np.float64 if dtype is np.float64 else np.float32)
    np.testing.assert_allclose(linear, resample_to(ball_mask, grid).data, rtol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("degrees", [0.0, 15.0])
def test_one_slice_thick(kernel, degrees):
    slab = Volume(np.full((12, 12, 1), 3.0, np.float32), Grid((12, 12, 1), np.diag([1.0, 1.0, 20.0, 1.0])))
    found = resample_to(slab, rotated(slab.grid, degrees, (4, 4, 4), (1, 1, 1)), kernel).data
    np.testing.assert_allclose(found, 3, rtol=1e-6)


@pytest.mark.parametrize("degrees", [0.0, 10.0])
def test_antialias_keeps_the_mean_of_fine_detail(degrees):
    i, j, k = np.indices((64, 64, 64))
    checks = Volume(((i + j + k) % 2).astype(np.float32), Grid((64, 64, 64), np.eye(4)))
    coarse = rotated(checks.grid, degrees, (8, 8, 8), (4, 4, 4))
    plain = resample_to(checks, coarse).data
    smooth = resample_to(checks, coarse, antialias=True).data
    np.testing.assert_allclose(smooth, 0.5, atol=1e-2)
    assert smooth.std() <= plain.std()


def test_antialias_leaves_finer_grids_alone(smooth_volume):
    finer = rotated(smooth_volume.grid, 0.0, spacing=(0.5, 0.5, 0.5))
    found = resample_to(smooth_volume, finer, antialias=True).data
    np.testing.assert_array_equal(found, resample_to(smooth_volume, finer).data)


def test_a_ball_keeps_its_volume(ball_mask):
    grid = rotated(ball_mask.grid, 33.0, (60, 60, 60), (0.45, 0.5, 0.55))
    soft = resample_to(ball_mask, grid)
    hard = soft.with_data((soft.data >= 0.5).astype(np.uint8))
    assert hard.volume_ml == pytest.approx(4 / 3 * np.pi * 6**3 / 1000, rel=0.03)


def test_role_and_notes_travel(smooth_volume, ball_mask):
    found = resample_to(smooth_volume.noted("Repaired."), ball_mask.grid)
    assert (found.role, found.notes, found.grid) == ("flair", ("Repaired.",), ball_mask.grid)


def test_simpleitk_with_its_own_geometry_agrees(smooth_volume):
    """The whole road, through SimpleITK's LPS images."""
    grid = rotated(smooth_volume.grid, 14.0)
    image = to_sitk(smooth_volume)
    expected = sitk.GetArrayFromImage(sitk.Resample(image, to_sitk(Volume(np.zeros(grid.shape), grid)))).T
    np.testing.assert_allclose(resample_to(smooth_volume, grid).data, expected, rtol=1e-5)


def to_sitk(volume: Volume) -> sitk.Image:
    lps = np.diag([-1.0, -1.0, 1.0])
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.data.T))
    image.SetSpacing(volume.grid.spacing_mm)
    image.SetDirection((lps @ volume.grid.directions).ravel().tolist())
    image.SetOrigin((lps @ volume.grid.affine[:3, 3]).tolist())
    return image


def test_bad_options_are_named(smooth_volume, ball_mask):
    with pytest.raises(BadInputError, match="kernel is 'cubic'; allowed are 'nearest', 'linear', 'spline'"):
        resample_to(smooth_volume, smooth_volume.grid, "cubic")
    with pytest.raises(BadInputError, match="fill -1 can't be held"):
        resample_to(ball_mask, ball_mask.grid, "nearest", fill=-1)
    with pytest.raises(GeometryError, match="invertible 4 × 4"):
        resample_to(smooth_volume, smooth_volume.grid, world_transform=np.zeros((4, 4)))
