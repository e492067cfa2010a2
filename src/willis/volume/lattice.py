"""A lattice of another spacing over the same field of view."""

from __future__ import annotations

import numpy as np

from willis.volume.grid import Grid
from willis.volume.orient import reorient_grid


def lattice_over(grid: Grid, spacing_mm: tuple[float, float, float]) -> Grid:
    """The lattice of a spacing over a grid's field of view, its axes the grid's own in the order of RAS.

    Parameters
    ----------
    grid
        Any orientation; how its axes are stored makes no difference.
    spacing_mm
        Of the lattice's axes, in the order of RAS, mm. Its centre is the grid's; its sides are the nearest whole number
        of voxels, at least one.
    """
    own = reorient_grid(grid, "RAS")
    ratio = np.array(spacing_mm) / np.array(own.spacing_mm)
    i, j, k = (int(n) for n in np.maximum(np.round(np.array(own.shape) / ratio), 1))
    affine = own.affine @ np.diag([*ratio, 1.0])
    affine[:3, 3] = own.centre_mm - affine[:3, :3] @ ((np.array([i, j, k]) - 1) / 2)
    return Grid((i, j, k), affine)
