"""Morphology of masks with radii in millimetres, true on anisotropic grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.volume.volume import Volume


def distance_mm(mask: npt.NDArray[Any], spacing_mm: tuple[float, float, float]) -> npt.NDArray[np.float32]:
    """(I, J, K) distance in mm from each voxel's centre to the nearest voxel centre of the mask.

    0 inside the mask; infinite everywhere when the mask is empty.
    """
    inside = np.asarray(mask) > 0
    if not inside.any():
        return np.full(inside.shape, np.inf, dtype=np.float32)
    return np.asarray(ndimage.distance_transform_edt(~inside, sampling=spacing_mm), dtype=np.float32)


def dilate_mm(mask: Volume, radius_mm: float) -> Volume:
    """All voxels whose centre lies within ``radius_mm`` of the centre of a mask voxel."""
    grown = distance_mm(mask.data, mask.grid.spacing_mm) <= radius_mm
    return mask.with_data(grown.astype(np.uint8))


def erode_mm(mask: Volume, radius_mm: float) -> Volume:
    """All mask voxels whose centre lies farther than ``radius_mm`` from every voxel outside the mask.

    The image's border does not count as outside.
    """
    kept = distance_mm(~(mask.data > 0), mask.grid.spacing_mm) > radius_mm
    return mask.with_data(kept.astype(np.uint8))


def close_mm(mask: Volume, radius_mm: float) -> Volume:
    """Dilation and then erosion by ``radius_mm``: gaps and notches narrower than twice that are filled."""
    margin = [int(np.ceil(radius_mm / s)) + 1 for s in mask.grid.spacing_mm]
    padded = np.pad(mask.data > 0, [(m, m) for m in margin])
    grown = distance_mm(padded, mask.grid.spacing_mm) <= radius_mm
    closed = distance_mm(~grown, mask.grid.spacing_mm) > radius_mm
    inner = tuple(slice(m, m + n) for m, n in zip(margin, mask.grid.shape, strict=True))
    return mask.with_data(closed[inner].astype(np.uint8))


def fill_holes(mask: Volume) -> Volume:
    """The mask with every cavity filled from which no path across faces leads to the image's border."""
    return mask.with_data(ndimage.binary_fill_holes(mask.data > 0).astype(np.uint8))
