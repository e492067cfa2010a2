"""The brain's outline in phantoms: as skull strippers draw it, and as imperfect segmentations give it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.deform import smooth_noise, upsample
from willis.phantom.labels import BRAIN, Tissue, lookup

FLUID_MM = 8.0  # over the gyri; deepbet's masks of phantoms were the measure (docs/decisions/0023)
HELD_FLUID_SHARE = 0.8  # of masks that hold the fluid over the gyri, as willis's own do; assumed
COARSE = 2  # masks are moved at every second voxel

Mask = npt.NDArray[np.bool_]


def outlined(codes: npt.NDArray[np.uint8], spacing_mm: float) -> Mask:
    """The brain and the fluid over its gyri, as skull strippers outline it, from tissue codes on an isotropic grid."""
    tissue = lookup(BRAIN)[codes]
    near = ndimage.distance_transform_edt(~tissue) * spacing_mm <= FLUID_MM
    return np.asarray(tissue | (near & lookup((Tissue.OUTER_CSF,))[codes]))


def wrong_mask(rng: np.random.Generator, brain: Mask) -> Mask:
    """The brain's mask as an imperfect segmentation gives it: its border moved by a smooth random field."""
    i, j, k = brain.shape
    return _moved(rng, brain[::COARSE, ::COARSE, ::COARSE], (i, j, k))


def wrong_outline(rng: np.random.Generator, codes: npt.NDArray[np.uint8]) -> Mask:
    """:func:`wrong_mask` of tissue codes on a 1 mm grid; of most, with the fluid over the gyri."""
    coarse = codes[::COARSE, ::COARSE, ::COARSE]
    held = rng.random() < HELD_FLUID_SHARE
    i, j, k = codes.shape
    return _moved(rng, outlined(coarse, float(COARSE)) if held else lookup(BRAIN)[coarse], (i, j, k))


def _moved(rng: np.random.Generator, coarse: Mask, shape: tuple[int, int, int]) -> Mask:
    soft = ndimage.gaussian_filter(coarse.astype(np.float32), 1.5)
    level = 0.5 + 0.12 * rng.normal()
    noise = float(rng.uniform(0, 0.12)) * smooth_noise(rng, soft.shape, 6)
    return np.asarray(upsample(soft + noise, shape) > np.clip(level, 0.2, 0.75)) & (upsample(soft, shape) > 0.08)
