import gzip
import struct

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from willis.errors import BadInputError, GeometryError
from willis.io import nifti_geometry
from willis.io.nifti import read_nifti, sha256_of, write_nifti
from willis.volume.grid import Grid
from willis.volume.volume import Volume


@pytest.fixture
def affine(oblique_grid):
    return np.array(oblique_grid.affine)


@pytest.fixture
def data():
    return np.random.default_rng(1).integers(0, 900, size=(6, 7, 5)).astype(np.int16)


def saved(path, data, affine, *, sform=1, qform=1, change=None, kind=nib.Nifti1Image):
    """A file written by nibabel; ``change`` edits the header at last, past nibabel's own checks."""
    image = kind(data, affine, dtype=data.dtype)
    image.set_sform(affine, sform)
    image.set_qform(affine, qform)
    nib.save(image, path)
    if change:
        raw = path.read_bytes()
        header = image.header.from_fileobj(open_bytes(raw), check=False)
        change(header)
        path.write_bytes(header.binaryblock + raw[len(header.binaryblock) :])
    return path


def open_bytes(raw):
    import io

    return io.BytesIO(raw[:540])


# ---- what is read


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.hdr", "a.img"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_dtype_in_every_container_reads_as_nibabel_reads_it(tmp_path, data, affine, dtype, name):
    kind = nib.Nifti1Pair if name.endswith(("hdr", "img")) else nib.Nifti1Image
    path = saved(tmp_path / name, (data % 100).astype(dtype), affine, kind=kind)
    volume = read_nifti(path, "flair")
    np.testing.assert_array_equal(volume.data, data % 100)
    assert volume.data.dtype == np.dtype(dtype)
    assert volume.data.flags["C_CONTIGUOUS"]
    assert volume.data.flags["WRITEABLE"]
    np.testing.assert_allclose(volume.grid.affine, nib.load(path).affine, atol=1e-5)
    assert (volume.role, volume.notes) == ("flair", ())


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_voxels_in_the_files_own_order_hold_the_same_values(tmp_path, data, affine, name):
    path = saved(tmp_path / name, data, affine)
    stored = read_nifti(path, order="file").data
    assert stored.flags["F_CONTIGUOUS"]
    np.testing.assert_array_equal(stored, data)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_voxels_in_the_files_own_order_are_checked_and_scaled_alike(tmp_path, data, affine, name):
    values = data.astype(np.float32)
    values[0, 0, 0] = np.nan
    path = saved(tmp_path / name, values, affine)
    assert read_nifti(path, order="file").data[0, 0, 0] == 0
    scaled = saved(tmp_path / "scaled.nii", data, affine, change=lambda header: header.__setitem__("scl_slope", 2.0))
    np.testing.assert_array_equal(read_nifti(scaled, order="file").data, 2 * data)
    constant = saved(tmp_path / f"constant-{name}", np.full_like(data, 7), affine)
    with pytest.raises(BadInputError, match="constant"):
        read_nifti(constant, order="file")


@pytest.mark.parametrize("dtype", ["i2", "f4", "f8"])
def test_big_endian(tmp_path, data, affine, dtype):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.dtype(dtype).newbyteorder(">"))
    image = nib.Nifti1Image(data.astype(dtype), affine, header)
    image.set_sform(affine, 1)
    nib.save(image, tmp_path / "big.nii")
    assert (tmp_path / "big.nii").read_bytes()[:4] == struct.pack(">i", 348)
    volume = read_nifti(tmp_path / "big.nii")
    np.testing.assert_array_equal(volume.data, data)
    assert volume.data.dtype == np.dtype(dtype)


def test_nifti_2(tmp_path, data, affine):
    path = saved(tmp_path / "two.nii.gz", data, affine, kind=nib.Nifti2Image)
    np.testing.assert_array_equal(read_nifti(path).data, data)


def test_a_header_extension_is_stepped_over(tmp_path, data, affine):
    image = nib.Nifti1Image(data, affine)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 100))
    nib.save(image, tmp_path / "ext.nii.gz")
    np.testing.assert_array_equal(read_nifti(tmp_path / "ext.nii.gz").data, data)


