"""Colour pictures in DICOM: secondary captures and other colour images, their place where they say it, their range.

Pixels are decoded by pydicom: RGB, YBR and palette colours (PS3.3 C.7.6.3.1.2) become red, green and blue.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit

from willis.errors import BadInputError, GeometryError
from willis.io.dicom.headers import read_header, refuse_mixture, slice_header
from willis.io.dicom.stacking import make_stack, sorted_slices
from willis.volume.grid import Grid
from willis.volume.stack import even_runs

Rgb = npt.NDArray[np.uint8]

PALETTE = "PALETTE COLOR"
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", PALETTE)  # PS3.3 C.7.6.3.1.2
CAPTURES = "1.2.840.10008.5.1.4.1.1.7"  # start of the UIDs of Secondary Capture Image Storage, PS3.4 B.5
CAPTURE_BITS = 8  # of a grey capture that is a picture and holds no values
LOSSY = "The pictures were compressed with loss: their colours, and the values read by them, are less certain."
WITH_LOSS = "01"  # Lossy Image Compression, PS3.3 C.7.6.1.1.5
LOSSY_SYNTAXES = (JPEGBaseline8Bit, JPEGExtended12Bit)
PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
SMALL_TILT_DEG = 0.05


@dataclass(frozen=True)
class DicomPictures:
    """Pictures of one map.

    Parameters
    ----------
    pictures
        (rows, columns, slices, 3) as stored.
    grid
        Their place, axes (columns, rows, slices); None where the headers don't say it.
    notes
        What a reader must know.
    """

    pictures: Rgb
    grid: Grid | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class DeclaredColours:
    """What an image's own table says: the values of its two end colours.

    Parameters
    ----------
    values
        At the first and the last entry of the table that stands for values.
    colours
        (2, 3) of these entries.
    unit
        Code of the unit, empty where none is given.
    """

    values: tuple[float, float]
    colours: Rgb
    unit: str


def is_dicom_picture(path: Path) -> bool:
    """Whether a DICOM file, or the first image of a folder, is in colour or a grey capture of 8 bits."""
    first = next(_images_of(path), None)
    if first is None:
        return False
    dataset = first[1]
    capture = str(dataset.get("SOPClassUID", "")).startswith(CAPTURES)
    grey_picture = capture and int(dataset.get("BitsAllocated", 0)) == CAPTURE_BITS
    return str(dataset.get("PhotometricInterpretation", "")) in COLOURS or grey_picture


def read_dicom_pictures(path: Path) -> DicomPictures:
    """Read the pictures of one map.

    Parameters
    ----------
    path
        A folder with one file a slice, or one file, whose frames are then the slices.

    Raises
    ------
    BadInputError
        When there is no image, pixels can't be read, or images differ in size, or are of several series or maps.
    GeometryError
        When some slices say where they lie and others don't, or they are unevenly spaced.
    """
    images = list(_images_of(path))
    if not images:
        raise BadInputError(f"{path} holds no DICOM image. Give the folder of one map's pictures.")
    series = {str(dataset.get("SeriesInstanceUID", "")) for _, dataset in images}
    if len(series) > 1:
        raise BadInputError(
            f"{path} holds {len(series)} series. Give the pictures of one map, in a folder of their own."
        )
    notes = (LOSSY,) if any(_with_loss(dataset) for _, dataset in images) else ()
    placed = [all(dataset.get(tag) for tag in PLACE) for _, dataset in images]
    if any(placed) and len(images) > 1:
        return _placed(images, placed, path, notes)
    ordered = sorted(images, key=lambda image: (int(image[1].get("InstanceNumber", None) or -1), image[0].name))
    frames = [frame for file, _ in ordered for frame in _frames(file)]
    return DicomPictures(_stacked(frames, path), None, notes)


def declared_colours(path: Path) -> DeclaredColours | None:
    """The values of a palette's ends where all images of a map declare them alike; else None.

    They are taken from the Real World Value Mapping (PS3.3 C.7.6.16.2.11), else from Rescale Slope and Intercept
    (PS3.3 C.7.6.16.2.9) over the whole palette.
    """
    found = [_declared(dataset) for _, dataset in _images_of(path)]
    first = found[0] if found else None
    if first is None:
        return None
    same = all(
        other is not None and other.values == first.values and np.array_equal(other.colours, first.colours)
        for other in found
    )
    return first if same else None


def _with_loss(dataset: Any) -> bool:
    """Whether an image says that it was compressed with loss, or is stored so."""
    meta = getattr(dataset, "file_meta", None)
    stored = str(meta.get("TransferSyntaxUID", "")) if meta is not None else ""
    return bool(dataset.get("LossyImageCompression") == WITH_LOSS or stored in LOSSY_SYNTAXES)


def _images_of(path: Path) -> Any:
    """(file, header) of each DICOM image, in the order of names."""
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        dataset = read_header(file)
        if dataset is not None and "Rows" in dataset and "LOCALIZER" not in dataset.get("ImageType", ()):
            yield file, dataset


def _placed(images: list[tuple[Path, Any]], placed: list[bool], path: Path, notes: tuple[str, ...]) -> DicomPictures:
    if not all(placed):
        raise GeometryError(
            f"{placed.count(False)} of {len(placed)} images in {path} don't say where they lie, and the others do. "
            "Give the pictures of one map."
        )
    headers = [slice_header(dataset, file) for file, dataset in images]
    refuse_mixture(headers, path)
    places = sorted_slices(headers)
    doubled = next((same for same in places if len(same) > 1), None)
    if doubled is not None:
        raise BadInputError(
            f"{doubled[0].path.name} and {doubled[1].path.name} lie in one place: {path} holds the pictures of several "
            "maps. Put those of each map into a folder of its own."
        )
    slices = [same[0] for same in places]
    stack = make_stack(slices)
    runs = even_runs(stack)
    if len(runs) > 1:
        raise GeometryError(
            f"the pictures in {path} are unevenly spaced ({stack.steps_mm.min():.2f} to {stack.steps_mm.max():.2f} "
            "mm), and colours can't be interpolated. Export all slices again, or give the map's values as NIfTI."
        )
    if stack.tilt_deg > SMALL_TILT_DEG and not stack.straight:
        notes += (f"The gantry was tilted by {stack.tilt_deg:.1f}° against the way of the table.",)
    frames = [frame for header in slices for frame in _frames(header.path)]
    return DicomPictures(_stacked(frames, path), runs[0][1], notes)


def _stacked(frames: list[Rgb], path: Path) -> Rgb:
    shapes = sorted({frame.shape[:2] for frame in frames})
    if len(shapes) > 1:
        listed = ", ".join(f"{rows} × {columns}" for rows, columns in shapes)
        raise BadInputError(f"the pictures in {path} differ in size: {listed}. Give those of one map.")
    return np.stack(frames, axis=2)


def _frames(file: Path) -> list[Rgb]:
    """(rows, columns, 3) of each frame of a file."""
    try:
        dataset = pydicom.dcmread(file)
        pixels = pixel_array(dataset)
        if dataset.PhotometricInterpretation == PALETTE:
            pixels = apply_color_lut(pixels, dataset)
    except Exception as error:  # pydicom's decoders raise whatever their library does
        raise BadInputError(
            f"the pixels of {file} can't be read: {error}. Export the pictures uncompressed, or as PNG."
        ) from None
    if dataset.get("SamplesPerPixel") == 1 and dataset.PhotometricInterpretation != PALETTE:
        pixels = np.repeat(pixels[..., None], 3, axis=-1)
    frames = pixels if pixels.ndim == 4 else pixels[None]
    return [_eight_bits(frame) for frame in frames]


def _eight_bits(colours: npt.NDArray[Any]) -> Rgb:
    """Colours of 16 bits brought to 8; those that are stored in 16 bits and use 8 stay."""
    if colours.dtype.itemsize > 1 and colours.max() > np.iinfo(np.uint8).max:
        colours = colours >> 8
    return np.asarray(colours, dtype=np.uint8)


def _declared(dataset: Any) -> DeclaredColours | None:
    if dataset.get("PhotometricInterpretation") != PALETTE:
        return None
    mapping = (dataset.get("RealWorldValueMappingSequence") or [None])[0]
    if mapping is not None and "RealWorldValueSlope" in mapping:
        ends = (int(mapping.RealWorldValueFirstValueMapped), int(mapping.RealWorldValueLastValueMapped))
        slope, intercept = float(mapping.RealWorldValueSlope), float(mapping.RealWorldValueIntercept)
        codes = mapping.get("MeasurementUnitsCodeSequence")
        unit = str(codes[0].CodeValue) if codes else ""
    elif "RescaleSlope" in dataset:
        entries, first, _ = dataset.RedPaletteColorLookupTableDescriptor
        ends = (int(first), int(first) + (int(entries) or 65536) - 1)  # 0 stands for 2^16, PS3.3 C.7.6.3.1.5
        slope, intercept = float(dataset.RescaleSlope), float(dataset.get("RescaleIntercept", 0))
        unit = str(dataset.get("RescaleType", "") or "")
    else:
        return None
    colours = _eight_bits(apply_color_lut(np.array([ends], dtype=np.uint16), dataset))[0]
    return DeclaredColours((slope * ends[0] + intercept, slope * ends[1] + intercept), colours, unit)
