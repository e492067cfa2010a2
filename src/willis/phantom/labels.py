"""Tissues and regions of a phantom's head, and how FreeSurfer-coded label maps name them."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

RIGHT_SIDE = 0x80  # bit set in a label code for tissue of the right side
SIDE_MASK = RIGHT_SIDE - 1  # of the bits that name the tissue


class Tissue(IntEnum):
    """What a voxel of a head is made of; fits seven bits, the eighth says the right side."""

    AIR = 0
    WHITE_MATTER = 1
    CORTEX = 2
    THALAMUS = 3
    CAUDATE = 4
    PUTAMEN = 5
    PALLIDUM = 6
    HIPPOCAMPUS = 7
    AMYGDALA = 8
    ACCUMBENS = 9
    VENTRAL_DC = 10
    BRAINSTEM = 11
    CEREBELLAR_WHITE_MATTER = 12
    CEREBELLAR_CORTEX = 13
    LATERAL_VENTRICLE = 14
    INFERIOR_HORN = 15
    THIRD_VENTRICLE = 16
    FOURTH_VENTRICLE = 17
    CSF = 18  # within the brain's closed outline: sulci, fissures
    OUTER_CSF = 19
    CHOROID_PLEXUS = 20
    PERIVASCULAR_SPACE = 21
    OPTIC_NERVE = 22
    SKIN = 23
    FAT = 24
    MUSCLE = 25
    BONE = 26
    MARROW = 27
    VENOUS_SINUS = 28
    ARTERY = 29
    VITREOUS = 30
    MUCOSA = 31
    SPINAL_CORD = 32
    DURA = 33


class Region(IntEnum):
    """Where in the brain a lesion lies; right regions are the left ones + 10."""

    OUTSIDE = 0
    PERIVENTRICULAR = 1
    DEEP = 2
    JUXTACORTICAL = 3
    CEREBELLAR = 4
    BRAINSTEM = 5
    GREY_OR_CSF = 6


RIGHT_REGION = 10  # added to the codes of Region on the right side; the brainstem has no side

FREESURFER: dict[int, tuple[Tissue, int]] = {
    # FreeSurfer or SynthSeg code: (tissue, 1 when right)
    2: (Tissue.WHITE_MATTER, 0), 41: (Tissue.WHITE_MATTER, 1),
    3: (Tissue.CORTEX, 0), 42: (Tissue.CORTEX, 1),
    4: (Tissue.LATERAL_VENTRICLE, 0), 43: (Tissue.LATERAL_VENTRICLE, 1),
    5: (Tissue.INFERIOR_HORN, 0), 44: (Tissue.INFERIOR_HORN, 1),
    7: (Tissue.CEREBELLAR_WHITE_MATTER, 0), 46: (Tissue.CEREBELLAR_WHITE_MATTER, 1),
    8: (Tissue.CEREBELLAR_CORTEX, 0), 47: (Tissue.CEREBELLAR_CORTEX, 1),
    10: (Tissue.THALAMUS, 0), 49: (Tissue.THALAMUS, 1),
    11: (Tissue.CAUDATE, 0), 50: (Tissue.CAUDATE, 1),
    12: (Tissue.PUTAMEN, 0), 51: (Tissue.PUTAMEN, 1),
    13: (Tissue.PALLIDUM, 0), 52: (Tissue.PALLIDUM, 1),
    14: (Tissue.THIRD_VENTRICLE, 0), 15: (Tissue.FOURTH_VENTRICLE, 0), 72: (Tissue.LATERAL_VENTRICLE, 0),
    16: (Tissue.BRAINSTEM, 0),
    17: (Tissue.HIPPOCAMPUS, 0), 53: (Tissue.HIPPOCAMPUS, 1),
    18: (Tissue.AMYGDALA, 0), 54: (Tissue.AMYGDALA, 1),
    24: (Tissue.OUTER_CSF, 0),
    25: (Tissue.WHITE_MATTER, 0), 57: (Tissue.WHITE_MATTER, 1),  # lesion of the white matter
    77: (Tissue.WHITE_MATTER, 0), 78: (Tissue.WHITE_MATTER, 0), 79: (Tissue.WHITE_MATTER, 1),
    26: (Tissue.ACCUMBENS, 0), 58: (Tissue.ACCUMBENS, 1),
    28: (Tissue.VENTRAL_DC, 0), 60: (Tissue.VENTRAL_DC, 1),
    30: (Tissue.PERIVASCULAR_SPACE, 0), 62: (Tissue.PERIVASCULAR_SPACE, 1),
    31: (Tissue.CHOROID_PLEXUS, 0), 63: (Tissue.CHOROID_PLEXUS, 1),
    136: (Tissue.CHOROID_PLEXUS, 0), 137: (Tissue.CHOROID_PLEXUS, 0),
    163: (Tissue.CHOROID_PLEXUS, 1), 164: (Tissue.CHOROID_PLEXUS, 1),
    85: (Tissue.OPTIC_NERVE, 0), 508: (Tissue.OPTIC_NERVE, 0), 530: (Tissue.OPTIC_NERVE, 0),
    251: (Tissue.WHITE_MATTER, 0), 252: (Tissue.WHITE_MATTER, 0), 253: (Tissue.WHITE_MATTER, 0),
    254: (Tissue.WHITE_MATTER, 0), 255: (Tissue.WHITE_MATTER, 0),
    502: (Tissue.ARTERY, 0), 506: (Tissue.VITREOUS, 0), 507: (Tissue.MUSCLE, 0), 509: (Tissue.MUCOSA, 0),
    511: (Tissue.SKIN, 0), 512: (Tissue.SPINAL_CORD, 0), 514: (Tissue.VENOUS_SINUS, 0),
    515: (Tissue.BONE, 0), 516: (Tissue.MARROW, 0),
}  # fmt: skip

SIDED = frozenset(tissue for tissue, right in FREESURFER.values() if right)
VENTRICLES = (Tissue.LATERAL_VENTRICLE, Tissue.INFERIOR_HORN, Tissue.THIRD_VENTRICLE, Tissue.FOURTH_VENTRICLE)
PARENCHYMA = (
    Tissue.WHITE_MATTER,
    Tissue.CORTEX,
    Tissue.THALAMUS,
    Tissue.CAUDATE,
    Tissue.PUTAMEN,
    Tissue.PALLIDUM,
    Tissue.HIPPOCAMPUS,
    Tissue.AMYGDALA,
    Tissue.ACCUMBENS,
    Tissue.VENTRAL_DC,
    Tissue.BRAINSTEM,
    Tissue.CEREBELLAR_WHITE_MATTER,
    Tissue.CEREBELLAR_CORTEX,
)
BRAIN = (*PARENCHYMA, *VENTRICLES, Tissue.CSF, Tissue.CHOROID_PLEXUS, Tissue.PERIVASCULAR_SPACE)


def lookup(tissues: tuple[Tissue, ...]) -> npt.NDArray[np.bool_]:
    """(256,) true at the codes, left and right, of the tissues: ``lookup(BRAIN)[codes]`` is the brain."""
    table = np.zeros(256, dtype=bool)
    for tissue in tissues:
        table[[tissue, tissue | RIGHT_SIDE]] = True
    return table


def side_swap() -> npt.NDArray[np.uint8]:
    """(256,) table that turns codes of the left side into those of the right and back."""
    table = np.arange(256, dtype=np.uint8)
    for tissue in SIDED:
        table[tissue], table[tissue | RIGHT_SIDE] = tissue | RIGHT_SIDE, tissue
    return table