def test_gzip_of_many_members_and_a_wrong_suffix(tmp_path, data, affine):
    raw = saved(tmp_path / "a.nii", data, affine).read_bytes()
    half = len(raw) // 2
    (tmp_path / "packed.nii").write_bytes(gzip.compress(raw[:half]) + gzip.compress(raw[half:]))
    (tmp_path / "plain.nii.gz").write_bytes(raw)
    np.testing.assert_array_equal(read_nifti(tmp_path / "packed.nii").data, data)
    np.testing.assert_array_equal(read_nifti(tmp_path / "plain.nii.gz").data, data)


@pytest.mark.parametrize(
    ("slope", "inter", "factor", "offset"),
    [(2.5, -3, 2.5, -3), (0, 7, 1, 0), (np.nan, 0, 1, 0), (np.nan, np.nan, 1, 0), (1, -1024, 1, -1024), (-1, 0, -1, 0)],
)
def test_integer_scaling(tmp_path, data, affine, slope, inter, factor, offset):
    def change(header):
        header["scl_slope"], header["scl_inter"] = slope, inter

    volume = read_nifti(saved(tmp_path / "s.nii", data, affine, change=change))
    np.testing.assert_allclose(volume.data, data * float(factor) + offset, rtol=1e-6)
    assert volume.data.dtype == (np.int16 if (factor, offset) == (1, 0) else np.float32)


def test_scaling_of_wide_integers_keeps_their_digits(tmp_path, data, affine):
    wide = data.astype(np.int32) + 20_000_000

    def change(header):
        header["scl_slope"], header["scl_inter"] = 0.5, 0

    np.testing.assert_array_equal(read_nifti(saved(tmp_path / "s.nii", wide, affine, change=change)).data, wide * 0.5)


@pytest.mark.parametrize(("slope", "inter"), [(np.inf, 0), (2, np.nan), (2, np.inf)])
def test_useless_scaling_is_refused(tmp_path, data, affine, slope, inter):
    def change(header):
        header["scl_slope"], header["scl_inter"] = slope, inter

    with pytest.raises(BadInputError, match="no usable scaling"):
        read_nifti(saved(tmp_path / "s.nii", data, affine, change=change))


# ---- axes


@pytest.mark.parametrize("tail", [(1,), (1, 1)])
def test_axes_of_length_one_are_accepted(tmp_path, data, affine, tail):
    path = saved(tmp_path / "t.nii.gz", data.reshape(data.shape + tail), affine)
    np.testing.assert_array_equal(read_nifti(path).data, data)


def test_of_four_dimensions_one_must_be_chosen(tmp_path, data, affine):
    series = np.stack([data, data * 2, data * 3], axis=-1)
    path = saved(tmp_path / "series.nii.gz", series, affine)
    with pytest.raises(BadInputError, match=r"holds 3 volumes; say which one to take: index 0 to 2 \(.* --index\."):
        read_nifti(path)
    with pytest.raises(BadInputError, match="index 3 isn't among 0 to 2"):
        read_nifti(path, index=3)
    with pytest.raises(BadInputError, match="index -1"):
        read_nifti(path, index=-1)
    np.testing.assert_array_equal(read_nifti(path, index=1).data, data * 2)


def test_two_axes_or_five_are_refused(tmp_path, data, affine):
    with pytest.raises(BadInputError, match="a 3D image is needed"):
        read_nifti(saved(tmp_path / "flat.nii", data[..., 0], affine))
    with pytest.raises(BadInputError, match="5 axes"):
        read_nifti(saved(tmp_path / "five.nii", np.zeros((3, 3, 3, 1, 3), np.uint8), affine))


# ---- what can't be used


def test_absent_empty_and_folder(tmp_path):
    with pytest.raises(BadInputError, match="doesn't exist"):
        read_nifti(tmp_path / "none.nii.gz")
    (tmp_path / "empty.nii").write_bytes(b"")
    with pytest.raises(BadInputError, match="0 bytes"):
        read_nifti(tmp_path / "empty.nii")
    with pytest.raises(BadInputError, match="is a folder"):
        read_nifti(tmp_path)


