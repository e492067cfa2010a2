"""Smoothing of a series by as much as its noise asks for, without vessels or fluid leaking into tissue."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.volume.grid import Grid

WIDTHS_MM = (0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)  # standard deviations that are tried
REST_HU = 0.6  # noise of one frame that is small beside the enhancement of white matter, 2 to 4 HU


def choose_width_mm(frames: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_], grid: Grid) -> float:
    """The least width at which the noise of one frame falls to 0.6 HU in a mask; the largest when none does.

    Parameters
    ----------
    frames
        (I, J, K, n) of the baseline, n at least 2; what differs between them is noise.
    """
    if not mask.any():
        return 0.0
    noise = np.asarray((frames[..., 0].astype(np.float32) - frames[..., 1]) / np.sqrt(2), dtype=np.float32)
    for width in WIDTHS_MM:
        if float(smooth_within(noise[..., None], mask, grid, width)[mask].std()) <= REST_HU:
            return width
    return WIDTHS_MM[-1]


def smooth_within(
    frames: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_], grid: Grid, width_mm: float
) -> npt.NDArray[np.float32]:
    """(I, J, K, T) frames smoothed in their slices by a Gaussian that sees the mask alone; 0 outside it."""
    data = np.where(mask[..., None], frames, 0).astype(np.float32)
    if width_mm <= 0:
        return data
    i, j = (width_mm / s for s in grid.spacing_mm[:2])
    weight = ndimage.gaussian_filter(mask.astype(np.float32), [i, j, 0])
    smooth = ndimage.gaussian_filter(data, [i, j, 0, 0])
    return np.divide(smooth, weight[..., None], out=np.zeros_like(smooth), where=mask[..., None])
