"""Inputs that can't be analysed end the command with exit code 2 and a sentence that says what is wrong."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from willis.app.cli.main import call
from willis.io.nifti import write_nifti
from willis.volume.grid import Grid
from willis.volume.volume import Volume

GRID = Grid((48, 56, 24), np.array([[-4.0, 0, 0, 94], [0, -4.0, 0, 108], [0, 0, 6.0, -69], [0, 0, 0, 1.0]]))
INNER = tuple(np.abs(x - (n - 1) / 2) < n * 0.4 for x, n in zip(np.indices(GRID.shape), GRID.shape, strict=True))
HEAD = INNER[0] & INNER[1] & INNER[2]


def image(inside: np.ndarray, outside: float = -1000.0) -> Volume:
    return Volume(np.where(HEAD, inside, outside).astype(np.float32), GRID, role="ncct")


def tissue() -> np.ndarray:
    return np.random.default_rng(0).normal(35, 5, GRID.shape)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert call(["run", "lvo", *arguments]) == 2
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: image(np.abs(tissue()) * 12, 0.0), "lvo reads non-contrast CT, not MR"),
        (lambda: image(tissue() + 1024, 0.0), "without its rescale intercept"),
        (lambda: image(np.full(GRID.shape, 900.0)), "shows bone or metal and no brain"),
        (lambda: image(tissue() - 1035), "nothing but air"),
    ],
    ids=["MR", "no intercept", "bone alone", "air alone"],
)
def test_an_image_that_is_no_head_ct_is_refused(made, words, tmp_path, capsys):
    path = write_nifti(made(), tmp_path / "ct.nii.gz")
    assert words in refused(["--ncct", str(path), "-o", str(tmp_path / "out")], capsys)
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize("flag", ["--vessels", "--brain-mask"])
def test_a_mask_on_another_grid_is_refused(flag, tmp_path, capsys):
    ct = write_nifti(image(tissue()), tmp_path / "ct.nii.gz")
    other = Grid((20, 20, 20), np.diag([5.0, 5, 5, 1]))
    mask = write_nifti(Volume(np.ones(other.shape, np.uint8), other), tmp_path / "mask.nii.gz")
    said = refused(["--ncct", str(ct), flag, str(mask), "-o", str(tmp_path / "out")], capsys)
    assert "on the grid of the CT" in said


def test_missing_slices_are_counted_and_refused(tmp_path, capsys):
    series = write_series(tmp_path / "series", [n for n in range(12) if n not in (4, 5, 6, 7)])
    assert "4 slices are missing" in refused(["--ncct", str(series), "-o", str(tmp_path / "out")], capsys)


def write_series(folder: Path, numbers: list[int]) -> Path:
    """One CT series of slices 5 mm apart."""
    folder.mkdir()
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    for number in numbers:
        header = pydicom.Dataset()
        header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, generate_uid()
        header.SeriesInstanceUID, header.StudyInstanceUID, header.FrameOfReferenceUID = series, study, frame
        header.Modality, header.PatientID, header.ImageType = "CT", "made", ["ORIGINAL", "PRIMARY", "AXIAL"]
        header.ImagePositionPatient, header.ImageOrientationPatient = [0, 0, 5.0 * number], [1, 0, 0, 0, 1, 0]
        header.PixelSpacing, header.SliceThickness, header.InstanceNumber = [1, 1], 5, number
        header.Rows = header.Columns = 16
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated = header.BitsStored = 16
        header.HighBit, header.PixelRepresentation = 15, 1
        header.RescaleSlope, header.RescaleIntercept = 1, -1024
        header.PixelData = np.full((16, 16), 1060, np.int16).tobytes()
        header.file_meta = pydicom.dataset.FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)
    return folder
