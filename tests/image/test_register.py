from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial.transform import Rotation

from willis.errors import BadInputError, GeometryError
from willis.image.handedness import refuse_mirrored
from willis.image.register import register_rigid
from willis.io.nifti import read_nifti
from willis.volume.grid import Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume


@pytest.fixture(scope="module")
def head() -> Volume:
    """A made-up head without symmetry: skull, brain, ventricles, some deep structure; 2 mm."""
    shape, spacing = (84, 98, 78), 2.0
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -np.array(shape) * spacing / 2
    grid = Grid(shape, affine)
    x, y, z = np.moveaxis(grid.to_mm(np.moveaxis(np.indices(shape), 0, -1)), -1, 0)

    def ball(cx, cy, cz, rx, ry, rz):
        return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2 < 1

    data = np.zeros(shape)
    data[ball(0, 0, 0, 72, 88, 66)] = 60
    data[ball(0, 0, 0, 66, 82, 60)] = 10
    data[ball(0, -2, 1, 62, 78, 56)] = 80
    data[ball(0, 0, 2, 48, 60, 42)] = 110
    data[ball(-12, 8, 8, 7, 26, 9)] = 20
    data[ball(13, 6, 8, 8, 24, 10)] = 20
    data[ball(22, -4, -4, 8, 14, 9)] = 85
    data[ball(-30, 34, 12, 9, 6, 8)] = 150
    data[ball(24, -48, -30, 20, 15, 12)] = 95
    noise = np.random.default_rng(5).normal(0, 2, shape)
    return Volume((ndimage.gaussian_filter(data, 0.7) + noise).clip(0).astype(np.float32), grid, "t1")


def motion(angles_deg, shift_mm) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    matrix[:3, 3] = shift_mm
    return matrix


def moved(volume: Volume, matrix: np.ndarray) -> Volume:
    """The same image of a head that lies elsewhere."""
    return replace(volume, grid=Grid(volume.grid.shape, matrix @ volume.grid.affine))


def on_thick_slices(volume: Volume) -> Volume:
    """As a 2D scan would have it: 1.2 mm in the plane, slices of 5 mm, oblique."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [9, -4, 3], degrees=True).as_matrix() @ np.diag([-1.2, -1.2, 5.0])
    shape = (150, 170, 34)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return resample_to(volume, Grid(shape, affine), antialias=True)


def inverted(volume: Volume) -> Volume:
    """Another contrast: inside the head, what was bright is dark."""
    inside = volume.data > 30
    return volume.with_data(np.where(inside, 190 - volume.data, volume.data).astype(np.float32), role="flair")


def errors(found: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Rotation in degrees and shift at the head's middle in mm between two motions."""
    rest = np.linalg.inv(truth) @ found
    angle = np.degrees(np.linalg.norm(Rotation.from_matrix(rest[:3, :3]).as_rotvec()))
    return float(angle), float(np.linalg.norm(rest[:3, 3]))


@pytest.mark.parametrize(
    ("angles", "shift", "change"),
    [
        ((6, -4, 8), (7, -5, 4), lambda v: v),
        ((-9, 5, -6), (-12, 9, 11), inverted),
        ((14, 3, -12), (3, 18, -9), inverted),
        ((5, 2, -7), (4, -6, 8), lambda v: on_thick_slices(inverted(v))),
    ],
)
def test_a_known_motion_is_found(head, angles, shift, change):
    truth = motion(angles, shift)
    found = register_rigid(moved(change(head), truth), head)
    turn, slip = errors(found.matrix, truth)
    assert turn < 0.5
    assert slip < 0.5
    assert not found.poor
    assert found.normalised_mi_after > found.normalised_mi_before
    assert found.rotation_deg == pytest.approx(np.degrees(Rotation.from_matrix(truth[:3, :3]).magnitude()), abs=0.5)


def test_the_matrix_is_what_resampling_takes(head):
    moving = moved(head, motion((5, -3, 6), (8, 2, -4)))
    found = register_rigid(moving, head)
    back = resample_to(moving, head.grid, world_transform=found.matrix)
    assert np.corrcoef(back.data.ravel(), head.data.ravel())[0, 1] > 0.97


def test_brain_alone_onto_the_whole_head_and_the_other_way(head):
    truth = motion((7, -3, 5), (6, -8, 5))
    x, y, z = np.moveaxis(head.grid.to_mm(np.moveaxis(np.indices(head.grid.shape), 0, -1)), -1, 0)
    brain = (x / 62) ** 2 + ((y + 2) / 78) ** 2 + ((z - 1) / 56) ** 2 < 1
    stripped = inverted(head).with_data(np.where(brain, inverted(head).data, 0).astype(np.float32))
    for moving, fixed, expected in [
        (moved(stripped, truth), head, truth),
        (head, moved(stripped, truth), np.linalg.inv(truth)),
    ]:
        turn, slip = errors(register_rigid(moving, fixed).matrix, expected)
        assert turn < 0.5
        assert slip < 0.7


def test_images_that_lie_right_are_left_alone(head):
    found = register_rigid(inverted(head), head)
    np.testing.assert_array_equal(found.matrix, np.eye(4))
    assert "lie on each other as they are" in found.reason


