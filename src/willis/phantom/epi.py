"""Echo-planar imaging: distortion and pile-up near air, lost signal, misplaced fat, ghosts by half a field of view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.deform import Field, upsample
from willis.phantom.labels import BRAIN, Tissue, lookup

PHASE_AXIS = 1  # of a RAS image: front to back
NODE_MM = 3.0  # between the nodes of a field
SHIM_MM = 24.0  # smoothness of what shimming leaves
LARGEST_PILE_UP = 3.0
AIR_PLACES = (  # sphenoid and ethmoid, frontal sinuses, below the temporal poles, mastoids; of the brain's half extent
    (0.0, 0.75, -0.55), (-0.3, 1.0, 0.0), (0.3, 1.0, 0.0), (-0.6, 0.25, -0.75), (0.6, 0.25, -0.75),
    (-0.75, -0.2, -0.6), (0.75, -0.2, -0.6),
)  # fmt: skip
AIR_BELOW_MM = (2.0, 8.0)  # how far from the brain's surface the middle of an air space lies
AIR_WIDTH_MM = (5.0, 13.0)
WEAK_FIELD_MM, STRONG_FIELD_MM = (0.0, 4.0), (4.0, 22.0)  # shift in the middle of an air space; a scan has either
FAT = (Tissue.FAT, Tissue.SKIN, Tissue.MARROW)


@dataclass(frozen=True)
class Epi:
    """One echo-planar read-out.

    Parameters
    ----------
    shift
        (I, J, K) voxels along the phase axis from where a signal is seen to where it comes from.
    kept
        (I, J, K) share of the signal that isn't lost, in [0, 1].
    fat, fat_shift, ghost
        Share of fat's signal that is left, its displacement in voxels; strength of the ghost at half the field.
    """

    shift: Field
    kept: Field
    fat: float
    fat_shift: int
    ghost: float

    def image(self, ideal: Field, codes: npt.NDArray[np.uint8]) -> Field:
        """The image as read out: distorted with its signal kept, then ghosted."""
        is_fat = lookup(FAT)[codes]
        fat = np.where(is_fat, ideal, 0) * np.float32(self.fat)
        water = np.where(is_fat, 0, ideal) * self.kept + np.roll(fat, self.fat_shift, PHASE_AXIS)
        stretch = np.clip(1 + np.gradient(self.shift, axis=PHASE_AXIS), 0, LARGEST_PILE_UP)
        seen = self.moved(water) * stretch
        if self.ghost:
            seen += np.float32(self.ghost) * np.roll(seen, seen.shape[PHASE_AXIS] // 2, PHASE_AXIS)
        return np.asarray(seen, dtype=np.float32)

    def moved(self, share: Field) -> Field:
        """A fraction or mask where the image shows it; no pile-up."""
        n = share.shape[PHASE_AXIS]
        at = np.arange(n, dtype=np.float32)[None, :, None] + self.shift
        low = np.clip(np.floor(at), 0, n - 2).astype(np.int32)
        weight = np.clip(at - low, 0, 1).astype(np.float32)
        before = np.take_along_axis(share, low, PHASE_AXIS)
        after = np.take_along_axis(share, low + 1, PHASE_AXIS)
        return np.asarray(before * (1 - weight) + after * weight, dtype=np.float32)


def draw_epi(rng: np.random.Generator, codes: npt.NDArray[np.uint8], voxel_mm: float) -> Epi:
    """Draw a read-out for a head; stronger fields where air lies below the brain."""
    shape = (codes.shape[0], codes.shape[1], codes.shape[2])
    step = max(round(NODE_MM / voxel_mm), 1)
    node_mm = step * voxel_mm
    brain = lookup(BRAIN)[codes[::step, ::step, ::step]]
    shift = ndimage.gaussian_filter(rng.standard_normal(brain.shape).astype(np.float32), SHIM_MM / node_mm)
    shift *= float(rng.uniform(0, 1.2)) / voxel_mm / max(float(shift.std()), 1e-6)
    lost = np.zeros(brain.shape, dtype=np.float32)
    strength = float(rng.choice([rng.uniform(*WEAK_FIELD_MM), rng.uniform(*STRONG_FIELD_MM)])) / voxel_mm
    sign = float(rng.choice([-1, 1]))
    for field in _air_fields(rng, brain, node_mm):
        amount = float(rng.uniform(0.1, 1.3))
        shift += sign * strength * amount * field
        lost += float(rng.uniform(0, 0.6)) * amount * field**2
    return Epi(
        upsample(shift.astype(np.float32), shape),
        upsample(np.clip(1 - lost, 0, 1).astype(np.float32), shape),
        fat=float(rng.choice([0.0, rng.uniform(0.02, 0.3)])),
        fat_shift=round(float(rng.uniform(6, 30)) / voxel_mm * float(rng.choice([-1, 1]))),
        ghost=float(rng.uniform(0.005, 0.05)) if rng.random() < 0.3 else 0.0,
    )


def _air_fields(rng: np.random.Generator, brain: npt.NDArray[np.bool_], node_mm: float) -> list[Field]:
    """Coarse field of each air space: 1 at its middle, falling far off by the third power, as a dipole's does."""
    ends = [np.flatnonzero(brain.any(axis=tuple(b for b in range(3) if b != a)))[[0, -1]] for a in range(3)]
    middle = np.array([(low + high) / 2 for low, high in ends])
    half = np.array([(high - low) / 2 for low, high in ends])
    outside = ndimage.distance_transform_edt(~brain) * node_mm
    index = [np.arange(n, dtype=np.float32) for n in brain.shape]
    fields = []
    for place in AIR_PLACES:
        wanted = middle + half * (np.array(place) + rng.normal(0, 0.08, 3))
        air = np.argwhere(np.abs(outside - float(rng.uniform(*AIR_BELOW_MM))) < node_mm)
        centre = air[int(((air - wanted) ** 2).sum(1).argmin())] if len(air) else wanted
        width = float(rng.uniform(*AIR_WIDTH_MM)) / node_mm
        x, y, z = ((along - c) ** 2 for along, c in zip(index, centre, strict=True))
        squares = (x[:, None, None] + y[None, :, None] + z[None, None, :]) / np.float32(width**2)
        fields.append(np.asarray((1 + squares) ** -1.5, dtype=np.float32))
    return fields
