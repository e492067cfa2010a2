"""The brain on a non-contrast CT: soft tissue inside the skull, about where a template says that the brain is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import BadInputError
from willis.image.components import largest_component
from willis.image.morphology import close_mm, dilate_mm, distance_mm, fill_holes
from willis.volume.grid import Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

BONE_HU = 120.0  # assumed: above clotted blood, below the thinnest bone of the skull base
SOFT_HU = (-10.0, 90.0)  # fluid to fresh blood, after smoothing
SMOOTHING_MM = 1.0
REACH_MM = 10.0  # how far the brain may lie beyond the template's
NECK_MM = 3.0  # openings of the skull narrower than twice this don't let the mask through
CLOSING_MM = 4.0  # sulci, vessels and calcification narrower than twice this belong to the brain
IN_PLANE_MM = 0.9  # the mask is found at about this spacing
LEAST_BRAIN_ML = 300.0


def ct_brain_mask(ct: Volume, prior: Volume) -> Volume:
    """Brain mask on a CT's own grid.

    Parameters
    ----------
    ct
        In HU.
    prior
        The template's brain, laid on the same grid.

    Raises
    ------
    BadInputError
        When less than 300 ml are found.
    """
    grid = _working_grid(ct.grid, prior)
    hu = resample_to(ct, grid, antialias=True, fill=-1000.0).data
    near = dilate_mm(_at_half(prior, grid), REACH_MM).data > 0
    spacing = grid.spacing_mm
    smooth = ndimage.gaussian_filter(hu, [min(SMOOTHING_MM / s, 1.0) for s in spacing])
    soft = near & (smooth > SOFT_HU[0]) & (smooth < SOFT_HU[1]) & (hu < BONE_HU) & (hu != 0)
    core = largest_component(distance_mm(~soft, spacing) > NECK_MM, connectivity=6)
    grown = soft & (distance_mm(core, spacing) <= NECK_MM + 0.5 * max(spacing[:2]))
    closed = fill_holes(close_mm(Volume(grown.astype(np.uint8), grid), CLOSING_MM)).data > 0
    mask = _at_half(Volume(_filled_by_slice(closed & near & ~_bone(hu, core, spacing)), grid), ct.grid)
    if mask.volume_ml < LEAST_BRAIN_ML:
        raise BadInputError(
            f"no brain was found in the {ct.role or 'CT'}: {mask.volume_ml:.0f} ml, at least {LEAST_BRAIN_ML:.0f} ml "
            "are expected. Check that it shows a head in HU, or give a mask with --brain-mask."
        )
    return Volume(mask.data, ct.grid, role="brain")


def _bone(
    hu: npt.NDArray[np.float32], core: npt.NDArray[np.bool_], spacing: tuple[float, float, float]
) -> npt.NDArray[np.bool_]:
    """Bone outside the brain's core; calcification within it isn't bone."""
    return (hu > BONE_HU) & (distance_mm(core, spacing) > NECK_MM)


def _working_grid(grid: Grid, prior: Volume) -> Grid:
    """The part of a grid about the prior, its finest axes thinned to about ``IN_PLANE_MM``.

    It lies about that part's middle, so that a mirrored scan has the mirrored grid.
    """
    inside = np.argwhere(prior.data > 0)
    if len(inside) == 0:
        raise BadInputError("the template's brain lies outside the scan: it shows no head, or only its edge.")
    factors = np.array([max(1, round(IN_PLANE_MM / s)) for s in grid.spacing_mm])
    margin = np.ceil((REACH_MM + CLOSING_MM) / np.array(grid.spacing_mm)).astype(int)
    first = np.maximum(inside.min(axis=0) - margin, 0)
    last = np.minimum(inside.max(axis=0) + margin + 1, grid.shape)
    shape = -(-(last - first) // factors)
    affine = grid.affine.copy()
    affine[:3, :3] = grid.affine[:3, :3] * factors
    affine[:3, 3] = grid.to_mm((first + last - 1) / 2 - (shape - 1) / 2 * factors)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _at_half(mask: Volume, grid: Grid) -> Volume:
    moved = resample_to(mask.with_data(mask.data.astype(np.float32)), grid)
    return moved.with_data((moved.data >= 0.5).astype(np.uint8))


def _filled_by_slice(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Cavities closed in each layer too: a cavity may be open above and below, where slices end."""
    layers = [ndimage.binary_fill_holes(mask[:, :, k]) for k in range(mask.shape[2])]
    return np.stack(layers, axis=2).astype(np.uint8)
