"""Whether an image shows a brain alone, and then where its outline runs."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from willis.image.components import largest_component
from willis.volume.volume import Volume

FAR_MM = 15.0  # beyond this from the brain, a whole head still shows skull, face and neck
LEAST_FLAT_SHARE = 0.99  # of the voxels out there that hold one single value in an extracted image
MOST_RATIO = 1.35  # of the region that isn't background over the brain that was found in it


def extracted_region(image: Volume, found: Volume) -> Volume | None:
    """The brain that someone has cut out of its head already, as ``uint8``; None when the image shows more.

    What was kept, and what the network takes for brain beside it: a tight extraction cuts out sulci, which are brain.

    Parameters
    ----------
    image
        Any contrast.
    found
        The brain as a network sees it, on the same grid.
    """
    inside = found.data > 0
    far = ndimage.distance_transform_edt(~inside, sampling=image.grid.spacing_mm) > FAR_MM
    if not far.any():
        return None
    values, counts = np.unique(image.data[far], return_counts=True)
    if counts.max() < LEAST_FLAT_SHARE * counts.sum():
        return None
    kept = largest_component(image.data != values[counts.argmax()], connectivity=6)
    region = ndimage.binary_fill_holes(kept | inside)
    if np.count_nonzero(region) > MOST_RATIO * np.count_nonzero(inside):
        return None
    return found.with_data(region.astype(np.uint8))
