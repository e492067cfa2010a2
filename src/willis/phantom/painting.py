"""The ideal image of a labelled head, and where in it lesions count as what."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from willis.phantom.contrast import Palette, lookup_table_of
from willis.phantom.deform import Field, smooth_noise
from willis.phantom.labels import BRAIN, RIGHT_REGION, RIGHT_SIDE, SIDE_MASK, VENTRICLES, Region, Tissue, lookup
from willis.phantom.lesions import Lesions
from willis.phantom.limbic import brighten_limbic

TRUTH_FRACTION = 0.5  # of a voxel that a lesion must fill to count
PERIVENTRICULAR_MM = 3.0  # from the lateral and third ventricles
JUXTACORTICAL_MM = 3.0  # from the cortex


def regions(codes: npt.NDArray[np.uint8], ventricle_mm: Field, cortex_mm: Field) -> npt.NDArray[np.uint8]:
    """(I, J, K) codes of :class:`Region`, right side + ``RIGHT_REGION``."""
    tissue = codes & SIDE_MASK
    out = np.zeros(codes.shape, dtype=np.uint8)
    out[lookup(BRAIN)[codes]] = Region.GREY_OR_CSF
    white = tissue == Tissue.WHITE_MATTER
    out[white] = Region.DEEP
    out[white & (cortex_mm < JUXTACORTICAL_MM)] = Region.JUXTACORTICAL
    out[white & (ventricle_mm < PERIVENTRICULAR_MM)] = Region.PERIVENTRICULAR
    out[lookup((Tissue.CEREBELLAR_WHITE_MATTER, Tissue.CEREBELLAR_CORTEX))[codes]] = Region.CEREBELLAR
    out[tissue == Tissue.BRAINSTEM] = Region.BRAINSTEM
    right = (codes & RIGHT_SIDE).astype(bool)
    out[right & (out > 0)] += RIGHT_REGION
    return out


def paint(rng: np.random.Generator, codes: npt.NDArray[np.uint8], palette: Palette, lesions: Lesions) -> Field:
    """The ideal image: each tissue's value and texture, then lesions and their look-alikes by fraction."""
    table = lookup_table_of(palette)
    for tissue in Tissue:
        wobble = 1 + (0.03 if tissue in BRAIN else 0.08) * rng.standard_normal()
        table[[tissue, tissue | RIGHT_SIDE]] *= wobble
    image = table[codes]
    texture = float(rng.uniform(0.005, 0.05))
    image *= 1 + 0.03 * smooth_noise(rng, codes.shape, 6) + texture * smooth_noise(rng, codes.shape, 2.2)
    uneven = float(rng.uniform(0, 0.14)) * smooth_noise(rng, codes.shape, 12)
    uneven += float(rng.uniform(0, 0.08)) * smooth_noise(rng, codes.shape, 4)
    image *= 1 + lookup((Tissue.CORTEX, Tissue.HIPPOCAMPUS, Tissue.AMYGDALA))[codes] * uneven
    fluid_value, lesion_value, white = palette["csf"], palette["wmh"], palette["white"]
    if palette.sequence == "flair":
        brighten_limbic(rng.spawn(1)[0], image, codes)
        _csf_flow(rng, image, codes, palette)
    rough = lesions.dirty * (lesion_value - white)
    image += rough
    f = lesions.wmh
    image += f * (lesions.contrast * (lesion_value - white) + white - image)
    gliosis = 0.8 * (lesion_value - white) + white
    if lesions.scar is not None:
        gliosis = palette["cortex"] + lesions.scar * (fluid_value - palette["cortex"])
    image += lesions.gliosis * (gliosis - image)
    image += lesions.fluid * (fluid_value - image)
    return np.maximum(image, 0, out=image)


def _csf_flow(rng: np.random.Generator, image: Field, codes: npt.NDArray[np.uint8], palette: Palette) -> None:
    """Bright inflowing CSF in ventricles and cisterns; ``image`` is changed."""
    if rng.random() < 0.5:
        return
    csf = lookup((*VENTRICLES, Tissue.CSF, Tissue.OUTER_CSF))[codes]
    blob = np.clip(smooth_noise(rng, codes.shape, 10) - 0.8, 0, 1.2)
    low = np.linspace(1.0, float(rng.uniform(0, 0.5)), codes.shape[2], dtype=np.float32)
    image += csf * blob * low * float(rng.uniform(0.1, 0.8))
