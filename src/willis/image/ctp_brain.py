"""The brain on a CT perfusion series: soft tissue within the skull, slice by slice, also where slices are few."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.image.components import largest_component
from willis.volume.grid import Grid

Mask = npt.NDArray[np.bool_]
BONE_HU = 160.0  # above contrast in veins at rest, below bone in thick slices
TISSUE_HU = (-5.0, 90.0)  # fluid to blood
FLUID_HU = 16.0  # between cerebrospinal fluid and grey or white matter, after smoothing
WALL_MM = 2.5  # of the mask's rim that partial volume with bone may have changed
NECK_MM = 4.0  # bridges thinner than twice this between brain and orbit or neck are cut
SMOOTHING_MM = 1.5


def ctp_brain(baseline: npt.NDArray[np.floating], grid: Grid) -> Mask:
    """(I, J, K) brain with its fluid on the mean of the frames before contrast, HU; may be empty.

    In every slice the inside of the skull is what bone encloses; what hangs on the brain by a thin bridge is cut off.
    """
    hu = np.asarray(baseline, dtype=np.float32)
    in_plane = grid.spacing_mm[:2]
    bone = hu > BONE_HU
    inside = np.zeros(hu.shape, dtype=bool)
    for k in range(hu.shape[2]):
        inside[:, :, k] = _enclosed(bone[:, :, k], in_plane)
    soft = inside & ~bone & (hu > TISSUE_HU[0]) & (hu < TISSUE_HU[1])
    core = np.zeros_like(soft)
    for k in range(hu.shape[2]):
        filled = ndimage.binary_fill_holes(soft[:, :, k])
        core[:, :, k] = ndimage.distance_transform_edt(filled, sampling=in_plane) > NECK_MM
    core = largest_component(core, connectivity=6)
    brain = np.zeros_like(soft)
    for k in range(hu.shape[2]):
        if not core[:, :, k].any():
            continue
        near = ndimage.distance_transform_edt(~core[:, :, k], sampling=in_plane) <= NECK_MM
        brain[:, :, k] = ndimage.binary_fill_holes(near & inside[:, :, k] & ~bone[:, :, k])
    return brain & off_bone(hu, grid)


def off_bone(baseline: npt.NDArray[np.floating], grid: Grid) -> Mask:
    """(I, J, K) what lies so far from bone in its slice that partial volume doesn't change it; HU."""
    in_plane = grid.spacing_mm[:2]
    soft = baseline <= BONE_HU
    away = np.zeros(soft.shape, dtype=bool)
    for k in range(soft.shape[2]):
        plane = soft[:, :, k]
        if plane.all():
            away[:, :, k] = True
        else:
            away[:, :, k] = ndimage.distance_transform_edt(plane, sampling=in_plane) > min(WALL_MM, 2 * max(in_plane))
    return away


def tissue_of(baseline: npt.NDArray[np.floating], brain: Mask, grid: Grid) -> Mask:
    """(I, J, K) the part of the brain that isn't fluid."""
    i_mm, j_mm, _ = grid.spacing_mm
    weight = ndimage.gaussian_filter(brain.astype(np.float32), [SMOOTHING_MM / i_mm, SMOOTHING_MM / j_mm, 0])
    values = np.where(brain, baseline, 0).astype(np.float32)
    smooth = ndimage.gaussian_filter(values, [SMOOTHING_MM / i_mm, SMOOTHING_MM / j_mm, 0])
    return np.asarray(brain & (smooth > FLUID_HU * np.maximum(weight, 1e-6)))


def _enclosed(bone: npt.NDArray[np.bool_], in_plane: tuple[float, ...]) -> npt.NDArray[np.bool_]:
    """What a ring of bone encloses, gaps of up to 1 cm closed."""
    if not bone.any():
        return bone
    reach = 5.0
    pad = [int(np.ceil(reach / s)) + 2 for s in in_plane]
    padded = np.pad(bone, [(p, p) for p in pad])
    grown = ndimage.distance_transform_edt(~padded, sampling=in_plane) <= reach
    filled = ndimage.binary_fill_holes(grown)
    shrunk = ndimage.distance_transform_edt(filled, sampling=in_plane) > reach
    return np.asarray(shrunk[pad[0] : pad[0] + bone.shape[0], pad[1] : pad[1] + bone.shape[1]])
