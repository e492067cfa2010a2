"""In whose artery's territory core and penumbra lie, where enough of the brain is seen to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from willis.findings import Measurement
from willis.tasks.ct_template import Brought, bring_territories
from willis.tasks.perfusion.interpret import Mask, Reading
from willis.tasks.perfusion.prepare import PreparedMaps
from willis.tasks.territories import NAMES, largest, share_table, volumes_ml
from willis.volume.volume import Volume

NOTHING = "no hypoperfused tissue was found"
PAINTED = "a colour-coded map doesn't show where the brain ends"


def find_territories(prepared: PreparedMaps, reading: Reading) -> Brought:
    """The built-in territories on the grid of the maps: by the series' own CT, or by the outline of scalar maps."""
    if reading.hypoperfused is None or not reading.hypoperfused.any():
        return Brought(None, NOTHING)
    if prepared.way == "colours":
        return Brought(None, PAINTED)
    brain = Volume(prepared.brain.astype(np.uint8), prepared.grid, "brain")
    return bring_territories(brain, prepared.midline.right_of(prepared.grid), prepared.baseline)


def measure_territories(brought: Brought, reading: Reading, voxel_ml: float) -> dict[str, Measurement]:
    """Volume of hypoperfused tissue and of core in each territory that holds any."""
    found: list[Measurement] = []
    for name, mask, words in (
        ("hypoperfused", reading.hypoperfused, "Hypoperfused"),
        ("core", reading.core, "Core"),
    ):
        if mask is None or brought.codes is None:
            continue
        for place, ml in volumes_ml(brought.codes, mask, voxel_ml).items():
            if ml > 0:
                label = f"{words}, {place} territory"
                found.append(Measurement(f"{place.name}_{place.side}_{name}_volume", ml, "ml", None, label))
    return {one.name: one for one in found}


def territory_table(brought: Brought, prepared: PreparedMaps, masks: Mapping[str, Mask | None]) -> list[dict[str, Any]]:
    """One row a territory and side: core and penumbra there, in ml and as shares of all of it."""
    if brought.codes is None:
        return []
    known = {name: mask for name, mask in masks.items() if mask is not None}
    return share_table(brought.codes, prepared.brain, known, prepared.grid.voxel_ml)


def told_of_territory(brought: Brought, reading: Reading, voxel_ml: float) -> str:
    """Where most of the hypoperfused tissue lies, in words; empty where there is none, or no territory is known."""
    if brought.codes is None or reading.hypoperfused is None:
        return ""
    most = largest(volumes_ml(brought.codes, reading.hypoperfused, voxel_ml))
    return "" if most is None else f"{100 * most[1]:.0f} % of the hypoperfused tissue lies in the {most[0]} territory."


def note_of_territory(brought: Brought) -> str:
    """How the territories were found, or why they aren't told; empty where there is nothing to place."""
    if brought.note == NOTHING:
        return ""
    if brought.codes is None:
        return f"Arterial territories aren't told: {brought.note}."
    return f"Arterial territories are those of an average brain, {brought.note}; their borders vary between people."


def region_of(brought: Brought, part: Mask, side: str) -> str:
    """``"core right MCA"`` for a part of the core."""
    if brought.codes is None:
        return f"core {side}"
    most = largest(volumes_ml(brought.codes, part, 1.0))
    return f"core {side}" if most is None else f"core {side} {NAMES[most[0].name]}"
