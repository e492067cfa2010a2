"""Whether an image is a non-contrast CT in HU, in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from willis.errors import BadInputError
from willis.image.morphology import distance_mm
from willis.volume.volume import Volume

AIR_BELOW_HU = -500.0
BRAIN_HU = (5.0, 65.0)  # median of a brain, with room for age, atrophy and a scanner off by some HU
UNSHIFTED = (950.0, 1150.0)  # where soft tissue lies when the intercept of -1024 or -1000 was left out
UNSHIFTED_SHARE = 0.3  # of what isn't air then; assumed
STRIPPED_SHARE = 0.2  # of voxels that are exactly 0 where a brain was extracted
SOFT_HU = (-20.0, 100.0)
SOFT_SHARE = 0.2  # of what isn't air; heads have more than half; assumed
CONTRAST_HU = (90.0, 350.0)  # opacified blood; denser is bone or metal
CONTRAST_ML = 3.0  # assumed: more than calcified plexus, pineal gland and falx together
SKULL_MARGIN_MM = 8.0  # partial volume of bone isn't looked at


def as_hounsfield(image: Volume) -> Volume:
    """The image with its unit HU.

    Raises
    ------
    BadInputError
        When its values aren't those of a CT in HU.
    """
    values = image.data
    least, most = float(values.min()), float(values.max())
    found = f"{image.role}: values run from {least:.0f} to {most:.0f}"
    wanted = "in HU air is -1000 and brain 20 to 45"
    if least > AIR_BELOW_HU:
        zero_share = float(np.mean(values == 0))
        tissue = values[values > 0]
        middle = float(np.median(tissue)) if tissue.size else 0.0
        body = values[values > UNSHIFTED[0] / 2]
        if body.size and float(np.mean((body > UNSHIFTED[0]) & (body < UNSHIFTED[1]))) > UNSHIFTED_SHARE:
            raise BadInputError(
                f"{found}, those of a CT without its rescale intercept; {wanted}. Subtract 1024 (or what its DICOM "
                "header says), or give the DICOM folder."
            )
        if zero_share < STRIPPED_SHARE or not BRAIN_HU[0] <= middle <= BRAIN_HU[1]:
            raise BadInputError(f"{found}, which isn't a CT; {wanted}. lvo reads non-contrast CT, not MR.")
    tissue = values[values > AIR_BELOW_HU]
    if not tissue.size:
        raise BadInputError(f"{found}: it shows nothing but air. Give a non-contrast head CT in HU.")
    soft = float(np.mean((tissue > SOFT_HU[0]) & (tissue < SOFT_HU[1])))
    if soft < SOFT_SHARE:
        raise BadInputError(
            f"only {soft:.0%} of the {image.role} that isn't air lie between {SOFT_HU[0]:g} and {SOFT_HU[1]:g} HU: it "
            "shows bone or metal and no brain. Give the series that shows soft tissue."
        )
    return replace(image, unit="HU")


def check_brain_values(ct: Volume, brain: Volume) -> tuple[str, ...]:
    """What a reader must know of the values in the brain.

    Raises
    ------
    BadInputError
        When the brain's median is none of a brain's.
    """
    inside = brain.data > 0
    median = float(np.median(ct.data[inside]))
    if not BRAIN_HU[0] <= median <= BRAIN_HU[1]:
        raise BadInputError(
            f"the brain's median in the {ct.role} is {median:.0f} HU; {BRAIN_HU[0]:g} to {BRAIN_HU[1]:g} is expected. "
            "Check its rescale slope and intercept."
        )
    deep = inside & (distance_mm(~inside, ct.grid.spacing_mm) > SKULL_MARGIN_MM)
    bright = deep & (ct.data > CONTRAST_HU[0]) & (ct.data < CONTRAST_HU[1])
    bright_ml = float(np.count_nonzero(bright)) * ct.grid.voxel_ml
    if bright_ml > CONTRAST_ML:
        return (
            f"{bright_ml:.1f} ml inside the brain are denser than {CONTRAST_HU[0]:g} HU: contrast agent, or blood with "
            "calcium. Density of vessels and differences between the sides then mean something else.",
        )
    return ()
