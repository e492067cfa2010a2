"""A brain against its own mirror image: the plane between its halves, and what differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.image.deform import Deformation, fluid_and_tissue, register_demons, warp_to
from willis.volume.grid import FloatArray, Grid, Shape3
from willis.volume.volume import Volume

MEDIAN_VOXELS = 3  # side of the median filter; published method


def midplane_grid(matrix: FloatArray, middle_mm: Sequence[float], shape: Shape3, spacing_mm: float) -> Grid:
    """A grid whose first axis runs across the brain's middle plane, which lies in its own middle.

    Turning such an image over along its first axis mirrors the brain.

    Parameters
    ----------
    matrix
        (4, 4) from mm of a template that is symmetric about x = 0 to mm of the patient.
    middle_mm
        Point of the template's middle plane, x = 0, that becomes the grid's middle.
    shape, spacing_mm
        Of the grid.
    """
    linear = matrix[:3, :3]
    across = np.linalg.inv(linear).T @ [1.0, 0.0, 0.0]
    across /= np.linalg.norm(across)
    forward = linear @ [0.0, 1.0, 0.0]
    forward -= (forward @ across) * across
    forward /= np.linalg.norm(forward)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([across, forward, np.cross(across, forward)]) * spacing_mm
    middle = linear @ np.asarray(middle_mm, dtype=np.float64) + matrix[:3, 3]
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def mirrored(volume: Volume) -> Volume:
    """The image turned over along its first axis, on the same grid."""
    return volume.with_data(np.ascontiguousarray(volume.data[::-1]))


@dataclass(frozen=True)
class HalfDifference:
    """A brain against its mirror image, all (I, J, K) on one midplane grid, in the image's unit.

    Parameters
    ----------
    signed
        Brain minus the mirror image laid on it, both median filtered; NaN where one of them has no brain.
    absolute
        Its absolute value, 0 where a limit was passed and outside the brain.
    mirror
        What laid the mirror image on the brain.
    """

    signed: npt.NDArray[np.float32]
    absolute: npt.NDArray[np.float32]
    mirror: Deformation


def half_difference(image: Volume, brain: Volume, least: float, largest: float, ceiling: float) -> HalfDifference:
    """Compare each half of a brain with the other one, mirrored and deformed onto it.

    Parameters
    ----------
    image, brain
        Image and mask on one midplane grid.
    least
        Where either half lies below it the absolute difference is 0: fluid is not compared.
    largest
        Absolute differences above it are 0.
    ceiling
        Up to which values are matched, see :func:`willis.image.deform.fluid_and_tissue`.
    """
    inside = brain.data > 0
    alone = image.with_data(np.where(inside, image.data, 0).astype(np.float32))
    turned = mirrored(alone)
    matched = fluid_and_tissue(image, brain, ceiling)
    deformation = register_demons(mirrored(matched), matched)
    other = warp_to(turned, image.grid, deformation).data
    other_inside = warp_to(mirrored(brain), image.grid, deformation, order=0).data > 0
    here, there = (ndimage.median_filter(data, MEDIAN_VOXELS) for data in (alone.data, other))
    both = inside & other_inside
    signed = np.where(both, here - there, np.nan).astype(np.float32)
    counted = both & (here >= least) & (there >= least)
    absolute = np.where(counted, np.abs(here - there), 0)
    absolute[absolute > largest] = 0
    return HalfDifference(signed, absolute.astype(np.float32), deformation)
