"""Whether T1 and FLAIR look like what they were given as: by how bright cortex and ventricles are beside white matter.

Cortex beside white matter is brighter in a FLAIR than in a T1 of the same head, and in a T2 fluid is brightest. Medians
in the parts that the brain network finds are compared, so that lesions hardly count; fluid among the gyri darkens the
cortex of both, so that of a FLAIR alone little can be said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

PARTS_COMPARED = ("brain", "ventricles", "cortex", "cerebellum", "brainstem")
LEAST_OF_FLAIR = 0.8  # cortex over white matter; assumed: FLAIRs at hand and of phantoms lie above, some T1s below
FLUID_IS_BRIGHT = 1.3  # ventricles over white matter; assumed: FLAIRs at hand and of phantoms lie below
DEPTH_VOXELS = 2  # white matter is looked for so far from all other parts, 2 mm
LEAST_VOXELS = 500  # of a part, below which its median isn't taken

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def contrast_notes(images: Mapping[str, Array], part: Callable[[str], Mask]) -> list[str]:
    """Sentences on images that look like another contrast than they were given as; none where all is well.

    Parameters
    ----------
    images
        ``t1`` and ``flair``, or one of them, each (I, J, K) on one grid of 1 mm, any scale.
    part
        The mask (I, J, K) of each of ``PARTS_COMPARED`` by its name.
    """
    ventricles, cortex = part("ventricles"), part("cortex")
    rest = part("brain") & ~(ventricles | cortex | part("cerebellum") | part("brainstem"))
    white = ndimage.binary_erosion(rest, iterations=DEPTH_VOXELS)
    if min(np.count_nonzero(mask) for mask in (ventricles, cortex, white)) < LEAST_VOXELS:
        return []
    notes, cortical = [], {}
    for role, data in images.items():
        title, level = role.upper(), float(np.median(data[white]))
        if not level > 0:
            continue
        fluid = float(np.median(data[ventricles])) / level
        if fluid > FLUID_IS_BRIGHT:
            notes.append(
                f"The {title} doesn't look like one: its ventricles are {fluid:.2f} times as bright as its white "
                "matter, as in a T2. Check that the images weren't mixed up."
            )
        else:
            cortical[role] = float(np.median(data[cortex])) / level
    return notes + _grey_notes(cortical)


def _grey_notes(cortical: Mapping[str, float]) -> list[str]:
    """What the brightness of the cortex over that of white matter, by role, says."""
    flair, t1 = cortical.get("flair"), cortical.get("t1")
    if flair is not None and t1 is not None and t1 >= flair:
        return [
            f"T1 and FLAIR look exchanged: the cortex is {t1:.2f} times as bright as white matter in the T1 and "
            f"{flair:.2f} times in the FLAIR, where it should be the brighter. Check that the images weren't mixed up."
        ]
    if flair is not None and flair < LEAST_OF_FLAIR:
        return [
            f"The FLAIR doesn't look like one: its cortex is {flair:.2f} times as bright as its white matter, below "
            f"{LEAST_OF_FLAIR:g} as in a T1. Check that the images weren't mixed up."
        ]
    return []
