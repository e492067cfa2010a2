"""Grey matter that shines on FLAIR without a lesion: insula, cingulate gyrus, hippocampus, and the caudate.

T2 rises from sensory cortex over the other gyri and the caudate to the insula, the cingulate gyrus and the hippocampus
[1]_. Label maps know one cortex: what lies by the putamen is taken for insula, and what lies by the midline around
thalamus and caudate for cingulate gyrus.

References
----------
.. [1] Georgiades et al. 2001, American Journal of Neuroradiology 22:1732, PMC7974454: T2 of ten regions at 1.5 T.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.deform import Field
from willis.phantom.labels import RIGHT_SIDE, Tissue, lookup

LIMBIC_GAIN = (0.0, 0.25)  # of FLAIR signal: what a T2 longer by up to a sixth does at echo times of 85 to 150 ms
CAUDATE_GAIN = (0.0, 0.2)  # against the other deep grey matter, which holds more iron; assumed
FROM_PUTAMEN = 8  # voxels of 1 mm: capsules and claustrum, and the insula itself
FROM_MIDLINE = 10
FROM_DEEP_GREY = 22  # ventricle, callosum and the gyrus itself
EDGE = 1.5  # voxels over which brightness fades
STEP = 2

Mask = npt.NDArray[np.bool_]


def brighten_limbic(rng: np.random.Generator, image: Field, codes: npt.NDArray[np.uint8]) -> None:
    """Raise the FLAIR signal of limbic cortex and caudate by shares that differ between people; ``image`` is changed.

    Parameters
    ----------
    image
        (I, J, K), before lesions are painted.
    codes
        (I, J, K) label codes, about 1 mm.
    """
    limbic = limbic_grey(codes).astype(np.float32)
    ndimage.gaussian_filter(limbic, EDGE, output=limbic)
    limbic *= lookup((Tissue.CORTEX, Tissue.HIPPOCAMPUS, Tissue.AMYGDALA))[codes]
    caudate = lookup((Tissue.CAUDATE, Tissue.ACCUMBENS))[codes]
    image *= 1 + np.float32(rng.uniform(*LIMBIC_GAIN)) * limbic + np.float32(rng.uniform(*CAUDATE_GAIN)) * caudate


def limbic_grey(codes: npt.NDArray[np.uint8]) -> Mask:
    """(I, J, K) insula, cingulate gyrus, hippocampus and amygdala, as far as labels of tissues tell."""
    right = (codes & RIGHT_SIDE).astype(bool)
    sided = lookup((Tissue.WHITE_MATTER, Tissue.CORTEX))[codes]
    medial = np.where(right, _near(sided & ~right, FROM_MIDLINE), _near(sided & right, FROM_MIDLINE))
    around = _near(lookup((Tissue.THALAMUS, Tissue.CAUDATE))[codes], FROM_DEEP_GREY)
    insula = _near(lookup((Tissue.PUTAMEN,))[codes], FROM_PUTAMEN)
    cortex = lookup((Tissue.CORTEX,))[codes]
    return np.asarray(((insula | (medial & around)) & cortex) | lookup((Tissue.HIPPOCAMPUS, Tissue.AMYGDALA))[codes])


def _near(mask: Mask, voxels: int) -> Mask:
    """Within a box of so many voxels to each side, found on every second one."""
    here = ndimage.maximum_filter(mask[::STEP, ::STEP, ::STEP], size=2 * (voxels // STEP) + 1)
    for axis, side in enumerate(mask.shape):
        here = np.repeat(here, STEP, axis=axis).take(np.arange(side), axis=axis)
    return np.asarray(here)
