"""How many lesions there are, and how large each is: in a volume, and in every slice of a plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class LesionSizes:
    """Sizes in voxels of the connected lesions of one volume or one slice, in the order of their first voxel."""

    sizes: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of lesions."""
        return len(self.sizes)

    @property
    def total(self) -> int:
        """Voxels of all of them."""
        return sum(self.sizes)

    @property
    def largest(self) -> int:
        """Voxels of the largest; 0 when there is none."""
        return max(self.sizes, default=0)


def sizes_in_volume(mask: npt.NDArray[Any]) -> LesionSizes:
    """Sizes of the lesions of a mask (I, J, K), joined with 26 neighbours.

    >>> sizes_in_volume(np.eye(3).reshape(3, 3, 1)).sizes
    (3,)
    """
    labels, count = ndimage.label(occupied(mask)[1], np.ones((3, 3, 3)))
    return LesionSizes(tuple(int(n) for n in np.bincount(labels.ravel(), minlength=count + 1)[1:]))


def sizes_in_slices(mask: npt.NDArray[Any], axis: int) -> dict[int, LesionSizes]:
    """Sizes of the lesions of each slice along an axis, joined with 8 neighbours in the slice.

    Parameters
    ----------
    mask
        (I, J, K); voxels above 0 belong to it.
    axis
        Along which slices are counted.

    Returns
    -------
    By slice index, of those slices alone that hold lesion.
    """
    box, part = occupied(mask)
    inplane = np.zeros((3, 3, 3), dtype=bool)
    inplane[tuple(slice(1, 2) if a == axis else slice(None) for a in range(3))] = True
    labels, count = ndimage.label(part, inplane)
    if count == 0:
        return {}
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    where = np.nonzero(labels)
    slice_of = np.empty(count, dtype=np.intp)
    slice_of[labels[where] - 1] = where[axis] + box[axis].start
    return {int(index): LesionSizes(tuple(int(n) for n in sizes[slice_of == index])) for index in np.unique(slice_of)}


def occupied(mask: npt.NDArray[Any]) -> tuple[Box, npt.NDArray[np.bool_]]:
    """The box that holds the mask, and what is in it."""
    inside = mask > 0
    sides = []
    for axis in range(3):
        line = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        sides.append(slice(int(line[0]), int(line[-1]) + 1) if line.size else slice(0, 0))
    box = (sides[0], sides[1], sides[2])
    return box, inside[box]
