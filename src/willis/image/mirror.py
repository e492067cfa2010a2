"""A brain against its own mirror image: the plane between its halves, and what differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from willis.errors import BadInputError
from willis.image.deform import Deformation, fluid_and_tissue, register_demons, warp_to
from willis.image.midline import Midline, find_midline
from willis.image.morphology import dilate_mm
from willis.volume.grid import FloatArray, Grid, Shape3
from willis.volume.lattice import lattice_over
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

MEDIAN_VOXELS = 3  # side of the median filter; published method
COMPARED_MM = 5.0  # spacing at which an image is compared with its reflection
FIRST_STEPS = np.array([5.0, np.deg2rad(5.0), np.deg2rad(5.0)])  # of the plane's offset, mm, and its angles, rad

START_TURNS_DEG = (-20.0, -10.0, 0.0, 10.0, 20.0)
STARTS_DEG = tuple(product(START_TURNS_DEG, (-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0)))
STARTS_KEPT = 3  # that are climbed from
LEAST_SEEN = 0.5  # of what is compared, that a middle plane must lay on itself; assumed
LEAST_TILTED_MM = 60.0  # of brain from below to above, from which a tilt to a shoulder is told; assumed
COMPARED_HU = (-50.0, 150.0)  # to which a CT is cut: air and fat are one, bone is one
COMPARED_BEYOND_MM = 12.0  # beyond the brain, where the skull is


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


def find_reflection(
    image: Volume, brain: Volume, *, starts_deg: Sequence[tuple[float, ...]] = ((0.0, 0.0),), least_seen: float = 0.3
) -> FloatArray:
    """(4, 4) the reflection, mm to mm, that lays a brain's image on itself best.

    From the plane that the mask's outline is most alike about, Powell's method climbs the correlation of the image with
    its reflection, over the plane's offset and its two angles (Prima 2002, doi:10.1109/TMI.2002.806283, for the idea).

    Parameters
    ----------
    image
        Any contrast in which both halves look alike but for lesions.
    brain
        Mask on the image's grid.
    starts_deg
        Turns about the vertical and tilts, from the plane of the outline, of which the best ones are climbed from;
        where they are turns alone, no tilt is sought.
    least_seen
        Share of the mask that must lie on the mask's reflection.

    Raises
    ------
    BadInputError
        When the mask is empty.
    """
    start = find_midline(brain)
    coarse = lattice_over(image.grid, (COMPARED_MM,) * 3)
    values = resample_to(image.with_data(image.data.astype(np.float32)), coarse, antialias=True)
    inside = resample_to(brain.with_data((brain.data > 0).astype(np.float32)), coarse, antialias=True)
    if not (inside.data >= 0.5).any():
        raise BadInputError("the brain mask is empty; its halves can't be compared.")
    middle = coarse.to_mm(np.argwhere(inside.data >= 0.5).mean(axis=0))
    normal = np.array(start.normal)
    offset = start.offset_mm - float(normal @ middle)

    steps = FIRST_STEPS[: 1 + len(starts_deg[0])]

    def reflection(parameters: FloatArray) -> FloatArray:
        shift, yaw, roll = (*parameters, 0.0)[:3]
        turned = Rotation.from_euler("zy", [yaw, roll]).apply(normal)
        matrix = np.eye(4)
        matrix[:3, :3] -= 2 * np.outer(turned, turned)
        matrix[:3, 3] = 2 * (float(turned @ middle) + offset + shift) * turned
        return matrix

    def unlikeness(scaled: FloatArray) -> float:
        matrix = reflection(scaled * steps)
        both = (resample_to(inside, coarse, world_transform=matrix).data >= 0.5) & (inside.data >= 0.5)
        if np.count_nonzero(both) < least_seen * np.count_nonzero(inside.data >= 0.5):
            return 1.0
        there = resample_to(values, coarse, world_transform=matrix).data[both]
        return 1.0 - float(np.corrcoef(values.data[both], there)[0, 1])

    def climbed(first: FloatArray) -> FloatArray:
        found = optimize.minimize(unlikeness, first, method="Powell", options={"xtol": 0.02, "ftol": 1e-4})
        return np.asarray(found.x if found.fun < unlikeness(first) else first)

    starts = [np.array([0.0, *np.deg2rad(angles)]) / steps for angles in starts_deg]
    best = [climbed(first) for first in sorted(starts, key=unlikeness)[:STARTS_KEPT]]
    return reflection(min(best, key=unlikeness) * steps)


def find_midplane(brain: Volume, image: Volume | None = None) -> Midline:
    """The plane between the brain's halves, however the head is turned about the vertical and tilted to a shoulder.

    Where less than :data:`LEAST_TILTED_MM` of brain are seen from below to above, a tilt can't be told, and the plane
    is vertical.

    Parameters
    ----------
    brain
        Mask.
    image
        CT in HU on the mask's grid, whose skull and brain are compared; None compares the outline of the mask.

    Raises
    ------
    BadInputError
        When the mask is empty.
    """
    if not (brain.data > 0).any():
        raise BadInputError("the brain mask is empty; a plane between its halves can't be found.")
    height = np.ptp(brain.grid.to_mm(np.argwhere(brain.data > 0))[:, 2]) + brain.grid.spacing_mm[2]
    starts = STARTS_DEG if height >= LEAST_TILTED_MM else tuple((turn,) for turn in START_TURNS_DEG)
    shown = brain.with_data((brain.data > 0).astype(np.float32))
    if image is not None:
        shown = image.with_data(np.clip(image.data, *COMPARED_HU).astype(np.float32))
    compared = dilate_mm(brain, COMPARED_BEYOND_MM)
    reflection = find_reflection(shown, compared, starts_deg=starts, least_seen=LEAST_SEEN)
    return plane_of(reflection)


def plane_of(reflection: FloatArray) -> Midline:
    """The plane that a reflection (4, 4), mm to mm, mirrors at."""
    normal = np.linalg.eigh(np.eye(3) - reflection[:3, :3])[1][:, -1]
    normal = normal if normal[0] > 0 else -normal
    return Midline((float(normal[0]), float(normal[1]), float(normal[2])), float(reflection[:3, 3] @ normal) / 2)


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
