"""SliceStack: where a scanner's own slices lie, even and above each other or not, and the way to a Grid and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import GeometryError
from willis.volume.grid import FloatArray, Grid
from willis.volume.resample import Kernel, resample_to
from willis.volume.volume import Volume

EVEN_TOLERANCE_MM = 0.02  # steps that differ less are even: headers hold positions with few decimals
STRAIGHT_TOLERANCE_MM = 0.02  # sideways steps below it are none
LEAST_SHARE = 0.2  # of the steps, for a step's length to be one of the scan's own spacings


@dataclass(frozen=True, eq=False)
class SliceStack:
    """Parallel slices of one shape.

    Parameters
    ----------
    shape
        Voxels along i and j.
    axes_mm
        (3, 2) step in mm, RAS+, of one voxel along i and along j; at right angles.
    origins_mm
        (K, 3) RAS+ centre of each slice's first voxel, by rising position along the normal i × j (or its opposite).

    Raises
    ------
    GeometryError
        When there are fewer than two slices, or two lie in one place.
    """

    shape: tuple[int, int]
    axes_mm: FloatArray
    origins_mm: FloatArray

    def __post_init__(self) -> None:
        if len(self.origins_mm) < 2:
            raise GeometryError(f"a stack needs at least two slices; found {len(self.origins_mm)}.")
        if (np.abs(self.steps_mm) < EVEN_TOLERANCE_MM).any():
            raise GeometryError("two slices lie in one place.")

    @property
    def normal(self) -> FloatArray:
        """(3,) unit vector across the slices, from the first one towards the last."""
        across = np.cross(self.axes_mm[:, 0], self.axes_mm[:, 1])
        across /= np.linalg.norm(across)
        return np.asarray(across * np.sign(across @ (self.origins_mm[-1] - self.origins_mm[0])))

    @property
    def positions_mm(self) -> FloatArray:
        """(K,) distance of each slice from the first, along the normal."""
        return np.asarray((self.origins_mm - self.origins_mm[0]) @ self.normal)

    @property
    def steps_mm(self) -> FloatArray:
        """(K - 1,) distances between neighbours, along the normal."""
        return np.asarray(np.diff(self.positions_mm))

    @property
    def shifts_mm(self) -> FloatArray:
        """(K, 2) how far each slice is moved along i and j against the first."""
        unit = self.axes_mm / np.linalg.norm(self.axes_mm, axis=0)
        return np.asarray((self.origins_mm - self.origins_mm[0]) @ unit)

    @property
    def tilt_deg(self) -> float:
        """Angle between the slices' normal and the way from the first to the last; a tilted gantry's angle."""
        way = self.origins_mm[-1] - self.origins_mm[0]
        return float(np.degrees(np.arccos(np.clip(self.normal @ way / np.linalg.norm(way), -1, 1))))

    @property
    def even(self) -> bool:
        """Whether all steps have one length."""
        return bool(np.ptp(self.steps_mm) <= EVEN_TOLERANCE_MM)

    @property
    def straight(self) -> bool:
        """Whether the slices lie above each other, without the sideways steps of a tilted gantry."""
        return bool(np.abs(self.shifts_mm).max() <= STRAIGHT_TOLERANCE_MM)

    def spacings_mm(self) -> list[float]:
        """The scan's own distances between slices, by falling frequency: those that at least a fifth of steps have."""
        rounded, counts = np.unique(np.round(self.steps_mm / EVEN_TOLERANCE_MM), return_counts=True)
        common = counts >= LEAST_SHARE * counts.sum()
        if not common.any():
            return [float(np.median(self.steps_mm))]
        order = np.argsort(-counts[common], kind="stable")
        kept = rounded[common][order]
        near = [np.round(self.steps_mm / EVEN_TOLERANCE_MM) == step for step in kept]
        return [round(float(self.steps_mm[where].mean()), 4) for where in near]

    def slice_grid(self, index: int) -> Grid:
        """One slice as a grid of a single layer."""
        affine = np.eye(4)
        affine[:3, :2] = self.axes_mm
        affine[:3, 2] = self.normal
        affine[:3, 3] = self.origins_mm[index]
        return Grid((*self.shape, 1), affine)

    def regular_grid(self) -> Grid:
        """The grid at right angles, with the slices' own planes, that covers the whole stack.

        Where slices are even and straight its layers are the slices themselves. Else layers stand at the finest of
        the scan's own spacings, and the field of view is widened to hold every slice's sideways shift.
        """
        pixel = np.linalg.norm(self.axes_mm, axis=0)
        step = float(self.steps_mm.mean()) if self.even else min(self.spacings_mm())
        count = len(self.origins_mm) if self.even else 1 + int(np.floor(self.positions_mm[-1] / step + 0.5))
        moved = self.shifts_mm / pixel if not self.straight else np.zeros((1, 2))
        first = np.floor(moved.min(axis=0) + 1e-3)
        last = np.ceil(moved.max(axis=0) - 1e-3) + np.array(self.shape) - 1
        affine = np.eye(4)
        affine[:3, :2] = self.axes_mm
        affine[:3, 2] = self.normal * step
        affine[:3, 3] = self.origins_mm[0] + self.axes_mm @ first
        i, j = (last - first + 1).astype(int)
        return Grid((int(i), int(j), count), affine)


