"""Intensities: scaling by a percentile, and the bias field."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from willis.errors import BadInputError, GeometryError
from willis.image.threads import one_thread
from willis.volume.volume import Volume

SCALE_PERCENTILE = 99.0  # Boutinaud 2021, doi:10.3389/fninf.2021.641600
RANGE_FLOOR_PERCENTILE = 1.0
RANGE_TOP_PERCENTILE = 99.5
FOREGROUND_SHARE = 0.02  # of the range: what lies lower counts as background when the top is sought
BIAS_SPACING_MM = 4.0  # the field is estimated on an image shrunk to about this spacing
LEAST_BIAS_VOXELS = 2  # along each axis, of the shrunken image; ITK fits no field to fewer


def scale_p99(data: npt.NDArray[Any], mask: npt.NDArray[Any], *, cap: float | None = None) -> npt.NDArray[np.float32]:
    """Scale an image by the 99th percentile of its positive part inside a mask.

    Parameters
    ----------
    data
        (I, J, K); negative values become 0.
    mask
        (I, J, K); where the percentile is taken.
    cap
        When given, values above ``cap`` (in multiples of the percentile) become ``cap``, and all are divided by it,
        so that the result lies in [0, 1].

    Raises
    ------
    BadInputError
        When the mask is empty or the percentile is not above 0.
    """
    inside = np.asarray(mask) > 0
    if not inside.any():
        raise BadInputError("the mask to scale intensities in is empty.")
    positive = np.maximum(data, 0).astype(np.float32)
    top = float(np.percentile(positive[inside], SCALE_PERCENTILE))
    if not top > 0:
        raise BadInputError(f"the {SCALE_PERCENTILE:g}th percentile inside the mask is {top:g}; it must be above 0.")
    scaled = positive / np.float32(top)
    if cap is not None:
        scaled = np.minimum(scaled, np.float32(cap)) / np.float32(cap)
    return np.asarray(scaled)


def correct_bias(volume: Volume, mask: Volume | None = None) -> Volume:
    """Divide an image by its bias field, found by N4 (Tustison 2010, doi:10.1109/TMI.2010.2046908).

    The field is fitted to the image shrunk to about 4 mm, by one thread, and applied at full resolution.

    Parameters
    ----------
    volume
        The image.
    mask
        Where to fit, on the image's grid; by default all voxels above 0.

    Raises
    ------
    BadInputError
        When the mask is empty, or the image one voxel thin.
    GeometryError
        When it lies on another grid.
    """
    if mask is not None and not mask.grid.same_as(volume.grid):
        raise GeometryError("the mask for the bias field lies on another grid than the image; resample it first.")
    inside = (volume.data > 0) & (True if mask is None else mask.data > 0)
    if not inside.any():
        raise BadInputError("the mask for the bias field holds no voxel above 0 of the image.")
    if min(volume.grid.shape) < LEAST_BIAS_VOXELS:
        raise BadInputError(
            f"the {volume.role or 'image'} has {' × '.join(map(str, volume.grid.shape))} voxels; for a bias field at "
            f"least {LEAST_BIAS_VOXELS} along each axis are needed. Leave --bias-field out."
        )
    shrink = [
        max(1, min(round(BIAS_SPACING_MM / spacing), side // LEAST_BIAS_VOXELS))
        for spacing, side in zip(volume.grid.spacing_mm[::-1], volume.grid.shape[::-1], strict=True)
    ]
    image = sitk.GetImageFromArray(volume.data.astype(np.float32))
    stencil = sitk.GetImageFromArray(inside.astype(np.uint8))
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    with one_thread():
        n4.Execute(sitk.Shrink(image, shrink), sitk.Shrink(stencil, shrink))
        field = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image))
    return volume.with_data((volume.data / np.exp(field)).astype(np.float32)).noted("Bias field corrected (N4).")


def scale_range(data: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Scale an image of unknown contrast to [0, 1], whole head or brain alone.

    The floor is the 1st percentile of all values (air, or the zeros around an extracted brain); the top is the 99.5th
    percentile of what stands at least 2 % of the range above the floor.

    Parameters
    ----------
    data
        (I, J, K).
    """
    values = np.asarray(data, dtype=np.float32)
    floor, peak = float(np.percentile(values, RANGE_FLOOR_PERCENTILE)), float(values.max())
    above = values[values > floor + FOREGROUND_SHARE * (peak - floor)]
    top = float(np.percentile(above, RANGE_TOP_PERCENTILE)) if above.size else peak
    if not top > floor:
        return np.zeros_like(values)
    return np.asarray(np.clip((values - floor) / (top - floor), 0, 1), dtype=np.float32)


def scale_zscore(data: npt.NDArray[Any], mask: npt.NDArray[Any], *, cap: float) -> npt.NDArray[np.float32]:
    """Scale an image to mean 0 and standard deviation 1 inside a mask, and cut it at ± ``cap``.

    Parameters
    ----------
    data, mask
        (I, J, K).
    cap
        Largest value, in standard deviations.

    Raises
    ------
    BadInputError
        When the mask is empty or the image is constant in it.
    """
    values = np.asarray(data, dtype=np.float64)
    inside = values[np.asarray(mask) > 0]
    spread = float(inside.std()) if inside.size else 0.0
    if not spread > 0:
        raise BadInputError("the mask to scale intensities in is empty, or the image is constant in it.")
    return np.asarray(np.clip((values - inside.mean()) / spread, -cap, cap), dtype=np.float32)