@pytest.mark.slow
def test_the_same_bits_on_every_run_and_number_of_threads(head):
    moving = on_thick_slices(moved(inverted(head), motion((3, 2, -4), (5, -3, 2))))
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    try:
        matrices = []
        for threads in (1, 2):
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            matrices.append(register_rigid(moving, head).matrix)
            assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == threads
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    for matrix in matrices[1:]:
        np.testing.assert_array_equal(matrix, matrices[0])


def test_images_that_have_nothing_in_common_are_called_poor(head):
    noise = np.random.default_rng(9).normal(100, 30, head.grid.shape)
    other = head.with_data(ndimage.gaussian_filter(noise, 3).astype(np.float32))
    found = register_rigid(other, head)
    assert found.poor
    assert "doubtful" in found.reason


def test_masks_confine_the_comparison(head):
    """Something bright that moved by itself, as a coil or a hand, is kept out by masks."""
    truth = motion((4, -3, 5), (5, 4, -6))
    moving = moved(inverted(head), truth)
    mask = head.with_data((ndimage.gaussian_filter(head.data, 1) > 15).astype(np.uint8))
    found = register_rigid(moving, head, moving_mask=replace(mask, grid=moving.grid), fixed_mask=mask)
    turn, slip = errors(found.matrix, truth)
    assert turn < 0.5
    assert slip < 0.5


def test_empty_images_and_masks_are_refused(head):
    nothing = head.with_data(np.zeros(head.grid.shape, np.float32))
    with pytest.raises(BadInputError, match="no foreground"):
        register_rigid(nothing, head)
    with pytest.raises(BadInputError, match="mask to register the t1"):
        register_rigid(head, head, fixed_mask=nothing)


def mirrored_by_hand(volume: Volume) -> Volume:
    """A left and right that its header has wrong, on a grid of any orientation."""
    return volume.with_data(np.flip(volume.data, 0).copy())


def check_sides(moving: Volume, fixed: Volume, mask: Volume | None = None) -> None:
    found = register_rigid(moving, fixed, fixed_mask=mask)
    refuse_mirrored(moving, fixed, found, fixed_mask=mask, otherwise="trust the files")


@pytest.mark.parametrize("masked", [False, True], ids=["as it lies", "moved, thick oblique slices, in a mask"])
def test_a_mirrored_image_is_refused_and_the_right_one_taken(head, masked):
    brain = head.with_data((ndimage.gaussian_filter(head.data, 1) > 15).astype(np.uint8), role="brain")
    mask = brain if masked else None
    flair = on_thick_slices(moved(inverted(head), motion((5, -4, 7), (6, -3, 5)))) if masked else inverted(head)
    check_sides(flair, head, mask)
    with pytest.raises(GeometryError, match=r"the flair and the t1 contradict each other.*or trust the files\.$"):
        check_sides(mirrored_by_hand(flair), head, mask)


def test_a_mirrored_brain_on_a_whole_head_is_refused(head):
    brain = ndimage.gaussian_filter(head.data, 4) > 75
    stripped = inverted(head).with_data(np.where(brain, inverted(head).data, 0).astype(np.float32), role="flair")
    check_sides(stripped, head)
    with pytest.raises(GeometryError, match="contradict each other in left and right"):
        check_sides(mirrored_by_hand(stripped), head)


def test_heads_that_fit_either_way_or_neither_are_let_pass(head):
    both = head.with_data(head.data + np.flip(head.data, 0))
    check_sides(mirrored_by_hand(inverted(both)), both)
    noise = np.random.default_rng(9).normal(100, 30, head.grid.shape)
    other = head.with_data(ndimage.gaussian_filter(noise, 3).astype(np.float32))
    check_sides(other, head)


@pytest.mark.real
def test_a_whole_head_flair_finds_its_t1_again(real_data):
    t1 = read_nifti(real_data / "wholehead_openms" / "t1.nii.gz", "t1")
    flair = read_nifti(real_data / "wholehead_openms" / "flair.nii.gz", "flair")
    truth = motion((8, -5, 10), (12, -9, 7))
    found = register_rigid(moved(flair, truth), t1)
    rest = np.linalg.inv(truth) @ found.matrix
    middle = t1.grid.centre_mm
    assert np.linalg.norm(rest[:3, :3] @ middle + rest[:3, 3] - middle) < 1.5
    assert not found.poor


@pytest.mark.real
@pytest.mark.parametrize("whose", ["wholehead_openms", "wmh_openms/patient19", "wmh_openms/patient07"])
def test_a_real_pair_is_taken_and_its_mirrored_flair_refused(real_data, whose):
    t1 = read_nifti(real_data / whose / "t1.nii.gz", "t1")
    flair = read_nifti(real_data / whose / "flair.nii.gz", "flair")
    axis = next(axis for axis, towards in enumerate(flair.grid.orientation) if towards in "LR")
    check_sides(flair, t1)
    with pytest.raises(GeometryError, match="contradict each other in left and right"):
        check_sides(flair.with_data(np.flip(flair.data, axis).copy()), t1)
