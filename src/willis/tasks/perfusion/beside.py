"""The network's reading beside that of the thresholds: its measurements, one table of both, a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from willis.findings import Measurement
from willis.measure.overlap import dice
from willis.tasks.perfusion.by_network import NetworkReading
from willis.tasks.perfusion.interpret import Mask, Reading
from willis.tasks.perfusion.trials import told
from willis.units import rounded
from willis.volume.grid import Grid


def measure_network(found: NetworkReading, grid: Grid) -> dict[str, Measurement]:
    """Volumes and mismatch ratio by the network."""
    core = _ml(found.core, grid)
    rows = [Measurement("network_core_volume", core, "ml", None, "Core by the network")]
    if found.penumbra is not None:
        penumbra = _ml(found.penumbra, grid)
        ratio = (core + penumbra) / core if core > 0 else None
        rows += [
            Measurement("network_penumbra_volume", penumbra, "ml", None, "Penumbra by the network"),
            Measurement("network_mismatch_ratio", ratio, "1", None, "Mismatch ratio by the network"),
        ]
    return {row.name: row for row in rows}


def readings_table(found: NetworkReading, reading: Reading, grid: Grid) -> list[dict[str, Any]]:
    """One row a label: ml by thresholds and by the network, and the Dice coefficient of the two."""
    late = None if found.penumbra is None else found.core | found.penumbra
    rows = []
    for name, by_rule, by_network in (
        ("core", reading.core, found.core),
        ("penumbra", reading.penumbra, found.penumbra),
        ("core and penumbra", reading.hypoperfused, late),
    ):
        if by_network is None:
            continue
        rows.append(
            {
                "tissue": name,
                "thresholds_ml": None if by_rule is None else round(_ml(by_rule, grid), 3),
                "network_ml": round(_ml(by_network, grid), 3),
                "dice_of_the_two": None if by_rule is None else _agreement(by_rule, by_network),
            }
        )
    return rows


def with_network_slices(rows: list[dict[str, Any]], found: NetworkReading, grid: Grid) -> list[dict[str, Any]]:
    """The table of slices with the network's volumes."""
    masks = {"network_core_volume_ml": found.core, "network_penumbra_volume_ml": found.penumbra}
    return [
        {**row, **{name: round(_ml(mask[:, :, row["slice"]], grid), 3)
                   for name, mask in masks.items() if mask is not None}}
        for row in rows
    ]  # fmt: skip


def told_of_network(measurements: Mapping[str, Measurement]) -> str:
    """What the network found, in words."""
    core = measurements["network_core_volume"].value
    if "network_penumbra_volume" not in measurements:
        return f"The network finds {rounded(core or 0, 1)} ml of core and penumbra together."
    penumbra, ratio = measurements["network_penumbra_volume"].value, measurements["network_mismatch_ratio"].value
    if core == 0 and penumbra == 0:
        return "The network finds neither core nor penumbra."
    words = "no core, so no mismatch ratio" if ratio is None else f"mismatch ratio {told('mismatch_ratio', ratio)}"
    volumes = f"{told('core_volume', core or 0)} ml of core and {told('penumbra_volume', penumbra or 0)} ml of penumbra"
    return f"The network finds {volumes}; {words}."


def _ml(mask: Mask, grid: Grid) -> float:
    return float(np.count_nonzero(mask)) * grid.voxel_ml


def _agreement(one: Mask, other: Mask) -> float | None:
    return round(float(dice(one, other)), 3) if one.any() or other.any() else None
