"""The three planes of the body, and which voxel axis each one's slices are counted along."""

from __future__ import annotations

from typing import Literal, get_args

Plane = Literal["axial", "sagittal", "coronal"]

PLANES: tuple[Plane, ...] = get_args(Plane)
_NORMALS: dict[Plane, str] = {"axial": "IS", "sagittal": "LR", "coronal": "PA"}  # ends of the axis across the plane


def slice_axis(plane: Plane, orientation: str = "RAS") -> int:
    """Voxel axis along which a plane's slices are counted in an array of an orientation.

    >>> slice_axis("axial"), slice_axis("axial", "SRA")
    (2, 0)
    """
    return next(axis for axis, letter in enumerate(orientation) if letter in _NORMALS[plane])
