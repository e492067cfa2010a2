"""The three planes of the body, and which voxel axis each one's slices are counted along."""

from __future__ import annotations

from typing import Literal, get_args

from willis.volume.grid import AXIS_NAMES

Plane = Literal["axial", "sagittal", "coronal"]

PLANES: tuple[Plane, ...] = get_args(Plane)
_NORMALS: dict[Plane, int] = {"sagittal": 0, "coronal": 1, "axial": 2}  # world axis that the slices are counted along


def slice_axis(plane: Plane, orientation: str = "RAS") -> int:
    """Voxel axis along which a plane's slices are counted in an array of an orientation.

    >>> slice_axis("axial"), slice_axis("axial", "SRA")
    (2, 0)
    """
    letters = AXIS_NAMES[_NORMALS[plane]]
    return next(axis for axis, letter in enumerate(orientation) if letter in letters)
