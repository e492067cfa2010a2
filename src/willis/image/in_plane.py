"""Slices brought to one size in their plane, as FVV does: rescaled only when far from it, then padded or cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.volume.crop import Box
from willis.volume.grid import Grid, Shape3

SIDE = 256  # voxels
LEAST_SIDE, LARGEST_SIDE = 240, 272  # sides within this range are left at their scale


def in_plane_scale(sides: tuple[int, int]) -> float:
    """Factor that brings slices of so many voxels near 256 × 256; 1 when they are.

    A side above 272 outweighs one below 240, as published (Benzakoun 2025, doi:10.1177/23969873251362712).

    >>> in_plane_scale((128, 112)), in_plane_scale((256, 240)), in_plane_scale((320, 320))
    (2.0, 1.0, 0.8)
    """
    scale = 1.0
    if min(sides) < LEAST_SIDE:
        scale = min(SIDE / side for side in sides)
    if max(sides) > LARGEST_SIDE:
        scale = max(SIDE / side for side in sides)
    return scale


@dataclass(frozen=True)
class InPlane:
    """The way of slices to 256 × 256.

    Parameters
    ----------
    source
        Grid of the image; its first two axes span the slices.
    scale
        Factor of both of them.
    """

    source: Grid
    scale: float

    @classmethod
    def of(cls, grid: Grid) -> InPlane:
        """The published way for a grid."""
        return cls(grid, in_plane_scale((grid.shape[0], grid.shape[1])))

    @property
    def _rescaled(self) -> Shape3:
        i, j, k = self.source.shape
        return int(np.round(i * self.scale)), int(np.round(j * self.scale)), k

    @property
    def _box(self) -> Box:
        i, j, k = self._rescaled
        start = [(n - SIDE) // 2 if n >= SIDE else -((SIDE - n) // 2) for n in (i, j)]
        return Box((start[0], start[1], 0), (SIDE, SIDE, k))

    @property
    def grid(self) -> Grid:
        """256 × 256 × K, in place with the source: the outer faces of the rescaled image are the source's."""
        step = np.array([n / m for n, m in zip(self.source.shape, self._rescaled, strict=True)])
        affine = self.source.affine.copy()
        affine[:3, :3] = self.source.affine[:3, :3] * step
        affine[:3, 3] += self.source.affine[:3, :3] @ ((step - 1) / 2)
        return Grid(self._rescaled, affine).shifted(self._box.start, self._box.shape)

    @property
    def voxel_ml(self) -> float:
        """Published volume of a voxel: the source's over the square of the scale."""
        return self.source.voxel_ml / self.scale**2

    def image(self, data: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """(256, 256, K) linear, smoothed first when made smaller; equals scikit-image's ``rescale`` by slice."""

        def rescaled(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            factors = np.array([n / m for n, m in zip(values.shape, self._rescaled, strict=True)])
            if (factors > 1).any():
                values = ndimage.gaussian_filter(values, np.maximum(0, (factors - 1) / 2), mode="mirror")
            moved = ndimage.zoom(values, 1 / factors, order=1, mode="mirror", grid_mode=True)
            return np.asarray(np.clip(moved, values.min(), values.max()))

        return self._fitted(np.asarray(data, dtype=np.float64), rescaled)

    def mask(self, data: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """(256, 256, K) of a mask, nearest neighbour."""

        def rescaled(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            factors = np.array([m / n for n, m in zip(values.shape, self._rescaled, strict=True)])
            return np.asarray(ndimage.zoom(values, factors, order=0, mode="mirror", grid_mode=True))

        return np.asarray(self._fitted(np.asarray(data) > 0, rescaled))

    def _fitted(
        self, values: npt.NDArray[Any], rescaled: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
    ) -> npt.NDArray[Any]:
        moved = values if self.scale == 1 else rescaled(values)
        out = np.zeros(self._box.shape, dtype=moved.dtype)
        source = self._box.inside((moved.shape[0], moved.shape[1], moved.shape[2]))
        target = tuple(slice(s.start - b, s.stop - b) for s, b in zip(source, self._box.start, strict=True))
        out[target] = moved[source]
        return out
