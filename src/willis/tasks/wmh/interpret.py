"""What was found in numbers and words: lesions, their volumes by region, and how sure they are.

Everything is measured on the FLAIR's own grid, on the mask that is written, so that whoever counts its voxels gets
the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from willis.findings import Lesion, Measurement
from willis.tasks.clusters import total_ml
from willis.tasks.spread import Spread, in_brackets
from willis.tasks.wmh.spec import REGIONS
from willis.units import counted, rounded


def measure(
    lesions: Sequence[Lesion], brain_ml: float, spread: Spread | None, region_ml: Mapping[str, float] | None
) -> dict[str, Measurement]:
    """Totals, shares and regions.

    Parameters
    ----------
    lesions
        All of them.
    brain_ml
        Volume of the brain mask.
    spread
        Of the WMH volume.
    region_ml
        :func:`~willis.tasks.wmh.regions.region_volumes`; None when the lesions' regions are unknown.
    """
    total = total_ml(lesions)
    ends, share = (None, None) if spread is None else (spread.ends, spread.share_of(brain_ml))
    found = [
        Measurement("wmh_volume", total, "ml", ends, "WMH volume"),
        Measurement("wmh_count", len(lesions), "count", None, "Number of lesions"),
        Measurement("wmh_brain_share", 100 * total / brain_ml, "%", share, "WMH share of the brain mask"),
        Measurement("brain_volume", brain_ml, "ml", None, "Volume of the brain mask"),
    ]
    for region, volume in (region_ml or {}).items():
        count = sum(lesion.region == region for lesion in lesions)
        name = "wmh_" + region.replace(" ", "_")
        found.append(Measurement(f"{name}_volume", volume, "ml", None, f"WMH volume, {region}"))
        found.append(Measurement(f"{name}_count", count, "count", None, f"Lesions, {region}"))
    return {measurement.name: measurement for measurement in found}


def summarise(lesions: Sequence[Lesion], measurements: Mapping[str, Measurement], spread: Spread | None) -> str:
    """The finding in words."""
    if not lesions:
        return "No white matter hyperintensity was found."
    total, share = measurements["wmh_volume"], measurements["wmh_brain_share"]
    largest = lesions[0]
    where = f", counted as {largest.region}" if largest.region else ""
    count = counted(len(lesions), "lesion")
    return (
        f"{rounded(total.value or 0, 1)} ml of white matter hyperintensity{in_brackets(spread)} in {count}, "
        f"{rounded(share.value or 0, 2)} % of the brain mask. "
        f"The largest has {rounded(largest.volume_ml, 2)} ml{where}."
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
