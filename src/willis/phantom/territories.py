"""Arterial territories of a labelled head, roughly, by tissue and position."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from willis.phantom.labels import PARENCHYMA, RIGHT_SIDE, Tissue, lookup

Codes = npt.NDArray[np.uint8]
SIDE_BITS = RIGHT_SIDE - 1


class Territory(IntEnum):
    """Whose blood a voxel has; the right side has bit 7 set, as tissue codes do."""

    NONE = 0
    ACA = 1
    MCA = 2
    PCA = 3
    PERFORATORS = 4  # lenticulostriate and anterior choroidal arteries
    CEREBELLAR = 5
    BASILAR = 6


OUTSIDE_TERRITORY = 2.5  # an infarct grows so much slower beyond the border of its territory; assumed
DEEP = (Tissue.CAUDATE, Tissue.PUTAMEN, Tissue.PALLIDUM, Tissue.ACCUMBENS)
ACA_HALF_WIDTH = 0.30  # of the brain's half width: the medial strip; borders are assumed, after atlases of territories
PCA_BACK = -0.55  # of its half length: behind lies the posterior cerebral artery's part
PCA_LOW = -0.25  # of its half height: the lower medial temporal lobe


def territories(codes: Codes) -> Codes:
    """(I, J, K) :class:`Territory` of each voxel of parenchyma, with the side bit; RAS."""
    parenchyma = lookup(PARENCHYMA)[codes]
    tissue = codes & SIDE_BITS
    x, y, z = _relative(parenchyma)
    out = np.zeros(codes.shape, dtype=np.uint8)
    out[parenchyma] = Territory.MCA
    cerebrum = lookup((Tissue.WHITE_MATTER, Tissue.CORTEX))[codes]
    medial = np.abs(x) < ACA_HALF_WIDTH
    behind = y < PCA_BACK
    low = (z < PCA_LOW) & (np.abs(x) < 0.55) & (y < 0.1)
    out[cerebrum & medial & ~behind & ~low] = Territory.ACA
    out[cerebrum & (behind | low)] = Territory.PCA
    out[lookup((Tissue.THALAMUS, Tissue.HIPPOCAMPUS))[codes]] = Territory.PCA
    out[lookup(DEEP)[codes]] = Territory.PERFORATORS
    out[lookup((Tissue.CEREBELLAR_WHITE_MATTER, Tissue.CEREBELLAR_CORTEX))[codes]] = Territory.CEREBELLAR
    out[(tissue == Tissue.BRAINSTEM) | (tissue == Tissue.VENTRAL_DC)] = Territory.BASILAR
    right = np.broadcast_to(x > 0, codes.shape)
    out[right & (out > 0)] |= RIGHT_SIDE
    return out


def _relative(inside: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.float32], ...]:
    """Coordinates along each axis, -1 to 1 over the extent of a mask, ready to be broadcast."""
    coordinates = []
    for axis in range(3):
        line = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        middle, half = (line[0] + line[-1]) / 2, max((line[-1] - line[0]) / 2, 1)
        along = (np.arange(inside.shape[axis]) - middle) / half
        coordinates.append(along.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)]))
    return tuple(coordinates)
