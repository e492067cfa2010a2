"""The published bins of lesion size, in voxels of 1 mm³ or 1 mm², and counting in them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from willis.volume.plane import Plane

VOLUME_EDGES = (
    0,
    5_000,
    30_000,
    60_000,
    100_000,
    200_000,
)  # doi:10.1101/2025.09.26.25336733; the last is open
SLICE_EDGES: dict[Plane, tuple[int, ...]] = {  # of the same
    "axial": (0, 200, 500, 1_000, 2_000, 3_000),
    "coronal": (0, 200, 500, 1_000, 2_000, 3_000),
    "sagittal": (0, 500, 1_000, 2_000, 3_000, 5_000),
}


def bin_of(sizes: npt.ArrayLike, edges: Sequence[int]) -> npt.NDArray[np.intp]:
    """Number of the bin (a, b] of each size, from 0; -1 for a size of 0.

    >>> bin_of([0, 1, 5000, 5001, 900_000], VOLUME_EDGES).tolist()
    [-1, 0, 0, 1, 5]
    """
    return np.searchsorted(np.asarray(edges), np.asarray(sizes), side="left") - 1


def count_in_bins(sizes: npt.ArrayLike, edges: Sequence[int]) -> npt.NDArray[np.intp]:
    """How many sizes lie in each bin; sizes of 0 lie in none."""
    found = bin_of(sizes, edges)
    return np.bincount(found[found >= 0], minlength=len(edges)).astype(np.intp)


def bin_names(edges: Sequence[int]) -> list[str]:
    """The bins for people.

    >>> bin_names((0, 200, 500))
    ['1–200', '201–500', 'over 500']
    """
    closed = [f"{low + 1}–{high}" for low, high in pairwise(edges)]
    return [*closed, f"over {edges[-1]}"]
