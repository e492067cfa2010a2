"""Which slices to show: all heights of the brain, and those with lesion before the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.volume.volume import Volume

LESION_SHARE = 0.5  # largest part of the slices given by lesion area; the rest is spread evenly
TRIMMED_SHARE = 0.04  # of the slices at either end, which hold little of the brain
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


def choose_slices(
    extent: npt.NDArray[Any], lesion: npt.NDArray[Any] | None, count: int, *, every_part: bool = True
) -> list[int]:
    """Indices along the last axis, rising, at most ``count``.

    Parameters
    ----------
    extent
        (I, J, K) mask of what must be covered; its lowest and highest 4 % of slices are left out.
    lesion
        (I, J, K) mask that draws slices to it, or None. The slice with most of it is always among those chosen.
    every_part
        Slices with lesion aren't left out, and as many as half of those chosen go where they show one of its connected
        parts that no other shows, largest parts first. Not for maps, which crumble into noise.
    """
    area = extent.sum(axis=(0, 1))
    hit = np.flatnonzero(area)
    bottom, top = (int(hit[0]), int(hit[-1]) + 1) if hit.size else (0, extent.shape[2])
    trim = round(TRIMMED_SHARE * (top - bottom))
    low, high = bottom + trim, top - trim
    count = min(count, high - low)
    if lesion is not None and every_part:
        held = bottom + np.flatnonzero(lesion[:, :, bottom:top].any(axis=(0, 1)))
        if held.size:
            low, high = min(low, int(held[0])), max(high, int(held[-1]) + 1)
    if high - low <= count:
        return list(range(low, high))
    weight = np.full(high - low, 1.0 / (high - low))
    burden = np.zeros(high - low) if lesion is None else np.sqrt(lesion[:, :, low:high].sum(axis=(0, 1), dtype=float))
    if lesion is None or burden.sum() == 0:
        return [low + k for k in _spread(weight, count)]
    share = min(LESION_SHARE, np.count_nonzero(burden) / count)
    chosen = _spread((1 - share) * weight + share * burden / burden.sum(), count)
    worst = int(burden.argmax())
    nearest = int(np.abs(np.array(chosen) - worst).argmin())
    chosen[nearest] = worst
    if every_part:
        chosen = _with_missed(chosen, parts_by_slice(lesion[:, :, low:high]), worst)
    return [low + k for k in chosen]


def parts_by_slice(mask: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """(parts, K) whether a slice holds a mask's connected part (26 neighbours), by falling size."""
    labels, count = ndimage.label(mask > 0, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    held = np.zeros((count, mask.shape[2]), dtype=bool)
    for row, (_, _, along) in zip(held, ndimage.find_objects(labels), strict=True):
        row[along] = True
    return held[np.argsort(-sizes, kind="stable")]


def _with_missed(chosen: list[int], held: npt.NDArray[np.bool_], worst: int) -> list[int]:
    """Chosen indices with some moved to parts that none of them holds, larger parts first.

    Those move first that alone hold no part, and of them those that crowd; ``worst``, the lowest and the highest never.
    """
    for _ in range(round(LESION_SHARE * len(chosen))):
        times = held[:, chosen].sum(axis=1)
        if times.all():
            break
        first = int(times.argmin())
        alone = np.where(held[times == 1].any(axis=0), (held & (times == 1)[:, None]).argmax(axis=0), len(held))
        inner = range(1, len(chosen) - 1)
        spare = [place for place in inner if chosen[place] != worst and alone[chosen[place]] > first]
        if not spare:
            break
        ends = [-1, *chosen, held.shape[1]]
        gone = min(spare, key=lambda place: (alone[chosen[place]] < len(held), ends[place + 2] - ends[place]))
        missed = held[times == 0]
        best = int(np.where(missed[0], missed.sum(axis=0), 0).argmax())
        chosen = sorted([*chosen[:gone], *chosen[gone + 1 :], best])
    return chosen


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
