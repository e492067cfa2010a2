"""NIfTI: read with every trouble named, written atomically and byte for byte the same."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from willis.errors import BadInputError
from willis.io.nifti_file import SINGLE_FILE_OFFSET, SINGLE_FILE_SUFFIXES, open_nifti, voxel_array
from willis.io.nifti_geometry import NO_SHEAR_DEG, read_grid, shear_deg, straightened
from willis.io.nifti_values import check_range, in_c_order, scaled_values, without_nonfinite
from willis.volume.grid import Grid
from willis.volume.volume import Volume

GZIP_LEVEL = 1  # of isal's 0 to 3; as small as nibabel's default, three times as fast
GZIP_WINDOW_BITS = 31  # zlib's number for a gzip container; its header then holds neither time nor name
SPACE_CODE = 2  # NIFTI_XFORM_ALIGNED_ANAT: coordinates of another file
SLAB_BYTES = 1 << 24
MAX_SIDE = 32767  # a NIfTI-1 side is an int16


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_nifti(
    path: Path | str,
    role: str = "",
    *,
    index: int | None = None,
    allow_empty: bool = False,
    order: Literal["C", "file"] = "C",
    straight: bool = True,
) -> Volume:
    """Read one volume of a NIfTI file, with right angles, in mm, finite, and with notes on all that was decided.

    Parameters
    ----------
    path
        ``.nii``, ``.nii.gz`` or ``.hdr``/``.img``; big or little endian, NIfTI-1 or NIfTI-2.
    role
        What the image shows.
    index
        Which volume of a 4D file, from 0.
    allow_empty
        Whether it is a mask: one value in all voxels is accepted then, and nothing is ever interpolated.
    order
        How the voxels lie in memory. ``file`` leaves them as they were stored, the first axis quickest, perhaps
        read-only, where their values need no change: for a look at them alone, as such an array is slow beside others.
    straight
        Whether a sheared image is brought to right angles, see :func:`willis.io.nifti_geometry.straightened`; else it
        stays on its own grid.

    Returns
    -------
    Volume
        (I, J, K), with the file's own dtype unless the header scales it. Its ``notes`` name what was found: forms that
        differ, a unit assumed or turned, a shear, NaN.

    Raises
    ------
    BadInputError
        The file is absent, no NIfTI, damaged, cut short, in colour, complex, of another number of axes, empty,
        constant, of values that nothing measures, or NaN where the head is.
    GeometryError
        The file doesn't say where it lies, or says two things about left and right.
    """
    path = Path(path)
    file = open_nifti(path)
    stored = voxel_array(file, index)
    grid, notes = read_grid(file.header, stored.shape, path)
    slope, inter = float(file.header["scl_slope"]), float(file.header["scl_inter"])
    values, more = without_nonfinite(scaled_values(stored, slope, inter, path, order), path)
    if not allow_empty:
        check_range(values, path)
    volume = Volume(values, grid, role, notes=notes + more)
    return straightened(volume, "nearest" if allow_empty else "linear") if straight else volume


def write_nifti(volume: Volume, path: Path | str) -> Path:
    """Write a volume as NIfTI-1; the file appears under its name only when it is complete.

    One volume always gives the same bytes. qform and sform both hold the grid (a sheared grid, which a qform can't
    hold, only the sform). ``bool`` becomes ``uint8``, ``float16`` ``float32``, 64-bit integers 32-bit ones, as
    others read them.

    Parameters
    ----------
    volume
        What to write.
    path
        ``.nii`` or ``.nii.gz``, in a folder that exists.

    Raises
    ------
    BadInputError
        When the name ends otherwise, the folder is absent, or the values can't be held by NIfTI.
    """
    path = Path(path)
    if not path.name.endswith(SINGLE_FILE_SUFFIXES):
        raise BadInputError(f"{path} must end in .nii.gz or .nii.")
    if not path.parent.is_dir():
        raise BadInputError(f"the folder {path.parent} to write {path.name} into doesn't exist.")
    data = volume.data.astype(_written_dtype(volume, path), copy=False)
    pieces = _pieces(_header(data, volume.grid), data)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as stream:
            for piece in packed(pieces) if path.name.endswith(".gz") else pieces:
                stream.write(piece)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _written_dtype(volume: Volume, path: Path) -> np.dtype[Any]:
    dtype = volume.data.dtype
    if max(volume.grid.shape) > MAX_SIDE:
        raise BadInputError(
            f"an image of shape {volume.grid.shape} can't be written to {path}: a side is above {MAX_SIDE}."
        )
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind in "iu" and dtype.itemsize == 8:
        narrow = np.dtype(np.int32 if dtype.kind == "i" else np.uint32)
        limits = np.iinfo(narrow)
        if volume.data.min() < limits.min or volume.data.max() > limits.max:
            raise BadInputError(f"integers beyond {narrow} can't be written to {path}; turn them into float64.")
        return narrow
    if dtype.kind in "iu":
        return dtype.newbyteorder("<")
    if dtype.kind == "f" and dtype.itemsize <= 8:
        return np.dtype(np.float32 if dtype.itemsize < 4 else dtype).newbyteorder("<")
    raise BadInputError(f"an image of {dtype} can't be written to {path}; allowed are integers and floating point.")


def _header(data: npt.NDArray[Any], grid: Grid) -> bytes:
    header = nib.Nifti1Header(endianness="<")
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header.set_zooms(grid.spacing_mm)
    header.set_xyzt_units("mm")
    header.set_sform(grid.affine, SPACE_CODE)
    header.set_qform(grid.affine, SPACE_CODE if shear_deg(grid) <= NO_SHEAR_DEG else 0)
    header["magic"] = b"n+1"
    header["vox_offset"] = SINGLE_FILE_OFFSET
    header["scl_slope"], header["scl_inter"] = 1, 0
    return bytes(header.binaryblock).ljust(SINGLE_FILE_OFFSET, b"\0")


def _pieces(header: bytes, data: npt.NDArray[Any]) -> Iterator[bytes]:
    """Header, then the voxels in Fortran order, some slices at a time."""
    yield header
    depth = max(1, SLAB_BYTES * data.shape[2] // max(1, data.nbytes))
    for first in range(0, data.shape[2], depth):
        yield in_c_order(data[:, :, first : first + depth].T, data.dtype).tobytes()


def packed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces as one gzip file, always the same bytes."""
    packer = isal_zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WINDOW_BITS)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()
