"""Deformable registration of two images of one modality on one grid, by demons, the same on every run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage

from willis.errors import GeometryError
from willis.image.sitk_volume import sitk_image
from willis.image.threads import one_thread
from willis.volume.grid import FloatArray, Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

LEVELS = ((6.0, 60), (3.0, 40))  # spacing in mm of the images compared, and iterations there
FIELD_SIGMA_VOXELS = 1.5  # smoothing of the field after each iteration
SLAB_VOXELS = 1 << 20
MATCH_SMOOTHING_MM = 1.5  # against noise, before values are cut


@dataclass(frozen=True)
class Deformation:
    """Where each point of the fixed image's space lies in the moving image's.

    Parameters
    ----------
    field_mm
        (3, I, J, K) displacement in mm, RAS+; 0 beyond the grid.
    grid
        Its lattice.
    """

    field_mm: npt.NDArray[np.float32]
    grid: Grid

    def at(self, points_mm: FloatArray) -> FloatArray:
        """(..., 3) positions in the moving image's space of positions in the fixed one's."""
        index = np.moveaxis(self.grid.to_index(points_mm), -1, 0)
        moved = [ndimage.map_coordinates(part, index, order=1, mode="nearest") for part in self.field_mm]
        return np.asarray(points_mm + np.stack(moved, axis=-1))

    def largest_mm(self) -> float:
        """Length of the longest displacement."""
        return float(np.linalg.norm(self.field_mm, axis=0).max())


def register_demons(moving: Volume, fixed: Volume) -> Deformation:
    """Deform one image onto another that it nearly lies on.

    Demons with symmetric forces (Vercauteren 2009, doi:10.1016/j.neuroimage.2008.10.040) at 6 and 3 mm, the field
    smoothed by a Gaussian after each step, summed by one thread.

    Parameters
    ----------
    moving, fixed
        Images of like values on one grid at right angles.

    Raises
    ------
    GeometryError
        When they lie on different grids.
    """
    field: sitk.Image | None = None
    with one_thread():
        for spacing, iterations in LEVELS:
            grid, still, moved = pair_at(moving, fixed, spacing)
            demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
            demons.SetNumberOfIterations(iterations)
            demons.SetSmoothDisplacementField(True)
            demons.SetStandardDeviations(FIELD_SIGMA_VOXELS)
            if field is None:
                field = demons.Execute(still, moved)
            else:
                start = sitk.Resample(field, still, sitk.Transform(), sitk.sitkLinear, 0.0, field.GetPixelID())
                field = demons.Execute(still, moved, start)
    assert field is not None
    return field_of(sitk.GetArrayFromImage(field), grid)


def pair_at(moving: Volume, fixed: Volume, spacing_mm: float) -> tuple[Grid, sitk.Image, sitk.Image]:
    """A coarser grid over two images, and the fixed and the moving one there for SimpleITK, in float32.

    Raises
    ------
    GeometryError
        When they lie on different grids.
    """
    if not moving.grid.same_as(fixed.grid):
        raise GeometryError("images to deform onto each other must lie on one grid.")
    grid = coarser(fixed.grid, spacing_mm)
    still, moved = (sitk_image(_float(resample_to(v, grid, antialias=True))) for v in (fixed, moving))
    return grid, still, moved


def field_of(vectors: npt.NDArray[np.floating], grid: Grid) -> Deformation:
    """The deformation of a field (K, J, I, 3) in mm, as SimpleITK gives its arrays."""
    return Deformation(np.ascontiguousarray(vectors.transpose(3, 2, 1, 0), dtype=np.float32), grid)


def fluid_and_tissue(image: Volume, brain: Volume, ceiling: float) -> Volume:
    """A brain in which all tissue looks alike and fluid is dark, to be matched by its outline, ventricles and sulci.

    What is matched by its own values can't be compared afterwards: a deformation would explain an infarct away.

    Parameters
    ----------
    image, brain
        CT in HU and brain mask on one grid.
    ceiling
        HU, above fluid and below ischaemic tissue: denser voxels become it.
    """
    sigma = [MATCH_SMOOTHING_MM / spacing for spacing in image.grid.spacing_mm]
    smooth = ndimage.gaussian_filter(np.clip(image.data, 0, 2 * ceiling).astype(np.float32), sigma)
    return image.with_data(np.where(brain.data > 0, np.clip(smooth, 0, ceiling), 0).astype(np.float32))


def coarser(grid: Grid, spacing_mm: float) -> Grid:
    """An isotropic grid with the same axes and middle that covers a grid."""
    extent = np.array(grid.shape) * grid.spacing_mm
    i, j, k = np.maximum(np.ceil(extent / spacing_mm).astype(int), 1)
    affine = np.eye(4)
    affine[:3, :3] = grid.directions * spacing_mm
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ ((np.array([i, j, k]) - 1) / 2)
    return Grid((int(i), int(j), int(k)), affine)


def warp_to(
    volume: Volume,
    grid: Grid,
    deformation: Deformation | None = None,
    matrix: FloatArray | None = None,
    *,
    order: Literal[0, 1] = 1,
    fill: float = 0.0,
) -> Volume:
    """An image at the places where a deformation, and then an affine map, take each voxel of a grid.

    Parameters
    ----------
    volume
        The moving image.
    grid
        Where to, in the fixed image's space.
    deformation
        Of that space; none when None.
    matrix
        (4, 4) from there to mm of the image; identity when None.
    order
        0 nearest, 1 linear.
    fill
        Value outside the image.
    """
    out = np.full(grid.shape, fill, dtype=volume.data.dtype if order == 0 else np.float32)
    source = volume.data.astype(np.float32, copy=False)
    depth = max(1, SLAB_VOXELS // (grid.shape[1] * grid.shape[2]))
    for first in range(0, grid.shape[0], depth):
        last = min(first + depth, grid.shape[0])
        index = np.moveaxis(np.mgrid[first:last, : grid.shape[1], : grid.shape[2]], 0, -1)
        points = grid.to_mm(index)
        if deformation is not None:
            points = deformation.at(points)
        if matrix is not None:
            points = points @ matrix[:3, :3].T + matrix[:3, 3]
        where = np.moveaxis(volume.grid.to_index(points), -1, 0)
        out[first:last] = _sampled(source, where, order, fill)
    return Volume(out, grid, volume.role, volume.unit, volume.notes)


def _sampled(
    source: npt.NDArray[np.float32], where: FloatArray, order: Literal[0, 1], fill: float
) -> npt.NDArray[np.float32]:
    """Values at fractional indices; the field of view ends at the outer faces of the outer voxels."""
    upper = np.array(source.shape).reshape(3, *(1,) * (where.ndim - 1)) - 0.5
    inside = ((where >= -0.5) & (where <= upper)).all(axis=0)
    values = ndimage.map_coordinates(source, where, order=order, mode="nearest", prefilter=False)
    return np.where(inside, values, np.float32(fill))


def _float(volume: Volume) -> Volume:
    return volume.with_data(volume.data.astype(np.float32))