def test_what_is_no_nifti(tmp_path, data, affine):
    (tmp_path / "text.nii").write_text("not an image at all" * 50)
    with pytest.raises(BadInputError, match="is not a NIfTI file"):
        read_nifti(tmp_path / "text.nii")
    (tmp_path / "packed.nii.gz").write_bytes(gzip.compress(b"hello" * 100))
    with pytest.raises(BadInputError, match="is not a NIfTI file"):
        read_nifti(tmp_path / "packed.nii.gz")
    (tmp_path / "slice.dcm").write_bytes(bytes(128) + b"DICM" + bytes(400))
    with pytest.raises(BadInputError, match="dcm2niix"):
        read_nifti(tmp_path / "slice.dcm")
    nib.save(nib.AnalyzeImage(data, affine), tmp_path / "old.hdr")
    with pytest.raises(BadInputError, match=r"Analyze 7\.5"):
        read_nifti(tmp_path / "old.hdr")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.98])
def test_truncated_gzip(tmp_path, data, affine, keep):
    path = saved(tmp_path / "cut.nii.gz", data, affine)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * keep)])
    with pytest.raises(BadInputError, match="damaged or cut gzip"):
        read_nifti(path)


def test_altered_gzip_is_caught_by_its_checksum(tmp_path, data, affine):
    path = saved(tmp_path / "bad.nii.gz", data, affine)
    raw = bytearray(path.read_bytes())
    raw[-6] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(BadInputError, match="damaged or cut gzip"):
        read_nifti(path)


@pytest.mark.parametrize("keep", [200, 360, 500])
def test_short_data(tmp_path, data, affine, keep):
    path = saved(tmp_path / "short.nii", data, affine)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadInputError, match="cut short"):
        read_nifti(path)


def test_half_a_pair(tmp_path, data, affine):
    saved(tmp_path / "a.img", data, affine, kind=nib.Nifti1Pair)
    (tmp_path / "a.img").unlink()
    with pytest.raises(BadInputError, match=r"a\.img"):
        read_nifti(tmp_path / "a.hdr")


