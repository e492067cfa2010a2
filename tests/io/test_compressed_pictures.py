"""Colour maps that were compressed with loss: values by their bar within a stated limit, or a clear refusal."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, SecondaryCaptureImageStorage

from willis.errors import BadInputError
from willis.io.colormap import shares_of
from willis.io.colour_bar import find_bar
from willis.io.dicom.pictures import LOSSY
from willis.io.pictures import read_colour_map
from willis.phantom.perfusion_pictures import PictureStyle, vendor_pictures

ROWS, COLUMNS = 220, 200
LIMITS = (0.0, 12.0)
MEDIAN, MOST = 0.02, 0.06  # error of half and of 95 % of the pixels, of the bar's length
LENGTH = (0.97, 1.03)  # of the bar that is found, against the painted one


def truth():
    y, x = np.mgrid[:ROWS, :COLUMNS]
    inside = np.hypot((y - 110) / 95, (x - 100) / 80) < 1
    values = np.clip(0.5 + 0.55 * np.sin(x / 25) * np.cos(y / 30), 0, 1)
    return np.repeat(values[..., None], 2, 2), np.repeat(inside[..., None], 2, 2)


def exported(**style):
    values, inside = truth()
    return vendor_pictures(12 * values, LIMITS, inside, PictureStyle(**style))


def compressed(picture, quality):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return stream


def folder_of(shown, place: Path, quality: int) -> Path:
    place.mkdir()
    for k in range(shown.pictures.shape[2]):
        (place / f"{k + 1:02d}.jpg").write_bytes(compressed(shown.pictures[:, :, k], quality).getvalue())
    return place


@pytest.mark.parametrize("quality", [75, 90])
@pytest.mark.parametrize("colours", ["jet", "turbo", "rainbow", "viridis"])
@pytest.mark.parametrize("bar", ["right", "below"])
def test_values_come_back_within_the_limit(tmp_path, quality, colours, bar):
    shown = exported(colours=colours, bar=bar)
    volume = read_colour_map(folder_of(shown, tmp_path / "map", quality), "tmax")
    assert LOSSY in volume.notes
    share = volume.data.transpose(1, 0, 2)
    values, inside = truth()
    read = share[shown.rows, shown.columns]
    both = np.isfinite(read) & inside
    error = np.abs(read - values)[both]
    assert both.sum() / inside.sum() > 0.93
    assert np.median(error) < MEDIAN and np.percentile(error, 95) < MOST
    assert np.isfinite(share).sum() - both.sum() < 0.005 * inside.sum(), "hardly anything about the map is read"


@pytest.mark.parametrize("quality", [75, 90])
@pytest.mark.parametrize("frame", [False, True])
def test_the_bar_has_its_length_within_the_limit(quality, frame):
    shown = exported(frame=frame)
    squeezed = np.stack([np.asarray(Image.open(compressed(p, quality))) for p in np.moveaxis(shown.pictures, 2, 0)], 2)
    bar, plain = find_bar(squeezed, lossy=True), find_bar(shown.pictures)
    assert bar is not None and plain is not None and bar.usual is True
    assert LENGTH[0] < len(bar.colours) / len(plain.colours) < LENGTH[1]
    volumes = [(share > 0.5).sum() for share in (shares_of(squeezed, bar), shares_of(shown.pictures, plain))]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.04)


def test_a_map_without_a_bar_is_refused_and_the_compression_named(tmp_path):
    shown = exported()
    shown.pictures[:, shown.columns.stop :] = 0
    assert not find_bar(shown.pictures)
    with pytest.raises(BadInputError, match=r"compressed with loss: without it .* Export the map as PNG"):
        read_colour_map(folder_of(shown, tmp_path / "map", 75), "tmax")


def test_a_tiff_that_holds_a_jpeg_is_told_too(tmp_path):
    shown = exported()
    path = tmp_path / "map.tiff"
    Image.fromarray(shown.pictures[:, :, 0]).save(path, compression="jpeg", quality=90)
    assert LOSSY in read_colour_map(path, "tmax").notes


@pytest.mark.parametrize("quality", [75, 90])
def test_jpeg_within_dicom_is_read_like_the_file_and_told_though_its_header_is_silent(tmp_path, quality):
    shown = exported()
    for k in range(shown.pictures.shape[2]):
        write_baseline(tmp_path / f"{k}.dcm", compressed(shown.pictures[:, :, k], quality).getvalue(), shown, k)
    volume = read_colour_map(tmp_path, "tmax")
    assert LOSSY in volume.notes
    read = volume.data.transpose(1, 0, 2)[shown.rows, shown.columns]
    values, inside = truth()
    both = np.isfinite(read) & inside
    error = np.abs(read - values)[both]
    assert both.sum() / inside.sum() > 0.93
    assert np.median(error) < MEDIAN and np.percentile(error, 95) < MOST


def write_baseline(path: Path, jpeg: bytes, shown, number: int) -> None:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = SecondaryCaptureImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = f"1.2.3.{number + 1}"
    image.SeriesInstanceUID, image.InstanceNumber = "1.2.3", number + 1
    image.Rows, image.Columns = shown.pictures.shape[:2]
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "YBR_FULL_422", 0
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
    image.PixelData = encapsulate([jpeg])
    image.save_as(path, enforce_file_format=True)
