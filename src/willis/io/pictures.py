"""Colour pictures as images of a study: RGB NIfTI, folders of PNG or TIFF slices as vendors and others export them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from willis.errors import BadInputError
from willis.io.colormap import COLOURED, find_bar, shares_of
from willis.io.nifti import sha256_of
from willis.io.nifti_file import open_nifti
from willis.io.nifti_geometry import read_grid
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.volume import Volume

Rgb = npt.NDArray[np.uint8]

BAR_UNIT = "bar"  # of a volume whose values are places on a colour bar, 0 to 1
UNPLACED = "The pictures don't say how large their pixels are."
SUFFIXES = (".png", ".tif", ".tiff")
_CHANNELS = {128: 3, 2304: 4}  # by NIfTI's codes of RGB24 and RGBA32


def is_colour(path: Path) -> bool:
    """Whether a path is an RGB NIfTI file, a picture, or a folder of pictures."""
    if path.is_dir():
        return bool(_slices(path))
    if path.suffix.lower() in SUFFIXES:
        return path.is_file()
    if not path.is_file() or not path.name.endswith((".nii", ".nii.gz")):
        return False
    return int(open_nifti(path).header["datatype"]) in _CHANNELS


def read_colour_map(path: Path | str, role: str) -> Volume:
    """A colour-coded map as places on its own colour bar: values 0 to 1 in the unit ``bar``, NaN where there are none.

    Raises
    ------
    BadInputError
        When it can't be read, is grey, or has no colour bar.
    """
    path = Path(path)
    pictures, grid, notes = read_pictures(path)
    if (np.ptp(pictures.astype(np.int16), axis=3) >= COLOURED).mean() < 1e-3:
        raise BadInputError(
            f"{path} is a grey picture; a colour-coded {role.upper()} map is needed, or the map's values as NIfTI."
        )
    bar = find_bar(pictures)
    if bar is None:
        raise BadInputError(
            f"no colour bar was found in {path}: without it colours can't be turned into values. Export the map with "
            "its bar, or give its values as NIfTI."
        )
    share = shares_of(pictures, bar)
    found = (
        f"Colours were turned into values by the bar found at rows {bar.rows.start} to {bar.rows.stop - 1}, columns "
        f"{bar.columns.start} to {bar.columns.stop - 1} ({len(bar.colours)} colours)."
    )
    return Volume(np.ascontiguousarray(share.transpose(1, 0, 2)), grid, role, BAR_UNIT, (*notes, found))


def read_grey(path: Path | str, role: str) -> Volume:
    """Pictures as their mean of red, green and blue, for a map that is only shown."""
    pictures, grid, notes = read_pictures(Path(path))
    grey = pictures.mean(axis=3, dtype=np.float32).transpose(1, 0, 2)
    return Volume(np.ascontiguousarray(grey), grid, role, "", notes)


def sha256_of_pictures(path: Path) -> str:
    """SHA-256 of a picture, a file of pictures, or of the digests of a folder's pictures in order."""
    if not path.is_dir():
        return sha256_of(path)
    return hashlib.sha256("".join(sha256_of(file) for file in _slices(path)).encode()).hexdigest()


def read_pictures(path: Path) -> tuple[Rgb, Grid, tuple[str, ...]]:
    """(rows, columns, slices, 3) as shown, their grid, LPS, and notes; row 0 is anterior, column 0 the patient's right.

    Raises
    ------
    BadInputError
        When one can't be read.
    """
    if path.is_dir() or path.suffix.lower() in SUFFIXES:
        files = _slices(path) if path.is_dir() else [path]
        pictures = np.stack([_picture(file) for file in files], axis=2)
        rows, columns, count = pictures.shape[:3]
        grid = Grid((columns, rows, count), np.diag([-1.0, -1.0, 1.0, 1.0]))
        return pictures, grid, (UNPLACED,)
    file = open_nifti(path)
    shape = file.shape
    channels = _CHANNELS[int(file.header["datatype"])]
    count = channels * int(np.prod(shape[:3]))
    if len(shape) != 3 or len(file.voxels) < count:
        raise BadInputError(f"{path} isn't one whole colour volume: shape {shape}, {len(file.voxels)} bytes.")
    raw = np.frombuffer(file.voxels, np.uint8, count).reshape((channels, *shape), order="F")
    grid, notes = read_grid(file.header, (shape[0], shape[1], shape[2]), path)
    planes = [reorient(Volume(np.ascontiguousarray(raw[c]), grid), "LPS") for c in range(3)]
    pictures = np.stack([plane.data for plane in planes], axis=3).transpose(1, 0, 2, 3)
    return np.ascontiguousarray(pictures), planes[0].grid, notes


def _slices(folder: Path) -> list[Path]:
    """Pictures of a folder in the order of the numbers in their names."""
    files = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file()]

    def number(path: Path) -> tuple[int, str]:
        digits = re.findall(r"\d+", path.stem)
        return (int(digits[-1]) if digits else -1, path.name)

    return sorted(files, key=number)


def _picture(path: Path) -> Rgb:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (OSError, UnidentifiedImageError) as error:
        raise BadInputError(f"{path} can't be read as a picture: {error}.") from None
