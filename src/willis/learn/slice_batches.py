"""Batches of slices as published with RAX-NET: half with lesion and half without, every bin of size in each batch.

The published loader drops the slices that don't fill the fewest batches of any bin; here every slice is dealt out.
doi:10.1101/2025.09.26.25336733
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from willis.errors import BadInputError
from willis.measure.size_bins import SLICE_EDGES, bin_of
from willis.volume.plane import Plane


@dataclass(frozen=True)
class SliceOf:
    """One slice: its session, its index in the plane, and its lesion voxels (0: lesion-free)."""

    subject: str
    index: int
    voxels: int = 0


def distribution_batches(
    lesion: Sequence[SliceOf], normal: Sequence[SliceOf], plane: Plane, *, batch: int = 32, seed: int = 42
) -> list[list[SliceOf]]:
    """Deal slices out into batches.

    Slices with lesion are ordered by bin, shuffled within each, and dealt out one by one, so that the number of each
    bin's slices in two batches differs by one at most. Lesion-free slices are dealt out likewise; where they are
    fewer, some serve again, none two times more than another; where they are more, batches hold more of them.

    Parameters
    ----------
    lesion, normal
        Slices with lesion and without.
    plane
        Whose bins to keep.
    batch
        Most slices in a batch; even.
    seed
        One seed always gives the same batches.

    Raises
    ------
    BadInputError
        When the batch is odd or below 2, the seed below 0, or there is no slice with lesion or none without.
    """
    if seed < 0:
        raise BadInputError(f"the seed is {seed}; it is at least 0.")
    if batch < 2 or batch % 2:
        raise BadInputError(f"a batch of {batch} slices has no two halves; give an even number of at least 2.")
    if not lesion or not normal:
        lacking = "with" if not lesion else "without"
        raise BadInputError(f"there is no slice {lacking} lesion in this part; batches hold as many of each kind.")
    rng = np.random.default_rng(seed)
    half = batch // 2
    count = -(-max(len(lesion), len(normal)) // half)
    bins = bin_of([item.voxels for item in lesion], SLICE_EDGES[plane])
    shuffled = rng.permutation(len(lesion))
    order = shuffled[np.argsort(bins[shuffled], kind="stable")]
    batches = [[lesion[i] for i in order[start::count]] for start in range(count)]
    free = [normal[i] for i in rng.permutation(len(normal))]
    while len(free) < len(lesion):
        free += [normal[i] for i in rng.permutation(len(normal))[: len(lesion) - len(free)]]
    for start, made in enumerate(batches):
        made += free[start::count]
    return batches
