"""Where patches are cut from a case: some on a lesion, the rest anywhere in the mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.learn.cache import StoredCase

Shape3 = tuple[int, int, int]
MASK_TRIES = 200  # draws of a voxel before a nearly empty mask is searched in full


@dataclass(frozen=True)
class Patch:
    """A piece of a case.

    Parameters
    ----------
    image, target, mask
        (C, i, j, k) float32, (L, i, j, k) uint8, (i, j, k) bool; zero where it reaches beyond the case.
    start
        Index of its first voxel in the case; may be negative.
    """

    image: npt.NDArray[np.float32]
    target: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    start: Shape3


def draw_centre(case: StoredCase, patch: Shape3, foreground_share: float, rng: np.random.Generator) -> Shape3:
    """Centre of a patch.

    With probability ``foreground_share`` a voxel of a random label that occurs in the case, moved by up to a quarter
    of the patch so that lesions don't always lie in the middle; else any voxel of the mask.
    """
    shape = case.mask.shape
    present = [voxels for voxels in case.foreground if voxels.size]
    on_lesion = rng.random() < foreground_share and bool(present)
    if on_lesion:
        voxels = present[int(rng.integers(len(present)))]
        flat = int(voxels[int(rng.integers(voxels.size))])
        centre = np.array(np.unravel_index(flat, shape))
        centre += [int(rng.integers(-(side // 4), side // 4 + 1)) for side in patch]
        return _triple(centre)
    for _ in range(MASK_TRIES):
        index = tuple(int(rng.integers(n)) for n in shape)
        if case.mask[index]:
            return _triple(index)
    inside = np.flatnonzero(case.mask)
    if inside.size:
        return _triple(np.unravel_index(int(inside[int(rng.integers(inside.size))]), shape))
    return _triple([n // 2 for n in shape])


def place(centre: Shape3, patch: Shape3, shape: Shape3) -> Shape3:
    """First voxel of the patch about a centre, moved inside the case where it fits, centred on the case where not."""
    start = []
    for c, p, n in zip(centre, patch, shape, strict=True):
        start.append(min(max(c - p // 2, 0), n - p) if n >= p else -((p - n) // 2))
    return _triple(start)


def cut(case: StoredCase, start: Shape3, patch: Shape3) -> Patch:
    """Read the patch that begins at ``start``."""
    return Patch(
        image=_cut(case.image, start, patch).astype(np.float32),
        target=_cut(case.target, start, patch),
        mask=_cut(case.mask[None], start, patch)[0],
        start=start,
    )


def _cut(array: npt.NDArray[Any], start: Shape3, patch: Shape3) -> npt.NDArray[Any]:
    shape = array.shape[1:]
    if all(s >= 0 and s + p <= n for s, p, n in zip(start, patch, shape, strict=True)):
        return np.array(array[(slice(None), *(slice(s, s + p) for s, p in zip(start, patch, strict=True)))])
    out = np.zeros((array.shape[0], *patch), array.dtype)
    source, goal = [slice(None)], [slice(None)]
    for s, p, n in zip(start, patch, shape, strict=True):
        low, high = max(s, 0), min(s + p, n)
        high = max(low, high)
        source.append(slice(low, high))
        goal.append(slice(low - s, high - s))
    out[tuple(goal)] = array[tuple(source)]
    return out


def _triple(values: object) -> Shape3:
    i, j, k = (int(v) for v in values)  # type: ignore[attr-defined]
    return i, j, k
