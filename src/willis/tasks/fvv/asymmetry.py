"""How much brighter b0 is in the infarct than on the other side, without which FLAIR shows none of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from willis.image.mirror import find_reflection
from willis.volume.grid import FloatArray, Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

Bool3 = npt.NDArray[np.bool_]

FLUID_ADC = 1.3e-3  # mm²/s; above it lies fluid, whose sulci never match
TISSUE_SHARE = 0.6  # of a voxel on the other side, from which it is compared
FIT_MM = 60.0  # about half a brain, to which places are scaled
RIDGE = 1e-4  # keeps terms that the tissue at hand doesn't tell apart small
LEAST_COMPARED_ML = 0.2  # of the infarct; with less there is no ratio


def reflection_of(b0: Volume, brain: Bool3) -> FloatArray:
    """(4, 4) the reflection, mm to mm, that lays the brain's b0 on itself."""
    shown = b0.with_data(np.where(brain, b0.data.astype(np.float32), 0))
    return find_reflection(shown, Volume(brain.astype(np.uint8), b0.grid))


def b0_ratio(
    b0: Volume, b1000: Volume, lesion: Bool3, brain: Bool3, b: float, reflection: FloatArray | None = None
) -> float | None:
    """Median over the infarct of b0 divided by b0 at the mirrored place, where both show tissue.

    T2 rises with the hours since onset, and the FLAIR signal with it, while b1000 is bright from the first minutes
    (Thomalla 2011, doi:10.1016/S1474-4422(11)70192-2). Raters compare the two sides, and so do measures of relative
    signal (Cheng 2013, doi:10.1161/STROKEAHA.111.000187). A coil that is nearer to one side makes that side brighter;
    what the healthy tissue of both sides tells of it is taken away.

    Parameters
    ----------
    b0, b1000
        On one grid and one scale.
    lesion, brain
        (I, J, K) on it.
    b
        Of the b1000, s/mm².
    reflection
        Of :func:`reflection_of`, which is called when None.

    Returns
    -------
    float or None
        1 when both sides are alike; None when less than :data:`LEAST_COMPARED_ML` of the infarct has another side
        without infarct or fluid.
    """
    if not lesion.any():
        return None
    grid = b0.grid
    first, second = (image.data.astype(np.float32) for image in (b0, b1000))
    both = brain & (first > 0) & (second > 0)
    adc = np.log(np.where(both, first, 1.0) / np.where(both, second, 1.0)) / b
    healthy = both & (adc < FLUID_ADC) & ~lesion
    reflection = reflection_of(b0, brain) if reflection is None else reflection
    share, signal = (
        resample_to(Volume(part.astype(np.float32), grid), grid, world_transform=reflection).data
        for part in (healthy, np.where(healthy, first, 0))
    )
    shared = both & (share >= TISSUE_SHARE) & (signal > 0)
    compared = lesion & shared
    if np.count_nonzero(compared) * grid.voxel_ml < LEAST_COMPARED_ML:
        return None
    ratio = np.log(first * share, where=shared, out=np.zeros_like(first))
    ratio -= np.log(signal, where=shared, out=np.zeros_like(first))
    shading = _shading(ratio, healthy & shared, compared, grid, reflection)
    return float(np.exp(np.median(ratio[compared] - shading)))


def _shading(
    ratio: npt.NDArray[np.float32], known: Bool3, wanted: Bool3, grid: Grid, reflection: FloatArray
) -> npt.NDArray[np.float64]:
    """What the coil's shading gives to the log ratio at the wanted voxels: a smooth field that is odd across the plane.

    Of terms up to the third degree, fitted to tissue that is healthy on both sides.
    """
    across = (np.eye(3) - reflection[:3, :3])[:, 0]
    across /= np.linalg.norm(across)
    centre = grid.to_mm(np.argwhere(known).mean(axis=0)) if known.any() else grid.centre_mm

    def terms(mask: Bool3) -> npt.NDArray[np.float64]:
        at = grid.to_mm(np.argwhere(mask))
        x = (at - reflection[:3, 3] / 2) @ across / FIT_MM
        y, z = ((at - centre) / FIT_MM)[:, 1:].T
        return np.stack([x, x * y, x * z, x * y * y, x * z * z, x * y * z, x**3], axis=1)

    basis = terms(known)
    weights = np.linalg.solve(basis.T @ basis + RIDGE * len(basis) * np.eye(basis.shape[1]), basis.T @ ratio[known])
    return np.asarray(terms(wanted) @ weights)
