"""What the network's probabilities mean: lesions, their regions, volumes and how sure they are.

Everything is measured on the FLAIR's own grid, on the mask that is written, so that whoever counts its voxels gets
the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.findings import Lesion, Measurement
from willis.image.morphology import distance_mm
from willis.tasks.wmh.spec import REGIONS

PERIVENTRICULAR_MM = 3.0  # SHIVAi's band of 2 mm about the ventricles, and half a voxel of the 2 mm grid they come from
JUXTACORTICAL_MM = 3.0  # SHIVAi's juxtacortical band, 3 voxels of 1 mm


@dataclass(frozen=True)
class RegionMaps:
    """Where ventricles, cortex and the rest are, as masks on the FLAIR's grid, all (I, J, K)."""

    ventricles: npt.NDArray[np.bool_]
    cortex: npt.NDArray[np.bool_]
    cerebellum: npt.NDArray[np.bool_]
    brainstem: npt.NDArray[np.bool_]
    left: npt.NDArray[np.bool_]


def assign_regions(
    labels: npt.NDArray[np.int32], count: int, maps: RegionMaps, spacing_mm: tuple[float, float, float]
) -> list[str]:
    """Region of each lesion, one of ``spec.REGIONS``.

    Most of a lesion in the brainstem or cerebellum makes it theirs; any other that comes within
    ``PERIVENTRICULAR_MM`` of a ventricle is periventricular (SHIVAi's rule: touch wins); of the rest it is
    juxtacortical when most of it lies within ``JUXTACORTICAL_MM`` of the cortex, else deep. The side is where most
    of it lies; :func:`region_volumes` divides what lies across the midline.
    """
    if count == 0:
        return []
    index = np.arange(1, count + 1)

    def share(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        return np.asarray(ndimage.mean(mask, labels, index), dtype=np.float64)

    nearest_ventricle = ndimage.minimum(distance_mm(maps.ventricles, spacing_mm), labels, index)
    brainstem, cerebellum, left = share(maps.brainstem), share(maps.cerebellum), share(maps.left)
    cortical = share(distance_mm(maps.cortex, spacing_mm) <= JUXTACORTICAL_MM)
    regions = []
    for lesion in range(count):
        side = "left" if left[lesion] >= 0.5 else "right"
        if brainstem[lesion] > 0.5:
            regions.append("brainstem")
        elif cerebellum[lesion] > 0.5:
            regions.append(f"cerebellar {side}")
        elif nearest_ventricle[lesion] <= PERIVENTRICULAR_MM:
            regions.append(f"periventricular {side}")
        else:
            regions.append(f"{'juxtacortical' if cortical[lesion] > 0.5 else 'deep'} {side}")
    return regions


def region_volumes(
    labels: npt.NDArray[np.int32], regions: Sequence[str], left: npt.NDArray[np.bool_], voxel_ml: float
) -> dict[str, float]:
    """Volume in ml of each of ``spec.REGIONS``; a lesion across the midline gives each side the part that lies there.

    Parameters
    ----------
    labels
        (I, J, K) lesions from 1.
    regions
        Region of each lesion.
    left
        (I, J, K) the left half.
    """
    volumes = dict.fromkeys(REGIONS, 0.0)
    all_of = np.bincount(labels.ravel(), minlength=len(regions) + 1)
    left_of = np.bincount(labels[left], minlength=len(regions) + 1)
    for lesion, region in enumerate(regions, start=1):
        place, _, side = region.partition(" ")
        if not side:
            volumes[region] += float(all_of[lesion]) * voxel_ml
            continue
        volumes[f"{place} left"] += float(left_of[lesion]) * voxel_ml
        volumes[f"{place} right"] += float(all_of[lesion] - left_of[lesion]) * voxel_ml
    return volumes


def measure(
    lesions: Sequence[Lesion], brain_ml: float, member_ml: Sequence[float], region_ml: Mapping[str, float] | None
) -> dict[str, Measurement]:
    """Totals, shares and regions.

    Parameters
    ----------
    lesions
        All of them.
    brain_ml
        Volume of the brain mask.
    member_ml
        WMH volume by each member alone, for the interval: from the least to the most of members and ensemble.
    region_ml
        :func:`region_volumes`; None when the lesions' regions are unknown.
    """
    total = sum(lesion.volume_ml for lesion in lesions)
    interval = (min(total, *member_ml), max(total, *member_ml)) if len(member_ml) > 1 else None
    share = None if interval is None else (100 * interval[0] / brain_ml, 100 * interval[1] / brain_ml)
    found = [
        Measurement("wmh_volume", total, "ml", interval, "WMH volume"),
        Measurement("wmh_count", len(lesions), "count", None, "Number of lesions"),
        Measurement("wmh_brain_share", 100 * total / brain_ml, "%", share, "WMH share of the brain"),
        Measurement("brain_volume", brain_ml, "ml", None, "Brain volume"),
    ]
    for region, volume in (region_ml or {}).items():
        count = sum(lesion.region == region for lesion in lesions)
        name = "wmh_" + region.replace(" ", "_")
        found.append(Measurement(f"{name}_volume", volume, "ml", None, f"WMH volume, {region}"))
        found.append(Measurement(f"{name}_count", count, "count", None, f"Lesions, {region}"))
    return {measurement.name: measurement for measurement in found}


def summarise(lesions: Sequence[Lesion], measurements: Mapping[str, Measurement]) -> str:
    """The finding in words."""
    if not lesions:
        return "No white matter hyperintensity was found."
    total, share = measurements["wmh_volume"], measurements["wmh_brain_share"]
    spread = "" if total.interval is None else f" ({total.interval[0]:.1f} to {total.interval[1]:.1f} by member)"
    largest = lesions[0]
    where = f", counted as {largest.region}" if largest.region else ""
    count = "1 lesion" if len(lesions) == 1 else f"{len(lesions)} lesions"
    return (
        f"{total.value:.1f} ml of white matter hyperintensity{spread} in {count}, {share.value:.2f} % of the brain. "
        f"The largest has {largest.volume_ml:.2f} ml{where}."
    )


def region_table(measurements: Mapping[str, Measurement]) -> list[dict[str, Any]]:
    """One row a region: volume in ml and number of lesions; empty when regions are unknown."""
    rows = []
    for region in REGIONS:
        name = "wmh_" + region.replace(" ", "_")
        if f"{name}_volume" in measurements:
            rows.append(
                {
                    "region": region,
                    "volume_ml": measurements[f"{name}_volume"].value,
                    "count": measurements[f"{name}_count"].value,
                }
            )
    return rows
