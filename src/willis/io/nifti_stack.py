"""NIfTI with more than one number a voxel: 4D masks and RGB colours, as bytes."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from willis.errors import BadInputError
from willis.io.nifti import GZIP_LEVEL, GZIP_WINDOW_BITS, SPACE_CODE
from willis.volume.grid import Grid

RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def stack_bytes(data: npt.NDArray[np.uint8], grid: Grid) -> bytes:
    """A ``.nii.gz`` of masks (I, J, K, T), ``uint8``.

    Raises
    ------
    BadInputError
        When the array doesn't lie on the grid.
    """
    return _packed(_checked(data, grid), grid)


def colour_bytes(data: npt.NDArray[np.uint8], grid: Grid) -> bytes:
    """A ``.nii.gz`` of RGB24 colours (I, J, K, 3), ``uint8``.

    Raises
    ------
    BadInputError
        When the array doesn't lie on the grid or hasn't three colours.
    """
    if data.shape[-1] != 3:
        raise BadInputError(f"colours are red, green and blue; found {data.shape[-1]} numbers a voxel.")
    return _packed(np.ascontiguousarray(_checked(data, grid)).view(RGB)[..., 0], grid)


def _checked(data: npt.NDArray[np.uint8], grid: Grid) -> npt.NDArray[np.uint8]:
    if data.ndim != 4 or data.shape[:3] != grid.shape or data.dtype != np.uint8:
        raise BadInputError(f"an array (I, J, K, n) of uint8 on a grid of {grid.shape} is needed; found {data.shape}.")
    return data


def _packed(data: npt.NDArray[np.generic], grid: Grid) -> bytes:
    image = nib.Nifti1Image(data, grid.affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(grid.affine, SPACE_CODE)
    image.set_qform(grid.affine, SPACE_CODE)
    packer = isal_zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WINDOW_BITS)
    return bytes(packer.compress(image.to_bytes()) + packer.flush())
