"""The line between a brain's halves in axial slices, from the brain's own outline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import BadInputError
from willis.volume.grid import Grid
from willis.volume.volume import Volume

TURNS_DEG = np.arange(-40.0, 40.5, 1.0)
SHIFTS_MM = np.arange(-15.0, 15.5, 1.0)
POINTS = 4000


@dataclass(frozen=True)
class Midline:
    """A plane in world space: ``normal`` · (x, y, z) = ``offset_mm``, the normal of length 1 pointing to the right."""

    normal: tuple[float, float, float]
    offset_mm: float

    @property
    def turn_deg(self) -> float:
        """Angle about the vertical, from the scanner's own middle plane; above 0 the face is turned to the left."""
        return float(np.degrees(np.arctan2(self.normal[1], self.normal[0])))

    @property
    def tilt_deg(self) -> float:
        """Angle with the vertical; above 0 the top of the head leans to the left."""
        return float(np.degrees(np.arcsin(np.clip(self.normal[2], -1, 1))))

    def right_of(self, grid: Grid) -> npt.NDArray[np.bool_]:
        """(I, J, K) voxels on the patient's right."""
        i, j, k = (np.arange(n, dtype=np.float64) for n in grid.shape)
        weights = np.array(self.normal) @ grid.affine[:3]
        place = (
            weights[0] * i[:, None, None] + weights[1] * j[None, :, None] + weights[2] * k[None, None, :] + weights[3]
        )
        return np.asarray(place > self.offset_mm)


def find_midline(brain: Volume) -> Midline:
    """The vertical plane that a brain mask is most alike on both sides of, seen from above.

    The mask's outline is mirrored at many planes near the one through its middle; the plane is taken that moves the
    mask's projection least.

    Raises
    ------
    BadInputError
        When the mask is empty.
    """
    inside = np.argwhere(brain.data > 0)
    if len(inside) == 0:
        raise BadInputError("the brain mask is empty; a midline can't be found.")
    step = max(1, len(inside) // POINTS)
    points = brain.grid.to_mm(inside[::step])[:, :2]
    middle = points.mean(axis=0)
    low = points.min(axis=0) - 30
    size = (np.ptp(points, axis=0) + 60).astype(int) // 2 + 2
    density = np.zeros(size)
    np.add.at(density, tuple(((points - low) / 2).astype(int).T), 1.0)
    density = _blurred(density)
    best = (-np.inf, 0.0, 0.0)
    for turn in TURNS_DEG:
        normal = np.array([np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))])
        side = (points - middle) @ normal
        for shift in SHIFTS_MM:
            mirrored = points - 2 * (side - shift)[:, None] * normal
            at = np.clip(((mirrored - low) / 2).astype(int), 0, size - 1)
            alike = float(density[at[:, 0], at[:, 1]].sum())
            best = max(best, (alike, float(turn), float(shift)))
    turn = np.deg2rad(best[1])
    across = (float(np.cos(turn)), float(np.sin(turn)), 0.0)
    return Midline(across, float(middle @ np.array(across[:2])) + best[2])


def _blurred(density: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.sqrt(ndimage.gaussian_filter(density, 1.5)))
