"""Connected components of a mask."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import invalid_option

Connectivity = Literal[6, 18, 26]
_RANK = {6: 1, 18: 2, 26: 3}  # how many axes two neighbours may differ in


def label_components(mask: npt.NDArray[Any], connectivity: int = 26) -> tuple[npt.NDArray[np.int32], int]:
    """Number the connected components of a mask by falling size, 1 for the largest.

    Parameters
    ----------
    mask
        (I, J, K); voxels above zero belong to it.
    connectivity
        6, 18 or 26 neighbours: across faces, edges too, corners too.

    Returns
    -------
    labels, count
        (I, J, K) with 0 outside the mask, and the number of components. Components of one size are in the order
        of their first voxel.
    """
    if connectivity not in _RANK:
        raise invalid_option("connectivity", connectivity, _RANK)
    structure = ndimage.generate_binary_structure(3, _RANK[connectivity])
    labels = np.empty(mask.shape, dtype=np.int32)
    count = int(ndimage.label(mask > 0, structure=structure, output=labels))
    if count > 1:
        order = np.argsort(-component_sizes(labels, count), kind="stable")
        rank = np.zeros(count + 1, dtype=np.int32)
        rank[order + 1] = np.arange(1, count + 1)
        labels = rank[labels]
    return labels, count


def component_sizes(labels: npt.NDArray[np.integer], count: int) -> npt.NDArray[np.int64]:
    """(count,) voxels of component 1, 2, 3…"""
    return np.bincount(labels.ravel(), minlength=count + 1)[1 : count + 1].astype(np.int64)


def largest_component(mask: npt.NDArray[Any], connectivity: int = 26) -> npt.NDArray[np.bool_]:
    """(I, J, K) the largest connected part of a mask; empty when the mask is."""
    labels, _ = label_components(mask, connectivity)
    return np.asarray(labels == 1)
