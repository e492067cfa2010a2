"""Which slices to show: all heights of the brain, and those with lesion before the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from willis.volume.volume import Volume

LESION_SHARE = 0.5  # part of the slices given by lesion area; the rest is spread evenly
FOREGROUND_SHARE = 0.15  # of the 99th percentile: above it a voxel counts as head, not air
MARGIN_MM = 4.0  # of ground left around what is shown

Bounds = tuple[slice, slice, slice]


def foreground(volume: Volume) -> npt.NDArray[np.bool_]:
    """(I, J, K) voxels that are clearly not air; of a CT in HU, those above -200."""
    data = np.nan_to_num(np.asarray(volume.data, dtype=np.float32))
    if volume.unit == "HU":
        return data > -200
    positive = data[data > 0]
    if positive.size == 0:
        return np.ones(data.shape, dtype=bool)
    return np.asarray(data > FOREGROUND_SHARE * np.percentile(positive, 99))


def bounds_of(mask: npt.NDArray[Any], spacing_mm: tuple[float, float, float], margin_mm: float = MARGIN_MM) -> Bounds:
    """The box around a mask's voxels with a margin, inside the array; the whole array of an empty mask."""
    sides = []
    for axis, spacing in enumerate(spacing_mm):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        pad = round(margin_mm / spacing)
        low, high = (int(hit[0]) - pad, int(hit[-1]) + 1 + pad) if hit.size else (0, mask.shape[axis])
        sides.append(slice(max(0, low), min(mask.shape[axis], high)))
    return sides[0], sides[1], sides[2]


def choose_slices(extent: npt.NDArray[Any], lesion: npt.NDArray[Any] | None, count: int) -> list[int]:
    """Indices along the last axis, rising, at most ``count``.

    Parameters
    ----------
    extent
        (I, J, K) mask of what must be covered; its lowest and highest 4 % of slices are left out.
    lesion
        (I, J, K) mask that draws slices to it, or None. The slice with most of it is always among those chosen.
    """
    area = extent.sum(axis=(0, 1))
    hit = np.flatnonzero(area)
    low, high = (int(hit[0]), int(hit[-1]) + 1) if hit.size else (0, extent.shape[2])
    trim = round(0.04 * (high - low))
    low, high = low + trim, high - trim
    if high - low <= count:
        return list(range(low, high))
    weight = np.full(high - low, 1.0 / (high - low))
    burden = np.zeros(high - low) if lesion is None else np.sqrt(lesion[:, :, low:high].sum(axis=(0, 1), dtype=float))
    if burden.sum() > 0:
        weight = (1 - LESION_SHARE) * weight + LESION_SHARE * burden / burden.sum()
    chosen = _spread(weight, count)
    if burden.sum() > 0:
        worst = int(burden.argmax())
        nearest = int(np.abs(np.array(chosen) - worst).argmin())
        chosen[nearest] = worst
    return [low + k for k in chosen]


def _spread(weight: npt.NDArray[np.float64], count: int) -> list[int]:
    """``count`` distinct indices at even steps of the cumulative weight."""
    cumulative = np.cumsum(weight) / weight.sum()
    wanted = np.searchsorted(cumulative, (np.arange(count) + 0.5) / count)
    chosen: list[int] = []
    for order, index in enumerate(wanted):
        after_last = chosen[-1] + 1 if chosen else 0
        latest = len(weight) - (count - order)
        chosen.append(int(min(max(index, after_last), latest)))
    return chosen
