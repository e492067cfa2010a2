import nibabel as nib
import numpy as np
import pytest

from willis.errors import BadInputError
from willis.io.nifti import sha256_of, write_nifti
from willis.io.study import read_study
from willis.volume.grid import Grid
from willis.volume.volume import Volume


@pytest.fixture
def files(tmp_path, smooth_volume, ball_mask):
    return {
        "flair": write_nifti(smooth_volume, tmp_path / "sub-ab12_ses-2_FLAIR.nii.gz"),
        "t1": write_nifti(smooth_volume, tmp_path / "sub-ab12_ses-2_T1w.nii.gz"),
        "brain": write_nifti(ball_mask, tmp_path / "mask.nii.gz"),
    }


def test_roles_sources_and_identifiers(files):
    study = read_study(t1=files["t1"], flair=str(files["flair"]), brain_mask=files["brain"], scalars={"age": 71.0})
    assert set(study.volumes) == {"t1", "flair", "brain"}
    assert {role: volume.role for role, volume in study.volumes.items()} == {r: r for r in study.volumes}
    assert study.sources["flair"].sha256 == sha256_of(files["flair"])
    assert study.sources["flair"].path == files["flair"]
    assert study.scalars == {"age": 71.0}
    assert study.prefix == "sub-ab12_ses-2"


def test_given_identifiers_win(files):
    for subject, session in (("x", "y"), ("sub-x", "ses-y")):
        assert read_study(subject=subject, session=session, flair=files["flair"]).prefix == "sub-x_ses-y"


@pytest.mark.parametrize("subject", ["a/b", "../x", "a b", "sub_1", "", "sub-", "ses-1"])
def test_identifiers_that_no_file_name_can_hold_are_refused(files, subject):
    with pytest.raises(BadInputError, match="letters and digits"):
        read_study(subject=subject, flair=files["flair"])


def test_without_names_the_subject_is_01(tmp_path, smooth_volume):
    assert read_study(flair=write_nifti(smooth_volume, tmp_path / "flair.nii.gz")).prefix == "sub-01"


def test_two_people_in_one_study_are_refused(tmp_path, smooth_volume):
    one = write_nifti(smooth_volume, tmp_path / "sub-1_FLAIR.nii.gz")
    two = write_nifti(smooth_volume, tmp_path / "sub-2_T1w.nii.gz")
    with pytest.raises(BadInputError, match="two subjects"):
        read_study(t1=two, flair=one)
    assert read_study(subject="3", t1=two, flair=one).subject == "3"


def test_none_is_left_out_and_nothing_is_refused(files):
    assert set(read_study(t1=None, flair=files["flair"]).volumes) == {"flair"}
    with pytest.raises(BadInputError, match="no image was given"):
        read_study(t1=None)


@pytest.mark.parametrize(
    ("dtype", "scale", "cut"), [(np.uint8, 1, 0), (np.uint8, 255, 0), (np.float32, 1, 0), (np.float32, 1, 0.3)]
)
def test_a_brain_mask_becomes_zero_and_one(tmp_path, files, ball_mask, dtype, scale, cut):
    data = (ball_mask.data * scale).astype(dtype)
    data[0, 0, 0] = cut
    path = write_nifti(ball_mask.with_data(data), tmp_path / "given.nii.gz")
    brain = read_study(flair=files["flair"], brain_mask=path)["brain"]
    np.testing.assert_array_equal(brain.data, ball_mask.data)
    assert brain.data.dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_a_mask_of_several_labels_is_the_same_in_every_dtype(tmp_path, files, ball_mask, dtype):
    """As floats, labels below half of the highest were left out: of a parcellation everything but the cortex."""
    labels = ball_mask.data.astype(dtype)
    labels[: labels.shape[0] // 2] *= 3
    path = write_nifti(ball_mask.with_data(labels), tmp_path / "labels.nii.gz")
    np.testing.assert_array_equal(read_study(flair=files["flair"], brain_mask=path)["brain"].data, ball_mask.data)


def test_an_empty_brain_mask_is_refused(tmp_path, files, ball_mask):
    path = write_nifti(ball_mask.with_data(ball_mask.data * 0), tmp_path / "given.nii.gz")
    with pytest.raises(BadInputError, match=r"brain mask .* is empty"):
        read_study(flair=files["flair"], brain_mask=path)


def test_one_image_under_two_roles_is_refused(tmp_path, files, smooth_volume):
    (tmp_path / "link.nii.gz").symlink_to(files["t1"])
    with pytest.raises(BadInputError, match="given twice, as t1 and as flair"):
        read_study(t1=files["t1"], flair=tmp_path / "link.nii.gz")
    stack = np.stack([smooth_volume.data, smooth_volume.data[::-1]], axis=-1)
    four = tmp_path / "four.nii.gz"
    nib.save(nib.Nifti1Image(stack.astype(np.float32), smooth_volume.grid.affine), four)
    read_study(t1=four, flair=four, index={"t1": 0, "flair": 1})
    with pytest.raises(BadInputError, match="given twice"):
        read_study(t1=four, flair=four, index={"t1": 1, "flair": 1})


def test_a_brain_mask_of_no_brain_s_size_is_told(files, tmp_path, ball_mask):
    (note,) = read_study(flair=files["flair"], brain_mask=files["brain"])["brain"].notes
    assert f"holds {ball_mask.volume_ml:.0f} ml" in note
    grid = Grid((40, 40, 40), np.diag([3.0, 3.0, 3.0, 1.0]))
    whole = write_nifti(Volume(np.ones(grid.shape, np.uint8), grid), tmp_path / "whole.nii.gz")
    assert not read_study(flair=files["flair"], brain_mask=whole)["brain"].notes


def ct_head(shape=(30, 32, 20)) -> np.ndarray:
    """A head in HU: air, skull, brain of 25 to 45."""
    i, j, k = np.indices(shape)
    off_centre = np.hypot(np.hypot((i - 15) / 14, (j - 16) / 15), (k - 10) / 9)
    brain = 35 + 10 * np.sin(i / 3) * np.cos(j / 4)
    return np.where(off_centre > 1, -1000.0, np.where(off_centre > 0.9, 900.0, brain)).astype(np.float32)


@pytest.mark.parametrize("role", ["t1", "flair", "b1000", "adc"])
def test_a_ct_given_as_an_mr_is_refused(tmp_path, role):
    grid = Grid((30, 32, 20), np.diag([6.0, 6.0, 8.0, 1.0]))
    path = write_nifti(Volume(ct_head(), grid), tmp_path / "image.nii.gz")
    with pytest.raises(BadInputError, match=f"given as {role}, which is an MR image, and is a CT: its values are HU"):
        read_study(**{role: path})
    assert set(read_study(image=path).volumes) == {"image"}
    stripped = write_nifti(Volume(np.clip(ct_head(), 0, 80), grid), tmp_path / "stripped.nii.gz")
    assert set(read_study(**{role: stripped}).volumes) == {role}
    (tmp_path / "stripped.json").write_text('{"Modality": "CT"}')
    with pytest.raises(BadInputError, match="is a CT: the JSON beside it says so"):
        read_study(**{role: stripped})


@pytest.mark.parametrize("scale", [1.0, 0.01, 30.0])
def test_an_mr_with_a_background_below_0_is_no_ct(tmp_path, scale):
    values = ct_head()
    values[values > 0] *= scale if scale < 1 else 10 * scale
    grid = Grid((30, 32, 20), np.diag([6.0, 6.0, 8.0, 1.0]))
    path = write_nifti(Volume(values, grid), tmp_path / "flair.nii.gz")
    assert set(read_study(flair=path).volumes) == {"flair"}
