"""Whether T1 and FLAIR look like what they were given as: by how bright cortex and ventricles are beside white matter.

In a FLAIR the cortex is brighter than white matter and fluid is dark; in a T1 the cortex is darker; in a T2 fluid is
brightest. Medians in the parts that the brain network finds are compared, so that lesions hardly count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

PARTS_COMPARED = ("brain", "ventricles", "cortex", "cerebellum", "brainstem")
EVEN = 1.0  # cortex over white matter: T1s at hand have 0.75 to 0.97, FLAIRs 1.03 to 1.18
FLUID_IS_BRIGHT = 1.3  # ventricles over white matter: FLAIRs at hand have up to 0.92, a T2 3
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
    notes = []
    for role, data in images.items():
        title, level = role.upper(), float(np.median(data[white]))
        if not level > 0:
            continue
        cortical, fluid = (float(np.median(data[mask])) / level for mask in (cortex, ventricles))
        if fluid > FLUID_IS_BRIGHT:
            notes.append(
                f"The {title} doesn't look like one: its ventricles are {fluid:.2f} times as bright as its white "
                "matter, as in a T2. Check that the images weren't mixed up."
            )
        elif (cortical > EVEN) != (role == "flair"):
            notes.append(
                f"The {title} doesn't look like one: its cortex is {cortical:.2f} times as bright as its white matter, "
                f"{'below' if role == 'flair' else 'above'} {EVEN:g} as in a {'T1' if role == 'flair' else 'FLAIR'}. "
                "Check that the images weren't mixed up."
            )
    return notes
