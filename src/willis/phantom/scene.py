"""Tissues and distances in a deformed head, which say where lesions lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.deform import Field
from willis.phantom.head import Head
from willis.phantom.labels import BRAIN, RIGHT_SIDE, SIDE_MASK, Tissue, lookup

Codes = npt.NDArray[np.uint8]

FAR_MM = 25.5  # distances end here
LEAST_HORN_VOXELS = 3  # of a coronal slice, up to which it holds no horn


@dataclass
class LesionScene:
    """What lesions are drawn into: label codes and distances (mm) on one 1 mm grid.

    Parameters
    ----------
    codes
        (I, J, K) label codes.
    ventricle_mm, cortex_mm, midline_mm
        (I, J, K) distances to the lateral and third ventricles, to the cortex, and to the other side.
    """

    codes: Codes
    ventricle_mm: Field
    cortex_mm: Field
    midline_mm: Field
    voxel_ml: float = 1e-3


def allowed_tissue(codes: Codes) -> Field:
    """(I, J, K) how much of a voxel lesions may take: all of white matter, little of cortex, nothing of CSF."""
    table = np.zeros(256, dtype=np.float32)
    for tissue, share in (
        (Tissue.WHITE_MATTER, 1.0), (Tissue.BRAINSTEM, 1.0), (Tissue.CEREBELLAR_WHITE_MATTER, 1.0),
        (Tissue.VENTRAL_DC, 0.8), (Tissue.THALAMUS, 0.9), (Tissue.PUTAMEN, 0.7), (Tissue.CAUDATE, 0.7),
        (Tissue.PALLIDUM, 0.7), (Tissue.CEREBELLAR_CORTEX, 0.4), (Tissue.CORTEX, 0.35),
    ):  # fmt: skip
        table[[tissue, tissue | RIGHT_SIDE]] = share
    return np.asarray(table[codes])


def horn_tips(codes: Codes) -> tuple[int, int]:
    """Rows along the second axis of RAS where lateral ventricles begin behind and end in front; 0, 0 without any."""
    horns = (codes & SIDE_MASK) == Tissue.LATERAL_VENTRICLE
    rows = np.flatnonzero(horns.sum(axis=(0, 2)) > LEAST_HORN_VOXELS)
    return (int(rows[0]), int(rows[-1])) if len(rows) else (0, 0)


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
