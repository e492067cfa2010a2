"""A maker of small CT series, as a scanner with a tilted gantry writes them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

PIXEL = (0.7, 0.5)  # mm between rows, between columns
SHAPE = (40, 48)  # rows, columns
CENTRE_LPS = np.array([3.0, -6.0, 0.0])

SeriesMaker = Callable[..., Path]


def anatomy(lps: np.ndarray) -> np.ndarray:
    """HU at positions (..., 3): smooth, without any symmetry."""
    x, y, z = np.moveaxis(lps, -1, 0)
    return 30 + 4.0 * np.sin(x / 6) + 0.9 * y + 0.6 * z + 3 * np.cos(z / 9 + x / 11)


def write_series(
    folder: Path,
    table_mm: Sequence[float],
    *,
    tilt_deg: float = 0.0,
    series: str = "1.2.3.4",
    first: int = 1,
    **changes: Any,
) -> Path:
    """One file a slice; the table's positions are along the patient's z axis."""
    folder.mkdir(parents=True, exist_ok=True)
    a = np.deg2rad(tilt_deg)
    row, column = np.array([1.0, 0, 0]), np.array([0, np.cos(a), -np.sin(a)])
    j, i = np.meshgrid(np.arange(SHAPE[0]), np.arange(SHAPE[1]), indexing="ij")
    corner = CENTRE_LPS - row * PIXEL[1] * (SHAPE[1] - 1) / 2 - column * PIXEL[0] * (SHAPE[0] - 1) / 2
    for number, z in enumerate(table_mm, start=first):
        origin = corner + np.array([0, 0, z])
        lps = origin + i[..., None] * row * PIXEL[1] + j[..., None] * column * PIXEL[0]
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(number)])
        ds.Modality, ds.SeriesInstanceUID, ds.SeriesDescription = "CT", series, "head"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.InstanceNumber = number
        ds.ImagePositionPatient = [round(float(v), 6) for v in origin]
        ds.ImageOrientationPatient = [round(float(v), 7) for v in (*row, *column)]
        ds.PixelSpacing = list(PIXEL)
        ds.SliceThickness = 4.0
        ds.Rows, ds.Columns = SHAPE
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleSlope, ds.RescaleIntercept = 0.1, -1000.0
        ds.PixelData = np.rint((anatomy(lps) + 1000) / 0.1).astype("<i2").tobytes()
        for name, value in changes.items():
            delattr(ds, name) if value is None else setattr(ds, name, value)
        ds.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)
    return folder


@pytest.fixture
def make_series(tmp_path: Path) -> SeriesMaker:
    """``make_series(table_mm, tilt_deg=…)`` writes a series into a folder of its own, or into ``folder``."""

    def make(table_mm: Sequence[float], folder: Path | None = None, **settings: Any) -> Path:
        return write_series(folder or tmp_path / "ct", table_mm, **settings)

    return make


@pytest.fixture(name="anatomy")
def anatomy_fixture() -> Callable[[np.ndarray], np.ndarray]:
    """HU of the made-up patient at LPS positions."""
    return anatomy
