"""Arteries of the base run in the fluid of cisterns and fissures: their courses are drawn into that of each head.

An affine map by the nuclei leaves them within a few millimetres of the fissure, mostly in the brain beside it. Each
course is moved by the displacement that puts its middle line deepest into fluid with the least and the smoothest
movement, found over a lattice of movements by dynamic programming. Where arteries join, they stay joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.labels import Tissue, lookup
from willis.phantom.vessels import Artery

FARTHEST_MM = 7.0  # that a point is moved
LATTICE_MM = 1.4
KNOT_MM = 3.0  # between the points of a course whose movements are sought
DEPTH_MM = 1.0  # over which fluid is averaged: the middle of a fissure is better than its edge
FAR_COST = 0.3  # of the farthest movement, where brain instead of fluid costs 1
BEND_COST = 0.12  # of movements of neighbours that differ by a lattice step
WHOLE_TURN_KNOTS = 1.0  # knots over which the movement between them is smoothed

Points = npt.NDArray[np.float64]


def drawn_into_fluid(
    arteries: Sequence[Artery], codes: npt.NDArray[np.uint8], voxel_mm: float, start: Points | None = None
) -> list[Artery]:
    """The arteries of a head, moved into its fluid.

    Parameters
    ----------
    arteries
        In voxels; those that join share a point. Radii are kept.
    codes
        (I, J, K) label codes of the head, or of a box of it.
    voxel_mm
        Distance between its voxels.
    start
        (3,) first voxel of that box; 0 when None.
    """
    fluid = lookup((Tissue.CSF, Tissue.OUTER_CSF))[codes].astype(np.float32)
    fluid = ndimage.gaussian_filter(fluid, DEPTH_MM / voxel_mm)
    moves = _lattice() / voxel_mm
    joints: dict[tuple[float, ...], int] = {}
    moved = []
    for artery in arteries:
        points = artery.points if start is None else artery.points - start
        count = max(2, round(artery.length_mm * voxel_mm / KNOT_MM) + 1)
        knots = np.linspace(0, len(points) - 1, count)
        at = points[np.rint(knots).astype(int)]
        ends = [tuple(np.round(p, 3)) for p in (artery.points[0], artery.points[-1])]
        chosen = _smoothest(fluid, at, moves, [joints.get(end) for end in ends])
        for end, choice in zip(ends, (chosen[0], chosen[-1]), strict=True):
            joints.setdefault(end, int(choice))
        moved.append(replace(artery, points=artery.points + _between(moves[chosen], knots, len(points))))
    return moved


def _lattice() -> Points:
    """(M, 3) movements in mm within the farthest; the first is none."""
    steps = int(FARTHEST_MM / LATTICE_MM)
    axis = LATTICE_MM * np.arange(-steps, steps + 1)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    far = np.linalg.norm(grid, axis=1)
    order = np.argsort(far, kind="stable")
    return np.asarray(grid[order[far[order] <= FARTHEST_MM]])


def _smoothest(
    fluid: npt.NDArray[np.float32], knots: Points, moves: Points, fixed: Sequence[int | None]
) -> npt.NDArray[np.int64]:
    """(K,) number of each knot's movement: the path of least cost, its ends as they are fixed."""
    reach = float(np.linalg.norm(moves, axis=1).max())
    at = (knots[:, None] + moves[None]).reshape(-1, 3).T
    inside = ndimage.map_coordinates(fluid, at, order=1, mode="constant").reshape(len(knots), len(moves))
    cost = (1 - inside) + FAR_COST * np.sum(moves**2, axis=1) / reach**2
    for knot, choice in zip((0, -1), fixed, strict=True):
        if choice is not None:
            cost[knot, np.arange(len(moves)) != choice] = np.inf
    step = float(np.linalg.norm(moves[1]))
    bend = BEND_COST * np.sum((moves[:, None] - moves[None]) ** 2, axis=-1) / step**2
    total, came = cost[0], []
    for here in cost[1:]:
        through = total[:, None] + bend
        came.append(through.argmin(axis=0))
        total = through.min(axis=0) + here
    path = [int(total.argmin())]
    for before in reversed(came):
        path.append(int(before[path[-1]]))
    return np.array(path[::-1])


def _between(movement: Points, knots: npt.NDArray[np.float64], count: int) -> Points:
    """(count, 3) movement of every point: smoothed between the knots, as it is at the ends."""
    every = np.arange(count)
    line = np.stack([np.interp(every, knots, axis) for axis in movement.T], axis=1)
    smooth = ndimage.gaussian_filter1d(line, WHOLE_TURN_KNOTS * count / max(len(knots) - 1, 1), axis=0, mode="nearest")
    near_end = np.minimum(every, every[::-1]) / max(count / max(len(knots) - 1, 1), 1)
    weight = np.clip(near_end, 0, 1)[:, None]
    return np.asarray(weight * smooth + (1 - weight) * line)
