"""The way back: what was found on the prepared grid, on the grid of the patient's own image.

Only the box in which something was found is resampled, since an interpolation of zeros is zero. For two classes
the sign of their interpolated difference is the larger one's label, so that one map stands for both.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from willis.errors import GeometryError
from willis.volume.grid import FloatArray, Grid
from willis.volume.resample import Kernel, index_transform, resample_to
from willis.volume.volume import Volume

MARGIN = {"linear": 1, "spline": 4}  # voxels kept around what was found, so that it fades out as in the whole map


Box = tuple[slice, slice, slice]


def probability_to_grid(
    probability: npt.NDArray[np.floating],
    prepared_grid: Grid,
    target_grid: Grid,
    *,
    world_transform: npt.NDArray[np.float64] | None = None,
    kernel: Kernel = "linear",
) -> Volume:
    """A probability map on another grid, interpolated slab by slab, 0 outside the prepared one.

    Parameters
    ----------
    probability
        (I, J, K), in [0, 1].
    prepared_grid, target_grid
        Where it lies, and where it shall lie.
    world_transform
        (4, 4), mm of the target to mm of the prepared grid; None when both show the patient in one place.
    kernel
        ``linear``, which cuts the corners of what is a few voxels wide; or ``spline``, kept in [0, 1], from a much
        coarser grid.

    Raises
    ------
    GeometryError
        When array and grid differ in shape, or the transform has no inverse.
    """
    out = np.zeros(target_grid.shape, np.float32)
    box = occupied_box(probability != 0, MARGIN[kernel])
    found = _resampled(probability, box, prepared_grid, target_grid, world_transform, kernel)
    if found is not None:
        where, values = found
        out[where] = np.clip(values, 0, 1)
    return Volume(out, target_grid, unit="1")


def mask_to_grid(
    probability: npt.NDArray[np.floating],
    prepared_grid: Grid,
    target_grid: Grid,
    threshold: float,
    *,
    world_transform: npt.NDArray[np.float64] | None = None,
) -> Volume:
    """``uint8`` mask, on another grid, of the voxels whose interpolated probability is at least ``threshold``.

    Parameters and errors are those of :func:`probability_to_grid`; the threshold lies above 0. Only the box around
    voxels that reach it is resampled, since no interpolated value exceeds those that it lies between.
    """
    out = np.zeros(target_grid.shape, np.uint8)
    box = occupied_box(probability >= np.float32(threshold), MARGIN["linear"])
    found = _resampled(probability, box, prepared_grid, target_grid, world_transform, "linear")
    if found is not None:
        where, values = found
        out[where] = values >= np.float32(threshold)
    return Volume(out, target_grid)


def occupied_box(occupied: npt.NDArray[np.bool_], margin: int) -> Box | None:
    """The box that holds all True voxels, and a margin of so many; None when there are none."""
    slices = []
    for axis in range(3):
        line = np.flatnonzero(occupied.any(axis=tuple(a for a in range(3) if a != axis)))
        if not line.size:
            return None
        slices.append(slice(max(0, int(line[0]) - margin), min(occupied.shape[axis], int(line[-1]) + 1 + margin)))
    i, j, k = slices
    return i, j, k


def _resampled(
    probability: npt.NDArray[np.floating],
    box: Box | None,
    prepared_grid: Grid,
    target_grid: Grid,
    world_transform: npt.NDArray[np.float64] | None,
    kernel: Kernel,
) -> tuple[Box, npt.NDArray[np.float32]] | None:
    """One box of the map, and the box of the target grid that it fills; None when it fills none."""
    if probability.shape != prepared_grid.shape:
        raise GeometryError(
            f"a probability map of shape {probability.shape} can't lie on a grid of shape {prepared_grid.shape}."
        )
    mapping = index_transform(prepared_grid, target_grid, world_transform)
    if box is None:
        return None
    reached = _reached_box(box, np.asarray(np.linalg.inv(mapping), np.float64), target_grid)
    if min(side.stop - side.start for side in reached) == 0:
        return None
    part = Volume(np.asarray(probability[box], np.float32), _part(prepared_grid, box))
    return reached, resample_to(part, _part(target_grid, reached), kernel, world_transform=world_transform).data


def _reached_box(source: Box, to_target: FloatArray, grid: Grid) -> Box:
    """Voxels of the target grid that lie within the outer faces of a box of the source."""
    ends = np.array([(s.start - 0.5, s.stop - 0.5) for s in source])
    corners = np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1)
    reached = to_target[:3, :3] @ corners + to_target[:3, 3:]
    low = np.clip(np.floor(reached.min(axis=1)), 0, grid.shape).astype(int)
    high = np.clip(np.ceil(reached.max(axis=1)) + 1, low, grid.shape).astype(int)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return i, j, k


def _part(grid: Grid, box: Box) -> Grid:
    i, j, k = (s.stop - s.start for s in box)
    return grid.shifted([s.start for s in box], (i, j, k))
