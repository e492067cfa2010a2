"""Whether an ADC was computed from this b1000: the two then hold the same noise, which no other image does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import BadInputError
from willis.volume.volume import Volume

TISSUE_ADC = (0.2e-3, 1.1e-3)  # mm²/s; the borders of fluid are anatomy, which images of one head share anyway
GRAIN_MM = 2.0  # how far apart voxels are compared: a voxel of a DWI as measured, which scanners often store finer
LEAST_VOXELS = 2000
UNRELATED = -0.1  # correlation from which on; pairs have -0.2 to -0.9, other images about 0


def shared_grain(b1000: Volume, adc: Volume, mask: npt.NDArray[np.bool_]) -> float | None:
    """Correlation of the grain of ln b1000 with that of the ADC, in tissue.

    ADC = ln(b0 / b1000) / b, so that noise that makes a voxel of the b1000 brighter makes its ADC lower. With noise of
    equal share in both images the correlation of the noise is -0.7, and nearer to -1 the fainter b1000 is; anatomy and
    interpolation bring it nearer to 0. Of an image of another acquisition it is about 0. The grain is the second
    difference along both in-plane axes, of voxels about :data:`GRAIN_MM` apart, which leaves noise and little anatomy.

    Parameters
    ----------
    b1000
        (I, J, K); above 0 in tissue.
    adc
        mm²/s, on its grid.
    mask
        (I, J, K) of the head or the brain.

    Returns
    -------
    float or None
        -1 to 1; None with fewer than :data:`LEAST_VOXELS` voxels of tissue, or where one has no grain at all.
    """
    spacing = b1000.grid.spacing_mm
    through = max(range(3), key=lambda axis: (spacing[axis], axis))
    steps = [0 if axis == through else max(round(GRAIN_MM / spacing[axis]), 1) for axis in range(3)]
    low, high = TISSUE_ADC
    tissue = mask & (b1000.data > 0) & (adc.data > low) & (adc.data < high)
    inner = ndimage.binary_erosion(tissue, np.ones([2 * step + 1 for step in steps], dtype=bool))
    if np.count_nonzero(inner) < LEAST_VOXELS:
        return None
    grains = [np.log(np.where(tissue, b1000.data, 1.0), dtype=np.float64), adc.data.astype(np.float64)]
    for axis, step in enumerate(steps):
        if step:
            difference = np.zeros(2 * step + 1)
            difference[[0, step, -1]] = 1.0, -2.0, 1.0
            grains = [ndimage.convolve1d(grain, difference, axis=axis) for grain in grains]
    first, second = (grain[inner] for grain in grains)
    if not first.std() or not second.std():
        return None
    return float(np.corrcoef(first, second)[0, 1])


def check_grain(b1000: Volume, adc: Volume, mask: npt.NDArray[np.bool_]) -> None:
    """Refuse a b1000 that shares no noise with the ADC that was given with it.

    Parameters
    ----------
    b1000, adc, mask
        As for :func:`shared_grain`; neither moved onto the other by interpolation.

    Raises
    ------
    BadInputError
        When the correlation isn't below :data:`UNRELATED`.
    """
    found = shared_grain(b1000, adc, mask)
    if found is not None and found >= UNRELATED:
        raise BadInputError(
            f"the b1000 and the ADC share no noise (correlation of their grain {found:.2f}; below {UNRELATED:g} "
            "is expected of an ADC that was computed from this b1000). Was another image, such as a FLAIR, given as "
            "b1000? Give both of one scan, or b0 and b1000 without the ADC."
        )
