import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from willis.errors import GeometryError
from willis.infer.back import mask_to_grid, occupied_box, probability_to_grid
from willis.volume.grid import Grid

PREPARED = Grid((40, 44, 36), np.array([[1, 0, 0, -20], [0, 1, 0, -25], [0, 0, 1, -15], [0, 0, 0, 1]], float))
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


def turned(degrees, shift):
    a = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    matrix[:3, 3] = shift
    return matrix


TARGETS = {
    "finer": Grid(
        (50, 60, 45), np.diag([0.8, 0.7, 0.8, 1.0]) + np.array([[0, 0, 0, -20.0]] * 2 + [[0, 0, 0, -15.0], [0] * 4])
    ),
    "flipped thick": Grid((44, 44, 14), np.array([[-0.9, 0, 0, 19], [0, -0.9, 0, 17], [0, 0, 3, -17], [0, 0, 0, 1.0]])),
    "oblique": Grid((40, 40, 30), turned(14, (-8, -22, -12)) @ np.diag([0.9, 0.9, 1.1, 1])),
}
TRANSFORMS = {"none": None, "rigid": turned(-6, (1.5, -2.0, 0.7))}


@pytest.fixture(scope="module")
def blobs():
    """A few smooth blobs, 0 elsewhere, one of them cut by the volume's edge."""
    field = np.zeros(PREPARED.shape, np.float32)
    for centre in ((12, 20, 18), (25, 30, 10), (0, 8, 30)):
        field[centre] = 1
    field = ndimage.gaussian_filter(field, 2.5)
    return np.where(field > 1e-4, np.minimum(field / 0.003, 1), 0).astype(np.float32)


def judge(values, source, target, transform):
    """SimpleITK's own resampling in physical space, on (I, J, K) arrays."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    for grid, setter in ((source, image),):
        setter.SetSpacing(grid.spacing_mm)
        setter.SetOrigin((RAS_TO_LPS @ grid.affine[:3, 3]).tolist())
        setter.SetDirection((RAS_TO_LPS @ grid.directions).ravel().tolist())
    move = sitk.AffineTransform(3)
    if transform is not None:
        move.SetMatrix((RAS_TO_LPS @ transform[:3, :3] @ RAS_TO_LPS).ravel().tolist())
        move.SetTranslation((RAS_TO_LPS @ transform[:3, 3]).tolist())
    moved = sitk.Resample(
        image, list(target.shape), move, sitk.sitkLinear,
        (RAS_TO_LPS @ target.affine[:3, 3]).tolist(), target.spacing_mm,
        (RAS_TO_LPS @ target.directions).ravel().tolist(), 0.0, sitk.sitkFloat32,
    )  # fmt: skip
    return sitk.GetArrayFromImage(moved).T


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("target", TARGETS)
def test_probabilities_agree_with_simpleitk(blobs, target, transform):
    grid, world = TARGETS[target], TRANSFORMS[transform]
    found = probability_to_grid(blobs, PREPARED, grid, world_transform=world)
    expected = judge(blobs, PREPARED, grid, world)
    assert found.grid == grid
    assert found.data.dtype == np.float32
    assert expected.max() > 0.5
    differ = np.abs(found.data - expected) > 1e-4
    assert differ.mean() < 1e-4  # a sample exactly on the volume's outer face falls to either side


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_the_mask_is_the_probability_at_the_threshold(blobs, target, transform, threshold):
    grid, world = TARGETS[target], TRANSFORMS[transform]
    mask = mask_to_grid(blobs, PREPARED, grid, threshold, world_transform=world)
    everywhere = np.full(PREPARED.shape, 1e-6, np.float32)
    whole = probability_to_grid(np.maximum(blobs, everywhere), PREPARED, grid, world_transform=world)
    assert mask.data.dtype == np.uint8
    assert np.count_nonzero(mask.data != (whole.data >= threshold)) <= 2
    assert mask.data.any()


def test_one_difference_gives_the_labels_of_two_classes(blobs):
    from skimage.transform import resize

    shape = (50, 61, 47)
    scale = np.array(PREPARED.shape) / shape
    affine = np.diag([*scale, 1.0])
    affine[:3, 3] = (scale - 1) / 2
    source = Grid(PREPARED.shape, np.eye(4))
    ours = mask_to_grid(blobs, source, Grid(shape, affine), 0.5)
    classes = [resize(c, shape, order=1, mode="edge", anti_aliasing=False) for c in (1 - blobs, blobs)]
    assert np.count_nonzero(ours.data != np.argmax(classes, axis=0)) <= 1
    assert ours.data.sum() > 100


def test_the_same_grid_gives_the_same_numbers(blobs):
    np.testing.assert_array_equal(probability_to_grid(blobs, PREPARED, PREPARED).data, blobs)


def test_half_precision_members_are_taken(blobs):
    half = probability_to_grid(blobs.astype(np.float16), PREPARED, TARGETS["finer"])
    full = probability_to_grid(blobs, PREPARED, TARGETS["finer"])
    assert np.abs(half.data - full.data).max() < 1e-3


def test_nothing_found_is_nothing_there():
    empty = np.zeros(PREPARED.shape, np.float32)
    assert not probability_to_grid(empty, PREPARED, TARGETS["oblique"]).data.any()
    assert not mask_to_grid(empty, PREPARED, TARGETS["oblique"], 0.5).data.any()
    assert occupied_box(empty > 0, 1) is None


def test_a_grid_elsewhere_gets_nothing(blobs):
    away = PREPARED.shifted((500, 0, 0), (5, 5, 5))
    assert not probability_to_grid(blobs, PREPARED, away).data.any()


def test_a_map_of_another_shape_is_refused(blobs):
    with pytest.raises(GeometryError, match="shape"):
        probability_to_grid(blobs[1:], PREPARED, PREPARED)


def test_a_spline_keeps_what_is_a_few_voxels_wide_and_stays_a_probability():
    """From a grid twice as coarse, a small ball keeps its volume, from which linear interpolation cuts the corners."""
    coarse = Grid((24, 24, 24), np.diag([2.0, 2.0, 2.0, 1.0]))
    fine = Grid((96, 96, 96), np.diag([0.5, 0.5, 0.5, 1.0]))
    far = np.linalg.norm(coarse.to_mm(np.moveaxis(np.indices(coarse.shape), 0, -1)) - [23.1, 22.7, 24.2], axis=-1)
    ball = (1 / (1 + np.exp((far - 4.0) / 0.7))).astype(np.float32)
    true_ml = 4 / 3 * np.pi * 4.0**3 / 1000
    found = {kernel: probability_to_grid(ball, coarse, fine, kernel=kernel).data for kernel in ("linear", "spline")}
    volume = {kernel: float((data >= 0.5).sum()) * fine.voxel_ml for kernel, data in found.items()}
    assert abs(volume["spline"] / true_ml - 1) < 0.04
    assert volume["linear"] / true_ml < 0.93
    assert found["spline"].min() >= 0 and found["spline"].max() <= 1


def test_a_splines_box_holds_all_that_counts(blobs):
    whole = ndimage.zoom(blobs, 1, order=3)
    assert np.abs(probability_to_grid(blobs, PREPARED, PREPARED, kernel="spline").data - whole).max() < 1e-3
