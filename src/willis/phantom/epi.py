"""Echo-planar imaging: distortion and pile-up near air, lost signal, misplaced fat, ghosts by half a field of view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.deform import Field, upsample
from willis.phantom.labels import BRAIN, RIGHT_SIDE, Tissue, lookup

PHASE_AXIS = 1  # of a RAS image: front to back
COARSE = 4  # voxels between the nodes of a field
LARGEST_PILE_UP = 3.0
AIR_PLACES = ((0.0, 0.75, -0.55), (-0.6, 0.25, -0.75), (0.6, 0.25, -0.75), (-0.75, -0.2, -0.6), (0.75, -0.2, -0.6))
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
    brain = lookup(BRAIN)[codes & (RIGHT_SIDE - 1)]
    shape = (codes.shape[0], codes.shape[1], codes.shape[2])
    nodes = tuple(max(-(-n // COARSE), 2) for n in shape)
    shift = ndimage.gaussian_filter(rng.standard_normal(nodes).astype(np.float32), 4)
    shift *= float(rng.uniform(0, 1.2)) / voxel_mm / max(float(shift.std()), 1e-6)
    lost = np.zeros(nodes, dtype=np.float32)
    strength = float(rng.choice([rng.uniform(0, 2.5), rng.uniform(2, 8)])) / voxel_mm
    sign = float(rng.choice([-1, 1]))
    for bump in _bumps(rng, brain, nodes, voxel_mm):
        amount = float(rng.uniform(0.3, 1.2))
        shift += sign * strength * amount * bump
        lost += float(rng.uniform(0, 0.6)) * amount * bump**3
    return Epi(
        upsample(shift.astype(np.float32), shape),
        upsample(np.clip(1 - lost, 0, 1).astype(np.float32), shape),
        fat=float(rng.choice([0.0, rng.uniform(0.02, 0.3)])),
        fat_shift=round(float(rng.uniform(6, 30)) / voxel_mm * float(rng.choice([-1, 1]))),
        ghost=float(rng.uniform(0.005, 0.05)) if rng.random() < 0.3 else 0.0,
    )


def _bumps(
    rng: np.random.Generator, brain: npt.NDArray[np.bool_], nodes: tuple[int, ...], voxel_mm: float
) -> list[Field]:
    """Smooth bumps below the frontal and temporal lobes and at the ears, on the coarse grid."""
    ends = [np.flatnonzero(brain.any(axis=tuple(b for b in range(3) if b != a)))[[0, -1]] for a in range(3)]
    middle = np.array([(low + high) / 2 for low, high in ends])
    half = np.array([(high - low) / 2 for low, high in ends])
    index = [np.arange(n, dtype=np.float32) * COARSE for n in nodes]
    bumps = []
    for place in AIR_PLACES:
        centre = middle + half * (np.array(place) + rng.normal(0, 0.08, 3))
        width = float(rng.uniform(7, 14)) / voxel_mm
        lines = [np.exp(-0.5 * ((along - c) / width) ** 2) for along, c in zip(index, centre, strict=True)]
        bumps.append(np.einsum("i,j,k->ijk", *lines).astype(np.float32))
    return bumps
