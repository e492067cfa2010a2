"""Ideal b0, b1000 and FLAIR of a head with acute infarcts, of one table of tissues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.phantom import mr
from willis.phantom.acute import Acute
from willis.phantom.contrast import NAMES, Palette, flair_palette, lookup_table_of, scaled
from willis.phantom.deform import Field, smooth_noise
from willis.phantom.epi import Epi
from willis.phantom.infarct_signal import VISIBLE_RATIO, draw_water, flair_ratio, spin_echo_ratio
from willis.phantom.labels import BRAIN, Tissue, lookup
from willis.phantom.lesions import Lesions
from willis.phantom.painting import paint
from willis.phantom.relaxation import FieldStrength, Relaxation

B_VALUES = (800.0, 1000.0, 1000.0, 1000.0, 1200.0)  # s/mm²
OLD_CAVITY_ADC, OLD_GLIOSIS_ADC = 2.6, 1.2  # 1e-3 mm²/s, assumed
GREY = (Tissue.CORTEX, Tissue.HIPPOCAMPUS, Tissue.AMYGDALA)
GREY_B0_SPREAD, GREY_ADC_SPREAD = (0.03, 0.15), (0.02, 0.10)  # between regions of one brain; assumed
GREY_REGION_VOXELS = 7.0


@dataclass(frozen=True)
class DiffusionScene:
    """Ideal images on the anatomy's grid, before the scanner; (I, J, K) each.

    Parameters
    ----------
    b0, b1000
        As an undistorted scan without noise shows them; white matter of b0 is about 1.
    flair
        Likewise; None when not asked for.
    visible
        Share of each voxel that is infarct and that FLAIR shows.
    b
        Of the b1000, s/mm².
    parameters
        What was drawn.
    """

    b0: Field
    b1000: Field
    flair: Field | None
    visible: Field
    b: float
    parameters: dict[str, Any]


def draw_scene(
    rng: np.random.Generator, codes: npt.NDArray[np.uint8], acute: Acute, old: Lesions,
    tissue: Relaxation, field: FieldStrength, *, with_flair: bool,
) -> DiffusionScene:  # fmt: skip
    """Paint a head: infarcts by their age, and what is old, which is bright on b0 but diffuses freely."""
    te, b = float(rng.uniform(60, 105)), float(rng.choice(B_VALUES))
    b0_palette = scaled(
        "b0", mr.spin_echo(tissue.proton_density, tissue.t1_ms, tissue.t2_ms, tr=rng.uniform(3500, 9000), te=te), {}
    )
    flair = flair_palette(rng, tissue, field)
    water = draw_water(rng, acute)
    f = acute.fraction
    b0 = paint(rng, codes, b0_palette, old)
    b0 *= 1 + f * (spin_echo_ratio(water.t2, te) - 1)
    adc = adc_map(rng, codes, tissue, old)
    vary_grey(rng, codes, b0, adc)
    adc *= 1 + f * (water.adc - 1)
    timing = {"tr_ms": flair.parameters["tr"], "te_ms": flair.parameters["te"], "ti_ms": flair.parameters["ti"]}
    brighter = flair_ratio(water.t2, **timing)
    shown = None
    if with_flair:
        shown = paint(rng, codes, flair, old)
        shown *= 1 + f * (brighter - 1)
    return DiffusionScene(
        b0,
        np.asarray(b0 * np.exp(-b * 1e-3 * adc), dtype=np.float32),
        shown,
        np.where(brighter >= VISIBLE_RATIO, f, 0).astype(np.float32),
        b,
        {
            "b0": {"te": te, "b": 0.0},
            "b1000": {"te": te, "b": b},
            "flair": flair.parameters,
            "infarct": water.parameters,
        },
    )


def vary_grey(rng: np.random.Generator, codes: npt.NDArray[np.uint8], b0: Field, adc: Field) -> None:
    """Let cortex be brighter in some regions than in others, as insula and cingulum are; both are changed."""
    grey = lookup(GREY)[codes]
    region = smooth_noise(rng, codes.shape, GREY_REGION_VOXELS)
    own = smooth_noise(rng, codes.shape, GREY_REGION_VOXELS)
    b0 *= 1 + grey * np.float32(rng.uniform(*GREY_B0_SPREAD)) * np.clip(region, -2, 2)
    adc *= 1 - grey * np.float32(rng.uniform(*GREY_ADC_SPREAD)) * np.clip((region + own) / 2, -2, 2)


def adc_map(rng: np.random.Generator, codes: npt.NDArray[np.uint8], tissue: Relaxation, old: Lesions) -> Field:
    """(I, J, K) ADC in 1e-3 mm²/s: each tissue's, with the spread within it, and that of old lesions."""
    palette = Palette("adc", tissue.adc, {}, 0.5)
    table = lookup_table_of(palette)
    tracts = float(rng.uniform(0.02, 0.09))
    adc = table[codes]
    texture = tracts * smooth_noise(rng, codes.shape, 4) + 0.03 * smooth_noise(rng, codes.shape, 10)
    adc *= 1 + np.where(lookup((*BRAIN, Tissue.OUTER_CSF))[codes], texture, 0.5 * texture)
    free = float(tissue.adc[NAMES.index("wmh")])
    for share, value in ((old.wmh, free), (old.gliosis, OLD_GLIOSIS_ADC), (old.fluid, OLD_CAVITY_ADC)):
        adc += share * (np.float32(value) - adc)
    return np.asarray(np.clip(adc, 0.02, 3.4), dtype=np.float32)


def seen(scene: DiffusionScene, epi: Epi, codes: npt.NDArray[np.uint8]) -> tuple[Field, Field]:
    """b0 and b1000 as an echo-planar read-out shows them."""
    return epi.image(scene.b0, codes), epi.image(scene.b1000, codes)
