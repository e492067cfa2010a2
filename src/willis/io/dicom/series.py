"""Read a series of DICOM slices as a Volume: values in their unit, on a regular grid, with all that was found wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom

from willis.errors import BadInputError
from willis.io.dicom.headers import SliceHeader, read_headers
from willis.io.dicom.stacking import diagnose, make_stack, sorted_slices
from willis.volume.stack import SliceStack, to_grid
from willis.volume.volume import Volume

NOT_HU = ("OD", "MGML", "Z_EFF", "ED", "EDW", "PCT")  # Rescale Types of what CTs show besides HU (PS3.3 C.11.1.1.2)
AIR_HU = -1024.0  # what lies outside a CT's circle of reconstruction, and the least that is kept


def read_series(folder: Path | str, role: str = "") -> tuple[Volume, SliceStack]:
    """Read the one series in a folder.

    Parameters
    ----------
    folder
        Of the series' files.
    role
        What the image shows.

    Returns
    -------
    volume, stack
        The image, float32, of a CT in HU, on a grid at right angles in the slices' own planes; its notes name a
        gantry tilt, uneven steps, gaps and duplicates. And where the scanner's own slices lie.

    Raises
    ------
    BadInputError
        When the folder holds no series, several, or pixels that can't be read; two different images of one place; a CT
        without rescale slope and intercept, or whose values are something other than HU.
    GeometryError
        When slices don't say where they lie, aren't parallel, or too many are missing.
    """
    folder = Path(folder)
    headers, notes = read_headers(folder)
    slices, more = _without_duplicates(sorted_slices(headers))
    stack = make_stack(slices)
    notes += more + diagnose(slices, stack)
    is_ct = slices[0].modality == "CT"
    read = [_values(header) for header in slices]
    padded = sum(int(np.count_nonzero(outside)) for _, outside in read)
    data = np.stack([np.where(outside, AIR_HU if is_ct else 0.0, values).T for values, outside in read], axis=2)
    if padded and is_ct:
        notes.append(f"Padding outside the circle of reconstruction was set to {AIR_HU:g} HU.")
    if is_ct:
        data = np.maximum(data, AIR_HU)
    values, grid = to_grid(data.astype(np.float32), stack, AIR_HU if is_ct else 0.0)
    return Volume(values, grid, role, "HU" if is_ct else "", tuple(notes)), stack


def sha256_of_series(folder: Path | str) -> str:
    """SHA-256 over the sums of a folder's files, in the order of their content's sums: names don't matter."""
    sums = sorted(hashlib.sha256(p.read_bytes()).hexdigest() for p in Path(folder).rglob("*") if p.is_file())
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def _without_duplicates(places: Sequence[Sequence[SliceHeader]]) -> tuple[list[SliceHeader], list[str]]:
    dropped = 0
    for same in places:
        first = _values(same[0])[0] if len(same) > 1 else None
        for other in same[1:]:
            if first is None or not np.array_equal(first, _values(other)[0]):
                raise BadInputError(
                    f"{same[0].path.name} and {other.path.name} lie in one place and show different images: the series "
                    "holds several acquisitions or reconstructions. Give the slices of one."
                )
            dropped += 1
    notes = [f"{dropped} slice{'s that were' if dropped > 1 else ' that was'} there twice passed over."]
    return [same[0] for same in places], notes if dropped else []


def _values(header: SliceHeader) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """(rows, columns) values by slope and intercept (PS3.3 C.11.1), and where the slice is padding."""
    try:
        dataset = pydicom.dcmread(header.path)
        stored = dataset.pixel_array
    except Exception as error:  # pydicom's decoders raise whatever their library does
        raise BadInputError(
            f"the pixels of {header.path} can't be read: {error}. Export the series uncompressed, or convert it to "
            "NIfTI with dcm2niix."
        ) from None
    if stored.ndim != 2:
        raise BadInputError(f"{header.path} is no grey image: its pixels have shape {stored.shape}.")
    return _rescaled(dataset, stored, header), _padding(dataset, stored)


def _rescaled(dataset: Any, stored: npt.NDArray[Any], header: SliceHeader) -> npt.NDArray[np.float32]:
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if header.modality == "CT" and (slope is None or intercept is None):
        raise BadInputError(
            f"{header.path} is a CT without rescale slope and intercept, so that its values aren't HU. Export the "
            "original series."
        )
    unit = str(dataset.get("RescaleType") or "").strip().upper()
    if header.modality == "CT" and unit in NOT_HU:
        raise BadInputError(
            f"{header.path} says that its values are {unit} (Rescale Type), not HU: it was computed from a scan of "
            "several energies. Give the series in HU."
        )
    factor, offset = float(1 if slope is None else slope), float(0 if intercept is None else intercept)
    if not (factor and np.isfinite([factor, offset]).all()):
        raise BadInputError(
            f"{header.path} has the rescale slope {factor:g} and intercept {offset:g}; a slope other than 0 and finite "
            "numbers are needed. Export the original series."
        )
    return np.asarray(stored.astype(np.float32) * np.float32(factor) + np.float32(offset))


def _padding(dataset: Any, stored: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Pixel Padding Value, up to Pixel Padding Range Limit where there is one (PS3.3 C.7.5.1.1.2)."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, dtype=bool)
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((int(value), int(value if limit is None else limit)))
    return np.asarray((stored >= low) & (stored <= high))
