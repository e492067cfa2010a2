"""Boxes of voxels: crop and pad, with an exact inverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from willis.errors import GeometryError
from willis.volume.grid import Shape3
from willis.volume.volume import Volume


@dataclass(frozen=True)
class Box:
    """A box of voxels on a grid; it may reach beyond the grid on any side.

    Parameters
    ----------
    start
        First voxel along i, j, k; negative where the box begins before the grid.
    shape
        Number of voxels along i, j, k.
    """

    start: Shape3
    shape: Shape3

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise GeometryError(f"a box needs three sides of at least one voxel; found shape {self.shape}.")

    @property
    def stop(self) -> Shape3:
        """One past the last voxel along i, j, k."""
        (i, j, k), (ni, nj, nk) = self.start, self.shape
        return i + ni, j + nj, k + nk

    def inverse(self, original_shape: Shape3) -> Box:
        """The box that, applied to what this box cut, gives an array of ``original_shape`` in its old place."""
        i, j, k = self.start
        return Box((-i, -j, -k), original_shape)

    def inside(self, shape: Shape3) -> tuple[slice, slice, slice]:
        """The part of the box that lies on a grid of ``shape``, as slices into the grid's array."""
        parts = [
            slice(min(max(a, 0), n), max(min(b, n), 0)) for a, b, n in zip(self.start, self.stop, shape, strict=True)
        ]
        return parts[0], parts[1], parts[2]


def centred_box(centre_index: Sequence[float] | npt.NDArray[np.floating], shape: Shape3) -> Box:
    """The box of ``shape`` whose middle lies nearest to a (fractional) voxel index.

    >>> centred_box((10.0, 10.0, 10.0), (4, 5, 6))
    Box(start=(9, 8, 8), shape=(4, 5, 6))
    """
    start = [int(np.floor(c - (n - 1) / 2 + 0.5)) for c, n in zip(centre_index, shape, strict=True)]
    return Box((start[0], start[1], start[2]), shape)


def crop_or_pad(volume: Volume, box: Box, fill: float = 0) -> Volume:
    """What lies in the box, on its own grid; voxels of the box beyond the image get ``fill``.

    The array is contiguous and its own, of the same dtype. Voxels inside both keep their value and their place:
    ``crop_or_pad(crop_or_pad(v, box), box.inverse(v.grid.shape))`` is ``v`` wherever ``box`` covers it.
    """
    source = box.inside(volume.grid.shape)
    target = tuple(slice(part.start - start, part.stop - start) for part, start in zip(source, box.start, strict=True))
    data = np.full(box.shape, fill, dtype=volume.data.dtype)
    if all(part.stop > part.start for part in source):
        data[target] = volume.data[source]
    return replace(volume, data=data, grid=volume.grid.shifted(box.start, box.shape))
