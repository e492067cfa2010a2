"""Arterial territories: their names and codes, and how a mask shares out over them, for several tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

TERRITORIES = ("aca", "mca", "pca", "vertebrobasilar")
"""Arterial territories, codes 1 to 4 of the territory map, + 10 on the right."""

NAMES = {"aca": "ACA", "mca": "MCA", "pca": "PCA", "vertebrobasilar": "vertebrobasilar"}
RIGHT = 10  # added to the code of a territory on the patient's right
SIDES = ("left", "right")

Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Place:
    """One territory on one side; ``str(place)`` is ``"right MCA"``."""

    name: str
    side: str

    @property
    def code(self) -> int:
        """In the map."""
        return TERRITORIES.index(self.name) + 1 + RIGHT * (self.side == "right")

    def __str__(self) -> str:
        return f"{self.side} {NAMES[self.name]}"


PLACES = tuple(Place(name, side) for name in TERRITORIES for side in SIDES)


def sided(codes: Codes, right: npt.NDArray[np.bool_]) -> Codes:
    """Codes with the side that the brain's own middle gives them, whatever the map says near it."""
    plain = codes % RIGHT
    return np.where(plain > 0, plain + RIGHT * right, 0).astype(np.uint8)


def volumes_ml(codes: Codes, mask: npt.NDArray[np.bool_], voxel_ml: float) -> dict[Place, float]:
    """Volume of a mask in each territory, in the order of :data:`PLACES`."""
    counts = np.bincount(codes[mask], minlength=2 * RIGHT)
    return {place: float(counts[place.code]) * voxel_ml for place in PLACES}


def largest(volumes: Mapping[Place, float]) -> tuple[Place, float] | None:
    """The territory that holds most, and its share of the sum; None where nothing lies in any."""
    total = sum(volumes.values())
    if not total:
        return None
    place = max(volumes, key=lambda one: volumes[one])
    return place, volumes[place] / total


def share_table(codes: Codes, brain: npt.NDArray[np.bool_], masks: Mapping[str, npt.NDArray[np.bool_]],
                voxel_ml: float) -> list[dict[str, Any]]:  # fmt: skip
    """One row a territory and side: its volume, and of each mask the volume there and the share of the mask."""
    whole = volumes_ml(codes, brain, voxel_ml)
    parts = {label: volumes_ml(codes, mask, voxel_ml) for label, mask in masks.items()}
    sums = {label: float(np.count_nonzero(mask)) * voxel_ml for label, mask in masks.items()}
    return [
        {
            "territory": NAMES[place.name],
            "side": place.side,
            "volume_ml": round(whole[place], 2),
            **{f"{label}_volume_ml": round(found[place], 3) for label, found in parts.items()},
            **{f"{label}_share_percent": round(100 * found[place] / sums[label], 1) if sums[label] else None
               for label, found in parts.items()},
        }
        for place in PLACES
    ]  # fmt: skip
