"""Distances in a deformed head, which say where lesions lie."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.deform import Field
from willis.phantom.head import Head
from willis.phantom.labels import BRAIN, RIGHT_SIDE, Tissue, lookup
from willis.phantom.lesions import LesionScene

FAR_MM = 25.5  # distances end here


def measured_scene(head: Head) -> LesionScene:
    """The scene with distances measured in the deformed head itself, mm; far away outside the brain."""
    brain = lookup(BRAIN)[head.codes]
    box = ndimage.find_objects(brain.astype(np.uint8))[0]
    codes = head.codes[box]
    sided = lookup((Tissue.WHITE_MATTER, Tissue.CORTEX))[codes]
    right = (codes & RIGHT_SIDE).astype(bool)

    def distance(inside: npt.NDArray[np.bool_]) -> Field:
        far = np.full(head.codes.shape, np.float32(FAR_MM))
        far[box] = np.minimum(ndimage.distance_transform_edt(~inside), FAR_MM)
        return far

    ventricles = (Tissue.LATERAL_VENTRICLE, Tissue.INFERIOR_HORN, Tissue.THIRD_VENTRICLE, Tissue.CHOROID_PLEXUS)
    return LesionScene(
        head.codes,
        distance(lookup(ventricles)[codes]),
        distance(lookup((Tissue.CORTEX,))[codes]),
        np.maximum(distance(sided & right), distance(sided & ~right)),
    )
