import numpy as np
import pytest
import SimpleITK as sitk

from willis.errors import BadInputError, GeometryError
from willis.image.intensity import correct_bias, scale_p99, scale_range
from willis.volume.grid import Grid
from willis.volume.volume import Volume


@pytest.fixture
def image():
    data = np.random.default_rng(0).normal(100, 40, size=(20, 20, 20))
    mask = np.zeros(data.shape, np.uint8)
    mask[5:15, 5:15, 5:15] = 1
    data[0, 0, 0] = 1e6  # outside the mask, so of no weight
    return data, mask


def test_the_99th_percentile_in_the_mask_becomes_one(image):
    data, mask = image
    scaled = scale_p99(data, mask)
    assert np.percentile(scaled[mask > 0], 99) == pytest.approx(1, rel=1e-5)
    assert scaled.min() == 0
    assert scaled.dtype == np.float32
    inside = data > 0
    np.testing.assert_allclose(scaled[inside] / data[inside], scaled[10, 10, 10] / data[10, 10, 10], rtol=1e-5)


def test_with_a_cap_values_lie_in_zero_to_one(image):
    data, mask = image
    plain, capped = scale_p99(data, mask), scale_p99(data, mask, cap=1.3)
    assert capped.max() == 1
    np.testing.assert_allclose(capped, np.minimum(plain, 1.3) / 1.3, rtol=1e-6)


@pytest.mark.parametrize("cap", [None, 1.3])
def test_the_scanners_gain_does_not_matter(image, cap):
    data, mask = image
    np.testing.assert_allclose(scale_p99(data * 37.5, mask, cap=cap), scale_p99(data, mask, cap=cap), rtol=1e-5)


def test_nothing_to_scale_by_is_refused(image):
    data, mask = image
    with pytest.raises(BadInputError, match="is empty"):
        scale_p99(data, mask * 0)
    with pytest.raises(BadInputError, match="must be above 0"):
        scale_p99(-np.abs(data), mask)


@pytest.fixture(scope="module")
def shaded() -> tuple[Volume, Volume, np.ndarray]:
    """Two tissues under a smooth field, the mask of both, and the field."""
    shape = (48, 52, 40)
    grid = Grid(shape, np.diag([2.0, 2.0, 2.0, 1.0]))
    i, j, k = np.indices(shape) / np.array(shape).reshape(3, 1, 1, 1) - 0.5
    inside = i**2 + j**2 + k**2 < 0.2
    tissue = np.where(i**2 + j**2 + k**2 < 0.08, 120.0, 80.0) * inside
    field = np.exp(0.5 * i - 0.4 * j + 0.3 * k * i)
    noise = np.random.default_rng(1).normal(0, 1.5, shape)
    data = (tissue * field + noise * inside).clip(0).astype(np.float32)
    return Volume(data, grid, "flair"), Volume(inside.astype(np.uint8), grid, "brain"), field


def spread(data: np.ndarray, where: np.ndarray) -> float:
    return float(data[where].std() / data[where].mean())


def test_a_known_field_is_taken_away(shaded):
    volume, mask, _ = shaded
    found = correct_bias(volume, mask)
    core = volume.data > 0
    i, j, k = np.indices(volume.data.shape) / np.array(volume.data.shape).reshape(3, 1, 1, 1) - 0.5
    core &= i**2 + j**2 + k**2 < 0.07
    assert spread(found.data, core) < 0.4 * spread(volume.data, core)
    assert "N4" in found.notes[-1]


def test_the_same_correction_on_any_number_of_threads(shaded):
    volume, mask, _ = shaded
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    found = []
    try:
        for threads in (1, 2):
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            found.append(correct_bias(volume, mask).data)
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    np.testing.assert_array_equal(found[0], found[1])


def test_a_mask_that_cannot_serve_is_refused(shaded):
    volume, mask, _ = shaded
    with pytest.raises(BadInputError, match="holds no voxel"):
        correct_bias(volume, mask.with_data(mask.data * 0))
    with pytest.raises(GeometryError, match="another grid"):
        correct_bias(volume, Volume(mask.data, Grid(mask.grid.shape, np.eye(4))))


def test_range_scaling_ignores_how_much_air_there_is():
    rng = np.random.default_rng(0)
    head = rng.uniform(50, 150, (20, 20, 20))
    padded = np.zeros((40, 40, 40))
    padded[10:30, 10:30, 10:30] = head
    shifted = padded * 3 - 7
    scaled = scale_range(padded)
    assert scaled.min() == 0
    assert scaled.max() == 1
    assert scaled[10:30, 10:30, 10:30].mean() == pytest.approx(100 / 149.5, rel=0.01)
    np.testing.assert_allclose(scale_range(shifted), scaled, atol=1e-6)


def test_range_scaling_of_a_constant_image_is_zero():
    assert not scale_range(np.full((4, 4, 4), 5.0)).any()


@pytest.mark.parametrize("slices", [2, 3, 5])
def test_the_bias_field_of_a_few_thin_slices(slices):
    grid = Grid((40, 48, slices), np.diag([2.0, 2.0, 1.0, 1.0]))
    ramp = np.linspace(0.7, 1.3, 40)[:, None, None]
    image = (100 * ramp + np.random.default_rng(0).normal(0, 1, grid.shape)).astype(np.float32)
    corrected = correct_bias(Volume(image, grid)).data
    assert corrected.std() / corrected.mean() < 0.5 * image.std() / image.mean()


def test_one_slice_has_no_bias_field():
    with pytest.raises(BadInputError, match="flair has 40 × 48 × 1 voxels"):
        correct_bias(Volume(np.ones((40, 48, 1), np.float32), Grid((40, 48, 1), np.eye(4)), "flair"))
