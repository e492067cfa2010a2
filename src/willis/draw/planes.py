"""Planes: cut a volume of any orientation into pictures that lie as a radiologist expects them.

All pictures come from the volume's own voxels in the order ``LPS``: columns run to the patient's left, rows
to posterior, slices to superior. Of an oblique grid the nearest voxel axes are taken, and nothing is interpolated.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from willis.errors import GeometryError
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.volume import Volume

Plane = Literal["axial", "coronal", "sagittal"]
Array = npt.NDArray[Any]

DISPLAY = "LPS"


class View(NamedTuple):
    """How a plane of an ``LPS`` array is shown.

    ``normal``, ``rows``, ``columns`` are array axes; ``letters`` stand at the picture's left, right, top and bottom.
    """

    normal: int
    rows: int
    columns: int
    rows_up: bool
    letters: tuple[str, str, str, str]


VIEWS: dict[Plane, View] = {
    "axial": View(2, 1, 0, False, ("R", "L", "A", "P")),
    "coronal": View(1, 2, 0, True, ("R", "L", "S", "I")),
    "sagittal": View(0, 2, 1, True, ("A", "P", "S", "I")),
}


def displayed(volume: Volume) -> Volume:
    """The volume with its voxel axes in the order that pictures are cut from."""
    return reorient(volume, DISPLAY)


def displayed_on(background: Volume, other: Volume) -> Volume:
    """``other`` in display order, after a check that it lies on the background's grid.

    Raises
    ------
    GeometryError
        When it lies on another grid: a picture never resamples a mask.
    """
    if not background.grid.same_as(other.grid):
        raise GeometryError(
            f"{other.role or 'the overlay'} of shape {other.grid.shape} doesn't lie on the grid of"
            f" {background.role or 'the background'}, shape {background.grid.shape}. Resample it there first."
        )
    return displayed(other)


def cut(data: Array, plane: Plane, index: int) -> Array:
    """The picture (rows, columns) of slice ``index`` of an ``LPS`` array; row 0 is the picture's top."""
    view = VIEWS[plane]
    picture = np.take(data, index, axis=view.normal)
    if view.rows > view.columns:
        picture = picture.T
    return np.asarray(picture[::-1] if view.rows_up else picture)


def pixel_mm(grid: Grid, plane: Plane) -> tuple[float, float]:
    """Height and width of a pixel of the picture."""
    view = VIEWS[plane]
    return grid.spacing_mm[view.rows], grid.spacing_mm[view.columns]


def position_mm(grid: Grid, plane: Plane, index: int) -> float:
    """World coordinate of the slice's centre along the world axis that the plane crosses, RAS+ mm."""
    view = VIEWS[plane]
    middle = (np.array(grid.shape) - 1) / 2
    middle[view.normal] = index
    return float(grid.to_mm(middle)[view.normal])
