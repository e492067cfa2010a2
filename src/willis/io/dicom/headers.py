"""Which DICOM files of a folder make up one series of slices, and what their headers say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from willis.errors import BadInputError, GeometryError
from willis.units import counted
from willis.volume.grid import FloatArray

PREAMBLE = 128  # bytes before "DICM", PS3.10 section 7.1
ORIENTATION_TOLERANCE = 1e-3  # of direction cosines, stored with few decimals
SQUARE_TOLERANCE = 1e-3  # cosine of the angle between rows and columns
LEAST_SPACING_MM = 1e-3  # of pixels: what is smaller, or negative, is no distance
_TO_RAS = np.array([-1.0, -1.0, 1.0])  # DICOM's patient axes are L, P, S (PS3.3 C.7.6.2.1.1)


@dataclass(frozen=True, eq=False)
class SliceHeader:
    """What the header of one slice says.

    Parameters
    ----------
    path
        Its file.
    series, description, modality
        Series Instance UID, Series Description, Modality.
    instance
        Instance Number; -1 when absent.
    shape
        Rows, columns.
    axes_mm
        (3, 2) RAS+ step of one voxel along a row's voxels (i), and from row to row (j).
    origin_mm
        (3,) RAS+ centre of the first voxel.
    thickness_mm, tilt_deg
        Slice Thickness and Gantry/Detector Tilt; NaN when absent.
    """

    path: Path
    series: str
    description: str
    modality: str
    instance: int
    shape: tuple[int, int]
    axes_mm: FloatArray
    origin_mm: FloatArray
    thickness_mm: float
    tilt_deg: float


def read_headers(folder: Path) -> tuple[list[SliceHeader], list[str]]:
    """The slices of the one series in a folder, and what was passed over, in words.

    Parameters
    ----------
    folder
        Holds the files, here or below; files that are no DICOM images, and localizers, are passed over.

    Raises
    ------
    BadInputError
        When there is no image, several series, several shapes, or an enhanced multi-frame object.
    GeometryError
        When a slice doesn't say where it lies, or slices aren't parallel.
    """
    if not folder.is_dir():
        raise BadInputError(f"{folder} is not a folder of DICOM files.")
    images, other, localizers = [], 0, 0
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        dataset = read_header(path)
        if dataset is None or not (dataset.get("Rows") and dataset.get("Columns")):
            other += dataset is not None or not _is_dicom(path)
            continue
        if "LOCALIZER" in (dataset.get("ImageType") or ()):
            localizers += 1
            continue
        images.append(slice_header(dataset, path))
    if not images:
        raise BadInputError(f"{folder} holds no DICOM image. Give the folder of one series.")
    refuse_mixture(images, folder)
    notes = []
    if localizers:
        notes.append(f"{counted(localizers, 'localizer image')} in the folder passed over.")
    if other:
        notes.append(f"{other} file{'s' if other > 1 else ''} in the folder that hold no image passed over.")
    return images, notes


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(PREAMBLE)
        return stream.read(4) == b"DICM"


def read_header(path: Path) -> Any:
    """The header without pixels, a pydicom dataset; None when the file isn't DICOM.

    Raises
    ------
    BadInputError
        When it is damaged.
    """
    try:
        return pydicom.dcmread(path, stop_before_pixels=True)
    except InvalidDicomError:
        return None
    except Exception as error:
        raise BadInputError(f"{path} is damaged: {error}. Copy or export it again.") from None


def slice_header(dataset: Any, path: Path) -> SliceHeader:
    """What a dataset says of its one slice.

    Raises
    ------
    BadInputError
        When it holds several frames.
    GeometryError
        When it doesn't say where it lies, its place is no place, or its rows and columns aren't at right angles.
    """
    if int(dataset.get("NumberOfFrames", None) or 1) > 1:
        raise BadInputError(
            f"{path} is a multi-frame object, which willis doesn't read. Convert it to NIfTI with dcm2niix."
        )
    origin, cosines, spacing = (
        _numbers(dataset, tag, count, path)
        for tag, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2))
    )
    if spacing.min() < LEAST_SPACING_MM:
        raise GeometryError(
            f"{path} says that its pixels are {spacing[0]:g} × {spacing[1]:g} mm: no distance is 0 or less. Export the "
            "original series again."
        )
    along = cosines.reshape(2, 3) * _TO_RAS
    lengths = np.linalg.norm(along, axis=1)
    if np.abs(lengths - 1).max() > SQUARE_TOLERANCE or abs(along[0] @ along[1]) > SQUARE_TOLERANCE:
        raise GeometryError(f"{path} has rows and columns that aren't at right angles: its orientation is damaged.")
    rows_mm, columns_mm = spacing  # between rows, between columns (PS3.3 10.7.1.1)
    first = along[0] / lengths[0]
    second = along[1] - (along[1] @ first) * first
    return SliceHeader(
        path=path,
        series=str(dataset.get("SeriesInstanceUID", "")),
        description=str(dataset.get("SeriesDescription", "") or dataset.get("SeriesNumber", "") or "unnamed"),
        modality=str(dataset.get("Modality", "")),
        instance=int(dataset.get("InstanceNumber", None) or -1),
        shape=(int(dataset.Rows), int(dataset.Columns)),
        axes_mm=np.column_stack([first * columns_mm, second / np.linalg.norm(second) * rows_mm]),
        origin_mm=origin * _TO_RAS,
        thickness_mm=float(dataset.get("SliceThickness", None) or np.nan),
        tilt_deg=np.nan if dataset.get("GantryDetectorTilt") in (None, "") else float(dataset.GantryDetectorTilt),
    )


def _numbers(dataset: Any, tag: str, count: int, path: Path) -> FloatArray:
    """So many finite numbers of a tag.

    Raises
    ------
    GeometryError
        When it is absent, or holds something else.
    """
    if dataset.get(tag) in (None, ""):
        raise GeometryError(f"{path} doesn't say where it lies: it has no {tag}. Export the original series again.")
    values = np.atleast_1d(np.asarray(dataset[tag].value, dtype=np.float64))
    if len(values) != count or not np.isfinite(values).all():
        raise GeometryError(
            f"{path} has {', '.join(f'{v:g}' for v in values)} as its {tag}; {count} numbers are needed. Export the "
            "original series again."
        )
    return values


def refuse_mixture(images: Sequence[SliceHeader], folder: Path) -> None:
    """Refuse slices of several series, modalities, sizes or orientations.

    Raises
    ------
    BadInputError
        When there are several series, modalities or shapes.
    GeometryError
        When slices aren't parallel.
    """
    series = Counter(image.series for image in images)
    if len(series) > 1:
        named = {image.series: f"{image.modality} {image.description!r}" for image in images}
        listed = ", ".join(f"{named[uid]} ({counted(count, 'image')})" for uid, count in series.most_common())
        raise BadInputError(
            f"{folder} holds {len(series)} series: {listed}. Give the folder of one; put each series into its own."
        )
    modalities = Counter(image.modality or "none" for image in images)
    if len(modalities) > 1:
        listed = ", ".join(f"{name} ({count})" for name, count in modalities.most_common())
        raise BadInputError(
            f"the images in {folder} are of several modalities: {listed}. Give one series of one modality."
        )
    shapes = Counter(image.shape for image in images)
    if len(shapes) > 1:
        listed = ", ".join(f"{r} × {c} ({count})" for (r, c), count in shapes.most_common())
        raise BadInputError(f"the images in {folder} differ in size: {listed}. Give one series of one size.")
    first = images[0].axes_mm
    scale = float(np.abs(first).max())
    turned = [image for image in images if np.abs(image.axes_mm - first).max() > ORIENTATION_TOLERANCE * scale]
    if turned:
        raise GeometryError(
            f"{len(turned)} of {len(images)} images in {folder} are turned, or have other voxel sizes, than "
            f"{images[0].path.name} (the first is {turned[0].path.name}). Give one series of parallel slices."
        )
