"""Colour pictures as images of a study: RGB NIfTI, DICOM, and PNG, TIFF or JPEG slices, as vendors export them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from willis.errors import BadInputError
from willis.io.colormap import shares_of
from willis.io.colour_bar import COLOURED, find_bar
from willis.io.dicom.pictures import LOSSY, declared_colours, is_dicom_picture, read_dicom_pictures
from willis.io.dicom.series import sha256_of_series
from willis.io.nifti import sha256_of
from willis.io.nifti_file import open_nifti
from willis.io.nifti_geometry import read_grid
from willis.io.nifti_names import is_nifti
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.volume import Volume

Rgb = npt.NDArray[np.uint8]

BAR_UNIT = "bar"  # of a volume whose values are places on a colour bar, 0 to 1
UNPLACED = "The pictures don't say how large their pixels are."
UPRIGHT, LEVEL = "The colour bar stands upright.", "The colour bar lies level."
UNUSUAL = "By its colours the bar may run the other way than most do."  # blue or dark above, or on the right; or untold
FADED = (
    "The bar ends in the colour of the ground about it: its end was taken where it can last be seen, and may lie "
    "farther out."
)
GAPS = "The numbers of the slices don't rise evenly"  # start of the note that says so
JPEG_SUFFIXES = (".jpg", ".jpeg")
SUFFIXES = (".png", ".tif", ".tiff", *JPEG_SUFFIXES)
ENDS_ALIKE = 30  # of a channel between the ends of a bar and of the palette that it shows
_CHANNELS = {128: 3, 2304: 4}  # by NIfTI's codes of RGB24 and RGBA32


def is_colour(path: Path) -> bool:
    """Whether a path is an RGB NIfTI file, a picture, or a folder of pictures or of DICOM pictures."""
    if path.is_dir():
        return bool(_slices(path)) or is_dicom_picture(path)
    if not path.is_file():
        return False
    if path.suffix.lower() in SUFFIXES:
        return True
    if is_nifti(path):
        return int(open_nifti(path).header["datatype"]) in _CHANNELS
    return is_dicom_picture(path)


def read_colour_map(path: Path | str, role: str) -> Volume:
    """A colour-coded map as places on its own colour bar: values 0 to 1 in the unit ``bar``, NaN where there are none.

    0 is the bar's lower or left end. Its notes say how it stands, and with ``UNUSUAL`` that the colours alone don't
    tell which end is the high one.

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
    lossy = LOSSY in notes
    bar = find_bar(pictures, lossy=lossy)
    if bar is None:
        cause = " in pictures that were compressed with loss" if lossy else ""
        remedy = "as PNG or uncompressed DICOM, " if lossy else ""
        raise BadInputError(
            f"no colour bar was found in {path}{cause}: without it colours can't be turned into values. Export the map "
            f"{remedy}with its bar, or give its values as NIfTI."
        )
    share = shares_of(pictures, bar)
    found = [
        f"Colours were turned into values by the bar found at rows {bar.rows.start} to {bar.rows.stop - 1}, columns "
        f"{bar.columns.start} to {bar.columns.stop - 1} ({len(bar.colours)} colours).",
        UPRIGHT if bar.upright else LEVEL,
        *([FADED] if bar.faded else []),
        *([] if bar.usual else [UNUSUAL]),
    ]
    return Volume(np.ascontiguousarray(share.transpose(1, 0, 2)), grid, role, BAR_UNIT, (*notes, *found))


def read_grey(path: Path | str, role: str) -> Volume:
    """Pictures as their mean of red, green and blue, for a map that is only shown."""
    pictures, grid, notes = read_pictures(Path(path))
    grey = pictures.mean(axis=3, dtype=np.float32).transpose(1, 0, 2)
    return Volume(np.ascontiguousarray(grey), grid, role, "", notes)


def sha256_of_pictures(path: Path) -> str:
    """SHA-256 of a picture, a file of pictures, or of the digests of a folder's pictures in order."""
    if not path.is_dir():
        return sha256_of(path)
    if not _slices(path):
        return sha256_of_series(path)
    return hashlib.sha256("".join(sha256_of(file) for file in _slices(path)).encode()).hexdigest()


def read_pictures(path: Path) -> tuple[Rgb, Grid, tuple[str, ...]]:
    """(rows, columns, slices, 3) as shown, their grid, LPS, and notes; row 0 is anterior, column 0 the patient's right.

    Raises
    ------
    BadInputError
        When one can't be read.
    GeometryError
        When DICOM pictures don't lie as one stack.
    """
    if path.suffix.lower() in SUFFIXES and path.is_file():
        return _unplaced(_picture(path)[:, :, None], _loss_of([path]))
    if path.is_dir() and (files := _slices(path)):
        return _unplaced(np.stack([_picture(file) for file in files], axis=2), (*_loss_of(files), *_gaps(files)))
    if not is_nifti(path):
        found = read_dicom_pictures(path)
        if found.grid is None:
            return _unplaced(found.pictures, found.notes)
        return *_upright([found.pictures[..., c].swapaxes(0, 1) for c in range(3)], found.grid), found.notes
    file = open_nifti(path)
    shape = file.shape
    channels = _CHANNELS[int(file.header["datatype"])]
    count = channels * int(np.prod(shape[:3]))
    if len(shape) != 3 or len(file.voxels) < count:
        raise BadInputError(f"{path} isn't one whole colour volume: shape {shape}, {len(file.voxels)} bytes.")
    raw = np.frombuffer(file.voxels, np.uint8, count).reshape((channels, *shape), order="F")
    grid, notes = read_grid(file.header, (shape[0], shape[1], shape[2]), path)
    return *_upright(list(raw[:3]), grid), notes


