"""Whether an image that should be an MR is a CT."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from willis.errors import BadInputError
from willis.io.beside import read_sidecar
from willis.volume.volume import Volume

AIR_BELOW_HU = -900.0  # air is -1000 HU; room for noise and for scanners off by some HU
AIR_SHARE = 0.05  # of the voxels of a CT of a head that are air, or padding below it; assumed
SOFT_HU = (-20.0, 100.0)  # brain, fluid, muscle
SOFT_SHARE = 0.2  # of what isn't air; heads have more than half; assumed
SOFT_MEDIAN_HU = (5.0, 65.0)  # of it; an ADC map in 1e-3 mm²/s with padding below 0 has about 1


def refuse_ct(image: Volume, path: Path) -> None:
    """Refuse a CT under a role that takes an MR: by its DICOM, by the JSON beside it, or by its values.

    Parameters
    ----------
    image
        As read from ``path``; its unit is ``HU`` where DICOM says so.

    Raises
    ------
    BadInputError
        When it is a CT.
    """
    if image.unit == "HU":
        why = "its DICOM header says so"
    elif _said(path) == "CT":
        why = "the JSON beside it says so"
    elif _holds_hounsfield(image):
        why = f"its values are HU, from {float(image.data.min()):.0f} for air"
    else:
        return
    raise BadInputError(
        f"{path} was given as {image.role}, which is an MR image, and is a CT: {why}. Give the {image.role}; lvo and "
        "brain read CT."
    )


def _said(path: Path) -> str:
    with contextlib.suppress(BadInputError):
        return str(read_sidecar(path).get("Modality", ""))
    return ""


def _holds_hounsfield(image: Volume) -> bool:
    """Whether values are those of air and soft tissue in HU."""
    shown = image.data[image.data > AIR_BELOW_HU]
    if not shown.size or shown.size > (1 - AIR_SHARE) * image.data.size:
        return False
    soft = shown[(shown > SOFT_HU[0]) & (shown < SOFT_HU[1])]
    return soft.size > SOFT_SHARE * shown.size and SOFT_MEDIAN_HU[0] <= float(np.median(soft)) <= SOFT_MEDIAN_HU[1]
