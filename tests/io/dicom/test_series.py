"""A CT series read from a folder of slices lies where the scanner put it, whatever the gantry and the table did."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from willis.errors import BadInputError, GeometryError
from willis.io.dicom.series import read_series, sha256_of_series
from willis.io.study import read_study
from willis.volume.stack import even_runs, on_slices

EVEN = [4.0 * k for k in range(10)]
TWO_SPACINGS = [*(4.0 * k for k in range(7)), *(25.2 + 7.0 * k for k in range(5))]
LPS = np.array([-1.0, -1.0, 1.0])
ORACLE = Callable[[np.ndarray], np.ndarray]


def differences(volume, anatomy: ORACLE, margin: int = 3, inner_mm: float = 0.0) -> np.ndarray:
    """What was read against the anatomy at the same places, within the middle of the field of view."""
    index = np.moveaxis(np.indices(volume.grid.shape), 0, -1)
    there = volume.data > -900
    there[:margin] = there[-margin:] = False
    there[:, :12] = there[:, -12:] = False
    return np.abs(volume.data - anatomy(volume.grid.to_mm(index) * LPS))[there]


def test_straight_even_slices_are_taken_as_they_are(make_series, anatomy):
    volume, stack = read_series(make_series(EVEN), "ncct")
    assert volume.grid.shape == (48, 40, 10)
    assert volume.grid.orientation == "LPS"
    assert volume.unit == "HU"
    assert volume.notes == ()
    assert stack.even
    assert stack.straight
    assert differences(volume, anatomy).max() < 0.06  # of stored steps of 0.1 HU


@pytest.mark.parametrize("tilt", [18.5, -11.0])
def test_a_tilted_gantry_is_named_and_undone(make_series, anatomy, tilt):
    volume, stack = read_series(make_series(EVEN, tilt_deg=tilt), "ncct")
    assert abs(stack.tilt_deg - abs(tilt)) < 0.01
    assert f"tilted by {abs(tilt)}°" in volume.notes[0]
    directions = volume.grid.directions
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(volume.grid.spacing_mm[2], 4 * np.cos(np.deg2rad(tilt)), atol=1e-4)
    assert volume.grid.shape[2] == 10
    assert differences(volume, anatomy).max() < 0.2  # cubic, of stored steps of 0.1 HU


def test_two_spacings_become_the_finer_one(make_series, anatomy):
    volume, stack = read_series(make_series(TWO_SPACINGS, tilt_deg=6.0), "ncct")
    assert not stack.even
    assert volume.grid.spacing_mm[2] == pytest.approx(4 * np.cos(np.deg2rad(6.0)), abs=1e-3)
    assert any("3.98 and 6.96 mm" in note for note in volume.notes)
    assert differences(volume, anatomy).max() < 2.0  # linear between slices 7 mm apart, the last layer held


def test_what_is_brought_back_lies_on_the_scanners_own_slices(make_series):
    folder = make_series(TWO_SPACINGS, tilt_deg=18.5)
    volume, stack = read_series(folder, "ncct")
    back = on_slices(volume, stack)
    stored = [dcmread(path) for path in sorted(folder.iterdir())]
    own = np.stack([s.pixel_array.T * 0.1 - 1000.0 for s in stored], axis=2)
    assert back.shape == own.shape
    inner = (slice(3, -3), slice(12, -12), slice(1, -1))
    assert np.abs(back - own)[inner].max() < 1.5
    runs = even_runs(stack)
    assert [(run.start, run.stop) for run, _ in runs] == [(0, 7), (7, 12)]
    for run, grid in runs:
        positions = [np.array(s.ImagePositionPatient, float) * LPS for s in stored[run]]
        np.testing.assert_allclose(grid.to_mm([[0, 0, k] for k in range(grid.shape[2])]), positions, atol=1e-5)


def test_names_and_numbers_of_files_do_not_order_them(make_series, tmp_path):
    folder = make_series(EVEN, tilt_deg=5.0)
    shuffled = tmp_path / "shuffled"
    shuffled.mkdir()
    for name, path in zip("jbfahcigde", sorted(folder.iterdir()), strict=True):
        shutil.copy(path, shuffled / f"{name}.ima")
    one, other = read_series(folder)[0], read_series(shuffled)[0]
    assert one.grid == other.grid
    np.testing.assert_array_equal(one.data, other.data)
    assert sha256_of_series(folder) == sha256_of_series(shuffled)


def test_a_missing_slice_is_named_and_a_large_gap_refused(make_series, tmp_path):
    volume, _ = read_series(make_series([z for z in EVEN if z != 16.0]))
    assert any("1 slice is missing between 004.dcm and 005.dcm" in note for note in volume.notes)
    with pytest.raises(GeometryError, match="4 slices are missing"):
        read_series(make_series([z for z in EVEN if not 12 <= z <= 24], folder=tmp_path / "gap"))


def test_a_slice_there_twice_is_passed_over_but_two_images_of_one_place_are_refused(make_series, tmp_path):
    folder = make_series(EVEN)
    shutil.copy(folder / "003.dcm", folder / "copy.dcm")
    volume, _ = read_series(folder)
    assert volume.grid.shape[2] == 10
    assert any("there twice" in note for note in volume.notes)
    other = dcmread(folder / "copy.dcm")
    other.PixelData = bytes(len(other.PixelData))
    other.save_as(folder / "copy.dcm")
    with pytest.raises(BadInputError, match="one place and show different images"):
        read_series(folder)


def test_localizers_and_other_files_are_passed_over_and_said(make_series):
    folder = make_series(EVEN)
    make_series([200.0], folder=folder, first=50, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    (folder / "notes.txt").write_text("nothing")
    volume, _ = read_series(folder)
    assert volume.grid.shape[2] == 10
    assert any("1 localizer image" in note for note in volume.notes)
    assert any("1 file in the folder" in note for note in volume.notes)


def test_padding_becomes_air(make_series):
    folder = make_series(EVEN)
    for path in folder.iterdir():
        ds = dcmread(path)
        pixels = ds.pixel_array.copy()
        pixels[:, :5] = -2000
        ds.PixelData = pixels.tobytes()
        ds.PixelPaddingValue = -2000
        ds["PixelPaddingValue"].VR = "SS"
        ds.save_as(path)
    volume, _ = read_series(folder)
    assert (volume.data[:5] == -1024).all()
    assert (volume.data[5:] > -900).all()
    assert any("Padding" in note for note in volume.notes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RescaleIntercept": None}, "without rescale slope and intercept"),
        ({"ImagePositionPatient": None}, "has no ImagePositionPatient"),
        ({"NumberOfFrames": 4}, "multi-frame"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "at right angles"),
        ({"ImageOrientationPatient": [1, 0, 0]}, "has 1, 0, 0 as its ImageOrientationPatient; 6 numbers are needed"),
        ({"ImagePositionPatient": [1, 2]}, "3 numbers are needed"),
        ({"PixelSpacing": 0.5}, "has 0.5 as its PixelSpacing; 2 numbers are needed"),
        ({"PixelSpacing": [0, 0]}, "no distance is 0 or less"),
        ({"PixelSpacing": [-0.7, 0.5]}, "no distance is 0 or less"),
        ({"RescaleSlope": 0}, "rescale slope 0"),
        ({"RescaleType": "Z_EFF"}, "Z_EFF .Rescale Type., not HU"),
    ],
)
def test_headers_that_cannot_be_trusted_are_refused(make_series, changes, words):
    with pytest.raises(BadInputError, match=words):
        read_series(make_series(EVEN, **changes))


def _emptied_tag(folder: Path, tag: str) -> Path:
    for path in folder.iterdir():
        ds = dcmread(path)
        setattr(ds, tag, None)
        ds.save_as(path)
    return folder


@pytest.mark.parametrize("tag", ["GantryDetectorTilt", "ImageType", "SliceThickness", "InstanceNumber", "RescaleType"])
def test_tags_that_are_there_and_empty_count_as_absent(make_series, tmp_path, tag):
    emptied, _ = read_series(_emptied_tag(make_series(EVEN, folder=tmp_path / "a"), tag))
    whole, _ = read_series(make_series(EVEN, folder=tmp_path / "b"))
    np.testing.assert_array_equal(emptied.data, whole.data)
    assert emptied.notes == whole.notes


def test_images_without_rows_hold_none(make_series, tmp_path):
    folder = make_series(EVEN)
    ds = dcmread(folder / "010.dcm")
    ds.Rows = None
    ds.save_as(folder / "010.dcm")
    volume, _ = read_series(folder)
    assert volume.grid.shape[2] == 9
    assert any("1 file in the folder" in note for note in volume.notes)


def test_one_image_of_another_modality_is_refused(make_series):
    folder = make_series(EVEN)
    make_series([60.0], folder=folder, first=30, Modality="MR")
    with pytest.raises(BadInputError, match=r"several modalities: CT \(10\), MR \(1\)"):
        read_series(folder)


def test_two_series_or_two_sizes_in_one_folder_are_refused(make_series, tmp_path):
    folder = make_series(EVEN)
    make_series(EVEN, folder=folder / "b", series="1.2.3.5", SeriesDescription="bone")
    with pytest.raises(BadInputError, match=r"2 series: CT 'head' \(10 images\), CT 'bone' \(10 images\)"):
        read_series(folder)
    mixed = make_series(EVEN, folder=tmp_path / "mixed")
    make_series([60.0], folder=mixed, first=30, PixelSpacing=[0.9, 0.9])
    with pytest.raises(GeometryError, match="1 of 11 images"):
        read_series(mixed)
    with pytest.raises(BadInputError, match="no DICOM image"):
        read_series(_emptied(tmp_path))


def _emptied(folder: Path) -> Path:
    empty = folder / "empty"
    empty.mkdir()
    return empty


def test_a_study_takes_a_folder_of_slices(make_series):
    folder = make_series(EVEN, tilt_deg=10.0)
    study = read_study(ncct=folder)
    source = study.sources["ncct"]
    assert study["ncct"].unit == "HU"
    assert source.slices is not None
    assert source.sha256 == sha256_of_series(folder)
    with pytest.raises(BadInputError, match="folder of slices"):
        read_study(ncct=folder, index={"ncct": 1})


@pytest.mark.real
def test_a_real_tilted_series_with_two_spacings(real_data):
    volume, stack = read_series(real_data / "ct_dicom_ge", "ncct")
    assert stack.tilt_deg == pytest.approx(18.5, abs=0.01)
    assert sorted(stack.spacings_mm()) == pytest.approx([4.0, 7.0], abs=0.01)
    assert volume.grid.spacing_mm[2] == pytest.approx(4.0, abs=0.01)
    middle = volume.data[200:310, 250:350, 15:25]
    assert 15 < np.median(middle) < 45  # HU of brain


def test_a_ct_series_given_as_an_mr_is_refused(make_series):
    folder = make_series(EVEN)
    with pytest.raises(BadInputError, match="given as flair, which is an MR image, and is a CT: its DICOM header"):
        read_study(flair=folder)
    assert set(read_study(ncct=folder).volumes) == {"ncct"}