def to_grid(data: npt.NDArray[np.floating], stack: SliceStack, fill: float) -> tuple[npt.NDArray[np.float32], Grid]:
    """Slices (I, J, K) on the stack's regular grid; outside all slices ``fill``.

    Each slice is shifted within its plane (cubic); a layer between two slices is their mean, weighted by nearness.
    """
    grid = stack.regular_grid()
    if grid.shape == data.shape and stack.even and stack.straight:
        return data.astype(np.float32), grid
    pixel = np.linalg.norm(stack.axes_mm, axis=0)
    start = (grid.affine[:3, 3] - stack.origins_mm[0]) @ (stack.axes_mm / pixel) / pixel
    moved = stack.shifts_mm / pixel - start
    placed = np.stack([_shifted(data[:, :, k], moved[k], grid.shape[:2], fill) for k in range(data.shape[2])], axis=2)
    layer = np.arange(grid.shape[2]) * grid.spacing_mm[2]
    upper = np.clip(np.searchsorted(stack.positions_mm, layer), 1, data.shape[2] - 1)
    low, high = stack.positions_mm[upper - 1], stack.positions_mm[upper]
    share = np.clip((layer - low) / (high - low), 0, 1).astype(np.float32)
    return np.asarray(placed[:, :, upper - 1] * (1 - share) + placed[:, :, upper] * share, dtype=np.float32), grid


def _shifted(
    picture: npt.NDArray[np.floating], by: FloatArray, shape: tuple[int, ...], fill: float
) -> npt.NDArray[np.float32]:
    """A slice moved by a number of voxels, on a larger field of view; values keep within their own range."""
    source = picture.astype(np.float32)
    i, j = (np.arange(n, dtype=np.float64) - b for n, b in zip(shape, by, strict=True))
    places = np.stack(np.meshgrid(i, j, indexing="ij"))
    out = ndimage.map_coordinates(source, places, order=3, mode="constant", cval=fill)  # cubic keeps noise and edges
    return np.asarray(np.clip(out, min(fill, float(source.min())), float(source.max())), dtype=np.float32)


def on_slices(
    volume: Volume, stack: SliceStack, kernel: Kernel = "linear", fill: float = 0.0
) -> npt.NDArray[np.float32]:
    """An image or a probability on a regular grid, brought to the scanner's own slices: (I, J, K)."""
    layers = [resample_to(volume, stack.slice_grid(k), kernel, fill=fill).data for k in range(len(stack.origins_mm))]
    return np.concatenate(layers, axis=2).astype(np.float32)


def even_runs(stack: SliceStack) -> list[tuple[slice, Grid]]:
    """The stack cut into runs of evenly spaced slices, each with its grid, sheared where the gantry was tilted.

    A slice alone gets a third axis of 1 mm along the normal.
    """
    steps = np.diff(stack.origins_mm, axis=0)
    runs, first = [], 0
    while first <= len(steps):
        last = first
        while last < len(steps) and np.abs(steps[last] - steps[first]).max() <= EVEN_TOLERANCE_MM:
            last += 1
        runs.append(slice(first, last + 1))
        first = last + 1
    return [(run, _sheared(stack, run)) for run in runs]


def _sheared(stack: SliceStack, run: slice) -> Grid:
    origins = stack.origins_mm[run]
    affine = np.eye(4)
    affine[:3, :2] = stack.axes_mm
    affine[:3, 2] = (origins[-1] - origins[0]) / (len(origins) - 1) if len(origins) > 1 else stack.normal
    affine[:3, 3] = origins[0]
    return Grid((*stack.shape, len(origins)), affine)
