"""Volumes of what the members find between the voxels of a coarse grid.

A count of voxels is a sample of the surface that a probability crosses: on 2 mm voxels it was several per cent off for
an infarct of 2 ml, so that one patient's FLAIR Visibility Volume hung on the matrix that the scanner had stored.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.infer.back import probability_to_grid
from willis.tasks.fvv.votes import Votes
from willis.volume.grid import Grid

COUNTED_MM = 1.0  # voxels are divided until no edge is longer


def counted_between_voxels(
    votes: Votes, members: list[npt.NDArray[np.floating]], prepared_grid: Grid, threshold: float
) -> Votes:
    """The votes with volumes counted on voxels of at most :data:`COUNTED_MM`; masks stay as they are.

    Parameters
    ----------
    votes
        Counted on the scan's own grid.
    members
        Each member's probabilities (3, I, J, K) on the prepared grid: brain, lesion, visible.
    threshold
        Probability above which a voxel counts as infarct or visible.
    """
    if not votes.lesion.any():
        return votes
    reach = ndimage.binary_dilation(votes.lesion, np.ones((3, 3, 3), bool)) & votes.brain
    box = ndimage.find_objects(reach.astype(np.uint8))[0]
    parts = np.ceil(np.array(votes.grid.spacing_mm) / COUNTED_MM - 1e-6).astype(int)
    near = reach[box]
    for axis, count in enumerate(parts):
        near = np.repeat(near, count, axis)
    grid = divided(votes.grid, [side.start for side in box], near.shape, parts)

    def above(member: npt.NDArray[np.floating], output: int) -> npt.NDArray[np.bool_]:
        moved = probability_to_grid(member[output].astype(np.float32), prepared_grid, grid, kernel="spline")
        return np.asarray(moved.data > threshold)

    lesion = sum(above(member, 1).astype(np.uint8) for member in members)
    agreed = near & (2 * np.asarray(lesion, dtype=int) >= len(members))
    seen = tuple(float(np.count_nonzero(above(member, 2) & agreed)) * grid.voxel_ml for member in members)
    return replace(votes, visible_ml=seen, counted_ml=float(np.count_nonzero(agreed)) * grid.voxel_ml)


def divided(grid: Grid, first: list[int], shape: tuple[int, ...], parts: npt.NDArray[np.int_]) -> Grid:
    """The grid of ``shape`` voxels that are a grid's, each edge cut into ``parts``, from voxel ``first`` on."""
    affine = grid.affine @ np.diag([*(1 / parts), 1.0])
    affine[:3, 3] = grid.to_mm(np.array(first) - 0.5 + 0.5 / parts)
    i, j, k = shape
    return Grid((i, j, k), affine)