def test_colour_and_complex_are_refused(tmp_path, affine):
    colour = np.zeros((3, 3, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(BadInputError, match=r"colour picture \(RGB24\)"):
        read_nifti(saved(tmp_path / "c.nii", colour, affine))
    with pytest.raises(BadInputError, match="complex"):
        read_nifti(saved(tmp_path / "z.nii", np.ones((3, 3, 3), np.complex64), affine))


def test_unknown_voxel_type(tmp_path, data, affine):
    def change(header):
        header["datatype"] = 1

    with pytest.raises(BadInputError, match="voxels of NIfTI type 1"):
        read_nifti(saved(tmp_path / "b.nii", data, affine, change=change))


def test_empty_and_constant(tmp_path, affine):
    for value, word in [(0, "empty"), (7, "constant: every voxel is 7")]:
        path = saved(tmp_path / "c.nii.gz", np.full((4, 4, 4), value, np.int16), affine)
        with pytest.raises(BadInputError, match=word):
            read_nifti(path)
        assert (read_nifti(path, allow_empty=True).data == value).all()


def test_nan_around_the_head_is_background(tmp_path, data, affine):
    values = data.astype(np.float32)
    values[:2] = np.nan
    volume = read_nifti(saved(tmp_path / "n.nii.gz", values, affine))
    assert not volume.data[:2].any()
    np.testing.assert_array_equal(volume.data[2:], data[2:])
    assert volume.notes == ("70 voxels (33 %) were NaN or infinite, 0 of them enclosed; they became 0.",)


def test_nan_inside_the_head(tmp_path, affine):
    values = np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)
    values[10, 10, 10], values[10, 10, 11] = np.nan, -np.inf
    volume = read_nifti(saved(tmp_path / "few.nii.gz", values, affine))
    assert volume.data[10, 10, 10] == 0
    assert "2 of them enclosed" in volume.notes[0]
    values[5:15, 5:15, 5] = np.nan
    with pytest.raises(BadInputError, match="inside the head"):
        read_nifti(saved(tmp_path / "many.nii.gz", values, affine))
    with pytest.raises(BadInputError, match="nothing but NaN"):
        read_nifti(saved(tmp_path / "all.nii.gz", values * np.nan, affine))


# ---- where it lies


def test_no_affine_is_refused(tmp_path, data, affine):
    with pytest.raises(GeometryError, match="left and right can't be told apart"):
        read_nifti(saved(tmp_path / "n.nii.gz", data, affine, sform=0, qform=0))


@pytest.mark.parametrize(("sform", "qform"), [(2, 0), (0, 1), (1, 1), (4, 4), (3, 1)])
def test_one_form_is_enough_and_two_that_agree_need_no_note(tmp_path, data, affine, sform, qform):
    volume = read_nifti(saved(tmp_path / "n.nii.gz", data, affine, sform=sform, qform=qform))
    np.testing.assert_allclose(volume.grid.affine, affine, atol=1e-5)
    assert volume.notes == ()


def test_invalid_forms(tmp_path, data, affine):
    def break_sform(header):
        header["srow_x"] = np.nan

    def break_both(header):
        header["srow_x"] = 0
        header["pixdim"][1] = 0

    def break_qform(header):
        header["quatern_b"] = 5

    volume = read_nifti(saved(tmp_path / "s.nii", data, affine, change=break_sform))
    np.testing.assert_allclose(volume.grid.affine, affine, atol=1e-5)
    assert volume.notes == ("The sform is not valid and was passed over.",)
    volume = read_nifti(saved(tmp_path / "q.nii", data, affine, change=break_qform))
    np.testing.assert_allclose(volume.grid.affine, affine, atol=1e-5)
    assert volume.notes == ("The qform is not valid and was passed over.",)
    with pytest.raises(GeometryError, match="no valid affine"):
        read_nifti(saved(tmp_path / "b.nii", data, affine, change=break_both))


def two_forms(path, data, qform, sform, codes=(1, 1)):
    image = nib.Nifti1Image(data, sform)
    image.set_qform(qform, codes[0])
    image.set_sform(sform, codes[1])
    nib.save(image, path)
    return path


def about_z(degrees):
    a = np.radians(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    return turn


@pytest.mark.parametrize(
    "change", [np.diag([-1.0, 1, 1, 1]), np.diag([1.0, -1, 1, 1]), np.diag([-1.0, -1, 1, 1]), about_z(60), about_z(180)]
)
def test_forms_that_differ_on_left_and_right_are_refused(tmp_path, data, affine, change):
    with pytest.raises(GeometryError, match="two things about left and right"):
        read_nifti(two_forms(tmp_path / "m.nii.gz", data, affine, change @ affine))


@pytest.mark.parametrize("degrees", [2, 30])
def test_forms_that_differ_otherwise_are_noted(tmp_path, data, affine, degrees):
    sform = about_z(degrees) @ affine
    volume = read_nifti(two_forms(tmp_path / "d.nii.gz", data, affine, sform))
    np.testing.assert_allclose(volume.grid.affine, sform, atol=1e-5)
    assert "the sform was used" in volume.notes[0]


def test_an_sform_that_stretches_to_a_template_yields_to_the_qform(tmp_path, data, affine):
    sform = np.diag([1.2, 1.1, 1.15, 1.0]) @ affine
    volume = read_nifti(two_forms(tmp_path / "d.nii.gz", data, affine, sform, codes=(1, 4)))
    np.testing.assert_allclose(volume.grid.affine, affine, atol=1e-5)
    assert "the qform was used, as the sform stretches" in volume.notes[0]


@pytest.mark.parametrize(("unit", "factor", "word"), [(1, 1000, "metres"), (3, 0.001, "micrometres")])
def test_units_of_length(tmp_path, data, affine, unit, factor, word):
    def change(header):
        header["xyzt_units"] = unit

    scaled = np.diag([1 / factor] * 3 + [1.0]) @ affine
    volume = read_nifti(saved(tmp_path / "u.nii", data, scaled, change=change))
    np.testing.assert_allclose(volume.grid.affine, affine, rtol=1e-5, atol=1e-5)
    assert word in volume.notes[0]


def test_without_a_unit_lengths_are_millimetres(tmp_path, data, affine):
    path = saved(tmp_path / "u.nii", data, affine)
    assert nib.load(path).header.get_xyzt_units()[0] == "unknown"
    np.testing.assert_allclose(read_nifti(path).grid.affine, affine, atol=1e-5)


@pytest.mark.parametrize("offset", [np.nan, np.inf])
def test_a_damaged_place_of_the_voxels_is_refused(tmp_path, data, affine, offset):
    path = saved(tmp_path / "a.nii", data, affine, change=lambda header: header.__setitem__("vox_offset", offset))
    with pytest.raises(BadInputError, match="start at byte"):
        read_nifti(path)


def test_what_follows_the_last_gzip_member_is_passed_over(tmp_path, data, affine):
    path = saved(tmp_path / "a.nii.gz", data, affine)
    path.write_bytes(path.read_bytes() + b"left by a copying tool")
    np.testing.assert_array_equal(read_nifti(path).data, data)


@pytest.mark.parametrize("value", [3e38, -3e38, 1e300])
def test_values_that_nothing_measures_are_refused(tmp_path, data, affine, value):
    values = data.astype(np.float64)
    values[0, 0, 0] = value
    with pytest.raises(BadInputError, match="holds values from"):
        read_nifti(saved(tmp_path / "a.nii", values, affine))


@pytest.mark.parametrize("code", [1, 4])
def test_an_sform_alone_of_other_voxels_than_the_headers_is_told(tmp_path, data, code):
    """Volumes come of the sform: of one that leads to a template, without a qform, they aren't the patient's."""

    def change(header):
        header["pixdim"][1:4] = [0.5, 0.5, 5]

    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    volume = read_nifti(saved(tmp_path / "a.nii", data, affine, sform=code, qform=0, change=change))
    assert volume.grid.spacing_mm == (1, 1, 2)
    assert volume.notes[0].startswith("The header's voxels are 0.5 × 0.5 × 5 mm, its sform's 1 × 1 × 2 mm; the sform")


def test_a_fine_scan_in_metres_is_read_and_its_forms_are_compared_in_mm(tmp_path, data):
    def in_metres(header):
        header["xyzt_units"] = 1

    fine = np.diag([-0.0004, 0.0004, 0.0009, 1.0])
    volume = read_nifti(saved(tmp_path / "m.nii", data, fine, change=in_metres))
    np.testing.assert_allclose(volume.grid.spacing_mm, (0.4, 0.4, 0.9), rtol=1e-5)
    assert volume.notes == ("Lengths were turned from metres into millimetres.",)
    moved = fine.copy()
    moved[1, 3] = 0.02
    path = two_forms(tmp_path / "two.nii", data, moved, fine)
    raw = bytearray(path.read_bytes())
    raw[123] = 1
    path.write_bytes(raw)
    assert read_nifti(path).notes[0] == "qform and sform differ by up to 20 mm; the sform was used."


def test_a_qfac_of_zero_is_one_as_the_standard_says(tmp_path, data):
    turned = np.diag([0.9, 0.9, 2.0, 1.0])
    path = saved(tmp_path / "a.nii", data, turned, sform=0, change=lambda h: h["pixdim"].__setitem__(0, 0))
    volume = read_nifti(path)
    np.testing.assert_allclose(volume.grid.affine, turned, atol=1e-6)
    assert volume.notes == ()


def test_axes_that_nearly_fall_together_are_refused(tmp_path, data):
    flat = np.diag([1.0, 1.0, 1.0, 1.0])
    flat[:3, 2] = [0.99, 0.0, 0.14]
    with pytest.raises(GeometryError, match="right angles"):
        read_nifti(saved(tmp_path / "a.nii", data, flat, qform=0))


def test_a_place_that_a_header_cannot_tell_is_refused(tmp_path, data, affine):
    affine[0, 3] = 1e30
    with pytest.raises(GeometryError, match="from its origin"):
        read_nifti(saved(tmp_path / "a.nii", data, affine))


def test_impossible_units_and_sizes_are_refused(tmp_path, data, affine):
    def change(header):
        header["xyzt_units"] = 5

    with pytest.raises(GeometryError, match="unit code 5"):
        read_nifti(saved(tmp_path / "u.nii", data, affine, change=change))
    with pytest.raises(GeometryError, match=r"from 0\.02 to 50\.0 mm is plausible"):
        read_nifti(saved(tmp_path / "m.nii", data, np.diag([0.001, 0.001, 0.001, 1])))


# ---- shear


def sheared(affine, amount):
    """The third axis leans towards the second, as under a tilted gantry."""
    shear = np.eye(4)
    shear[1, 2] = amount
    return affine @ shear


def test_a_small_shear_becomes_the_nearest_rotation(tmp_path, data, affine):
    path = saved(tmp_path / "s.nii.gz", data, sheared(affine, 0.05), qform=0)
    volume = read_nifti(path)
    assert nifti_geometry.shear_deg(volume.grid) < 1e-6
    np.testing.assert_array_equal(volume.data, data)
    np.testing.assert_allclose(volume.grid.centre_mm, Grid(data.shape, sheared(affine, 0.05)).centre_mm, atol=1e-4)
    assert volume.notes[0].startswith("The affine is sheared by 1")
    assert "nearest rotation" in volume.notes[0]


def test_a_large_shear_is_resampled_in_place(tmp_path):
    affine = sheared(np.diag([1.0, 1.0, 3.0, 1.0]), 1.0)  # 18.4°, a usual tilt
    grid = Grid((30, 30, 12), affine)
    world = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    ramp = (500 + 2 * world[..., 0] + 3 * world[..., 1] - 5 * world[..., 2]).astype(np.float32)
    volume = read_nifti(saved(tmp_path / "s.nii.gz", ramp, affine, qform=0))
    assert nifti_geometry.shear_deg(volume.grid) < 1e-6
    assert "resampled (linear)" in volume.notes[0]
    np.testing.assert_allclose(volume.grid.spacing_mm, (1, 1, 3), atol=1e-6)
    there = volume.grid.to_mm(np.moveaxis(np.indices(volume.data.shape), 0, -1))
    expected = 500 + 2 * there[..., 0] + 3 * there[..., 1] - 5 * there[..., 2]
    index = grid.to_index(there)
    inside = ((index >= -1e-6) & (index <= np.array(grid.shape) - 1 + 1e-6)).all(axis=-1)
    assert inside.sum() > 0.9 * ramp.size
    np.testing.assert_allclose(volume.data[inside], expected[inside], rtol=1e-4)


def test_a_sheared_mask_keeps_its_labels_and_its_volume(tmp_path):
    affine = sheared(np.diag([1.0, 1.0, 3.0, 1.0]), 1.0)
    mask = np.zeros((30, 30, 12), np.uint8)
    mask[8:20, 9:21, 3:9] = 5
    volume = read_nifti(saved(tmp_path / "m.nii.gz", mask, affine, qform=0), allow_empty=True)
    assert set(np.unique(volume.data)) == {0, 5}
    assert volume.volume_ml == pytest.approx(12 * 12 * 6 * 3 / 1000, rel=0.02)


def test_beyond_a_sheared_mask_there_is_no_mask(tmp_path):
    """A mask of the whole field of view once grew by the corners of the grid that holds it at right angles."""
    affine = sheared(np.diag([1.0, 1.0, 3.0, 1.0]), 1.0)
    path = saved(tmp_path / "m.nii.gz", np.full((30, 30, 12), 2, np.uint8), affine, qform=0)
    volume = read_nifti(path, allow_empty=True)
    assert set(np.unique(volume.data)) == {0, 2}
    assert volume.volume_ml == pytest.approx(30 * 30 * 12 * 3 / 1000, rel=0.02)
    own = read_nifti(path, allow_empty=True, straight=False)
    np.testing.assert_allclose(own.grid.affine, affine, atol=1e-6)
    assert own.data.all()


# ---- writing


@pytest.mark.parametrize("name", ["m.nii", "m.nii.gz"])
def test_a_written_mask_lies_on_its_grid_for_nibabel_and_simpleitk(tmp_path, oblique_grid, name):
    mask = (np.random.default_rng(2).random(oblique_grid.shape) > 0.7).astype(np.uint8)
    path = write_nifti(Volume(mask, oblique_grid), tmp_path / name)
    image = nib.load(path)
    np.testing.assert_array_equal(np.asarray(image.dataobj), mask)
    np.testing.assert_allclose(image.affine, oblique_grid.affine, atol=1e-5)
    np.testing.assert_allclose(image.get_qform(), oblique_grid.affine, atol=1e-4)
    assert image.header.get_xyzt_units()[0] == "mm"
    judge = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(judge).T, mask)
    for index in [(0, 0, 0), (23, 19, 11), (5, 0, 7)]:
        x, y, z = judge.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((-x, -y, z), oblique_grid.to_mm(index), atol=1e-4)
    ours = read_nifti(path)
    assert ours.grid.same_as(oblique_grid)
    np.testing.assert_array_equal(ours.data, mask)


@pytest.mark.parametrize(
    ("dtype", "written"),
    [
        ("?", "u1"),
        ("u1", "u1"),
        ("i2", "i2"),
        (">i2", "i2"),
        ("i8", "i4"),
        ("u8", "u4"),
        ("f2", "f4"),
        ("f4", "f4"),
        ("f8", "f8"),
    ],
)
def test_dtypes_written(tmp_path, ball_mask, dtype, written):
    path = write_nifti(ball_mask.with_data(ball_mask.data.astype(dtype)), tmp_path / "d.nii.gz")
    assert nib.load(path).get_data_dtype() == np.dtype(written)
    np.testing.assert_array_equal(read_nifti(path).data, ball_mask.data)


def test_the_same_volume_gives_the_same_bytes(tmp_path, smooth_volume):
    first = write_nifti(smooth_volume, tmp_path / "one.nii.gz")
    second = write_nifti(smooth_volume.with_data(np.asfortranarray(smooth_volume.data)), tmp_path / "two.nii.gz")
    assert sha256_of(first) == sha256_of(second)
    assert first.read_bytes()[3:8] == b"\0\0\0\0\0"  # no flags, so no name; time 0


def test_slabs_of_any_depth_give_the_same_file(tmp_path, smooth_volume, monkeypatch):
    whole = write_nifti(smooth_volume, tmp_path / "one.nii").read_bytes()
    monkeypatch.setattr("willis.io.nifti.SLAB_BYTES", 1)
    assert write_nifti(smooth_volume, tmp_path / "two.nii").read_bytes() == whole


def test_a_write_that_fails_leaves_nothing_and_keeps_what_was_there(tmp_path, smooth_volume, monkeypatch):
    path = write_nifti(smooth_volume, tmp_path / "a.nii.gz")
    before = path.read_bytes()

    def broken(pieces):
        yield next(iter(pieces))
        raise OSError("disk full")

    monkeypatch.setattr("willis.io.nifti.packed", broken)
    with pytest.raises(OSError, match="disk full"):
        write_nifti(smooth_volume.with_data(smooth_volume.data * 2), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]


def test_what_cannot_be_written(tmp_path, ball_mask):
    with pytest.raises(BadInputError, match=r"must end in \.nii\.gz"):
        write_nifti(ball_mask, tmp_path / "a.mgz")
    with pytest.raises(BadInputError, match="the folder"):
        write_nifti(ball_mask, tmp_path / "none" / "a.nii")
    with pytest.raises(BadInputError, match="integers beyond int32"):
        write_nifti(ball_mask.with_data(ball_mask.data.astype(np.int64) << 40), tmp_path / "a.nii")
    with pytest.raises(BadInputError, match="image of complex64"):
        write_nifti(ball_mask.with_data(ball_mask.data.astype(np.complex64)), tmp_path / "a.nii")
    assert not list(tmp_path.iterdir())


def test_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
