"""Resampling between any two grids, in slabs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, get_args

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage

from willis.errors import BadInputError, GeometryError, invalid_option
from willis.volume.grid import FloatArray, Grid
from willis.volume.separable import Kernel as Kernel
from willis.volume.separable import parallel_axes, resample_parallel
from willis.volume.volume import Volume

SLAB_VOXELS = 1 << 20  # the target is made in slabs of about this many voxels
SPLINE_DEGREE: Final = 3
_SITK_KERNELS = {
    "nearest": sitk.sitkNearestNeighbor,
    "linear": sitk.sitkLinear,
    "spline": sitk.sitkBSplineResamplerOrder3,
}
_WIDER = {"bool": np.uint8, "float16": np.float32}  # dtypes that the interpolators don't know


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

    Beside the source and the result, memory holds at most one working copy of the source and one slab. Where every
    target voxel is a source voxel (a flip, a crop, the same grid) values are copied, whatever the kernel. Parallel
    grids take :mod:`willis.volume.separable`, others SimpleITK's interpolators in index space.

    Parameters
    ----------
    volume
        The image, (I, J, K).
    grid
        Where to.
    kernel
        ``nearest`` keeps the dtype. ``linear`` and ``spline`` (cubic, passes through the voxels, may overshoot)
        give ``float32``, of a ``float64`` image ``float64``.
    world_transform
        (4, 4), mm of the target grid to mm of the image; identity when None.
    fill
        Value outside the image's field of view, which ends at the outer faces of its outer voxels.
    antialias
        Smooth the image before it is sampled more coarsely, by a Gaussian of (f - 1) / 2 voxels along each axis,
        with f the ratio of spacings. Without it a kernel sees only the voxels next to each sample, and finer detail
        turns into noise. Not for ``nearest``.

    Raises
    ------
    BadInputError
        When the kernel is unknown, or ``fill`` doesn't fit the dtype.
    GeometryError
        When ``world_transform`` isn't a finite, invertible (4, 4) matrix.
    """
    if kernel not in get_args(Kernel):
        raise invalid_option("kernel", kernel, get_args(Kernel))
    mapping = index_transform(volume.grid, grid, world_transform)
    axes = parallel_axes(mapping, grid.shape)
    copied = kernel == "nearest" or (axes is not None and axes.integer)
    source = volume.data
    if antialias and kernel != "nearest":
        source = _smoothed(source, mapping)
    out = np.full(grid.shape, fill, dtype=_result_dtype(volume.data.dtype, kernel, fill))
    if kernel == "spline" and not copied:
        source = ndimage.spline_filter(source, SPLINE_DEGREE, output=out.dtype, mode="mirror")
    if axes is None:
        _resample_general(source, mapping, out, kernel, fill)
    else:
        resample_parallel(source, axes, out, "nearest" if copied else kernel)
    return replace(volume, data=out, grid=grid)


def index_transform(source: Grid, target: Grid, world_transform: npt.ArrayLike | None = None) -> FloatArray:
    """(4, 4) from voxel index of ``target`` to fractional voxel index of ``source``.

    ``world_transform`` takes millimetres of the target to millimetres of the source; identity when None.
    """
    world = np.eye(4) if world_transform is None else np.asarray(world_transform, dtype=np.float64)
    if world.shape != (4, 4) or not np.isfinite(world).all() or abs(np.linalg.det(world)) < 1e-9:
        raise GeometryError(f"a world transform must be a finite, invertible 4 × 4 matrix; found {world.tolist()}.")
    return np.asarray(np.linalg.solve(source.affine, world @ target.affine))


def _result_dtype(dtype: np.dtype[Any], kernel: Kernel, fill: float) -> np.dtype[Any]:
    if kernel != "nearest":
        return np.dtype(np.float64 if dtype == np.float64 else np.float32)
    if dtype.kind in "iub":
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if not (low <= fill <= high and float(fill).is_integer()):
            raise BadInputError(f"fill {fill} can't be held by an image of {dtype}; give a value that it can hold.")
    return dtype


def _smoothed(data: npt.NDArray[Any], mapping: FloatArray) -> npt.NDArray[Any]:
    """The image blurred along each axis where the target's steps are longer than its own."""
    sigma = np.maximum(np.linalg.norm(mapping[:3, :3], axis=1) - 1, 0) / 2
    if not sigma.any():
        return data
    dtype = np.float64 if data.dtype == np.float64 else np.float32
    return np.asarray(ndimage.gaussian_filter(data, sigma, mode="nearest", output=dtype))


def _resample_general(
    source: npt.NDArray[Any], mapping: FloatArray, out: npt.NDArray[Any], kernel: Kernel, fill: float
) -> None:
    """Fill ``out`` slab by slab along its first axis, both arrays being images of unit spacing."""
    image = sitk.GetImageFromArray(source.astype(_WIDER.get(source.dtype.name, source.dtype), copy=False))
    pixel = sitk.GetImageFromArray(np.zeros((1, 1, 1), _WIDER.get(out.dtype.name, out.dtype))).GetPixelID()
    depth = max(1, SLAB_VOXELS // (out.shape[1] * out.shape[2]))
    affine = sitk.AffineTransform(3)  # its x, y, z are our k, j, i
    affine.SetMatrix(mapping[:3, :3][::-1, ::-1].ravel().tolist())
    for first in range(0, out.shape[0], depth):
        slab = out[first : first + depth]
        affine.SetTranslation((mapping[:3, 3] + first * mapping[:3, 0])[::-1].tolist())
        moved = sitk.Resample(
            image, slab.shape[::-1], affine, _SITK_KERNELS[kernel],
            (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (), float(fill), pixel,
        )  # fmt: skip
        slab[...] = sitk.GetArrayViewFromImage(moved)
