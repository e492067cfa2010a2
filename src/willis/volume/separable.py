"""Resampling between grids whose axes are parallel: one small weight matrix an axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from willis.volume.grid import FloatArray, Shape3

Kernel = Literal["nearest", "linear", "spline"]

EXACT_TOLERANCE_VOXELS = 1e-4  # positions this near to each other, anywhere on the grid, are called the same


@dataclass(frozen=True)
class ParallelAxes:
    """A map between voxel indices that only permutes, scales and shifts axes.

    Parameters
    ----------
    order
        The source axis that runs along target axis 0, 1, 2.
    step, start
        Source index along it: ``start + step * target index``.
    """

    order: tuple[int, int, int]
    step: tuple[float, float, float]
    start: tuple[float, float, float]

    @property
    def integer(self) -> bool:
        """Whether every target voxel is exactly a source voxel."""
        return all(s in (-1.0, 1.0) and t == round(t) for s, t in zip(self.step, self.start, strict=True))


def parallel_axes(mapping: FloatArray, target_shape: Shape3) -> ParallelAxes | None:
    """Read a (4, 4) target-to-source index map as parallel axes; None when the axes are not parallel."""
    matrix = mapping[:3, :3]
    order = [int(axis) for axis in np.argmax(np.abs(matrix), axis=0)]
    if sorted(order) != [0, 1, 2]:
        return None
    off_axis = matrix.copy()
    off_axis[order, range(3)] = 0
    if (np.abs(off_axis) * np.array(target_shape)).max() > EXACT_TOLERANCE_VOXELS:
        return None
    step = [_snapped(matrix[axis, target], n) for target, (axis, n) in enumerate(zip(order, target_shape, strict=True))]
    start = [_snapped(mapping[axis, 3], 1) for axis in order]
    return ParallelAxes((order[0], order[1], order[2]), (step[0], step[1], step[2]), (start[0], start[1], start[2]))


def _snapped(value: float, count: int) -> float:
    """A whole number when ``count`` steps of the value end within the tolerance of it."""
    whole = float(round(value))
    return whole if abs(value - whole) * count <= EXACT_TOLERANCE_VOXELS else float(value)


def source_positions(step: float, start: float, count: int, length: int) -> tuple[FloatArray, slice]:
    """(count,) fractional source indices along one axis, and the run of them inside the field of view.

    The field of view of ``length`` voxels ends at their outer faces: -0.5 and ``length`` - 0.5.
    """
    position: FloatArray = start + step * np.arange(count, dtype=np.float64)
    near = np.round(position * 2) / 2
    position = np.where(np.abs(position - near) <= EXACT_TOLERANCE_VOXELS, near, position)
    inside = np.flatnonzero((position >= -0.5) & (position <= length - 0.5))
    return position, slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0)


def axis_weights(position: FloatArray, length: int, kernel: Kernel) -> sparse.csr_array:
    """(len(position), length) sparse matrix that interpolates along one axis.

    ``linear`` holds the outer voxels' values to their faces; ``spline`` is the cubic B-spline on mirrored
    coefficients (Unser 1999, doi:10.1109/79.799930).
    """
    if kernel == "linear":
        clipped = np.clip(position, 0, length - 1)
        first = np.minimum(np.floor(clipped), max(length - 2, 0))
        taps = np.stack([first, first + 1])
        weights = np.stack([1 - (clipped - first), clipped - first])
    else:
        first = np.floor(position)
        t = position - first
        taps = first + np.arange(-1, 3)[:, None]
        weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    column = _mirrored(taps.astype(np.intp), length)
    row = np.broadcast_to(np.arange(position.size), column.shape)
    matrix = sparse.coo_array((weights.ravel(), (row.ravel(), column.ravel())), shape=(position.size, length))
    return sparse.csr_array(matrix)


def _mirrored(index: npt.NDArray[np.intp], length: int) -> npt.NDArray[np.intp]:
    """Indices reflected at the centres of the outer voxels."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    return (length - 1) - np.abs((length - 1) - index % period)


def resample_parallel(source: npt.NDArray[Any], axes: ParallelAxes, out: npt.NDArray[Any], kernel: Kernel) -> None:
    """Write the source into ``out``, plane by plane; voxels outside the field of view are left as they are.

    Parameters
    ----------
    source
        (I, J, K) values; for ``spline`` its B-spline coefficients.
    axes
        Where they lie on the target grid.
    out
        (I', J', K') on the target grid.
    """
    turned = source.transpose(axes.order)
    spans = [
        source_positions(step, start, count, length)
        for step, start, count, length in zip(axes.step, axes.start, out.shape, turned.shape, strict=True)
    ]
    inside = tuple(run for _, run in spans)
    positions = [position[run] for position, run in spans]
    if any(position.size == 0 for position in positions):
        return
    if kernel == "nearest":
        picks = [
            np.clip(np.floor(p + 0.5).astype(np.intp), 0, n - 1) for p, n in zip(positions, turned.shape, strict=True)
        ]
        out[inside] = turned[np.ix_(*picks)]
        return
    dtype = out.dtype
    along = [axis_weights(p, n, kernel).astype(dtype) for p, n in zip(positions, turned.shape, strict=True)]
    view = out[inside]
    for plane, weights in enumerate(along[0]):
        mixed = sum(
            turned[tap].astype(dtype) * weight for tap, weight in zip(weights.indices, weights.data, strict=True)
        )
        view[plane] = (along[2] @ np.ascontiguousarray((along[1] @ mixed).T)).T
