"""Head and brain by intensity: repeated medians, Otsu's threshold, and what diffusion images have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage

from willis.image.components import largest_component

OTSU_BINS = 256  # of dipy's and scikit-image's histogram
LEAST_SIGNAL = 1.0  # FVV's rule: voxels below it are air, in images without negative values


def otsu_threshold(data: npt.NDArray[Any], bins: int = OTSU_BINS) -> float:
    """The value that parts an image's histogram into the two classes of largest variance between them.

    References
    ----------
    Otsu 1979, doi:10.1109/TSMC.1979.4310076.
    """
    counts, edges = np.histogram(data, bins)
    centres = (edges[:-1] + edges[1:]) / 2
    counts = counts.astype(np.float64)
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])[::-1]
    sums = counts * centres
    mean_below = np.cumsum(sums) / np.maximum(below, 1)
    mean_above = np.cumsum(sums[::-1])[::-1] / np.maximum(above, 1)
    between = below[:-1] * above[1:] * (mean_below[:-1] - mean_above[1:]) ** 2
    return float(centres[int(np.argmax(between))])


def median_otsu(data: npt.NDArray[Any], passes: int = 4) -> npt.NDArray[np.bool_]:
    """(I, J, K) what lies above Otsu's threshold after repeated medians of 3 × 3 × 3 voxels.

    Equals dipy's ``median_otsu`` with ``median_radius=1`` and ``numpass=passes``.
    """
    image = sitk.GetImageFromArray(np.asarray(data, dtype=np.float64))
    for _ in range(passes):
        image = sitk.Median(image, (1, 1, 1))
    smooth = sitk.GetArrayFromImage(image)
    return np.asarray(smooth > otsu_threshold(smooth))


def common_otsu_mask(images: Sequence[npt.NDArray[Any]], passes: int = 4) -> npt.NDArray[np.bool_]:
    """(I, J, K) the mask that FVV scales intensities in: the largest part common to the images, grown by one.

    Parameters
    ----------
    images
        b0 and b1000, each (I, J, K), on one grid.
    passes
        Medians before the threshold.
    """
    common = np.logical_and.reduce([median_otsu(image, passes) for image in images])
    mask = ndimage.binary_fill_holes(ndimage.binary_dilation(largest_component(common, 6)))
    for image in images:
        if image.min() >= 0:
            mask = mask & (image >= LEAST_SIGNAL)
    return np.asarray(mask)
