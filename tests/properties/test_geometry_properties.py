import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from willis.io.nifti import read_nifti, write_nifti
from willis.volume.crop import Box, crop_or_pad
from willis.volume.grid import Grid
from willis.volume.orient import ORIENTATIONS, reorient
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

sides = st.tuples(*[st.integers(1, 7)] * 3)
spacings = st.tuples(*[st.floats(0.3, 6.0)] * 3)
angles = st.tuples(*[st.floats(-180, 180)] * 3)
origins = st.tuples(*[st.floats(-200, 200)] * 3)


@st.composite
def volumes(draw) -> Volume:
    """An image of any small size, spacing, obliqueness and handedness."""
    shape = draw(sides)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", draw(angles), degrees=True).as_matrix() @ np.diag(draw(spacings))
    affine[:3, 0] *= draw(st.sampled_from([1, -1]))
    affine[:3, 3] = draw(origins)
    data = np.random.default_rng(draw(st.integers(0, 2**31))).normal(size=shape).astype(np.float32)
    return Volume(data, Grid(shape, affine))


@given(volumes(), st.sampled_from(ORIENTATIONS))
def test_reorienting_there_and_back_changes_nothing(volume, code):
    turned = reorient(volume, code)
    assert turned.grid.orientation == code
    back = reorient(turned, volume.grid.orientation)
    np.testing.assert_array_equal(back.data, volume.data)
    assert back.grid.same_as(volume.grid, 1e-9)


@given(volumes(), st.sampled_from(ORIENTATIONS), st.sampled_from(["nearest", "linear", "spline"]))
def test_resampling_to_a_reoriented_grid_is_reorienting(volume, code, kernel):
    turned = reorient(volume, code)
    np.testing.assert_array_equal(resample_to(volume, turned.grid, kernel).data, turned.data)


@given(volumes(), st.tuples(*[st.integers(-5, 9)] * 3), sides)
def test_a_box_and_its_inverse_keep_what_lay_in_the_box(volume, start, shape):
    box = Box(start, shape)
    back = crop_or_pad(crop_or_pad(volume, box, fill=9), box.inverse(volume.grid.shape), fill=0)
    inside = box.inside(volume.grid.shape)
    assert back.grid.same_as(volume.grid, 1e-9)
    np.testing.assert_array_equal(back.data[inside], volume.data[inside])
    outside = np.ones(volume.data.shape, bool)
    outside[inside] = False
    assert not back.data[outside].any()


@given(volumes(), volumes(), st.sampled_from(["nearest", "linear"]))
def test_no_kernel_but_spline_leaves_the_range_of_values(volume, other, kernel):
    low, high = volume.data.min(), volume.data.max()
    found = resample_to(volume, other.grid, kernel, fill=float(low)).data
    assert found.min() >= low - 1e-5
    assert found.max() <= high + 1e-5


@given(volumes(), volumes(), st.floats(-3, 3), st.floats(-10, 10))
def test_linear_interpolation_is_linear(volume, other, factor, offset):
    one = resample_to(volume, other.grid, fill=0).data
    two = resample_to(volume.with_data(volume.data * factor + offset), other.grid, fill=offset).data
    np.testing.assert_allclose(two, one * factor + offset, atol=1e-4)


@settings(max_examples=40)
@given(volumes())
def test_writing_and_reading_gives_the_same_image(tmp_path_factory, volume):
    path = write_nifti(volume, tmp_path_factory.mktemp("round") / "trip.nii.gz")
    back = read_nifti(path, allow_empty=True)
    np.testing.assert_array_equal(back.data, volume.data)
    assert back.grid.same_as(volume.grid, 1e-3)
    assert back.notes == ()
