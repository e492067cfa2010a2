"""Resampling between any two grids, in slabs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage

from willis.errors import invalid_option
from willis.volume.grid import FloatArray, Grid
from willis.volume.volume import Volume

Kernel = Literal["nearest", "linear", "spline"]

EXACT_TOLERANCE_VOXELS = 1e-4  # grids whose voxels coincide this closely are copied, not interpolated
_WORK_DTYPES = {"bool": np.uint8, "float16": np.float32}
_SITK_KERNELS = {"nearest": sitk.sitkNearestNeighbor, "linear": sitk.sitkLinear, "spline": sitk.sitkBSpline}


def index_transform(source: Grid, target: Grid, world_transform: npt.ArrayLike | None = None) -> FloatArray:
    """(4, 4) from voxel index of ``target`` to fractional voxel index of ``source``.

    ``world_transform`` takes millimetres of the target to millimetres of the source; identity when None.
    """
    world = np.eye(4) if world_transform is None else np.asarray(world_transform, dtype=np.float64)
    return np.asarray(np.linalg.inv(source.affine) @ world @ target.affine)


def resample_to(
    volume: Volume,
    grid: Grid,
    kernel: Kernel = "linear",
    *,
    world_transform: npt.ArrayLike | None = None,
    fill: float = 0.0,
    antialias: bool = False,
) -> Volume:
    """The image on another grid.

    Parameters
    ----------
    volume
        The image, (I, J, K).
    grid
        Where to.
    kernel
        ``nearest`` keeps the dtype; ``linear`` and ``spline`` (cubic, interpolating) give floating point.
    world_transform
        (4, 4), mm of the target grid to mm of the image; identity when None.
    fill
        Value outside the image's field of view, which ends at the outer faces of its outer voxels.
    antialias
        Smooth the image before it is sampled more coarsely, by a Gaussian of (f - 1) / 2 voxels along each axis,
        with f the ratio of spacings. Without it a kernel sees only the voxels next to each sample.
    """
    if kernel not in get_args(Kernel):
        raise invalid_option("kernel", kernel, get_args(Kernel))
    mapping = index_transform(volume.grid, grid, world_transform)
    if grid.shape == volume.grid.shape and np.abs(mapping - np.eye(4)).max() * max(grid.shape) < EXACT_TOLERANCE_VOXELS:
        return replace(volume, data=volume.data.copy(), grid=grid)
    dtype = volume.data.dtype if kernel == "nearest" else np.result_type(volume.data.dtype, np.float32)
    work = volume.data.astype(_WORK_DTYPES.get(dtype.name, dtype), copy=False)
    if antialias and kernel != "nearest":
        factor = np.linalg.norm(mapping[:3, :3], axis=1)
        work = ndimage.gaussian_filter(work, np.maximum(factor - 1, 0) / 2, mode="nearest")
    data = _interpolate(work, mapping, grid.shape, kernel, fill)
    return replace(volume, data=data.astype(dtype, copy=False), grid=grid)


def _interpolate(
    source: npt.NDArray[Any], mapping: FloatArray, shape: tuple[int, int, int], kernel: Kernel, fill: float
) -> npt.NDArray[Any]:
    image = sitk.GetImageFromArray(source)  # its x, y, z are our k, j, i
    affine = sitk.AffineTransform(3)
    affine.SetMatrix(mapping[:3, :3][::-1, ::-1].ravel().tolist())
    affine.SetTranslation(mapping[:3, 3][::-1].tolist())
    moved = sitk.Resample(
        image, shape[::-1], affine, _SITK_KERNELS[kernel], (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (), float(fill)
    )
    return np.asarray(sitk.GetArrayFromImage(moved))