def range_by_metadata(path: Path) -> tuple[float, float, str] | None:
    """Values at the lower or left end of a map's bar and at its other one, by the pictures' metadata, and their unit.

    DICOM pictures in palette colours can declare them; where the bar's ends aren't those of the palette, or nothing is
    declared, it is None.
    """
    if is_nifti(path) or path.suffix.lower() in SUFFIXES or (path.is_dir() and _slices(path)):
        return None
    declared = declared_colours(path)
    if declared is None:
        return None
    pictures, _, notes = read_pictures(path)
    bar = find_bar(pictures, lossy=LOSSY in notes)
    if bar is None:
        return None
    ends = bar.colours[[0, -1]].astype(int)
    for values, colours in ((declared.values, declared.colours), (declared.values[::-1], declared.colours[::-1])):
        if np.abs(ends - colours).max() <= ENDS_ALIKE:
            return values[0], values[1], declared.unit
    return None


def _unplaced(pictures: Rgb, notes: tuple[str, ...] = ()) -> tuple[Rgb, Grid, tuple[str, ...]]:
    rows, columns, count = pictures.shape[:3]
    return pictures, Grid((columns, rows, count), np.diag([-1.0, -1.0, 1.0, 1.0])), (*notes, UNPLACED)


def _upright(channels: Sequence[npt.NDArray[np.uint8]], grid: Grid) -> tuple[Rgb, Grid]:
    """(rows, columns, slices, 3) and their grid, LPS, of three channels (I, J, K) on a grid."""
    planes = [reorient(Volume(np.ascontiguousarray(channel), grid), "LPS") for channel in channels]
    pictures = np.stack([plane.data for plane in planes], axis=3).transpose(1, 0, 2, 3)
    return np.ascontiguousarray(pictures), planes[0].grid


def _slices(folder: Path) -> list[Path]:
    """Pictures of a folder in the order of the numbers that tell their names apart, without what is hidden.

    Raises
    ------
    BadInputError
        When names don't tell the order: two have one number, or two numbers give two orders.
    """
    files = sorted(
        p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file() and not p.name.startswith(".")
    )
    columns = _numbers(files)
    if not columns:
        return files
    order = sorted(range(len(files)), key=lambda at: columns[-1][at])
    steps = [[column[b] - column[a] for a, b in pairwise(order)] for column in columns]
    for at, step in enumerate(zip(*steps, strict=True)):
        if step[-1] == 0 or min(step) < 0:
            raise BadInputError(
                f"the names of the pictures in {folder} don't tell the order of its slices: {files[order[at]].name} or "
                f"{files[order[at + 1]].name} first? Give the slices of one map, numbered in their order: 01.png, "
                "02.png, 03.png."
            )
    return [files[at] for at in order]


def _numbers(files: Sequence[Path]) -> list[tuple[int, ...]]:
    """The numbers in names that tell them apart, each for all files; none where there are none."""
    found = [[int(digits) for digits in re.findall(r"\d+", path.stem)] for path in files]
    if len(files) < 2 or not any(found):
        return []
    if len({len(numbers) for numbers in found}) > 1:
        found = [numbers[-1:] or [-1] for numbers in found]
    return [column for column in zip(*found, strict=True) if len(set(column)) > 1] or [(0,) * len(files)]


def _gaps(files: Sequence[Path]) -> tuple[str, ...]:
    """A note where the numbers of ordered slices rise by unequal steps, as where some are missing."""
    columns = _numbers(files)
    if not columns:
        return ()
    wide = [a for a, b in pairwise(columns[-1]) if b - a > min(d - c for c, d in pairwise(columns[-1]))]
    if not wide:
        return ()
    return (f"{GAPS} (after {', '.join(map(str, wide))}): where some are missing, volumes are too small.",)


def _loss_of(files: Sequence[Path]) -> tuple[str, ...]:
    """A note where one of the pictures is a JPEG, or a TIFF that holds one."""
    for file in files:
        if file.suffix.lower() in JPEG_SUFFIXES:
            return (LOSSY,)
        with Image.open(file) as image:
            if image.info.get("compression") == "jpeg":
                return (LOSSY,)
    return ()


def _picture(path: Path) -> Rgb:
    try:
        with Image.open(path) as image:
            if (count := getattr(image, "n_frames", 1)) > 1:
                raise BadInputError(
                    f"{path} holds {count} pictures; a file of one is needed. Give a folder with one file a slice, "
                    "numbered in their order: 01.png, 02.png, 03.png."
                )
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (OSError, UnidentifiedImageError) as error:
        raise BadInputError(f"{path} can't be read as a picture: {error}.") from None
