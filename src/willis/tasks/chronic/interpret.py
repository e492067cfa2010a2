"""What the planes' probabilities mean: the fused lesion, its sides and regions, and how well the planes agree.

Everything is measured on the T1's own grid, on the masks that are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.findings import Lesion, Measurement
from willis.tasks.clusters import total_ml
from willis.tasks.spread import Spread, in_brackets
from willis.tasks.territories import Place
from willis.units import counted, rounded
from willis.volume.grid import Grid
from willis.volume.plane import Plane

CORTICAL_SHARE = 0.2  # of a lesion in the template's cortex and sulci, from which it is cortical; assumed

Mask = npt.NDArray[np.bool_]


def fuse(planes: Sequence[npt.NDArray[np.floating]], threshold: float, how: str) -> npt.NDArray[np.float32]:
    """Fused probability (I, J, K) of planes (I, J, K): their mean, or the share of planes that reach the threshold."""
    if how == "majority":
        return np.asarray(np.mean([p >= threshold for p in planes], axis=0), dtype=np.float32)
    return np.asarray(np.mean(planes, axis=0), dtype=np.float32)


def majority(planes: int) -> float:
    """A share that more than half of so many planes reach, and half of them don't.

    >>> [majority(planes) for planes in (1, 2, 3)]
    [0.5, 0.75, 0.5]
    """
    return (planes // 2 + 0.5) / planes


def agreement(masks: Sequence[Mask]) -> float | None:
    """Voxels that all planes call lesion over those that any does; None when none does."""
    union = np.logical_or.reduce(masks)
    if not union.any():
        return None
    return float(np.count_nonzero(np.logical_and.reduce(masks)) / np.count_nonzero(union))


def assign_regions(labels: npt.NDArray[np.int32], count: int, maps: Mapping[str, Mask]) -> list[str]:
    """Region and side of each lesion, ``"cortical left"``, by where it lies on the template.

    Most of a lesion in the brainstem or cerebellum makes it theirs; any other with at least ``CORTICAL_SHARE`` in
    cortex or sulci is cortical, else subcortical. The side is where most of it lies.
    """
    if count == 0:
        return []
    index = np.arange(1, count + 1)
    share = {name: np.asarray(ndimage.mean(mask, labels, index)) for name, mask in maps.items()}
    regions = []
    for lesion in range(count):
        side = "left" if share["left"][lesion] >= 0.5 else "right"
        if share["brainstem"][lesion] > 0.5:
            regions.append("brainstem")
        elif share["cerebellum"][lesion] > 0.5:
            regions.append(f"cerebellar {side}")
        else:
            place = "cortical" if share["cortex"][lesion] >= CORTICAL_SHARE else "subcortical"
            regions.append(f"{place} {side}")
    return regions


def measure(
    lesions: Sequence[Lesion],
    found: Mask,
    left: Mask,
    planes: Mapping[Plane, Mask],
    spread: Spread | None,
    grid: Grid,
    brain_ml: float,
) -> dict[str, Measurement]:
    """Totals, sides, and the agreement of the planes.

    Parameters
    ----------
    lesions
        All of them.
    found, left
        (I, J, K): the fused mask, and what lies on the patient's left.
    planes
        Each plane's mask alone.
    spread
        Of the lesion volume.
    grid
        The T1's own.
    brain_ml
        Volume of the brain mask.
    """
    total = total_ml(lesions)
    ends, share = (None, None) if spread is None else (spread.ends, spread.share_of(brain_ml))
    left_ml = float(np.count_nonzero(found & left)) * grid.voxel_ml
    rows = [
        Measurement("lesion_volume", total, "ml", ends, "Lesion volume"),
        Measurement("lesion_count", len(lesions), "count", None, "Number of lesions"),
        Measurement("lesion_left_volume", left_ml, "ml", None, "Lesion volume, left"),
        Measurement("lesion_right_volume", total - left_ml, "ml", None, "Lesion volume, right"),
        Measurement("lesion_brain_share", 100 * total / brain_ml, "%", share, "Lesion share of the brain mask"),
        Measurement("plane_agreement", agreement(list(planes.values())), "1", None, "Agreement of the planes"),
        Measurement("brain_volume", brain_ml, "ml", None, "Volume of the brain mask"),
    ]
    return {row.name: row for row in rows}


def summarise(
    lesions: Sequence[Lesion],
    measurements: Mapping[str, Measurement],
    spread: Spread | None,
    territory: tuple[Place, float] | None,
) -> str:
    """The finding in words; ``territory`` is the one that holds most, and its share of what lies in any."""
    if not lesions:
        return "No chronic stroke lesion was found."
    total, share = measurements["lesion_volume"], measurements["lesion_brain_share"]
    largest = lesions[0]
    count = counted(len(lesions), "lesion")
    return (
        f"{rounded(total.value or 0, 1)} ml of chronic stroke lesion{in_brackets(spread)} in {count}, "
        f"{rounded(share.value or 0, 1)} % of the brain mask. The largest has {rounded(largest.volume_ml, 1)} ml, "
        f"{largest.region}."
        + ("" if territory is None else f" {100 * territory[1]:.0f} % lies in the {territory[0]} territory.")
    )


def plane_table(planes: Mapping[Plane, Mask], fused: Mask, grid: Grid) -> list[dict[str, Any]]:
    """One row a plane: its volume alone, and its Dice with the fused mask."""
    return [
        {
            "plane": plane,
            "volume_ml": float(np.count_nonzero(mask)) * grid.voxel_ml,
            "dice_with_fused": _dice(mask, fused),
        }
        for plane, mask in planes.items()
    ]


def _ratio(part: SupportsFloat, whole: SupportsFloat) -> float | None:
    return float(part) / float(whole) if float(whole) else None


def _dice(a: Mask, b: Mask) -> float | None:
    return _ratio(2 * np.count_nonzero(a & b), np.count_nonzero(a) + np.count_nonzero(b))
